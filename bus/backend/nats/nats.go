// Package nats carries events and log batches over a NATS server: the one in
// the hub, or the user's own.
//
// It stands behind bus/cluster and logs/ship like any other backend. It owns two
// connections, one for events and one for batches and their acknowledgements, so
// that neither waits behind the other, and the bounded queues before and behind
// them. It never looks into a payload, and never drops anything it does not count.
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
	"github.com/picket-nsm/picket/zeek/record"
)

// drainTime is how long Run tries to send and receive the rest after its context ended.
const drainTime = 5 * time.Second

// Conn is a node's end of the bus. It implements backend.Driver.
type Conn struct {
	cfg  Config
	subj subjects

	events *link
	logs   *link
	out    packs                       // events for the server
	arrive inbox                       // for the handler
	batch  *queue.Queue[*record.Batch] // for the logger
	acked  *queue.Queue[backend.Ack]   // for the producer

	handle func(backend.Message)

	sub cover

	role struct {
		sync.Mutex
		logger, producer       string
		recv                   func(*record.Batch)
		onAck                  func(backend.Ack)
		loggerSub, producerSub *nats.Subscription
	}

	closed   atomic.Bool
	counters counters
}

type counters struct {
	delivered, sent, received                  atomic.Uint64
	full, slow, lost, bad, again, logSlow, big atomic.Uint64
}

// New returns a driver that is not connected yet. now gives unix nanoseconds;
// message numbers begin there, so that they rise over restarts.
func New(cfg Config, now func() int64) (*Conn, error) {
	cfg = cfg.Default()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("bus nats: %w", err)
	}
	c := &Conn{cfg: cfg, subj: newSubjects(cfg.Cluster)}
	weigh := func(m *nats.Msg) int { return len(m.Data) + 512 }
	c.out.init(cfg.Outbox, cfg.Bytes, uint64(now()), c.subj)
	c.events = newLink(cfg.ID, nil, 4096, nil)
	c.events.packs = &c.out
	c.logs = newLink(cfg.ID+logsName, queue.Weighed(cfg.Batches, cfg.Bytes, weigh), 4096, c.lostBatch)
	c.arrive.init(cfg.Events)
	c.batch = queue.Weighed(cfg.Batches, cfg.Bytes, func(b *record.Batch) int { return len(b.Payload) + 512 })
	c.acked = queue.New[backend.Ack](4 * cfg.Batches)
	c.sub.init(c.subj, c.events)
	return c, nil
}

// logsName ends the name of the second connection, as the server shows it.
const logsName = " logs"

// Node returns the node id in a connection name, as server.Options.Gone gets
// it, and whether it was the node's connection for events.
func Node(connection string) (id string, events bool) {
	if n := len(connection) - len(logsName); n > 0 && connection[n:] == logsName {
		return connection[:n], false
	}
	return connection, true
}

// Run connects and serves until ctx ends.
func (c *Conn) Run(ctx context.Context) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var pumps, handlers, writers sync.WaitGroup
	end := make(chan struct{}) // pumps stop when it is closed and nothing more is in
	pumps.Go(func() { pump(c.events.in, end, c.event) })
	pumps.Go(func() { pump(c.logs.in, end, c.log) })
	handlers.Go(func() { c.arrive.run(c.deliver) })
	handlers.Go(func() { c.batch.Drain(c.write) })
	var ackHandler sync.WaitGroup
	ackHandler.Go(func() { c.acked.Drain(c.ackDone) })
	writers.Go(func() { c.events.writePacks(work, &c.out, c.count) })
	writers.Go(func() { c.logs.write(work) })

	err := c.connect(ctx)
	if err == nil {
		err = c.wait(ctx)
	}
	c.closed.Store(true)

	// Take no more, let what is on its way arrive, handle it, send the rest.
	limit, cancel := context.WithTimeout(work, drainTime)
	defer cancel()
	c.leave(limit)
	close(end)
	pumps.Wait()
	c.arrive.close()
	c.batch.Close()
	handlers.Wait()
	c.acked.Close()
	ackHandler.Wait()
	c.out.close()
	c.logs.out.Close()
	giveUp := context.AfterFunc(limit, stopWork)
	if !c.events.isUp() && !c.logs.isUp() {
		stopWork()
	}
	writers.Wait()
	giveUp()
	for _, l := range []*link{c.events, c.logs} {
		if nc, up, _, _ := l.conn(); nc != nil {
			if up {
				_ = nc.FlushWithContext(limit) // what was not sent, acks and sequences tell
			}
			nc.Close()
		}
		l.set(func() {
			l.up = false
			if l.err == nil {
				l.err = backend.ErrClosed
			}
		})
	}
	if err != nil {
		return fmt.Errorf("bus nats: %w", err)
	}
	return nil
}

// connect brings both links up, with their subscriptions.
func (c *Conn) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make(chan error, 2)
	go func() { errs <- c.connectLink(ctx, c.events, c.sub.connected) }()
	go func() { errs <- c.connectLink(ctx, c.logs, c.logsConnected) }()
	first := <-errs
	if first != nil {
		cancel() // the other need not try on
	}
	return errors.Join(first, <-errs)
}

func (c *Conn) connectLink(ctx context.Context, l *link, subscribe func(*nats.Conn) error) error {
	if err := l.dial(ctx, c.cfg); err != nil {
		return err
	}
	nc, _, _, _ := l.conn()
	if nc == nil {
		return nil // ctx ended
	}
	if err := subscribe(nc); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	l.set(func() { l.up = nc.IsConnected() })
	return nil
}

// wait returns when ctx ended, or a link is closed for good.
func (c *Conn) wait(ctx context.Context) error {
	for {
		_, _, e, err1 := c.events.conn()
		_, _, l, err2 := c.logs.conn()
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e:
		case <-l:
		}
	}
}

// leave ends the subscriptions but that for acks, after what the server sent
// before it knew has arrived.
func (c *Conn) leave(ctx context.Context) {
	c.sub.leave(ctx)
	c.role.Lock()
	defer c.role.Unlock()
	nc, up, _, _ := c.logs.conn()
	if c.role.loggerSub != nil && c.role.loggerSub.Drain() == nil && up {
		_ = nc.FlushWithContext(ctx) // an error: the connection is gone, nothing more comes
	}
}

// pump hands what arrives to f, and after end what is still there.
func pump(in <-chan *nats.Msg, end <-chan struct{}, f func(*nats.Msg)) {
	for {
		select {
		case m := <-in:
			f(m)
		case <-end:
			for {
				select {
				case m := <-in:
					f(m)
				default:
					return
				}
			}
		}
	}
}

// Flush waits until both connections are up and all that was handed over has
// reached the server.
func (c *Conn) Flush(ctx context.Context) error {
	if c.closed.Load() {
		return fmt.Errorf("bus nats: flush: %w", backend.ErrClosed)
	}
	for _, l := range []*link{c.events, c.logs} {
		if err := l.flush(ctx); err != nil {
			return fmt.Errorf("bus nats: flush: %w", err)
		}
	}
	return nil
}

// Status tells the counters.
func (c *Conn) Status() backend.Status {
	n := &c.counters
	s := backend.Status{
		Connected:  c.events.isUp() && c.logs.isUp(),
		Reconnects: c.events.reconnects.Load() + c.logs.reconnects.Load(),
		Published:  c.out.taken(),
		Delivered:  n.delivered.Load(),
		Sent:       n.sent.Load(),
		Received:   n.received.Load(),
		Dropped: map[string]uint64{
			backend.DropFull:   n.full.Load(),
			backend.DropSlow:   n.slow.Load() + n.logSlow.Load() + c.sub.overflowed() + c.rolesOverflowed(),
			backend.DropClosed: n.lost.Load(),
			backend.DropBad:    n.bad.Load(),
			backend.DropAgain:  n.again.Load(),
			backend.DropLarge:  n.big.Load(),
		},
		Queued: int(c.arrive.queued.Load()) + c.batch.Len() + c.acked.Len() + len(c.events.in) + len(c.logs.in) + c.out.len() + c.logs.out.Len(),
	}
	for _, l := range []*link{c.events, c.logs} {
		l.mu.Lock()
		if l.last != nil {
			s.Trouble = l.last.Error()
		}
		l.mu.Unlock()
	}
	return s
}
