// Package access decides who comes in at a door, what they may do there, and
// keeps a record of what they did: tokens and certificates (one acl file for all
// doors), roles, hosts and origins, wrong tokens at a rate, the audit log.
//
// It stands between a port and what is served there. Gate is what every door
// shares: settings, files, TLS. Guard is the doors' that people operate through:
//
//	guard, err := access.New(access.Config{...}, access.Deps{...})
//	url, err := guard.Listen()
//	mux.Handle("GET /v1/status", guard.Require(access.Read, handler))
//	mux.Handle("POST /v1/stop", guard.Require(access.Operate, handler))
//	err = guard.Serve(ctx, mux)
//
// and in a handler access.From(r.Context()) is who asks. What changes anything
// goes through guard.Do, which writes the audit log; package control has the
// cluster's operations ready made.
//
// A token comes as Authorization: Bearer, from a browser too: its page keeps the
// token in sessionStorage and sends it by fetch. There are no cookies, since a
// browser sends those to every port of a host and with requests of other pages.
// On loopback one may read without a token, unless the settings say otherwise;
// nobody operates without one, anywhere. A wrong token is refused even where none
// is needed.
//
// It owns the port of a Guard, its connections and the memory of wrong tokens. It
// never keeps a token, only hashes, and knows nothing of clusters and nodes.
package access

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
	"sync"
	"time"

	"github.com/picket-nsm/picket/host/audit"
)

// Limits against hostile clients.
const (
	maxConnections = 256 // at a time; more wait in the kernel's queue
	maxHandshakes  = 64  // without a request
	maxHeader      = 16 << 10
	maxBody        = 64 << 10 // of a request
	headerTime     = 5 * time.Second
	bodyTime       = 10 * time.Second
	idleTime       = 2 * time.Minute
	stopTime       = time.Second // for answers under way, at the end
)

// Deps is what the program passes in.
type Deps struct {
	Log *slog.Logger
	Now func() time.Time // wall clock; nil: time.Now
	// Audit is the record of operations; nil: none is written.
	Audit *audit.Log
	// Holder says who listens on an address already, or "". nil: nobody knows.
	Holder func(netip.AddrPort) string
	// Via is the name of the door in the record; empty: control.
	Via string
	// Closed says that on loopback, too, reading needs a token.
	Closed bool
	// Last is the port of an earlier life, tried first where Listen has port 0.
	Last int
	// Told is told what is wrong with the acl file while the door is open, and with
	// "" that nothing is any more, from one goroutine. nil: nobody wants to know.
	Told func(trouble string)
}

// Identity is who asks.
type Identity struct {
	Name string // in the acl file; empty: a reader on loopback who gave no token
	Role Role
	From netip.AddrPort
	Via  string
}

// Actor is the identity in the record.
func (id Identity) Actor() audit.Actor {
	return audit.Actor{Who: id.Name, Role: id.Role.String(), From: id.From.String(), Via: id.Via}
}

// Guard is a door that people operate through. Its methods may be called by
// several goroutines, but for Listen and Serve.
type Guard struct {
	gate     *Gate
	deps     Deps
	refusals *Refusals
	halfOpen *HalfOpen
	guesses  guesses
	listener net.Listener

	mu     sync.Mutex
	counts map[string]uint64
	stays  map[*stay]struct{}
}

// stay is a request that is being answered. What takes long, as a stream does,
// ends when the acl file no longer allows it.
type stay struct {
	need  Role
	proof Proof
	end   context.CancelFunc
}

// New reads the files that the settings name. It opens no port.
func New(c Config, d Deps) (*Guard, error) {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Via == "" {
		d.Via = "control"
	}
	gate, err := NewGate(c)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", c.Name, err)
	}
	g := &Guard{gate: gate, deps: d, counts: map[string]uint64{}, stays: map[*stay]struct{}{}}
	g.refusals = NewRefusals(d.Now, g.count, LogRefusals(d.Log, c.Name))
	g.halfOpen = NewHalfOpen(maxHandshakes, g.refusals)
	return g, nil
}

func (g *Guard) count(name string, n uint64) {
	g.mu.Lock()
	g.counts[name] += n
	g.mu.Unlock()
}

// Counters returns all counters by name: requests, refused.REASON, operations.
func (g *Guard) Counters() map[string]uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.counts)
}

// record writes an entry; that it could not be is for the log.
func (g *Guard) record(e audit.Entry) {
	if err := g.deps.Audit.Add(e); err != nil {
		g.deps.Log.Error(err.Error())
	}
}

// Listen opens the port and returns the URL, http or https, without a path. The
// error says who has the port.
func (g *Guard) Listen() (url string, err error) {
	l, err := g.gate.Listen(Port{Holder: g.deps.Holder, Last: g.deps.Last, Most: maxConnections})
	if err != nil {
		return "", err
	}
	g.listener = l
	scheme := "http"
	if g.gate.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + l.Addr().String(), nil
}

// Serve serves until ctx ends, then gives answers under way a second. Requests
// carry a context that ends with ctx: streams end. Listen comes first.
//
// A handler that streams sets a deadline for each of its writes, by
// http.ResponseController: else one who does not read keeps its goroutine.
func (g *Guard) Serve(ctx context.Context, h http.Handler) error {
	if g.listener == nil {
		return fmt.Errorf("run %s: not listening", g.gate.cfg.Name)
	}
	base, end := context.WithCancel(context.Background())
	srv := &http.Server{
		Handler: g.front(h), ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ErrorLog:    slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // ConnState counts and logs
		ConnState:   g.halfOpen.State,
		ConnContext: g.halfOpen.Conn,
		BaseContext: func(net.Listener) context.Context { return base },
		// One connection carries one stream: with HTTP/2 a client could open hundreds.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	var watching sync.WaitGroup
	watching.Go(func() { g.gate.Watch(base, g.reloaded) })
	defer watching.Wait()
	defer end()
	done := make(chan error, 1)
	go func() { done <- srv.Serve(g.listener) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		end()
		bound, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		if srv.Shutdown(bound) != nil {
			_ = srv.Close() // Who still reads after a second is cut off.
		}
		err = <-done
	}
	g.refusals.Flush()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("run %s: %w", g.gate.cfg.Name, err)
	}
	return nil
}

// front is before every path, those without a role too.
func (g *Guard) front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.halfOpen.Arrived(r)
		g.count("requests", 1)
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if reason, why := g.gate.Foreign(r); why != "" {
			g.refuse(w, r, &Denied{http.StatusForbidden, reason, why})
			return
		}
		if r.ContentLength != 0 { // else the deadline would end streams
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}
