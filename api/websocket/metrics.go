package websocket

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
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
	out["handshakes"] = s.halfOpen.Size()
	out["subscriptions"] = s.topics.size()
	return out
}

// Reasons why something is refused, besides those of package access.
const (
	refuseConnections = "connections"
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

// endpoint is a client in cluster.log.
func (c *client) endpoint() string {
	s := fmt.Sprintf("'%s' (%s:%d)", c.id, c.remote.Addr(), c.remote.Port())
	if c.hasApp {
		s += " application_name=" + c.app
	}
	return s
}
