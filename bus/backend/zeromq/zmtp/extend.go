package zmtp

import (
	"context"
	"encoding/binary"
	"fmt"
)

// What follows goes beyond libzmq, within what ZMTP allows: properties of an
// application, by which two programs know each other, and commands of their
// own between those that do. libzmq takes no notice of either.

// Property is something a socket tells in its handshake.
type Property struct{ Name, Value string }

// Bounds on the properties that are kept of a peer.
const (
	maxProperties = 16
	maxProperty   = 255 // bytes of a value
)

// Property returns what the peer told under that name. Names ignore case.
func (p *Peer) Property(name string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.property(name)
}

func (h *shaken) property(name string) (string, bool) {
	for _, q := range h.properties {
		if equalFold([]byte(q.Name), name) {
			return q.Value, true
		}
	}
	return "", false
}

// Tell sends the peer a command of the application, in order with its messages.
// Only to be used on peers whose properties say that they know it. False: the
// peer has let too much pile up, or is not connected.
func (p *Peer) Tell(name string, data []byte) bool {
	p.mu.Lock()
	up := p.up && !p.closed
	p.mu.Unlock()
	return up && p.control(appendCommand(nil, name, data), false)
}

// Counts tells what has passed so far.
func (p *Peer) Counts() Counts { return p.counts() }

// RoundTrip waits until every peer that is connected has answered a ping, and so
// has taken in what was sent to it before, subscriptions included. That
// holds for this package's sockets; libzmq answers as soon as it has read.
func (s *Socket) RoundTrip(ctx context.Context) error {
	s.mu.RLock()
	var waiting []*link
	for l, shaken := range s.links {
		if shaken {
			waiting = append(waiting, l)
		}
	}
	s.mu.RUnlock()
	answered := make([]chan struct{}, len(waiting))
	for i, l := range waiting {
		n := s.ids.Add(1)
		answered[i] = make(chan struct{}, 1)
		l.pings.Store(n, answered[i])
		defer l.pings.Delete(n)
		l.p.control(appendCommand(nil, "PING", binary.BigEndian.AppendUint64([]byte{0, 0}, n)), false)
	}
	for i, l := range waiting {
		select {
		case <-answered[i]:
		case <-l.done: // what it had to say does not matter any more
		case <-ctx.Done():
			return fmt.Errorf("zmtp %s: round trip: %w", s.cfg.Type, ctx.Err())
		}
	}
	return nil
}

// ponged takes the answer to a ping.
func (l *link) ponged(context []byte) {
	if len(context) != 8 {
		return
	}
	if c, ok := l.pings.Load(binary.BigEndian.Uint64(context)); ok {
		select {
		case c.(chan struct{}) <- struct{}{}:
		default:
		}
	}
}

// Redial ends the wait before the next attempts to connect. Each that fails is
// told once more (DialFailed).
func (s *Socket) Redial() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.redial)
	s.redial = make(chan struct{})
}

// redialing is closed when somebody calls Redial.
func (s *Socket) redialing() <-chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.redial
}
