package zeromq

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/internal/freelist"
)

// inbox keeps events that arrived until the handler has time. The newest is
// dropped when it is full, and counted, as a Zeek node does.
type inbox struct {
	max int64

	mu     sync.Mutex
	change sync.Cond
	list   []*chunk
	spare  freelist.List[*chunk]
	closed bool

	queued atomic.Int64
	slow   atomic.Uint64 // dropped: full
	bad    atomic.Uint64 // dropped: not four frames
}

// chunk is a run of events that arrived together, their payloads in one buffer.
type chunk struct {
	buf  []byte
	msgs []arrived
}

type arrived struct {
	topic, sender, codec string
	from, to             int
}

const (
	chunkBytes = 32 << 10 // handed on at that size, though more may be coming
	keepChunk  = 1 << 20  // a larger buffer is not used again
	spares     = 64
)

func (b *inbox) init(max int) {
	b.max = int64(max)
	b.change.L = &b.mu
	b.spare = freelist.New[*chunk](spares)
}

func (b *inbox) put(c *chunk) {
	b.mu.Lock()
	b.list = append(b.list, c)
	if len(b.list) == 1 {
		b.change.Signal()
	}
	b.mu.Unlock()
}

func (b *inbox) fresh() *chunk {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.spare.Take(); c != nil {
		return c
	}
	return new(chunk)
}

func (b *inbox) recycle(c *chunk) {
	if cap(c.buf) > keepChunk {
		return
	}
	clear(c.msgs)
	c.buf, c.msgs = c.buf[:0], c.msgs[:0]
	b.mu.Lock()
	b.spare.Keep(c)
	b.mu.Unlock()
}

func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.change.Broadcast()
	b.mu.Unlock()
}

// run gives events to the handler until the inbox is closed and empty.
func (b *inbox) run(handle func(backend.Message)) {
	for {
		b.mu.Lock()
		for len(b.list) == 0 && !b.closed {
			b.change.Wait()
		}
		list := b.list
		b.list = nil
		b.mu.Unlock()
		if len(list) == 0 {
			return
		}
		for _, c := range list {
			for _, m := range c.msgs {
				handle(backend.Message{Topic: m.topic, Sender: m.sender, Codec: m.codec, Payload: c.buf[m.from:m.to:m.to]})
				b.queued.Add(-1)
			}
			b.recycle(c)
		}
	}
}

// receiver takes the messages of one connection to the broker's XPUB.
type receiver struct {
	c     *Conn
	now   *chunk
	names map[string]string
}

// Message implements zmtp.Receiver: topic, sender, codec, payload.
func (r *receiver) Message(m zmtp.Message) {
	p, in := m.Parts(), &r.c.in
	if len(p) != 4 {
		in.bad.Add(1)
		return
	}
	if string(p[1]) == r.c.cfg.ID {
		return // our own come back, if we subscribed to their topic
	}
	if r.c.greeted(p) {
		return
	}
	topic := r.name(p[0])
	if !r.c.filter.wants(topic) {
		return
	}
	if in.queued.Load() >= in.max {
		in.slow.Add(1)
		return
	}
	in.queued.Add(1)
	if r.now == nil {
		r.now = in.fresh()
	}
	c := r.now
	from := len(c.buf)
	c.buf = append(c.buf, p[3]...)
	c.msgs = append(c.msgs, arrived{topic, r.name(p[1]), r.name(p[2]), from, len(c.buf)})
	if len(c.buf) >= chunkBytes {
		r.Flush()
	}
}

// Flush implements zmtp.Receiver.
func (r *receiver) Flush() {
	if r.now != nil {
		r.c.in.put(r.now)
		r.now = nil
	}
}

// name returns the string of some bytes, the same one again and again.
func (r *receiver) name(b []byte) string {
	if s, ok := r.names[string(b)]; ok {
		return s
	}
	if len(r.names) >= cacheSize {
		clear(r.names)
	}
	s := string(b)
	if len(s) <= 1024 {
		r.names[s] = s
	}
	return s
}

// filter is what the node subscribed to, in the order in which it did. A look at
// it takes no lock.
type filter struct {
	mu       sync.Mutex
	prefixes atomic.Pointer[[]string]
}

func (f *filter) wants(topic string) bool {
	p := f.prefixes.Load()
	if p == nil {
		return false
	}
	for _, s := range *p {
		if strings.HasPrefix(topic, s) {
			return true
		}
	}
	return false
}

// change adds or removes a prefix; false: it was so already. f.mu is held.
func (f *filter) change(prefix string, want bool) bool {
	old := f.all()
	now := make([]string, 0, len(old)+1)
	had := false
	for _, s := range old {
		if s == prefix {
			if had = true; !want {
				continue
			}
		}
		now = append(now, s)
	}
	if had == want {
		return false
	}
	if want {
		now = append(now, strings.Clone(prefix))
	}
	f.prefixes.Store(&now)
	return true
}

func (f *filter) all() []string {
	if p := f.prefixes.Load(); p != nil {
		return *p
	}
	return nil
}
