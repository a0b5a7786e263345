package access

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
)

// Reasons why connections without a request are refused.
const (
	ReasonHandshakes = "handshakes"
	ReasonUnfinished = "unfinished"
)

// HalfOpen bounds the connections that have not yet made a request. Where there
// are too many the oldest gives way: an honest handshake takes milliseconds.
type HalfOpen struct {
	max      int
	refusals *Refusals

	mu    sync.Mutex
	conns []net.Conn // oldest first
}

// NewHalfOpen bounds them to max.
func NewHalfOpen(max int, r *Refusals) *HalfOpen { return &HalfOpen{max: max, refusals: r} }

// connKey is where a request's context has its connection.
type connKey struct{}

// Conn is the HTTP server's ConnContext.
func (h *HalfOpen) Conn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// Arrived notes that a request has come in.
func (h *HalfOpen) Arrived(r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		h.mu.Lock()
		h.take(c)
		h.mu.Unlock()
	}
}

// take removes a connection, if it is there; mu is held.
func (h *HalfOpen) take(c net.Conn) bool {
	i := slices.Index(h.conns, c)
	if i >= 0 {
		h.conns = slices.Delete(h.conns, i, i+1)
	}
	return i >= 0
}

// State is the HTTP server's ConnState: called for each change of a connection.
func (h *HalfOpen) State(c net.Conn, st http.ConnState) {
	from, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	h.mu.Lock()
	defer h.mu.Unlock()
	switch st {
	case http.StateNew:
		if len(h.conns) >= h.max {
			_ = h.conns[0].Close()
			h.conns = h.conns[1:]
			h.refusals.Add(ReasonHandshakes, "too many connections without a request: the oldest gave way", from)
		}
		h.conns = append(h.conns, c)
	case http.StateClosed:
		if h.take(c) {
			h.refusals.Add(ReasonUnfinished, "a connection that ended before its request, or brought none in time", from)
		}
	}
}

// Size is how many there are.
func (h *HalfOpen) Size() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return uint64(len(h.conns))
}
