package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/internal/queue"
)

// link is one connection to the server with a bounded queue in front of it.
// Nothing is given to the client library while it has no connection, so that
// nothing sits in a buffer of its that may be thrown away uncounted.
type link struct {
	name  string
	out   *queue.Queue[*nats.Msg]         // nil for events, which have packs
	packs *packs                          // nil for batches
	in    chan *nats.Msg                  // what subscriptions receive
	lost  func(m *nats.Msg, reason error) // a message from out that was not sent

	mu      sync.Mutex
	nc      *nats.Conn
	up      bool
	changed chan struct{} // closed when up or err changes
	err     error         // why there will be no connection any more
	last    error         // last trouble, for people

	reconnects atomic.Uint64
	pending    atomic.Int64 // messages taken by enqueue, not written yet
	max        atomic.Int64 // what limit returns, as the server of now said
}

func newLink(name string, out *queue.Queue[*nats.Msg], in int, lost func(*nats.Msg, error)) *link {
	return &link{name: name, out: out, in: make(chan *nats.Msg, in), lost: lost, changed: make(chan struct{})}
}

// set changes the state and wakes those who wait for it.
func (l *link) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

// dial connects, and tries until ctx ends or the server refuses us.
func (l *link) dial(ctx context.Context, c Config) error {
	opts := append(c.options(),
		nats.Name(l.name),
		nats.ReconnectBufSize(-1), // refuse, do not buffer: see out
		nats.MaxReconnects(-1),
		nats.ReconnectWait(50*time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 200*time.Millisecond),
		nats.PingInterval(5*time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			l.set(func() {
				l.up = false
				if err != nil {
					l.last = err
				}
			})
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			l.reconnects.Add(1)
			l.max.Store(nc.MaxPayload())
			l.set(func() { l.up = nc.IsConnected() })
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			l.mu.Lock()
			l.last = err
			l.mu.Unlock()
		}),
		nats.ClosedHandler(func(nc *nats.Conn) {
			l.set(func() {
				l.up = false
				if l.err == nil {
					l.err = closedFor(nc.LastError())
				}
			})
		}),
	)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		nc, err := nats.Connect(c.URL, opts...)
		if err == nil {
			l.max.Store(nc.MaxPayload())
			l.mu.Lock()
			l.nc = nc
			l.mu.Unlock()
			return nil
		}
		l.mu.Lock()
		l.last = err
		l.mu.Unlock()
		if refused(err) {
			err = fmt.Errorf("connect to %s: %w: %v", c.URL, backend.ErrRefused, err)
			l.set(func() { l.err = err })
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func refused(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked) || errors.Is(err, nats.ErrAccountAuthExpired)
}

func closedFor(err error) error {
	switch {
	case err == nil:
		return backend.ErrClosed
	case refused(err):
		return fmt.Errorf("%w: %v", backend.ErrRefused, err)
	}
	return fmt.Errorf("connection closed: %w", err)
}

// conn returns the connection, nil before the first, and whether it is up.
func (l *link) conn() (nc *nats.Conn, up bool, changed <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nc, l.up, l.changed, l.err
}

func (l *link) isUp() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up && l.nc.IsConnected()
}

// limit is the largest message that the server takes; before it is known, what
// servers allow by default.
func (l *link) limit() int {
	if n := l.max.Load(); n > 0 {
		return int(n)
	}
	return 1 << 20
}

// await waits until the link is up.
func (l *link) await(ctx context.Context) (*nats.Conn, error) {
	for {
		nc, up, changed, err := l.conn()
		switch {
		case err != nil:
			return nil, err
		case up:
			return nc, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			l.mu.Lock()
			last := l.last
			l.mu.Unlock()
			if last != nil {
				return nil, fmt.Errorf("%w: %w (%v)", backend.ErrDown, ctx.Err(), last)
			}
			return nil, fmt.Errorf("%w: %w", backend.ErrDown, ctx.Err())
		}
	}
}

// enqueue puts a message into the queue to the server.
func (l *link) enqueue(m *nats.Msg) error {
	l.pending.Add(1)
	switch l.out.Put(m, false) {
	case queue.Full:
		l.pending.Add(-1)
		return backend.ErrFull
	case queue.Closed:
		l.pending.Add(-1)
		return backend.ErrClosed
	}
	return nil
}

// waiting says whether the writer has something to do, or is at it.
func (l *link) waiting() bool {
	return l.pending.Load() > 0 || l.packs != nil && l.packs.len() > 0
}

// write sends what is in the queue, in order, until the queue is closed and
// empty. After ctx it gives up what it cannot send.
func (l *link) write(ctx context.Context) {
	l.out.Drain(func(m *nats.Msg) {
		if err := l.send(ctx, m); err != nil {
			l.lost(m, err)
		}
		l.pending.Add(-1)
	})
}

func (l *link) send(ctx context.Context, m *nats.Msg) error {
	_, err := l.sendMsg(ctx, m)
	return err
}

// sendMsg sends a message over the connection of now, as soon as there is one.
func (l *link) sendMsg(ctx context.Context, m *nats.Msg) (*nats.Conn, error) {
	for {
		nc, err := l.await(ctx)
		if err != nil {
			return nil, err
		}
		if err = nc.PublishMsg(m); err == nil {
			return nc, nil
		}
		if !errors.Is(err, nats.ErrReconnectBufExceeded) && !nc.IsReconnecting() {
			return nc, err // too large for this server, or closed
		}
		// The connection broke under us; its handler will say so soon.
		l.mu.Lock()
		if l.up {
			l.up = nc.IsConnected()
		}
		l.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
}

// flush waits until all that was enqueued has reached the server.
func (l *link) flush(ctx context.Context) error {
	for {
		nc, err := l.await(ctx)
		if err != nil {
			return err
		}
		for l.waiting() && l.isUp() {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(50 * time.Microsecond):
			}
		}
		// The client insists on a deadline; one that is over is a new try.
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		err = nc.FlushWithContext(try)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
}
