// Package telemetry serves metrics to Prometheus: Zeek's names and labels where
// Zeek has them, Picket's own beside, and whether the cluster is well.
//
// It stands outside the data path. What it serves comes from the nodes' ledgers
// and /proc by way of host/status, so a scrape touches no node, and one endpoint
// carries all nodes of a machine. It owns the HTTP listener and the last
// snapshot, which is kept for a moment so that many scrapers cost as much as
// one. It never counts anything of the cluster itself, and no fault of it stops
// the process that it runs in.
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/picket-nsm/picket/api/access"
)

// The paths that are served.
const (
	PathMetrics  = "/metrics"
	PathServices = "/services.json"
	PathHealth   = "/healthz"
	PathReady    = "/readyz"
)

// Limits against hostile and forgetful clients.
const (
	maxConns     = 64 // connections at a time; more wait in the kernel's queue
	maxScrapes   = 4  // answers made at a time; more get 503
	maxHeader    = 16 << 10
	readTimeout  = 5 * time.Second
	writeTimeout = 15 * time.Second
	idleTimeout  = 2 * time.Minute
)

// Keep is how old a snapshot may be that is served again. Together with the time
// that it takes to make one it stays below the 5 seconds that are promised.
const Keep = 2 * time.Second

// Config says where to listen and what for.
type Config struct {
	Listen string // ADDRESS:PORT; port 0: the one of Last if it is free, else any
	Last   int    // the port of an earlier life, tried first where Listen leaves it open
	// Services has /services.json served. In Zeek only the manager has it.
	Services bool
}

// Deps is what the program passes in.
type Deps struct {
	Log *slog.Logger
	Now func() time.Time // wall clock; nil: time.Now
	// Source looks at the nodes. It is called by one goroutine at a time.
	Source func() (*Snapshot, error)
	// Holder says who listens on an address already, or "". nil: nobody knows.
	Holder func(netip.AddrPort) string
	// Version is of this program, for picket_build_info.
	Version string
}

// Server serves one endpoint. Use New.
type Server struct {
	cfg  Config
	deps Deps

	mu      sync.Mutex // guards the next three, and is held while a snapshot is made
	last    *Snapshot
	lastErr error
	looked  time.Time

	exposer  exposer
	listener net.Listener
	loopback bool
	http     *http.Server
}

// New prepares an endpoint; nothing listens yet.
func New(cfg Config, d Deps) *Server {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, deps: d}
	s.http = &http.Server{
		Handler: s.Handler(), ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(d.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// Listen opens the port and returns the URL of the metrics. The error names who
// has it already; nothing is left open then, and Listen may be called again.
func (s *Server) Listen() (url string, err error) {
	host, port, err := net.SplitHostPort(s.cfg.Listen)
	if err != nil {
		return "", fmt.Errorf("open metrics: address %q: want 127.0.0.1:9991: %w", s.cfg.Listen, err)
	}
	var l net.Listener
	if port == "0" && s.cfg.Last > 0 {
		// A restart keeps its port, so that a scraper finds it again.
		l, _ = net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(s.cfg.Last)))
	}
	if l == nil {
		if l, err = net.Listen("tcp", s.cfg.Listen); err != nil {
			return "", s.taken(err)
		}
	}
	s.loopback = l.Addr().(*net.TCPAddr).IP.IsLoopback()
	s.listener = access.Limit(l, maxConns)
	return "http://" + l.Addr().String() + PathMetrics, nil
}

func (s *Server) taken(cause error) error {
	who := ""
	if a, err := netip.ParseAddrPort(s.cfg.Listen); err == nil && s.deps.Holder != nil {
		who = s.deps.Holder(a)
	}
	if who == "" {
		return fmt.Errorf("open metrics: %w", cause)
	}
	return fmt.Errorf("open metrics: %s is taken by %s; give it another port, or \"\" to do without: %w", s.cfg.Listen, who, cause)
}

// Run serves until ctx ends, then lets answers under way finish. Listen comes first.
func (s *Server) Run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- s.http.Serve(s.listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve metrics: %w", err)
	case <-ctx.Done():
	}
	bound, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.http.Shutdown(bound) != nil {
		_ = s.http.Close() // Who still reads after a second is cut off.
	}
	<-done
	return nil
}

// snapshot returns one that is at most keep old.
func (s *Server) snapshot(keep time.Duration) (*Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.deps.Now()
	if age := now.Sub(s.looked); !s.looked.IsZero() && age >= 0 && age < keep {
		return s.last, s.lastErr
	}
	s.last, s.lastErr = s.deps.Source()
	s.looked = now
	if s.last != nil {
		s.last.Took = s.deps.Now().Sub(now)
	}
	return s.last, s.lastErr
}
