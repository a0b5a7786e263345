package zeromq

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/zeek/record"
)

// pusher carries batches to one logger.
//
// What became of a batch is known to the logger, if it is Picket's, by what the
// kernel took, and by how a connection ended: a batch that never left, or that the
// logger said it did not take, is answered with NoListener. One that may have
// arrived has no answer until the logger gives one.
type pusher struct {
	l    *logs
	name string
	sock *zmtp.Socket

	mu     sync.Mutex
	tried  bool // it is known whether the logger listens
	zeek   bool // the last one that did was a real Zeek's
	peer   *zmtp.Peer
	picket bool
	next   uint64          // number of the next batch on this connection, from 1
	sent   []sending       // without an answer, in order
	held   []*record.Batch // while nobody knows whether the logger listens
	frame  []byte
}

type sending struct {
	n             uint64
	producer      string
	start, number uint64
}

// send sends a batch, or holds it until an attempt to connect has shown whether
// the logger listens.
func (p *pusher) send(b *record.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.peer != nil {
		err := p.push(b)
		if !errors.Is(err, zmtp.ErrNoPeer) {
			return err
		}
		// The connection has just ended.
	}
	if len(p.held) >= p.l.c.cfg.LogSndHWM {
		return backend.ErrFull
	}
	p.held = append(p.held, b)
	p.sock.Redial()
	return nil
}

// push gives a batch to the socket; mu is held and there is a connection.
func (p *pusher) push(b *record.Batch) error {
	first := []byte(logWrite)
	if p.picket {
		p.frame = appendEnvelope(p.frame[:0], b)
		first = p.frame
	} else if slices.ContainsFunc(p.sent, func(s sending) bool { return s.number == b.Seq && s.start == b.Start && s.producer == b.Producer }) {
		return nil // still in the queue; a real Zeek would write it twice
	}
	switch err := p.sock.Send(first, []byte(p.l.c.cfg.ID), []byte(zeekBin), b.Payload); {
	case err == nil:
		p.next++
		p.sent = append(p.sent, sending{p.next, b.Producer, b.Start, b.Seq})
		return nil
	case errors.Is(err, zmtp.ErrFull):
		return backend.ErrFull
	case errors.Is(err, zmtp.ErrClosed):
		return backend.ErrClosed
	default:
		return err
	}
}

// watch is told what happens to the connection.
func (p *pusher) watch(e zmtp.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case zmtp.Connected:
		p.peer, p.next, p.tried = e.Peer, 0, true
		_, p.picket = e.Peer.Property(propertyLogger)
		held := p.held
		p.held = nil
		if !p.picket && !p.zeek && p.l.c.cfg.GiveBack {
			for _, b := range held {
				p.l.nobody(p.name, b)
			}
			held = nil
		}
		p.zeek = !p.picket
		for i, b := range held {
			if err := p.push(b); err != nil {
				for _, b := range held[i:] {
					p.l.nobody(p.name, b)
				}
				break
			}
		}
	case zmtp.Gone:
		left := e.Peer.Counts().Sent
		if !p.picket {
			p.handed(left)
		}
		for i, s := range p.sent {
			if s.n > left {
				p.refuse(p.sent[i:])
				break
			}
		}
		p.peer, p.sent = nil, nil
	case zmtp.DialFailed, zmtp.Failed:
		p.tried = true
		for _, b := range p.held {
			p.l.nobody(p.name, b)
		}
		p.held = nil
	default:
		return
	}
	p.l.mu.Lock()
	close(p.l.changed)
	p.l.changed = make(chan struct{})
	p.l.mu.Unlock()
}

// Foreign says whether a logger is a real Zeek's, as far as is known.
func (c *Conn) Foreign(logger string) bool {
	p := c.logs.pushers[logger]
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.zeek
}

// refuse answers that sendings reached nobody; mu is held.
func (p *pusher) refuse(all []sending) {
	for _, s := range all {
		p.l.answer(backend.Ack{Logger: p.name, Producer: s.producer, Start: s.start, Seq: s.number, Err: backend.NoListener})
	}
}

// written is told that bytes left. A real Zeek will say nothing more.
func (p *pusher) written(peer *zmtp.Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.peer == peer && !p.picket {
		p.handed(peer.Counts().Sent)
	}
}

// handed answers for what a real Zeek was given; mu is held.
func (p *pusher) handed(left uint64) {
	for len(p.sent) > 0 && p.sent[0].n <= left {
		s := p.sent[0]
		p.sent = p.sent[1:]
		p.l.answer(backend.Ack{Logger: p.name, Producer: s.producer, Start: s.start, Seq: s.number, Unconfirmed: true})
	}
}

// command takes what a Picket logger says.
func (p *pusher) command(peer *zmtp.Peer, name string, data []byte) {
	switch name {
	case commandAck:
		a, ok := parseAck(data)
		if !ok {
			p.l.bad.Add(1)
			return
		}
		p.mu.Lock()
		p.sent = slices.DeleteFunc(p.sent, func(s sending) bool {
			return s.number == a.Seq && s.start == a.Start && s.producer == a.Producer
		})
		p.mu.Unlock()
		p.l.answer(a)
	case commandEnd:
		if len(data) != 8 {
			p.l.bad.Add(1)
			return
		}
		taken := binary.BigEndian.Uint64(data)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.peer != peer {
			return
		}
		for i, s := range p.sent {
			if s.n > taken {
				p.refuse(p.sent[i:])
				p.sent = p.sent[:i]
				break
			}
		}
		// From now on a batch on this connection reaches nobody.
		p.peer = nil
	}
}

// settled waits until of each logger it is known whether it listens.
func (l *logs) settled(ctx context.Context) error {
	for _, p := range l.pushers {
		for {
			l.mu.Lock()
			changed, pushing := l.changed, l.pushing
			l.mu.Unlock()
			if !pushing {
				return nil
			}
			p.mu.Lock()
			tried := p.tried
			p.mu.Unlock()
			if tried {
				break
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}
