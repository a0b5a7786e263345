package zmtp

import (
	"fmt"
	"slices"
)

const (
	maxRoutes     = 1024 // topics whose receivers a Sender remembers
	maxRouteTopic = 256
)

// Why messages were given to nobody; indexes of Socket.unsent.
const (
	unwanted = iota // PUB, XPUB: nobody subscribed
	refused         // ErrFull, or dropped by a PUSH without room
	noPeer          // ErrNoPeer
)

// Sender sends on a socket from one goroutine at a time. Messages of one Sender
// reach each peer in order. Peers may sleep on what was sent until Flush; so
// a loop sends what it has and flushes when it has no more.
type Sender struct {
	s      *Socket
	gen    uint64
	routes map[string][]*Peer
	wake   []*Peer
	wire   []byte
	all    []*Peer // PUSH: the peers of generation gen
}

// Sender returns a new Sender.
func (s *Socket) Sender() *Sender {
	return &Sender{s: s, routes: map[string][]*Peer{}}
}

// Send sends one message of these parts, on PUB and XPUB to all whose
// subscriptions match the first, on PUSH to one peer in turn. It copies them. It
// returns ErrClosed after Run's end; else see Policy; a PUSH without any peer
// returns ErrNoPeer unless it blocks. The sockets that receive cannot send.
func (s *Socket) Send(parts ...[]byte) error {
	s.sharedMu.Lock()
	defer s.sharedMu.Unlock()
	err := s.shared.Send(parts...)
	s.shared.Flush()
	return err
}

// Send is Socket.Send without the flush.
func (x *Sender) Send(parts ...[]byte) error {
	if len(parts) == 0 {
		return fmt.Errorf("zmtp %s: send: message without parts", x.s.cfg.Type)
	}
	x.wire = appendMessage(x.wire[:0], parts)
	err := x.send(parts[0], x.wire)
	if cap(x.wire) > keepBuffer {
		x.wire = nil
	}
	return err
}

// Forward sends a message that arrived, or one of NewMessage.
func (x *Sender) Forward(m Message) error {
	if len(m.parts) == 0 {
		return fmt.Errorf("zmtp %s: send: message without parts", x.s.cfg.Type)
	}
	return x.send(m.parts[0], m.wire)
}

// Flush wakes the writers that wait for it. It does not wait for them.
func (x *Sender) Flush() {
	for i, p := range x.wake {
		p.kick()
		x.wake[i] = nil
	}
	x.wake = x.wake[:0]
}

func (x *Sender) send(topic, wire []byte) error {
	s := x.s
	if s.closed.Load() {
		return ErrClosed
	}
	switch s.cfg.Type {
	case PUB, XPUB:
		return x.publish(topic, wire)
	case PUSH:
		return x.push(wire)
	}
	return fmt.Errorf("zmtp %s: cannot send", s.cfg.Type)
}

// fresh forgets what it knew of an older generation.
func (x *Sender) fresh() {
	if g := x.s.gen.Load(); g != x.gen {
		x.gen = g
		clear(x.routes)
		x.s.mu.RLock()
		x.all = append(x.all[:0:0], x.s.peers...)
		x.s.mu.RUnlock()
	}
}

// route finds the peers that want a topic.
func (x *Sender) route(topic []byte) []*Peer {
	x.fresh()
	if r, ok := x.routes[string(topic)]; ok {
		return r
	}
	x.s.mu.RLock()
	r := x.s.table.match(topic, nil)
	x.s.mu.RUnlock()
	if len(topic) <= maxRouteTopic {
		if len(x.routes) >= maxRoutes {
			clear(x.routes)
		}
		x.routes[string(topic)] = r
	}
	return r
}

func (x *Sender) publish(topic, wire []byte) error {
	s := x.s
	to := x.route(topic)
	if len(to) == 0 {
		s.unsent[unwanted].Add(1)
		return nil
	}
	if s.cfg.Full == Drop {
		for _, p := range to {
			if x.put(p, wire, false) == full && s.hooks.Dropped != nil {
				s.hooks.Dropped(p, topic)
			}
		}
		return nil
	}
	// Nobody else puts while we hold sendMu, so room that is there stays there.
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	isFull := func(p *Peer) bool { return p.fullFor(len(wire)) }
	if slices.ContainsFunc(to, isFull) {
		if s.cfg.Full == Refuse {
			s.unsent[refused].Add(1)
			return ErrFull
		}
		x.Flush() // they may be waiting for us
		s.await(func() bool { return s.closed.Load() || !slices.ContainsFunc(to, isFull) })
		if s.closed.Load() {
			return ErrClosed
		}
	}
	for _, p := range to {
		x.put(p, wire, true)
	}
	return nil
}

func (x *Sender) put(p *Peer, wire []byte, force bool) result {
	r := p.put(wire, force)
	if r == takenKick {
		x.wake = append(x.wake, p)
	}
	return r
}

// push gives the message to the next peer in turn that has room.
func (x *Sender) push(wire []byte) error {
	s := x.s
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	if x.give(wire) {
		return nil
	}
	if s.cfg.Full == Block {
		x.Flush()
		s.await(func() bool { return s.closed.Load() || x.give(wire) })
		if s.closed.Load() {
			return ErrClosed
		}
		return nil
	}
	if len(x.all) == 0 {
		s.unsent[noPeer].Add(1)
		return ErrNoPeer
	}
	s.unsent[refused].Add(1)
	if s.cfg.Full == Refuse {
		return ErrFull
	}
	return nil
}

func (x *Sender) give(wire []byte) bool {
	x.fresh()
	for range x.all {
		x.s.turn++
		p := x.all[x.s.turn%len(x.all)]
		if p.fullFor(len(wire)) {
			continue
		}
		if r := x.put(p, wire, true); r == taken || r == takenKick {
			return true
		}
	}
	return false
}
