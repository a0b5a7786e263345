package websocket

import (
	"cmp"
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
	apps  map[string]*app
}

// app counts the events of all clients that give the same X-Application-Name.
type app struct{ in, out atomic.Uint64 }

// Clients choose the names: so many are told apart, of so many bytes.
const (
	maxApps    = 32
	maxAppName = 32
	appUnknown = "unknown" // as Zeek calls who gives none
	appOther   = "other"
)

// app returns the counters of a name.
func (m *metrics) app(name string) *app {
	name = cmp.Or(name[:min(len(name), maxAppName)], appUnknown)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.apps == nil {
		m.apps = map[string]*app{}
	}
	if m.apps[name] == nil && len(m.apps) >= maxApps {
		name = appOther
	}
	if m.apps[name] == nil {
		m.apps[name] = &app{}
	}
	return m.apps[name]
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
	if out == nil {
		out = map[string]uint64{}
	}
	for name, a := range m.apps {
		out["app.in."+name], out["app.out."+name] = a.in.Load(), a.out.Load()
	}
	m.mu.Unlock()
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
