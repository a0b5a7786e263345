// Package web serves the dashboard: one page that shows how a cluster is, and
// the feed of numbers that it draws.
//
// It stands outside the data path. What it tells comes from host/status, the
// same as picket status --json, and from the files that loggers have open; no
// node is touched. Package access says who comes in. It owns the last look, ten
// minutes of history and a bounded number of clients. It never counts anything of the
// cluster itself, never reads a file that a client names, and asks the
// supervisor for a restart only on behalf of somebody who may operate.
package web

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/internal/ledger"
)

// Kind names the door in status, counters and files.
const Kind = "dashboard"

// DefaultPort is tried first where the settings leave the port open.
const DefaultPort = 27780

// Limits against hostile and forgetful clients, besides those of package access.
const (
	maxFeeds    = 32               // browsers that are fed at a time; more get 503
	maxWork     = 4                // searches, tails and restarts at a time; more get 503
	takeTimeout = 10 * time.Second // for a client to take an answer, or a line of the feed
)

// Config is what belongs to the picture and status does not tell.
type Config struct {
	Sources map[string]Source // by worker: where its packets come from
	Tokens  bool              // there is a file of those who may operate
	Keep    string            // file that keeps the history over a restart of who serves it; empty: none
}

// Source is where a worker's packets come from.
type Source struct {
	Name string `json:"name"` // eth0, or a capture file
	Live bool   `json:"live"` // a network interface: silence means something
}

// Deps is what the program passes in.
type Deps struct {
	Now func() time.Time // wall clock; nil: time.Now
	Log *slog.Logger     // nil: nobody wants to know
	// Guard has the port, and knows who asks. The caller has it listen.
	Guard *access.Guard
	// Look looks at the cluster; earlier is the last look, or nil. It is called
	// by one goroutine at a time.
	Look func(earlier *status.Status) (*status.Status, error)
	// Files names the log files that a logger has open; nil: there is no search.
	Files func(logger string) ([]ledger.File, error)
	// Restart asks for a node's restart, and records that.
	Restart func(ctx context.Context, id access.Identity, node string) error
}

// Server serves one dashboard. Use New.
type Server struct {
	cfg  Config
	deps Deps
	feed *feed
	work chan struct{}
	busy atomic.Uint64 // requests for which there was no room
}

// New prepares a dashboard; it does nothing yet.
func New(cfg Config, d Deps) *Server {
	if d.Now == nil {
		d.Now = time.Now
	}
	s := &Server{cfg: cfg, deps: d, work: make(chan struct{}, maxWork), feed: newFeed(cfg.Sources, d.Look, d.Now)}
	s.feed.operate, s.feed.keep = cfg.Tokens, cfg.Keep
	if d.Log != nil {
		s.feed.trouble = func(err error) { d.Log.Error(err.Error()) }
	}
	return s
}

// Run looks at the cluster and serves until ctx ends, then closes all
// connections and waits. The guard listens already.
func (s *Server) Run(ctx context.Context) error {
	over, stop := context.WithCancel(ctx)
	var looking sync.WaitGroup
	looking.Go(func() { s.feed.run(over) })
	err := s.deps.Guard.Serve(ctx, s.Handler())
	stop()
	looking.Wait()
	return err
}

// Counters returns the door's counters, for the ledger.
func (s *Server) Counters() map[string]uint64 {
	out := s.deps.Guard.Counters()
	maps.Copy(out, s.feed.counters())
	out["busy"] = s.busy.Load()
	return out
}
