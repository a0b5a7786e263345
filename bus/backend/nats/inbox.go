package nats

import (
	"encoding/binary"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/picket-nsm/picket/bus/backend"
)

// inbox keeps events that arrived until the handler has time, as they came: packs
// of several. It is bounded in events; the newest are dropped.
type inbox struct {
	max int64

	mu     sync.Mutex
	change sync.Cond
	list   []arrived
	closed bool

	queued atomic.Int64
}

// arrived is one message with the events of it that fit.
type arrived struct {
	topic, sender, codec, via string
	data                      []byte
	packed                    bool
	n                         int
}

func (b *inbox) init(max int) {
	b.max = int64(max)
	b.change.L = &b.mu
}

// put queues as many events of a as there is room for, and returns how many are
// dropped. One goroutine calls it.
func (b *inbox) put(a arrived) (dropped int) {
	room := int(max(0, b.max-b.queued.Load()))
	if a.n > room {
		dropped, a.n = a.n-room, room
	}
	if a.n == 0 {
		return dropped
	}
	b.queued.Add(int64(a.n))
	b.mu.Lock()
	b.list = append(b.list, a)
	if len(b.list) == 1 {
		b.change.Signal()
	}
	b.mu.Unlock()
	return dropped
}

func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.change.Broadcast()
	b.mu.Unlock()
}

// run gives events to handle until the inbox is closed and empty.
func (b *inbox) run(handle func(backend.Message)) {
	var list []arrived
	for {
		clear(list)
		list = list[:0]
		b.mu.Lock()
		for len(b.list) == 0 && !b.closed {
			b.change.Wait()
		}
		list, b.list = b.list, list
		b.mu.Unlock()
		if len(list) == 0 {
			return
		}
		for i := range list {
			a := &list[i]
			m := backend.Message{Topic: a.topic, Sender: a.sender, Codec: a.codec, Via: a.via, Payload: a.data}
			rest := a.data
			for range a.n {
				if a.packed {
					m.Payload, rest, _ = cutPacked(rest) // it was looked through when it came
				}
				handle(m)
				b.queued.Add(-1)
			}
		}
	}
}

// cutPacked takes the first event off what a pack holds.
func cutPacked(b []byte) (event, rest []byte, ok bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return nil, nil, false
	}
	end := k + int(n)
	return b[k:end:end], b[end:], true
}

// countPacked says how many events a pack holds; false: it is not one.
func countPacked(b []byte) (n int, ok bool) {
	for ok = len(b) > 0; ok && len(b) > 0; n++ {
		_, b, ok = cutPacked(b)
	}
	return n, ok
}

// prefixes are what is subscribed to. A look at them takes no lock.
type prefixes struct{ list atomic.Pointer[[]string] }

func (p *prefixes) all() []string {
	if l := p.list.Load(); l != nil {
		return *l
	}
	return nil
}

func (p *prefixes) want(topic string) bool {
	for _, s := range p.all() {
		if strings.HasPrefix(topic, s) {
			return true
		}
	}
	return false
}
