package telemetry

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/status/statustest"
)

// BenchmarkScrape128 is a scrape of 128 nodes through one endpoint, over HTTP, as
// Prometheus does it: a new look at all ledgers and processes each time. cpu-ms is
// the processor time of both sides.
func BenchmarkScrape128(b *testing.B) {
	c := statustest.Of(b, 128, func(int) int { return idle(b) })
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

// idle starts a process that does nothing, with the memory map of one of ours.
func idle(b *testing.B) int {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envIdle+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// envIdle has the test binary be such a process.
const envIdle = "PICKET_TEST_IDLE"

func TestMain(m *testing.M) {
	if os.Getenv(envIdle) != "" {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark ends
		os.Exit(0)
	}
	os.Exit(m.Run())
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
