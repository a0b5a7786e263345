package websocket

import (
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// metrics are the door's counters.
type metrics struct {
	eventsIn, eventsOut, fromBus, encoded atomic.Uint64 // eventsOut: put on the wire of a client
	bytesIn, bytesOut, slowed, pings      atomic.Uint64

	mu    sync.Mutex
	named map[string]uint64
}

func (m *metrics) count(name string, n uint64) {
	m.mu.Lock()
	if m.named == nil {
		m.named = map[string]uint64{}
	}
	m.named[name] += n
	m.mu.Unlock()
}

// Counters returns all counters by name. Events are counted per client: one for
// three clients is three. What came from the bus or a client for a client's
// subscription and did not reach its connection is under dropped.
func (s *Server) Counters() map[string]uint64 {
	m := &s.metrics
	m.mu.Lock()
	out := maps.Clone(m.named)
	m.mu.Unlock()
	if out == nil {
		out = map[string]uint64{}
	}
	s.mu.Lock()
	out["clients"], out["accepted"] = uint64(len(s.clients)), s.accepted
	s.mu.Unlock()
	out["events.in"] = m.eventsIn.Load()
	out["events.out"] = m.eventsOut.Load()
	out["events.bus"] = m.fromBus.Load()
	out["events.encoded"] = m.encoded.Load()
	out["bytes.in"] = m.bytesIn.Load()
	out["bytes.out"] = m.bytesOut.Load()
	out["slowed"] = m.slowed.Load()
	out["pings"] = m.pings.Load()
	out["handshakes"] = s.halfOpen.size()
	out["subscriptions"] = s.topics.size()
	return out
}

// Reasons why something is refused.
const (
	refuseConnections = "connections"
	refuseHandshakes  = "handshakes"
	refuseUnfinished  = "unfinished"
	refuseHost        = "host"
	refuseOrigin      = "origin"
	refuseToken       = "token"
	refuseUpgrade     = "upgrade"
	refusePath        = "path"
	refuseApplication = "application"
	refuseSubscribe   = "subscribe"
	refusePublish     = "publish"
	refuseMany        = "subscriptions"
	refuseMessage     = "message"
	refuseEvent       = "event"
	refuseLarge       = "too_large"
	refuseText        = "utf8"
	refuseFrame       = "frame"
)

// Reasons why events are dropped.
const (
	dropSlow    = "slow_client" // waited for a client that was closed for it
	dropGone    = "gone"        // waited for a client that left
	dropEncode  = "encode"      // no JSON can be made of it
	dropCorrupt = "corrupt"     // arrived from the bus, but is no event
	dropCodec   = "unknown_codec"
	dropBus     = "bus" // a client's, that the bus did not take
)

// refusals counts and logs what is refused: the first of a kind at once, the
// others at most once a second with their number, so that whoever knocks at a
// rate fills no disk.
type refusals struct {
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics

	mu    sync.Mutex
	kinds map[string]*refusal
}

type refusal struct {
	last time.Time
	more int
	what string
	from netip.AddrPort
}

func (r *refusals) init(log *slog.Logger, now func() time.Time, m *metrics) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r.log, r.now, r.metrics, r.kinds = log, now, m, map[string]*refusal{}
}

// add notes a refusal; what says it to people.
func (r *refusals) add(reason, what string, from netip.AddrPort) {
	r.metrics.count("refused."+reason, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.kinds[reason]
	now := r.now()
	if k == nil {
		k = &refusal{}
		r.kinds[reason] = k
	} else if now.Sub(k.last) < time.Second {
		k.more++
		k.what, k.from = what, from
		return
	}
	r.line(reason, what, from, k.more)
	k.last, k.more = now, 0
}

// flush logs what is still held back.
func (r *refusals) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for reason, k := range r.kinds {
		if k.more > 0 {
			r.line(reason, k.what, k.from, k.more-1)
			k.more = 0
		}
	}
}

func (r *refusals) line(reason, what string, from netip.AddrPort, more int) {
	attrs := []any{"reason", reason, "from", from.String()}
	if more > 0 {
		attrs = append(attrs, "more", more)
	}
	r.log.Warn("websocket: refused: "+clip(what, 300), attrs...)
}

// clip shortens text of strangers for a log line.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n] + "..."
	}
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}

// endpoint is a client in cluster.log.
func (c *client) endpoint() string {
	s := fmt.Sprintf("'%s' (%s:%d)", c.id, c.remote.Addr(), c.remote.Port())
	if c.hasApp {
		s += " application_name=" + c.app
	}
	return s
}
