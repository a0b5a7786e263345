package telemetry

import (
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/status/statustest"
)

// BenchmarkScrape128 is a scrape of 128 nodes through one endpoint, over HTTP, as
// Prometheus does it: a new look at all ledgers and processes each time. cpu-ms is
// the processor time of both sides.
func BenchmarkScrape128(b *testing.B) {
	c := statustest.New(b, 128)
	c.Move(1000)
	s := New(Config{Listen: "127.0.0.1:0"}, Deps{Source: func() (*Snapshot, error) { return Cluster(c.Spool) }})
	url, err := s.Listen()
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx := b.Context()
	go func() { ended <- s.Run(ctx) }()
	var size, most int64
	before := cpu(b)
	for b.Loop() {
		s.mu.Lock()
		s.looked = time.Time{} // what was seen before is too old
		s.mu.Unlock()
		began := time.Now()
		r, err := http.NewRequest("GET", url, nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "gzip") // as Prometheus asks
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		if size, err = io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
			b.Fatal(resp.Status, err)
		}
		resp.Body.Close()
		most = max(most, time.Since(began).Milliseconds())
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/1e3/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(most), "max-ms")
	b.ReportMetric(float64(size), "gzip-bytes")
}

// cpu is the processor time of this process so far.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
