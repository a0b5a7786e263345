// Package zeromq carries events and log batches over ZeroMQ, as a node of a Zeek
// cluster does: with its sockets, topics, frames, subscriptions and hellos, so
// that real Zeek processes and Picket nodes stand in one cluster.
//
// It stands behind bus/cluster and logs/ship like any other backend. It owns an
// XPUB and an XSUB towards the broker, a PUSH towards each logger, a PULL on
// loggers, the bounded queues before and behind them, and the exchange of hellos
// (package hello). It looks into events no further than to find these hellos, and
// into batches only when a real Zeek sent them, for their header.
//
// Between Picket nodes a batch carries an envelope and the logger answers it;
// towards a real Zeek neither exists. docs/formats/zeromq.md has the bytes.
package zeromq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/zeromq/broker"
	"github.com/picket-nsm/picket/bus/backend/zeromq/hello"
	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/zeek/topic"
)

// Deps is what the program passes in.
type Deps struct {
	Codec  codec.Codec      // of the cluster, for hellos; nil: none are exchanged
	Now    func() time.Time // wall clock; nil: time.Now
	Chance io.Reader        // for CURVE; nil: crypto/rand
	// Warn is told what is worth a line in the log; must not block; may be nil.
	Warn func(text string)
}

// Conn is a node's end of the bus. It implements backend.Driver,
// backend.Discoverer and backend.Foreigners.
type Conn struct {
	cfg  Config
	deps Deps

	xpub, xsub *zmtp.Socket
	out        outbox
	in         inbox
	filter     filter
	handle     func(backend.Message)

	links struct {
		sync.Mutex
		pub, sub *zmtp.Peer // connected, or nil
		began    bool       // XSUB was connected once: the subscriptions are the socket's now
		probe    string     // topic whose report is waited for
		probes   int        // so many were made
		asked    time.Time  // when
		ready    bool
		been     bool // ready, at some time
		closed   bool
		err      error         // what ended us for good
		last     error         // the last trouble, for people
		changed  chan struct{} // closed when any of it changes
	}
	reconnects atomic.Uint64

	greet struct {
		sync.Mutex
		machine *hello.Machine
		topic   string          // of our own node id
		on      bool            // we have subscribed to it
		early   map[string]bool // node ids seen before
		tell    func(p backend.Peer, up bool)
		strange map[string]bool // codecs of hellos that we do not speak, told once each
	}

	logs logs

	closed               atomic.Bool
	published, delivered atomic.Uint64
	full                 atomic.Uint64 // refused by Publish and Send
}

// New returns a driver that is not connected yet.
func New(cfg Config, deps Deps) (*Conn, error) {
	cfg = cfg.Default()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("bus zeromq: %w", err)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Warn == nil {
		deps.Warn = func(string) {}
	}
	c := &Conn{cfg: cfg, deps: deps}
	c.out.init(cfg.Outbox)
	c.in.init(cfg.OnloopQueueHWM)
	c.links.changed = make(chan struct{})
	c.greet.topic, c.greet.early, c.greet.strange = topic.NodeID(cfg.ID), map[string]bool{}, map[string]bool{}
	if deps.Codec != nil && cfg.Name != "" {
		c.greet.machine = hello.New(cfg.Name, cfg.ID, cfg.Known, cfg.HelloExpiration)
	}
	curve, err := cfg.Keys.Client()
	if err != nil {
		return nil, fmt.Errorf("bus zeromq: %w", err)
	}
	full := zmtp.Block
	if cfg.ConnectXPUBDrop {
		full = zmtp.Refuse
	}
	c.xpub, err = zmtp.New(zmtp.Config{
		Type: zmtp.XPUB, Connect: []string{cfg.ConnectXPUB}, Curve: curve, Queue: cfg.XPUBSndHWM, Full: full,
		Verbose: true, Linger: cfg.Linger, MaxMessage: maxMessage, Unfiltered: broker.Property,
	}, zmtp.Deps{Chance: deps.Chance, Hooks: zmtp.Hooks{
		Subscription: c.subscription, Monitor: func(e zmtp.Event) { c.watch(e, &c.links.pub, false) },
	}})
	if err != nil {
		return nil, fmt.Errorf("bus zeromq: %w", err)
	}
	c.xsub, err = zmtp.New(zmtp.Config{
		Type: zmtp.XSUB, Connect: []string{cfg.ConnectXSUB}, Curve: curve, Linger: cfg.Linger, MaxMessage: maxMessage,
	}, zmtp.Deps{Chance: deps.Chance, Hooks: zmtp.Hooks{
		Receive: func(*zmtp.Peer) zmtp.Receiver { return &receiver{c: c, names: map[string]string{}} },
		Monitor: func(e zmtp.Event) { c.watch(e, &c.links.sub, true) },
	}})
	if err != nil {
		return nil, fmt.Errorf("bus zeromq: %w", err)
	}
	if err := c.logs.init(c, curve); err != nil {
		return nil, fmt.Errorf("bus zeromq: %w", err)
	}
	return c, nil
}

// Run connects and serves until ctx ends.
func (c *Conn) Run(ctx context.Context) error {
	var sockets, handlers sync.WaitGroup
	var errs [2]error
	base := context.WithoutCancel(ctx)
	pub, stopPub := context.WithCancel(base)
	sub, stopSub := context.WithCancel(base)
	defer stopPub()
	defer stopSub()
	sockets.Go(func() { errs[0] = c.xpub.Run(pub) })
	sockets.Go(func() { errs[1] = c.xsub.Run(sub) })
	handlers.Go(func() { c.in.run(c.deliver) })
	var writer sync.WaitGroup
	writer.Go(func() { c.out.run(c.xpub.Sender(), c.cfg.ConnectXPUBDrop) })
	c.logs.start(base)

	err := c.serve(ctx)

	// Take no more, write and acknowledge what has arrived, send the rest.
	c.closed.Store(true)
	c.logs.stop()
	late := time.AfterFunc(drainTime, func() { c.out.close(true) })
	c.out.close(!c.isReady()) // without a connection there is nobody to wait for
	writer.Wait()
	late.Stop()
	c.change(func() { c.links.closed = true })
	stopPub()
	stopSub()
	sockets.Wait()
	c.in.close()
	handlers.Wait()
	if err = errors.Join(err, errs[0], errs[1]); err != nil {
		return fmt.Errorf("bus zeromq: %w", err)
	}
	return nil
}

// serve lets time pass for what waits for it, until ctx ends or the bus refuses us.
func (c *Conn) serve(ctx context.Context) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		c.links.Lock()
		err, changed := c.links.err, c.links.changed
		c.links.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C:
			c.tick()
		}
	}
}

// deliver gives one event to the handler, if it is still wanted.
func (c *Conn) deliver(m backend.Message) {
	if c.handle != nil && c.filter.wants(m.Topic) {
		c.delivered.Add(1)
		c.handle(m)
	}
}

// Receive sets the handler for events.
func (c *Conn) Receive(handle func(backend.Message)) { c.handle = handle }

// Publish queues a message for the broker.
func (c *Conn) Publish(topic, codec string, payload []byte) error {
	err := backend.ErrTooLarge
	if len(payload) <= maxEvent {
		err = c.out.put(topic, c.cfg.ID, codec, payload, false)
	}
	if err != nil {
		if errors.Is(err, backend.ErrFull) {
			c.full.Add(1)
		}
		return fmt.Errorf("bus zeromq: publish to %q: %w", topic, err)
	}
	c.published.Add(1)
	return nil
}

// Subscribe asks for topics that begin with prefix.
func (c *Conn) Subscribe(prefix string) error { return c.wish("subscribe", prefix, true) }

// Unsubscribe takes a Subscribe back.
func (c *Conn) Unsubscribe(prefix string) error { return c.wish("unsubscribe", prefix, false) }

func (c *Conn) wish(what, prefix string, want bool) error {
	if c.closed.Load() {
		return fmt.Errorf("bus zeromq: %s %q: %w", what, prefix, backend.ErrClosed)
	}
	c.filter.mu.Lock()
	changed := c.filter.change(prefix, want)
	if changed {
		c.links.Lock()
		began := c.links.began
		c.links.Unlock()
		switch {
		case !began: // with the first connection, in this order
		case want:
			c.xsub.Subscribe(prefix)
		default:
			c.xsub.Unsubscribe(prefix)
		}
	}
	c.filter.mu.Unlock()
	if changed && prefix == c.greet.topic {
		c.begin(want)
	}
	if changed && want && c.isReady() {
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		// An error: the connection broke, or stands still; the subscription holds.
		_ = c.xsub.RoundTrip(ctx)
	}
	return nil
}

// Flush waits until the broker is connected and has our subscriptions, all that
// was published has left, and of each logger it is known whether it listens.
func (c *Conn) Flush(ctx context.Context) error {
	if err := c.flush(ctx); err != nil {
		return fmt.Errorf("bus zeromq: flush: %w", err)
	}
	return nil
}

func (c *Conn) flush(ctx context.Context) error {
	if c.closed.Load() {
		return backend.ErrClosed
	}
	if err := c.await(ctx, func() bool { return c.links.ready }); err != nil {
		return err
	}
	c.links.Lock()
	exact := c.links.sub != nil
	if exact {
		_, exact = c.links.sub.Property(broker.Property)
	}
	c.links.Unlock()
	if exact {
		if err := c.xsub.RoundTrip(ctx); err != nil {
			return err
		}
	} else if err := c.reprobe(ctx); err != nil {
		// libzmq answers pings before it has looked at what came earlier.
		return err
	}
	stop := context.AfterFunc(ctx, c.out.wake)
	defer stop()
	c.out.flush(func() bool { return ctx.Err() != nil || c.closed.Load() })
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.xpub.Flush(ctx); err != nil {
		return err
	}
	return c.logs.settled(ctx)
}

// Status tells the counters.
func (c *Conn) Status() backend.Status {
	l := &c.logs
	pub := c.xpub.Status().Total()
	s := backend.Status{
		Connected: c.isReady(), Reconnects: c.reconnects.Load(),
		Published: c.published.Load(), Delivered: c.delivered.Load(),
		Sent: l.sent.Load(), Received: l.received.Load(),
		Dropped: map[string]uint64{
			backend.DropFull:   c.full.Load() + c.out.dropped.Load(),
			backend.DropSlow:   c.in.slow.Load() + l.slow.Load(),
			backend.DropClosed: c.out.lost.Load() + pub.Lost,
			backend.DropBad:    c.in.bad.Load() + l.bad.Load(),
		},
		Queued: int(c.in.queued.Load()) + c.out.len() + l.queued(),
	}
	c.links.Lock()
	if c.links.last != nil {
		s.Trouble = c.links.last.Error()
	}
	c.links.Unlock()
	return s
}

// Metrics are the overload counters under Zeek's names (wire.md section 6.4).
func (c *Conn) Metrics() map[string]uint64 {
	return map[string]uint64{
		"zeek_cluster_zeromq_xpub_drops_total":   c.full.Load() + c.out.dropped.Load(),
		"zeek_cluster_zeromq_onloop_drops_total": c.in.slow.Load(),
		"zeek_cluster_zeromq_msg_errors_total":   c.in.bad.Load() + c.logs.bad.Load(),
	}
}

var (
	_ backend.Driver     = (*Conn)(nil)
	_ backend.Discoverer = (*Conn)(nil)
	_ backend.Foreigners = (*Conn)(nil)
)
