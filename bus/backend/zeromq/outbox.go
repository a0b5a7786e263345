package zeromq

import (
	"sync"
	"sync/atomic"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
)

// outbox keeps what is published until the XPUB takes it: the connection may not
// be there yet, or not know yet who wants what, or its queue may be full. It is
// bounded; what does not fit is refused.
type outbox struct {
	max int

	mu     sync.Mutex
	change sync.Cond
	now    letters // waiting
	open   bool    // the XPUB may be given messages
	closed bool    // nothing is taken any more
	cut    bool    // what is left is given up
	busy   bool    // the writer has taken letters and is not done with them

	ready   atomic.Bool   // = open, for a look without the lock
	dropped atomic.Uint64 // ConnectXPUBDrop
	lost    atomic.Uint64 // given up at the end
}

// letters are messages one behind the other in one buffer.
type letters struct {
	buf  []byte
	ends [][4]int // where topic, sender, codec and payload of each end
}

func (l *letters) add(topic, sender, codec string, payload []byte) {
	l.buf = append(l.buf, topic...)
	a := len(l.buf)
	l.buf = append(l.buf, sender...)
	b := len(l.buf)
	l.buf = append(l.buf, codec...)
	c := len(l.buf)
	l.buf = append(l.buf, payload...)
	l.ends = append(l.ends, [4]int{a, b, c, len(l.buf)})
}

func (l *letters) reset() {
	if cap(l.buf) > 4<<20 {
		l.buf = nil
	}
	l.buf, l.ends = l.buf[:0], l.ends[:0]
}

func (o *outbox) init(max int) {
	o.max = max
	o.change.L = &o.mu
}

// put queues a message. force: even if there is no room, as for the few words
// that nodes greet each other with.
func (o *outbox) put(topic, sender, codec string, payload []byte, force bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(o.now.ends)
	switch {
	case o.closed:
		return backend.ErrClosed
	case !force && (n >= o.max || n > 0 && len(o.now.buf)+len(payload) > outboxBytes):
		return backend.ErrFull
	}
	o.now.add(topic, sender, codec, payload)
	if n == 0 {
		o.change.Broadcast()
	}
	return nil
}

// gate lets messages through, or holds them back.
func (o *outbox) gate(open bool) {
	o.mu.Lock()
	o.open = open
	o.ready.Store(open)
	o.change.Broadcast()
	o.mu.Unlock()
}

// close takes nothing any more; cut gives up what is left.
func (o *outbox) close(cut bool) {
	o.mu.Lock()
	o.closed, o.cut = true, o.cut || cut
	o.change.Broadcast()
	o.mu.Unlock()
}

// pass waits until the gate is open; false: it will not be.
func (o *outbox) pass() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.open && !o.cut {
		o.change.Wait()
	}
	return !o.cut
}

// run hands messages to the XPUB, in order, until the outbox is closed and empty.
func (o *outbox) run(out *zmtp.Sender, drop bool) {
	var mine letters
	for {
		o.mu.Lock()
		o.busy = false
		if len(o.now.ends) == 0 {
			o.change.Broadcast() // for flush
		}
		for len(o.now.ends) == 0 && !o.closed {
			o.change.Wait()
		}
		if len(o.now.ends) == 0 {
			o.mu.Unlock()
			return
		}
		mine, o.now = o.now, mine
		o.busy = true
		o.mu.Unlock()
		at := 0
		for i, e := range mine.ends {
			if !o.ready.Load() {
				out.Flush()
				if !o.pass() {
					o.lost.Add(uint64(len(mine.ends) - i))
					break
				}
			}
			b := mine.buf
			if err := out.Send(b[at:e[0]], b[e[0]:e[1]], b[e[1]:e[2]], b[e[2]:e[3]]); err != nil {
				if drop {
					o.dropped.Add(1)
				} else {
					o.lost.Add(1)
				}
			}
			at = e[3]
		}
		out.Flush()
		mine.reset()
	}
}

// flush waits until nothing waits, or stop says so after a wake.
func (o *outbox) flush(stop func() bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for (len(o.now.ends) > 0 || o.busy) && !stop() {
		o.change.Wait()
	}
}

// wake has flush ask its stop.
func (o *outbox) wake() {
	o.mu.Lock()
	o.change.Broadcast()
	o.mu.Unlock()
}

// len is how many messages wait.
func (o *outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.now.ends)
}
