package nats

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/internal/queue"
	"github.com/picket-nsm/picket/zeek/record"
)

// Send queues a batch for the logger.
func (c *Conn) Send(logger string, b *record.Batch) error {
	if err := c.sendBatch(logger, b); err != nil {
		return fmt.Errorf("bus nats: send batch %d of %s to %s: %w", b.Seq, b.Producer, logger, err)
	}
	return nil
}

func (c *Conn) sendBatch(logger string, b *record.Batch) error {
	switch {
	case c.closed.Load():
		return backend.ErrClosed
	case len(b.Payload) > c.Limit():
		return backend.ErrTooLarge
	case !c.logs.isUp():
		return backend.ErrDown
	}
	m, err := c.subj.batchMsg(logger, b)
	if err != nil {
		return err
	}
	if err := c.logs.enqueue(m); err != nil {
		c.counters.full.Add(1)
		return err
	}
	c.counters.sent.Add(1)
	return nil
}

// lostBatch tells the producer of a batch that was queued and could not be
// sent, and counts an acknowledgement that could not.
func (c *Conn) lostBatch(m *nats.Msg, err error) {
	if m.Header == nil {
		c.count(1, err)
		return
	}
	b, e := batch(m)
	if e != nil || c.acked.Put(backend.Ack{Logger: c.subj.loggerOf(m), Producer: b.Producer, Start: b.Start, Seq: b.Seq, Err: err.Error()}, false) != queue.Done {
		c.count(1, err)
	}
}

func tooLarge(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, backend.ErrTooLarge)
}

// Listen makes this node the logger of that name.
func (c *Conn) Listen(logger string, recv func(*record.Batch)) error {
	c.role.Lock()
	defer c.role.Unlock()
	switch {
	case c.closed.Load():
		return fmt.Errorf("bus nats: listen as %s: %w", logger, backend.ErrClosed)
	case c.role.recv != nil:
		return fmt.Errorf("bus nats: listen as %s: this node is logger %s already", logger, c.role.logger)
	}
	c.role.logger, c.role.recv = logger, recv
	return c.subscribeRoles()
}

// Acks makes this node the named producer.
func (c *Conn) Acks(producer string, handle func(backend.Ack)) error {
	c.role.Lock()
	defer c.role.Unlock()
	switch {
	case c.closed.Load():
		return fmt.Errorf("bus nats: acks of %s: %w", producer, backend.ErrClosed)
	case c.role.onAck != nil:
		return fmt.Errorf("bus nats: acks of %s: this node is producer %s already", producer, c.role.producer)
	}
	c.role.producer, c.role.onAck = producer, handle
	return c.subscribeRoles()
}

func (c *Conn) logsConnected(*nats.Conn) error {
	c.role.Lock()
	defer c.role.Unlock()
	return c.subscribeRoles()
}

// subscribeRoles makes the subscriptions that are missing; role is locked.
func (c *Conn) subscribeRoles() (err error) {
	nc, _, _, _ := c.logs.conn()
	if nc == nil {
		return nil // with the connection
	}
	r, fresh := &c.role, false
	if r.recv != nil && r.loggerSub == nil {
		if r.loggerSub, err = nc.ChanSubscribe(c.subj.logs+token(r.logger), c.logs.in); err != nil {
			return fmt.Errorf("bus nats: listen as %s: %w", r.logger, err)
		}
		fresh = true
	}
	if r.onAck != nil && r.producerSub == nil {
		if r.producerSub, err = nc.ChanSubscribe(c.subj.acks+token(r.producer)+".>", c.logs.in); err != nil {
			return fmt.Errorf("bus nats: acks of %s: %w", r.producer, err)
		}
		fresh = true
	}
	if fresh && nc.IsConnected() {
		_ = nc.FlushTimeout(drainTime) // an error: it takes effect with the next connection
	}
	return nil
}

// rolesOverflowed is how many batches and acknowledgements found the channel full.
func (c *Conn) rolesOverflowed() (n uint64) {
	c.role.Lock()
	defer c.role.Unlock()
	for _, sub := range []*nats.Subscription{c.role.loggerSub, c.role.producerSub} {
		if sub == nil {
			continue
		}
		if d, err := sub.Dropped(); err == nil {
			n += uint64(d)
		}
	}
	return n
}

// Ack tells the producer of a batch.
func (c *Conn) Ack(a backend.Ack) error {
	m := &nats.Msg{Subject: c.subj.ack(a.Logger, a.Producer, a.Start, a.Seq), Data: []byte(a.Err)}
	if a.Unconfirmed {
		m.Data = []byte(unconfirmed)
	}
	if err := c.logs.enqueue(m); err != nil {
		if errors.Is(err, backend.ErrFull) {
			c.counters.full.Add(1)
		}
		return fmt.Errorf("bus nats: ack batch %d of %s: %w", a.Seq, a.Producer, err)
	}
	return nil
}

// log takes a message off the logs connection. One goroutine.
func (c *Conn) log(m *nats.Msg) {
	if m.Reply == "" {
		a, err := c.subj.ackOf(m)
		switch {
		case err != nil:
			c.counters.bad.Add(1)
		case c.acked.Put(a, false) == queue.Full:
			c.counters.logSlow.Add(1)
		}
		return
	}
	b, err := batch(m)
	if err != nil {
		c.counters.bad.Add(1)
		return
	}
	if c.batch.Put(b, false) == queue.Full {
		c.counters.logSlow.Add(1)
		c.role.Lock()
		logger := c.role.logger
		c.role.Unlock()
		// The producer learns at once, and tries another.
		_ = c.Ack(backend.Ack{Logger: logger, Producer: b.Producer, Start: b.Start, Seq: b.Seq, Err: backend.DropSlow})
	}
}

func (c *Conn) write(b *record.Batch) {
	c.role.Lock()
	recv := c.role.recv
	c.role.Unlock()
	c.counters.received.Add(1)
	recv(b)
}

func (c *Conn) ackDone(a backend.Ack) {
	c.role.Lock()
	handle := c.role.onAck
	c.role.Unlock()
	if handle != nil {
		handle(a)
	}
}

// Limit is the largest payload that Send takes: what the server allows, less
// room for the headers.
func (c *Conn) Limit() int { return c.logs.limit() - headerRoom }
