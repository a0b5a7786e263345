package zmtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link is one connection of a peer: its reading goroutine, which serve is, and
// its writing one.
type link struct {
	s    *Socket
	p    *Peer
	conn net.Conn
	in   input
	now  shaken
	done chan struct{} // the reader has ended

	dialed  bool // we connected
	greeted bool // the peer's greeting was read
	gaveWay bool // to a newer one, in the handshake; guarded by the socket's mu

	pings sync.Map // number of a RoundTrip: chan struct{}

	reads atomic.Uint64 // how often bytes came, for the heartbeat
	once  sync.Once
	err   error // what ended the connection first

	// Of the writer.
	sealed []byte
	ends   []int
}

// fail ends the connection; the first cause is kept.
func (l *link) fail(err error) {
	l.once.Do(func() {
		l.err = err
		_ = l.conn.Close()
	})
}

// serve runs a connection from greeting to end. p is nil for one that came in.
func (s *Socket) serve(conn net.Conn, endpoint string, p *Peer) {
	l := &link{s: s, p: p, conn: conn, dialed: p != nil, done: make(chan struct{})}
	l.in = input{maxMessage: s.cfg.MaxMessage, maxParts: s.cfg.MaxParts}
	remote := remoteName(conn)
	if !s.track(l) {
		_ = conn.Close()
		return
	}
	defer s.untrack(l)
	_ = conn.SetDeadline(time.Now().Add(s.cfg.Handshake))
	h, err := l.handshake(&s.cfg, s.chance)
	if err != nil {
		_ = conn.Close()
		switch {
		case s.closed.Load():
		case s.arrived(l):
			s.tell(Event{Kind: TooMany, Endpoint: endpoint, Remote: remote, Err: fmt.Errorf("gave way in the handshake: limit %d", s.cfg.Handshakes)})
		default:
			s.tell(Event{Kind: Failed, Endpoint: endpoint, Remote: remote, Err: err})
		}
		return
	}
	s.arrived(l)
	l.now, l.in.session = h, h.session
	if l.p == nil {
		l.p = s.newPeer(endpoint, false)
	}
	if !s.attach(l, remote) {
		_ = conn.Close()
		return
	}
	s.freed()
	var rx Receiver
	if s.hooks.Receive != nil {
		rx = s.hooks.Receive(l.p)
	}
	s.tell(Event{Kind: Connected, Endpoint: endpoint, Remote: remote, Peer: l.p})
	var wg sync.WaitGroup
	wg.Go(l.write)
	if s.cfg.Heartbeat > 0 {
		wg.Go(l.beat)
	}
	err = l.read(rx)
	l.fail(err)
	close(l.done)
	wg.Wait()
	s.detach(l.p)
	e := Event{Kind: Gone, Endpoint: endpoint, Remote: remote, Peer: l.p, Err: l.err}
	if s.closed.Load() {
		e.Err = nil
	}
	s.tell(e)
}

func remoteName(c net.Conn) string {
	if a := c.RemoteAddr(); a != nil && a.String() != "" {
		return a.String()
	}
	return "local"
}

// read takes in messages and commands until the connection ends.
func (l *link) read(rx Receiver) error {
	var got, size, ignored uint64
	settle := func() {
		if got+ignored == 0 {
			return
		}
		l.p.mu.Lock()
		l.p.count.Received += got
		l.p.count.ReceivedBytes += size
		l.p.count.Ignored += ignored
		l.p.mu.Unlock()
		if rx != nil && got > 0 {
			rx.Flush()
		}
		got, size, ignored = 0, 0, 0
	}
	defer settle()
	publishes, filters := l.s.cfg.Type.publishes(), l.s.cfg.Type == SUB
	for {
		k, m, command, err := l.in.next()
		switch {
		case err != nil:
			return err
		case k == aMessage:
			if first := m.parts[0]; publishes && len(m.parts) == 1 && len(first) > 0 && first[0] <= 1 {
				sense, err := l.s.subscribed(l.p, string(first[1:]), first[0] == 1)
				if err != nil {
					return err
				}
				if !sense {
					ignored++
				}
				continue
			}
			if filters && !l.s.wants(m.parts[0]) {
				ignored++
				continue
			}
			got++
			size += uint64(m.Size())
			if rx != nil {
				rx.Message(m)
			}
		case k == aCommand:
			sense, err := l.obey(command)
			if err != nil {
				return err
			}
			if !sense {
				ignored++
			}
		default:
			settle()
			if err := l.in.fill(l.conn); err != nil {
				return err
			}
			l.reads.Add(1)
		}
	}
}

// obey carries out a command; sense: it was one that we know.
func (l *link) obey(body []byte) (sense bool, err error) {
	name, data, err := parseCommand(body)
	if err != nil {
		return false, err
	}
	switch name {
	case "SUBSCRIBE", "CANCEL":
		if !l.s.cfg.Type.publishes() {
			return false, nil
		}
		return l.s.subscribed(l.p, string(data), name == "SUBSCRIBE")
	case "PING":
		context, err := pingContext(data)
		if err != nil {
			return false, err
		}
		// A peer that pings and does not read gets no more answers.
		l.p.control(appendCommand(nil, "PONG", context), false)
		return true, nil
	case "PONG":
		l.ponged(data)
		return true, nil
	case "ERROR":
		return true, fmt.Errorf("%w: reason %s", ErrRefused, errorReason(data))
	}
	if l.s.hooks.Command == nil {
		return false, nil
	}
	l.s.hooks.Command(l.p, name, data)
	return true, nil
}

// write sends what is queued, in batches, until the connection ends or is drained.
func (l *link) write() {
	var out []byte
	for {
		var ok, end bool
		if out, ok, end = l.p.take(out); !ok {
			if end {
				// The peer answers the end of our side with its own; then read ends.
				if closeWrite(l.conn) != nil {
					l.fail(ErrClosed)
				}
				return
			}
			l.s.freed()
			select {
			case <-l.p.wake:
			case <-l.done:
				return
			}
			continue
		}
		l.s.freed()
		err := l.writeBatch(out)
		if l.s.hooks.Written != nil {
			l.s.hooks.Written(l.p)
		}
		if err != nil {
			l.fail(err)
			return
		}
	}
}

// writeBatch writes frames and settles them.
func (l *link) writeBatch(out []byte) error {
	if l.now.session != nil {
		return l.writeSealed(out)
	}
	n, err := l.conn.Write(out)
	if err == nil {
		l.p.written(l.p.writing, n, nil)
		return nil
	}
	messages, end := wholeMessages(out, n)
	l.p.written(messages, n, out[end:])
	return err
}

// sealBytes is how much is encrypted before it is written.
const sealBytes = 256 << 10

// writeSealed encrypts frames and writes them. Only here nonces are used.
func (l *link) writeSealed(out []byte) error {
	sent, size, start := 0, 0, 0
	for at := start; at < len(out); {
		l.sealed, l.ends = l.sealed[:0], l.ends[:0]
		messages := 0 // whole ones in this piece
		for at < len(out) && len(l.sealed) < sealBytes {
			f, _, _ := parseHeader(out[at:], len(out)) // of our own making
			// The byte before the body belongs to the header, and is done with.
			flagsAt := at + f.head - 1
			saved := out[flagsAt]
			out[flagsAt] = f.flags & flagMore
			if f.flags&flagCommand != 0 {
				out[flagsAt] = innerCommand
			}
			at += f.head + f.size
			l.sealed = l.now.session.seal(l.sealed, out[flagsAt:at])
			out[flagsAt] = saved
			if f.flags&flagMore == 0 {
				if f.flags&flagCommand == 0 {
					messages++
				}
				l.ends = append(l.ends, len(l.sealed), at, messages)
			}
		}
		n, err := l.conn.Write(l.sealed)
		size += n
		if err != nil {
			whole, end := 0, start
			for i := 0; i < len(l.ends) && l.ends[i] <= n; i += 3 {
				end, whole = l.ends[i+1], l.ends[i+2]
			}
			l.p.written(sent+whole, size, out[end:])
			return err
		}
		sent += messages
		if i := len(l.ends); i > 0 {
			start = l.ends[i-2]
		}
	}
	if cap(l.sealed) > keepBuffer {
		l.sealed = nil
	}
	l.p.written(sent, size, nil)
	return nil
}

// beat pings a silent peer, and ends the connection of one that does not answer.
func (l *link) beat() {
	t := time.NewTicker(l.s.cfg.Heartbeat)
	defer t.Stop()
	ttl := uint16(min(3*l.s.cfg.Heartbeat/(100*time.Millisecond), 1<<16-1))
	last, silent := uint64(0), 0
	for {
		select {
		case <-t.C:
		case <-l.done:
			return
		}
		if now := l.reads.Load(); now != last {
			last, silent = now, 0
			continue
		}
		if silent++; silent > 3 {
			l.fail(fmt.Errorf("%w: for %s", ErrSilent, 4*l.s.cfg.Heartbeat))
			return
		}
		l.p.control(appendPing(nil, ttl), false)
	}
}

// connect keeps one Connect endpoint connected until ctx ends, or, while its
// queue is not empty, until hard does.
func (s *Socket) connect(ctx, hard context.Context, e endpoint, p *Peer) {
	wait, trouble := s.cfg.RetryMin, ""
	for {
		again := s.redialing()
		d := net.Dialer{Timeout: s.cfg.Handshake}
		conn, err := d.DialContext(hard, e.network, e.address)
		if err == nil {
			q := p
			if q == nil {
				q = s.newPeer(e.text, true)
			}
			before := q.connects()
			s.serve(conn, e.text, q)
			trouble = ""
			if q.connects() > before {
				wait = s.cfg.RetryMin
			}
		} else if now := cause(err).Error(); now != trouble && hard.Err() == nil {
			trouble = now
			s.tell(Event{Kind: DialFailed, Endpoint: e.text, Err: err})
		}
		if !s.pause(ctx, hard, p, again, wait) {
			break
		}
		wait = min(2*wait, s.cfg.RetryMax)
		select {
		case <-again:
			wait, trouble = s.cfg.RetryMin, ""
		default:
		}
	}
	if p != nil {
		p.close(true)
		s.freed()
	}
}

// pause waits before the next attempt; false: there is none.
func (s *Socket) pause(ctx, hard context.Context, p *Peer, again <-chan struct{}, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-again:
	case <-ctx.Done():
		if p == nil || p.pending() == 0 {
			return false
		}
		select {
		case <-t.C:
		case <-hard.Done():
		}
	}
	return hard.Err() == nil && (ctx.Err() == nil || p != nil && p.pending() > 0)
}

// cause is the innermost error, which does not hold the changing local port.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
