package telemetry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/picket-nsm/picket/api/access"
)

// healthKeep is how old what a health check says may be.
const healthKeep = time.Second

// Handler answers all paths.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	metrics := promhttp.HandlerFor(prometheus.GathererFunc(s.gather), promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
	mux.Handle("GET "+PathMetrics, s.exposer.around(metrics))
	if s.cfg.Services {
		mux.HandleFunc("GET "+PathServices, s.services)
	}
	mux.HandleFunc("GET "+PathHealth, func(w http.ResponseWriter, _ *http.Request) {
		s.health(w, func(x *Snapshot) []string {
			var out []string
			for _, role := range x.down() {
				out = append(out, "no "+role+" is up")
			}
			return out
		})
	})
	mux.HandleFunc("GET "+PathReady, func(w http.ResponseWriter, _ *http.Request) { s.health(w, (*Snapshot).unready) })
	return s.guard(mux)
}

// guard refuses a web page that has its own name point to loopback, and bodies.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.loopback && !access.Loopback(r.Host) {
			http.Error(w, "metrics on loopback are not for "+fmt.Sprintf("%q", r.Host), http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
		next.ServeHTTP(w, r)
	})
}

func (s *Server) gather() ([]*dto.MetricFamily, error) {
	x, err := s.snapshot(Keep)
	if err != nil {
		return nil, err
	}
	out := append(families(x, s.deps.Version), s.exposer.families()...)
	slices.SortFunc(out, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out, nil
}

// services is Prometheus' HTTP service discovery, in Zeek's shape: one object.
func (s *Server) services(w http.ResponseWriter, _ *http.Request) {
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	g := group{Targets: []string{}, Labels: map[string]string{}}
	x, err := s.snapshot(healthKeep)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	g.Targets = append(g.Targets, x.Targets...)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode([]group{g}) // The client has gone; nobody is left to tell.
}

func (s *Server) health(w http.ResponseWriter, wrong func(*Snapshot) []string) {
	x, err := s.snapshot(healthKeep)
	var problems []string
	if err != nil {
		problems = []string{err.Error()}
	} else {
		problems = wrong(x)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if len(problems) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, strings.Join(problems, "\n")) // likewise
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}

// exposer counts the scrapes of this endpoint, under Zeek's names.
type exposer struct {
	mu           sync.Mutex
	bytes        uint64
	scrapes      uint64
	microseconds float64
	recent       []float64 // latencies
}

const keptLatencies = 100

func (e *exposer) around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := time.Now()
		c := &counting{ResponseWriter: w}
		next.ServeHTTP(c, r)
		us := float64(time.Since(t).Microseconds())
		e.mu.Lock()
		defer e.mu.Unlock()
		e.bytes += c.n
		e.scrapes++
		e.microseconds += us
		if len(e.recent) == keptLatencies {
			e.recent = e.recent[1:]
		}
		e.recent = append(e.recent, us)
	})
}

func (e *exposer) families() []*dto.MetricFamily {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := newBuilder()
	b.counter("exposer_transferred_bytes_total", "Bytes sent to scrapers.", float64(e.bytes))
	b.counter("exposer_scrapes_total", "Scrapes answered.", float64(e.scrapes))
	f := b.family("exposer_request_latencies", "Time to answer a scrape, in microseconds; quantiles of the last 100.", dto.MetricType_SUMMARY)
	sum := &dto.Summary{}
	count, total := e.scrapes, e.microseconds
	sum.SampleCount, sum.SampleSum = &count, &total
	if sorted := slices.Sorted(slices.Values(e.recent)); len(sorted) > 0 {
		for _, q := range []float64{0.5, 0.9, 0.99} {
			v := sorted[int(q*float64(len(sorted)-1)+0.5)]
			sum.Quantile = append(sum.Quantile, &dto.Quantile{Quantile: &q, Value: &v})
		}
	}
	f.Metric = []*dto.Metric{{Summary: sum}}
	return b.sorted()
}

type counting struct {
	http.ResponseWriter
	n uint64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n += uint64(n)
	return n, err
}
