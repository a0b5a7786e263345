// Package mem is the bus inside one process: picket read and tests run the same
// cluster over it.
//
// It stands behind bus/cluster and logs/ship like any other backend. It owns a
// queue of events, one of batches and one of acknowledgements per endpoint, each
// bounded. It never copies a batch: the logger gets the producer's. It never
// starts a goroutine outside Run.
package mem

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/internal/queue"
	"github.com/picket-nsm/picket/zeek/record"
)

// Policy says what happens to a message when the receiver's queue is full.
type Policy uint8

// The policies.
const (
	DropNewest Policy = iota // drop it and count it at the receiver, as a network does
	Block                    // the publisher waits for the receiver, as a function call does
)

// Config sizes the queues. The zero Config means the defaults.
type Config struct {
	Events  int    // messages an endpoint queues; default 4096
	Batches int    // batches a logger queues, and acks a producer; default 1024. Full: ErrFull
	Limit   int    // largest batch in bytes; default 4 MiB
	Policy  Policy // of the event queue; default DropNewest
	Poison  bool   // overwrite payloads after the handler returned; tests set it
}

// Bus connects the endpoints of one process. It has no Run: it does nothing by itself.
type Bus struct {
	cfg Config

	mu        sync.RWMutex
	endpoints []*Endpoint // those not closed
	loggers   map[string]*Endpoint
	producers map[string]*Endpoint
}

// NewBus returns a bus without endpoints.
func NewBus(cfg Config) *Bus {
	cfg.Events = cmp.Or(cfg.Events, 4096)
	cfg.Batches = cmp.Or(cfg.Batches, 1024)
	cfg.Limit = cmp.Or(cfg.Limit, 4<<20)
	return &Bus{cfg: cfg, loggers: map[string]*Endpoint{}, producers: map[string]*Endpoint{}}
}

// Endpoint is one node's end of the bus. It implements backend.Driver. It is
// on the bus from the moment it is made until its Run returned.
type Endpoint struct {
	bus *Bus
	id  string

	events  *queue.Queue[event]
	batches *queue.Queue[*record.Batch]
	acks    *queue.Queue[backend.Ack]

	handle func(backend.Message)
	recv   func(*record.Batch) // under bus.mu, as are the next four
	onAck  func(backend.Ack)
	subs   []string
	closed bool

	free chan []byte // payload buffers to use again

	running                              atomic.Bool
	published, delivered, sent, received atomic.Uint64
	full, slow                           atomic.Uint64
}

type event struct {
	topic, sender, codec string
	via                  string
	payload              []byte
}

// Endpoint returns a new end of the bus for the node with this id.
func (b *Bus) Endpoint(id string) *Endpoint { return b.Sized(id, b.cfg.Events) }

// Sized is Endpoint with a size of its own for the queue of events.
func (b *Bus) Sized(id string, events int) *Endpoint {
	e := &Endpoint{
		bus:     b,
		id:      id,
		events:  queue.New[event](events),
		batches: queue.New[*record.Batch](b.cfg.Batches),
		acks:    queue.New[backend.Ack](b.cfg.Batches),
		free:    make(chan []byte, 64),
	}
	b.mu.Lock()
	b.endpoints = append(b.endpoints, e)
	b.mu.Unlock()
	return e
}

// Receive sets the handler for events.
func (e *Endpoint) Receive(handle func(backend.Message)) { e.handle = handle }

// Subscribe asks for topics that begin with prefix.
func (e *Endpoint) Subscribe(prefix string) error {
	e.bus.mu.Lock()
	defer e.bus.mu.Unlock()
	if e.closed {
		return fmt.Errorf("subscribe %q: %w", prefix, backend.ErrClosed)
	}
	if !slices.Contains(e.subs, prefix) {
		e.subs = append(e.subs, strings.Clone(prefix))
	}
	return nil
}

// Unsubscribe takes a Subscribe back.
func (e *Endpoint) Unsubscribe(prefix string) error {
	e.bus.mu.Lock()
	defer e.bus.mu.Unlock()
	if e.closed {
		return fmt.Errorf("unsubscribe %q: %w", prefix, backend.ErrClosed)
	}
	if i := slices.Index(e.subs, prefix); i >= 0 {
		e.subs = slices.Delete(e.subs, i, i+1)
	}
	return nil
}

// wants reports whether a subscription matches; bus.mu is held.
func (e *Endpoint) wants(topic string) bool {
	for _, p := range e.subs {
		if strings.HasPrefix(topic, p) {
			return true
		}
	}
	return false
}

// Publish puts the message into the queue of every endpoint that wants it.
func (e *Endpoint) Publish(topic, codec string, payload []byte) error {
	return e.publish(event{topic: topic, sender: e.id, codec: codec}, payload)
}

// PublishFor is Publish in the name of another node.
func (e *Endpoint) PublishFor(sender, topic, codec string, payload []byte) error {
	return e.publish(event{topic: topic, sender: sender, codec: codec, via: e.id}, payload)
}

func (e *Endpoint) publish(m event, payload []byte) error {
	var few [8]*Endpoint
	e.bus.mu.RLock()
	closed, to := e.closed, few[:0]
	for _, o := range e.bus.endpoints {
		if o != e && o.wants(m.topic) {
			to = append(to, o)
		}
	}
	e.bus.mu.RUnlock()
	if closed {
		return fmt.Errorf("publish to %q: %w", m.topic, backend.ErrClosed)
	}
	e.published.Add(1)
	for _, o := range to {
		m.payload = o.buffer(payload)
		switch o.events.Put(m, e.bus.cfg.Policy == Block) {
		case queue.Full:
			o.slow.Add(1)
			o.recycle(m.payload)
		case queue.Closed: // it left meanwhile: nobody's loss
		}
	}
	return nil
}

// Flush returns at once: what is published is with its receivers.
func (e *Endpoint) Flush(ctx context.Context) error {
	e.bus.mu.RLock()
	defer e.bus.mu.RUnlock()
	if e.closed {
		return fmt.Errorf("flush %s: %w", e.id, backend.ErrClosed)
	}
	return nil
}

// Send hands the batch itself to the logger.
func (e *Endpoint) Send(logger string, b *record.Batch) error {
	if len(b.Payload) > e.bus.cfg.Limit {
		return fmt.Errorf("send %d bytes to %s: %w", len(b.Payload), logger, backend.ErrTooLarge)
	}
	e.bus.mu.RLock()
	to, closed := e.bus.loggers[logger], e.closed
	e.bus.mu.RUnlock()
	if closed {
		return fmt.Errorf("send to %s: %w", logger, backend.ErrClosed)
	}
	if to == nil {
		return e.nobody(logger, b)
	}
	switch to.batches.Put(b, false) {
	case queue.Full:
		e.full.Add(1)
		return fmt.Errorf("send to %s: %w", logger, backend.ErrFull)
	case queue.Closed:
		return e.nobody(logger, b)
	}
	e.sent.Add(1)
	return nil
}

// nobody answers for a logger that is not there.
func (e *Endpoint) nobody(logger string, b *record.Batch) error {
	e.sent.Add(1)
	return e.Ack(backend.Ack{Logger: logger, Producer: b.Producer, Start: b.Start, Seq: b.Seq, Err: backend.NoListener})
}

// Listen makes this endpoint the logger of that name.
func (e *Endpoint) Listen(logger string, recv func(*record.Batch)) error {
	e.bus.mu.Lock()
	defer e.bus.mu.Unlock()
	if e.closed {
		return fmt.Errorf("listen %s: %w", logger, backend.ErrClosed)
	}
	if e.recv != nil {
		return fmt.Errorf("listen %s: %s is a logger already", logger, e.id)
	}
	e.recv, e.bus.loggers[logger] = recv, e
	return nil
}

// Ack tells the producer of a batch. Where the producer is gone, nobody is told.
func (e *Endpoint) Ack(a backend.Ack) error {
	e.bus.mu.RLock()
	to := e.bus.producers[a.Producer]
	e.bus.mu.RUnlock()
	if to == nil {
		return nil
	}
	if to.acks.Put(a, false) == queue.Full {
		to.slow.Add(1)
		return fmt.Errorf("ack batch %d of %s: %w", a.Seq, a.Producer, backend.ErrFull)
	}
	return nil
}

// Acks makes this endpoint the named producer.
func (e *Endpoint) Acks(producer string, handle func(backend.Ack)) error {
	e.bus.mu.Lock()
	defer e.bus.mu.Unlock()
	if e.closed {
		return fmt.Errorf("acks of %s: %w", producer, backend.ErrClosed)
	}
	if e.onAck != nil {
		return fmt.Errorf("acks of %s: %s is a producer already", producer, e.id)
	}
	e.onAck, e.bus.producers[producer] = handle, e
	return nil
}

// Limit is the largest payload that Send takes.
func (e *Endpoint) Limit() int { return e.bus.cfg.Limit }

// Status tells the counters.
func (e *Endpoint) Status() backend.Status {
	return backend.Status{
		Connected: e.running.Load(),
		Published: e.published.Load(),
		Delivered: e.delivered.Load(),
		Sent:      e.sent.Load(),
		Received:  e.received.Load(),
		Dropped:   map[string]uint64{backend.DropFull: e.full.Load(), backend.DropSlow: e.slow.Load()},
		Queued:    e.events.Len() + e.batches.Len() + e.acks.Len(),
	}
}

// Run delivers until ctx ends, then what is queued, and leaves the bus.
func (e *Endpoint) Run(ctx context.Context) error {
	e.running.Store(true)
	defer e.running.Store(false)
	var in, acks sync.WaitGroup
	in.Go(func() { e.events.Drain(e.deliver) })
	in.Go(func() { e.batches.Drain(e.log) })
	acks.Go(func() { e.acks.Drain(e.acked) })
	<-ctx.Done()
	e.leave()
	e.events.Close()
	e.batches.Close()
	in.Wait()
	// Acks end last: a batch of our own, drained just now, may still be acknowledged.
	e.bus.mu.Lock()
	for name, o := range e.bus.producers {
		if o == e {
			delete(e.bus.producers, name)
		}
	}
	e.bus.mu.Unlock()
	e.acks.Close()
	acks.Wait()
	return nil
}

// leave takes the endpoint off the bus: nothing comes in any more but acks.
func (e *Endpoint) leave() {
	e.bus.mu.Lock()
	defer e.bus.mu.Unlock()
	e.closed = true
	e.bus.endpoints = slices.DeleteFunc(slices.Clone(e.bus.endpoints), func(o *Endpoint) bool { return o == e })
	for name, o := range e.bus.loggers {
		if o == e {
			delete(e.bus.loggers, name)
		}
	}
}

func (e *Endpoint) deliver(m event) {
	e.bus.mu.RLock()
	wanted := e.wants(m.topic)
	e.bus.mu.RUnlock()
	if wanted && e.handle != nil {
		e.delivered.Add(1)
		e.handle(backend.Message{Topic: m.topic, Sender: m.sender, Codec: m.codec, Via: m.via, Payload: m.payload})
	}
	if e.bus.cfg.Poison {
		for i := range m.payload {
			m.payload[i] = 0xdb
		}
	}
	e.recycle(m.payload)
}

func (e *Endpoint) log(b *record.Batch) {
	e.bus.mu.RLock()
	recv := e.recv
	e.bus.mu.RUnlock()
	e.received.Add(1)
	recv(b)
}

func (e *Endpoint) acked(a backend.Ack) {
	e.bus.mu.RLock()
	handle := e.onAck
	e.bus.mu.RUnlock()
	handle(a)
}

// buffer returns a copy of payload in a buffer of the receiver.
func (e *Endpoint) buffer(payload []byte) []byte {
	select {
	case b := <-e.free:
		return append(b[:0], payload...)
	default:
		return append(make([]byte, 0, max(len(payload), 256)), payload...)
	}
}

// recycle keeps a buffer for another payload, unless it is a large one.
func (e *Endpoint) recycle(b []byte) {
	if cap(b) > 64<<10 {
		return
	}
	select {
	case e.free <- b:
	default:
	}
}
