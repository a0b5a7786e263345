package broker

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/zeek/topic"
)

// traffic counts one direction. A frame is counted once, however many
// subscribers it goes to.
type traffic struct {
	frames, bytes atomic.Uint64
}

func (t *traffic) add(frames, bytes uint64) {
	t.frames.Add(frames)
	t.bytes.Add(bytes)
}

// Proxy are the eight numbers that libzmq's proxy has and Zeek exports as
// zeek_cluster_zeromq_proxy_{frontend,backend}_{messages,bytes}_{received,sent}_total.
// Frontend is XSUB, backend is XPUB. As there, "messages" are frames, so an event
// counts four, and what one side received the other has sent, once, whether
// nobody or many wanted it.
type Proxy struct {
	FrontendMessagesReceived uint64 `json:"frontend_messages_received"`
	FrontendBytesReceived    uint64 `json:"frontend_bytes_received"`
	FrontendMessagesSent     uint64 `json:"frontend_messages_sent"`
	FrontendBytesSent        uint64 `json:"frontend_bytes_sent"`
	BackendMessagesReceived  uint64 `json:"backend_messages_received"`
	BackendBytesReceived     uint64 `json:"backend_bytes_received"`
	BackendMessagesSent      uint64 `json:"backend_messages_sent"`
	BackendBytesSent         uint64 `json:"backend_bytes_sent"`
}

// Status is what the broker tells about itself.
type Status struct {
	Proxy   Proxy
	XPUB    zmtp.Status       // subscribers
	XSUB    zmtp.Status       // publishers
	Topics  int               // topics that somebody wants
	Dropped map[string]uint64 // messages that a full subscriber missed, by class of topic
}

// Status may be called at any time.
func (b *Broker) Status() Status {
	var s Status
	s.Proxy.FrontendMessagesReceived = b.toXPUB.frames.Load()
	s.Proxy.FrontendBytesReceived = b.toXPUB.bytes.Load()
	s.Proxy.BackendMessagesSent, s.Proxy.BackendBytesSent = s.Proxy.FrontendMessagesReceived, s.Proxy.FrontendBytesReceived
	s.Proxy.BackendMessagesReceived = b.toXSUB.frames.Load()
	s.Proxy.BackendBytesReceived = b.toXSUB.bytes.Load()
	s.Proxy.FrontendMessagesSent, s.Proxy.FrontendBytesSent = s.Proxy.BackendMessagesReceived, s.Proxy.BackendBytesReceived
	s.XPUB, s.XSUB = b.xpub.Status(), b.xsub.Status()
	b.mu.Lock()
	s.Topics = len(b.counts)
	b.mu.Unlock()
	s.Dropped = b.drops.all()
	return s
}

const (
	maxClasses = 256
	otherClass = "(other)"
)

// drops counts dropped messages by class of topic.
type drops struct {
	mu sync.Mutex
	by map[string]uint64
}

func (d *drops) add(_ *zmtp.Peer, name []byte) {
	c := topic.Class(string(name))
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.by == nil {
		d.by = map[string]uint64{}
	}
	if _, ok := d.by[c]; !ok && len(d.by) >= maxClasses {
		c = otherClass
	}
	d.by[c]++
}

func (d *drops) all() map[string]uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.by)
}
