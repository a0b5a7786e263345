package zmtp

import (
	"sync"
)

// kickBytes is how much may gather for a peer before its writer is woken
// without waiting for Flush.
const kickBytes = 64 << 10

// Peer is another socket that this one talks to: a connection that came in, or
// the other side of a Connect endpoint. It holds the queue towards it.
type Peer struct {
	id       uint64
	endpoint string // ours
	dials    bool   // we connect to it
	keeps    bool   // PUSH: the queue lives on between connections
	max      int
	maxBytes int
	wake     chan struct{}

	mu       sync.Mutex
	buf      []byte // whole frames in clear that wait for the writer
	n        int    // messages in buf
	writing  int    // messages in the batch that is being written
	idle     bool   // the writer sleeps
	asked    bool   // a sender has promised to wake it
	draining bool   // no more will come: the writer ends when buf is empty
	closed   bool   // takes nothing any more
	up       bool   // connected
	now      shaken
	remote   string
	count    Counts

	all  bool           // it gets every message; guarded by Socket.mu
	subs map[string]int // topics this peer subscribed to, and how often; guarded by Socket.mu
}

// Counts are what passed between the socket and a peer, since it was first seen.
// Messages are whole ones; bytes are those of their parts, without framing.
type Counts struct {
	Received      uint64 // messages
	ReceivedBytes uint64
	Accepted      uint64 // messages put in the queue; = Sent + Lost + Queued
	Sent          uint64 // messages that the kernel took
	SentBytes     uint64 // with framing, and encryption
	Dropped       uint64 // by policy Drop: the queue was full
	Lost          uint64 // were in the queue when the connection ended
	Ignored       uint64 // arrived and made no sense: unknown commands, removals of what was not subscribed
	Connects      uint64 // handshakes done
}

// Plus is the sum of two.
func (c Counts) Plus(o Counts) Counts {
	c.add(o)
	return c
}

func (c *Counts) add(o Counts) {
	c.Received += o.Received
	c.ReceivedBytes += o.ReceivedBytes
	c.Accepted += o.Accepted
	c.Sent += o.Sent
	c.SentBytes += o.SentBytes
	c.Dropped += o.Dropped
	c.Lost += o.Lost
	c.Ignored += o.Ignored
	c.Connects += o.Connects
}

// ID is a number that no other peer of the socket has or had.
func (p *Peer) ID() uint64 { return p.id }

// Endpoint is our endpoint, bound or connected.
func (p *Peer) Endpoint() string { return p.endpoint }

// Remote is the address of the other side, empty while not connected.
func (p *Peer) Remote() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.remote
}

// result of a put.
type result uint8

const (
	taken     result = iota
	takenKick        // and the caller must kick, soon
	full
	gone
)

// put appends a message. force ignores the bounds: the caller has looked.
func (p *Peer) put(wire []byte, force bool) result {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.draining {
		return gone
	}
	if !force && p.isFull(len(wire)) {
		p.count.Dropped++
		return full
	}
	p.buf = append(p.buf, wire...)
	p.n++
	p.count.Accepted++
	return p.appended()
}

// appended says whether the writer must be woken. The caller holds mu.
func (p *Peer) appended() result {
	if !p.idle {
		return taken
	}
	if len(p.buf) >= kickBytes {
		p.kick()
		return taken
	}
	if p.asked {
		return taken
	}
	p.asked = true
	return takenKick
}

// control appends a command or a subscription, which no policy may drop, and
// wakes the writer. It says no when the peer has let too much pile up.
func (p *Peer) control(wire []byte, force bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !force && len(p.buf) > p.maxBytes {
		return false
	}
	p.buf = append(p.buf, wire...)
	p.kick()
	return true
}

func (p *Peer) isFull(size int) bool {
	return p.n >= p.max || p.n > 0 && len(p.buf)+size > p.maxBytes
}

// fullFor says whether a message of size bytes has no room now.
func (p *Peer) fullFor(size int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.closed && !p.draining && p.isFull(size)
}

// kick wakes the writer.
func (p *Peer) kick() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take swaps out what waits for the writer. It returns false while there is
// nothing; end: and nothing will come.
func (p *Peer) take(spare []byte) (out []byte, ok, end bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.buf) == 0 {
		p.idle, p.asked = !p.draining, false
		return spare, false, p.draining
	}
	p.idle = false
	out = p.buf
	if cap(spare) > keepBuffer {
		spare = nil
	}
	p.buf = spare[:0]
	p.writing, p.n = p.n, 0
	return out, true, false
}

// written settles a batch: n messages left in so many bytes. What did not leave
// goes back to the queue of a peer that keeps it, and is lost otherwise.
func (p *Peer) written(n int, size int, rest []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count.Sent += uint64(n)
	p.count.SentBytes += uint64(size)
	left := p.writing - n
	p.writing = 0
	if left == 0 {
		return
	}
	if !p.keeps {
		p.count.Lost += uint64(left)
		return
	}
	p.buf = append(rest[:len(rest):len(rest)], p.buf...)
	p.n += left
}

// open readies the peer for a connection. first is what is to be sent before all else.
func (p *Peer) open(h shaken, remote string, first []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now, p.remote, p.up = h, remote, true
	p.count.Connects++
	p.buf = append(first[:len(first):len(first)], p.buf...)
}

// close ends a connection; for good unless the peer keeps its queue.
func (p *Peer) close(forGood bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up, p.idle, p.asked, p.remote = false, false, false, ""
	if p.keeps && !forGood {
		return
	}
	p.closed = true
	p.count.Lost += uint64(p.n)
	p.buf, p.n = nil, 0
}

// drain makes the writer end after what is queued.
func (p *Peer) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = true
	p.kick()
}

// pending is how many messages have not left.
func (p *Peer) pending() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n + p.writing
}

// quiet says that nothing waits, no control bytes either.
func (p *Peer) quiet() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed || len(p.buf) == 0 && p.idle || p.keeps && !p.up && p.n == 0
}

func (p *Peer) connects() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count.Connects
}
