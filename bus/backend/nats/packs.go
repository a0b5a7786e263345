package nats

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/internal/freelist"
)

// packs keeps events until they leave, several in one message where they follow
// each other to one topic. What is sent and when is docs/adr/0045-packs.md: an
// event leaves at once, unless the server has not yet answered for the pack
// before; meanwhile others join it, until the pack is full. It numbers the events.
type packs struct {
	maxEvents, maxBytes int
	first               uint64 // number

	mu     sync.Mutex
	change sync.Cond
	num    uint64 // of the next event
	names  names
	list   []*pack // to the last one more may be added
	events int     // in list
	bytes  int
	hold   bool // the server has not answered yet: let events gather
	closed bool
	idle   bool                 // the writer sleeps
	free   freelist.List[*pack] // under mu
}

// pack is one message under way.
type pack struct {
	topic, subject     string
	sender, codec, via string
	payload            int // where in data the events begin
	n, bytes           int // of events, and of their payloads
	data               []byte
}

const (
	packBytes  = 60 << 10 // a pack is full from here
	packEvents = 1024
	packSingle = 8 << 10 // an event of this size travels alone
	sparePacks = 16
)

func (o *packs) init(events, bytes int, first uint64, s subjects) {
	o.maxEvents, o.maxBytes, o.first, o.num = events, bytes, first, first
	o.names = names{subj: s, byTopic: map[string]name{}}
	o.change.L = &o.mu
	o.free = freelist.New[*pack](sparePacks)
}

// put queues an event. limit is the largest message that the server takes.
func (o *packs) put(topic, sender, codec, via string, payload []byte, limit int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return backend.ErrClosed
	case o.events >= o.maxEvents || o.events > 0 && o.bytes+len(payload) > o.maxBytes:
		return backend.ErrFull
	}
	if n := len(o.list); n > 0 {
		if p := o.list[n-1]; p.takes(topic, sender, codec, via, len(payload), limit) {
			p.add(payload)
			o.num++
			o.events++
			o.bytes += len(payload)
			if p.full() && o.idle {
				o.change.Broadcast()
			}
			return nil
		}
	}
	to, err := o.names.of(topic)
	if err != nil {
		return err
	}
	p := o.free.Take()
	if p == nil {
		p = new(pack)
	}
	p.topic, p.subject, p.sender, p.codec, p.via, p.n, p.bytes = to.topic, to.subject, sender, codec, via, 1, len(payload)
	p.data = appendFrame(p.data[:0], o.num, sender, codec, via)
	p.payload = len(p.data)
	p.data = append(p.data, payload...)
	o.list = append(o.list, p)
	o.num++
	o.events++
	o.bytes += len(payload)
	if o.idle {
		o.change.Broadcast()
	}
	return nil
}

func (p *pack) full() bool { return p.n >= packEvents || len(p.data) >= packBytes }

// takes says whether one more event may join.
func (p *pack) takes(topic, sender, codec, via string, size, limit int) bool {
	return p.n < packEvents && size <= packSingle && len(p.data) < min(packBytes, limit-packSingle-16) &&
		p.topic == topic && p.codec == codec && p.sender == sender && p.via == via &&
		(p.n > 1 || len(p.data)-p.payload <= packSingle)
}

// add makes the event one of several, each with its length in front.
func (p *pack) add(payload []byte) {
	if p.n == 1 {
		p.data[0] += framePacked
		var length [binary.MaxVarintLen64]byte
		k := binary.PutUvarint(length[:], uint64(len(p.data)-p.payload))
		p.data = append(p.data, length[:k]...)
		copy(p.data[p.payload+k:], p.data[p.payload:len(p.data)-k])
		copy(p.data[p.payload:], length[:k])
	}
	p.n++
	p.bytes += len(payload)
	p.data = append(binary.AppendUvarint(p.data, uint64(len(payload))), payload...)
}

// take waits for the next pack that may leave; nil: there will be none.
func (o *packs) take() *pack {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		switch n := len(o.list); {
		case n == 0 && o.closed:
			return nil
		case n > 1, n == 1 && (!o.hold || o.closed || o.list[0].full()):
			p := o.list[0]
			o.list[0] = nil
			if o.list = o.list[1:]; n == 1 {
				o.list = nil
			}
			return p
		}
		o.idle = true
		o.change.Wait()
		o.idle = false
	}
}

// sent gives back a pack that has left, or is lost.
func (o *packs) sent(p *pack) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events -= p.n
	o.bytes -= p.bytes
	if cap(p.data) <= 2*packBytes {
		o.free.Keep(p)
	}
}

// wait lets events gather, or no longer.
func (o *packs) wait(hold bool) {
	o.mu.Lock()
	o.hold = hold
	o.change.Broadcast()
	o.mu.Unlock()
}

func (o *packs) close() {
	o.mu.Lock()
	o.closed = true
	o.change.Broadcast()
	o.mu.Unlock()
}

// len is how many events have not left.
func (o *packs) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.events
}

// taken is how many events put has taken so far.
func (o *packs) taken() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.num - o.first
}

// answerTime is how long the server may take to answer for a pack before the
// next one leaves anyway.
const answerTime = 200 * time.Millisecond

// writePacks sends packs, in order, until they are closed and gone. After ctx it
// gives up what it cannot send. Packs of several are followed by a PING, and the
// next one gathers until the PONG.
func (l *link) writePacks(ctx context.Context, o *packs, lost func(n int, reason error)) {
	ask := make(chan *nats.Conn, 1)
	var asking sync.WaitGroup
	asking.Go(func() {
		for nc := range ask {
			_ = nc.FlushTimeout(answerTime) // no answer: go on
			o.wait(false)
		}
	})
	for {
		p := o.take()
		if p == nil {
			break
		}
		several := p.n > 1
		nc, err := l.sendMsg(ctx, &nats.Msg{Subject: p.subject, Data: p.data})
		if err != nil {
			lost(p.n, err)
		}
		o.sent(p)
		if err == nil && several {
			o.wait(true)
			select {
			case ask <- nc:
			default: // two are under way
			}
		}
	}
	close(ask)
	asking.Wait()
}
