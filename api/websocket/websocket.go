// Package websocket is the door for programs that speak Zeek's WebSocket API:
// they subscribe to topics, get events as JSON, and publish events.
//
// It stands between its clients and a bus connection of its own, which the node
// or hub that holds the door gives it. It owns the port, the clients and what
// waits for each of them, the subscriptions of all of them together, and who
// may do what. An event is turned into JSON once, however many clients get it.
// It never lets a client wait for another, keeps nothing for a client that went
// away, and knows nothing of nodes, layouts or logs.
package websocket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/host/audit"
	"github.com/picket-nsm/picket/zeek/declare"
)

// Deps is what the program passes in.
type Deps struct {
	Log *slog.Logger
	Now func() time.Time
	// ID is the node's; clients are ID-websocket-0 and so on. Version is what
	// acks say.
	ID, Version string
	// Bus is the door's own connection, which somebody else runs, longer than the
	// door: what it publishes must reach the node that holds the door, too. The
	// door sets its handler.
	Bus   backend.Events
	Codec codec.Codec   // what the door publishes in
	Also  []codec.Codec // what it understands besides
	// Note is told of clients that come and go, in the words of cluster.log, from
	// several goroutines. nil: nobody wants to know.
	Note func(text string)
	// Holder says who listens on an address already, or "". nil: nobody knows.
	Holder func(netip.AddrPort) string
	// Audit is the record into which it goes that the acl file has changed. nil: none.
	Audit *audit.Log
	// Told is told what is wrong with the acl file while the door is open, and with
	// "" that nothing is any more, from one goroutine. nil: nobody wants to know.
	Told func(trouble string)
}

// Server is the door.
type Server struct {
	cfg    Config
	deps   Deps
	gate   *access.Gate // without an acl file everybody may do everything
	decl   *declare.Set
	codecs map[string]codec.Codec

	listener net.Listener
	http     *http.Server
	halfOpen *access.HalfOpen
	topics   topics
	metrics  metrics
	refusals *access.Refusals

	batches sync.Pool    // *[]byte, for writers
	crowd   atomic.Int64 // len(clients), for writers

	mu          sync.Mutex
	connections int    // that have got beyond the handshake's checks
	accepted    uint64 // clients so far
	clients     map[*client]struct{}
	stopping    bool
	serving     sync.WaitGroup // a connection each
}

// New reads the files that cfg names and checks that the settings go together.
// It opens no port.
func New(cfg Config, d Deps) (*Server, error) {
	cfg = cfg.defaults()
	s := &Server{cfg: cfg, deps: d, clients: map[*client]struct{}{}, codecs: map[string]codec.Codec{}}
	for _, c := range append([]codec.Codec{d.Codec}, d.Also...) {
		s.codecs[c.Name()] = c
	}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("open websocket api: %w", err)
	}
	s.topics.init(d.Bus)
	s.refusals = access.NewRefusals(d.Now, s.metrics.count, access.LogRefusals(d.Log, "websocket"))
	s.halfOpen = access.NewHalfOpen(cfg.Handshakes, s.refusals)
	d.Bus.Receive(s.receive)
	return s, nil
}

// Listen opens the port and returns the URL. Connections wait until Run.
func (s *Server) Listen() (url string, err error) {
	l, err := s.gate.Listen(access.Port{Holder: s.deps.Holder})
	if err != nil {
		return "", err
	}
	s.listener = l
	scheme := "ws"
	if s.gate.TLS != nil {
		scheme = "wss"
	}
	return scheme + "://" + l.Addr().String() + PathV1, nil
}

// Run serves until ctx ends, then closes all clients with 1001 and comes back
// when they are gone, within a bound. Listen comes first.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		return errors.New("run websocket api: not listening")
	}
	s.http = &http.Server{
		Handler:                      http.HandlerFunc(s.handle),
		ReadHeaderTimeout:            handshakeTime, // of TLS, too
		IdleTimeout:                  handshakeTime,
		MaxHeaderBytes:               maxHeader,
		ErrorLog:                     slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // ConnState counts and logs
		ConnState:                    s.halfOpen.State,
		ConnContext:                  s.halfOpen.Conn,
		TLSNextProto:                 map[string]func(*http.Server, *tls.Conn, http.Handler){}, // no HTTP/2
		DisableGeneralOptionsHandler: true,
	}
	s.http.SetKeepAlivesEnabled(false)
	var running sync.WaitGroup
	kept, stop := context.WithCancel(context.Background())
	running.Go(func() { s.keep(kept) })
	running.Go(func() { s.gate.Watch(kept, s.reloaded) })
	failed := make(chan error, 1)
	running.Go(func() { failed <- s.http.Serve(s.listener) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	_ = s.http.Close() // the listener and handshakes; clients are ours
	s.terminate()
	stop()
	running.Wait()
	s.refusals.Flush()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("run websocket api: %w", err)
	}
	return nil
}

// terminate closes all clients and waits for them.
func (s *Server) terminate() {
	s.mu.Lock()
	s.stopping = true
	for c := range s.clients {
		c.end(stopped())
	}
	s.mu.Unlock()
	s.serving.Wait() // each is bounded by closeTime
}

func stopped() closing { return closing{code: 1001, reason: "Terminating", flush: true, say: true} }

// enter takes a place for a connection. It fails when there is none, or the
// server stops.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping || s.connections >= s.cfg.Connections {
		return false
	}
	s.connections++
	s.serving.Add(1)
	return true
}

func (s *Server) exit() {
	s.mu.Lock()
	s.connections--
	s.mu.Unlock()
	s.serving.Done()
}

// add makes a connection a client.
func (s *Server) add(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.number = s.accepted
	s.accepted++
	s.clients[c] = struct{}{}
	s.crowd.Store(int64(len(s.clients)))
	if s.stopping {
		c.end(stopped())
	}
}

func (s *Server) remove(c *client) {
	s.mu.Lock()
	delete(s.clients, c)
	s.crowd.Store(int64(len(s.clients)))
	s.mu.Unlock()
}

// keep pings the clients until ctx ends.
func (s *Server) keep(ctx context.Context) {
	interval := s.cfg.PingInterval
	if interval < 0 {
		return
	}
	tick := time.NewTicker(max(min(interval/4, time.Second), time.Millisecond))
	defer tick.Stop()
	var all []*client
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			all = all[:0]
			s.mu.Lock()
			for c := range s.clients {
				all = append(all, c)
			}
			s.mu.Unlock()
			for _, c := range all {
				c.pingEvery(interval, now)
			}
			clear(all)
		}
	}
}

// reloaded is told of a change of the acl file.
func (s *Server) reloaded(r access.Reload) {
	log := s.deps.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	trouble := r.Record(log, s.deps.Audit, "websocket", "websocket")
	if s.deps.Told != nil {
		s.deps.Told(trouble)
	}
	if r.Err != nil {
		s.metrics.count("acl.broken", 1)
		return
	}
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.clients))
	s.mu.Unlock()
	for _, c := range all {
		c.readmit(s.gate.ACL())
	}
	s.metrics.count("acl.taken", 1)
}

// note tells of a client, for cluster.log.
func (s *Server) note(text string) {
	if s.deps.Note != nil {
		s.deps.Note(text)
	}
}
