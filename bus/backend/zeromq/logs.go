package zeromq

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/internal/queue"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/topic"
)

// logs is the part of a Conn that carries batches.
type logs struct {
	c       *Conn
	pushers map[string]*pusher // by logger
	curve   *zmtp.Curve        // of a server

	mu       sync.Mutex
	role     string // logger that we are
	recv     func(*record.Batch)
	onAck    func(backend.Ack)
	pull     *zmtp.Socket
	takers   map[*taker]bool
	by       map[string]*taker // producer's connection
	base     context.Context   // of Run; nil: it does not run
	stopping bool
	stopPull context.CancelFunc
	changed  chan struct{} // closed when a pusher knows more

	batch *queue.Queue[item]
	acked *queue.Queue[backend.Ack]

	produces bool            // Acks or Send was called: loggers are connected to
	pushing  bool            // they are
	push     context.Context // of the PUSH sockets; nil: we do not run
	stopPush context.CancelFunc

	pushes, pulling, writing, acking sync.WaitGroup

	sent, received, slow, bad atomic.Uint64
}

// item is a batch for the logger, or a mark in the queue.
type item struct {
	b    *record.Batch
	mark chan struct{}
}

func (l *logs) init(c *Conn, client *zmtp.Curve) error {
	l.c, l.pushers, l.takers, l.by = c, map[string]*pusher{}, map[*taker]bool{}, map[string]*taker{}
	l.changed = make(chan struct{})
	l.batch = queue.Weighed(c.cfg.LogRcvHWM, logBytes, func(i item) int {
		if i.b == nil {
			return 0
		}
		return len(i.b.Payload)
	})
	l.acked = queue.New[backend.Ack](4 * c.cfg.LogSndHWM)
	if c.cfg.Keys != (Keys{}) && len(c.cfg.ListenLog) > 0 {
		var err error
		if l.curve, err = c.cfg.Keys.Server(); err != nil {
			return err
		}
	}
	for _, to := range c.cfg.Loggers {
		p := &pusher{l: l, name: to.Name}
		var err error
		p.sock, err = zmtp.New(zmtp.Config{
			Type: zmtp.PUSH, Connect: []string{to.Endpoint}, Curve: client, Queue: c.cfg.LogSndHWM, QueueBytes: logBytes, Full: zmtp.Refuse,
			Immediate: true, Linger: c.cfg.Linger, MaxMessage: maxMessage,
		}, zmtp.Deps{Chance: c.deps.Chance, Hooks: zmtp.Hooks{Command: p.command, Monitor: p.watch, Written: p.written}})
		if err != nil {
			return fmt.Errorf("logger %s: %w", to.Name, err)
		}
		l.pushers[to.Name] = p
	}
	return nil
}

// start connects to the loggers, and listens if we are one.
func (l *logs) start(base context.Context) {
	push, stop := context.WithCancel(base)
	l.writing.Go(func() { l.batch.Drain(l.write) })
	l.acking.Go(func() { l.acked.Drain(l.answered) })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.base, l.push, l.stopPush = base, push, stop
	l.runPull()
	l.runPush()
}

// runPush connects to the loggers once we run and are a producer; mu is held.
func (l *logs) runPush() {
	if l.pushing || !l.produces || l.push == nil || l.stopping {
		return
	}
	l.pushing = true
	for _, p := range l.pushers {
		l.pushes.Go(func() { _ = p.sock.Run(l.push) }) // it binds nothing, so nothing can fail
	}
}

// stop writes and acknowledges what has arrived, tells producers what did not
// count any more, and sends the rest.
func (l *logs) stop() {
	l.mu.Lock()
	l.stopping = true
	var takers []*taker
	for t := range l.takers {
		takers = append(takers, t)
	}
	l.mu.Unlock()
	for _, t := range takers {
		t.end()
	}
	// All that Picket producers had before that is written once the mark is met.
	mark := make(chan struct{})
	if l.batch.Put(item{mark: mark}, true) == queue.Done {
		<-mark
	}
	for _, t := range takers {
		t.goodbye()
	}
	if l.stopPull != nil {
		l.stopPull() // real Zeek's batches are taken until it has heard that we go
	}
	l.pulling.Wait()
	l.batch.Close()
	l.writing.Wait()
	l.stopPush()
	l.pushes.Wait()
	l.acked.Close()
	l.acking.Wait()
}

// Send hands the batch over to be carried to the logger.
func (c *Conn) Send(logger string, b *record.Batch) error {
	err := c.logs.send(logger, b)
	if err == nil {
		c.logs.sent.Add(1)
		return nil
	}
	if errors.Is(err, backend.ErrFull) {
		c.full.Add(1)
	}
	return fmt.Errorf("bus zeromq: send batch %d of %s to %s: %w", b.Seq, b.Producer, logger, err)
}

func (l *logs) send(logger string, b *record.Batch) error {
	switch {
	case l.c.closed.Load():
		return backend.ErrClosed
	case len(b.Payload) > batchLimit:
		return backend.ErrTooLarge
	}
	if p := l.pushers[logger]; p != nil {
		l.mu.Lock()
		l.produces = true
		l.runPush()
		l.mu.Unlock()
		return p.send(b)
	}
	l.nobody(logger, b)
	return nil
}

// nobody answers for a logger that does not listen.
func (l *logs) nobody(logger string, b *record.Batch) {
	l.answer(backend.Ack{Logger: logger, Producer: b.Producer, Start: b.Start, Seq: b.Seq, Err: backend.NoListener})
}

func (l *logs) answer(a backend.Ack) {
	if l.acked.Put(a, false) == queue.Full {
		l.slow.Add(1)
	}
}

func (l *logs) answered(a backend.Ack) {
	l.mu.Lock()
	handle := l.onAck
	l.mu.Unlock()
	if handle != nil {
		handle(a)
	}
}

// Limit is the largest payload that Send takes.
func (c *Conn) Limit() int { return batchLimit }

// Acks makes this node the named producer. The name is in each batch.
func (c *Conn) Acks(producer string, handle func(backend.Ack)) error {
	l := &c.logs
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case c.closed.Load():
		return fmt.Errorf("bus zeromq: acks of %s: %w", producer, backend.ErrClosed)
	case l.onAck != nil:
		return fmt.Errorf("bus zeromq: acks of %s: this node is a producer already", producer)
	}
	l.onAck, l.produces = handle, true
	l.runPush()
	return nil
}

// Listen makes this node the logger of that name. Its ports are open when it returns.
func (c *Conn) Listen(logger string, recv func(*record.Batch)) error {
	l := &c.logs
	l.mu.Lock()
	defer l.mu.Unlock()
	bad := func(err error) error { return fmt.Errorf("bus zeromq: listen as %s: %w", logger, err) }
	switch {
	case c.closed.Load():
		return bad(backend.ErrClosed)
	case l.recv != nil:
		return bad(fmt.Errorf("this node is logger %s already", l.role))
	}
	bind := c.cfg.ListenLog
	for _, to := range c.cfg.Loggers {
		if len(bind) == 0 && to.Name == logger {
			bind = []string{to.Endpoint}
		}
	}
	if len(bind) == 0 {
		return bad(errors.New("no endpoint: its port is missing in the layout"))
	}
	if l.curve == nil && c.cfg.Keys != (Keys{}) {
		var err error
		if l.curve, err = c.cfg.Keys.Server(); err != nil {
			return bad(err)
		}
	}
	var tell []zmtp.Property
	if !c.cfg.Plain {
		tell = []zmtp.Property{{Name: propertyLogger, Value: "1"}}
	}
	pull, err := zmtp.New(zmtp.Config{
		Type: zmtp.PULL, Bind: bind, Curve: l.curve, Linger: c.cfg.Linger, MaxMessage: maxMessage, Properties: tell,
	}, zmtp.Deps{Chance: c.deps.Chance, Hooks: zmtp.Hooks{Receive: l.taker, Monitor: l.forget}})
	if err != nil {
		return bad(err)
	}
	if _, err := pull.Listen(); err != nil {
		return bad(err)
	}
	l.role, l.recv, l.pull = logger, recv, pull
	l.runPull()
	return nil
}

// runPull runs the PULL when there is one and we run; mu is held.
func (l *logs) runPull() {
	if l.pull == nil || l.base == nil || l.stopPull != nil {
		return
	}
	if l.stopping {
		l.pull.Close()
		return
	}
	var ctx context.Context
	ctx, l.stopPull = context.WithCancel(l.base)
	l.pulling.Go(func() { _ = l.pull.Run(ctx) }) // its ports are open already
}

func (l *logs) write(i item) {
	if i.mark != nil {
		close(i.mark)
		return
	}
	l.mu.Lock()
	recv := l.recv
	l.mu.Unlock()
	l.received.Add(1)
	recv(i.b)
}

// Ack tells the producer of a batch, on the connection that it uses now.
func (c *Conn) Ack(a backend.Ack) error {
	l := &c.logs
	l.mu.Lock()
	t := l.by[a.Producer]
	l.mu.Unlock()
	if t == nil || t.peer.Tell(commandAck, appendAck(nil, a)) {
		return nil // a producer that is gone is told nothing
	}
	if t.peer.Remote() == "" {
		return nil
	}
	c.full.Add(1)
	return fmt.Errorf("bus zeromq: ack batch %d of %s: %w", a.Seq, a.Producer, backend.ErrFull)
}

func (l *logs) queued() int { return l.batch.Len() + l.acked.Len() }

// taker takes the batches of one connection.
type taker struct {
	l    *logs
	peer *zmtp.Peer

	mu     sync.Mutex // held while a batch waits for room in the queue
	picket bool       // it sends envelopes and knows our commands
	taken  uint64
	ended  bool
}

func (l *logs) taker(p *zmtp.Peer) zmtp.Receiver {
	t := &taker{l: l, peer: p}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.takers[t] = true
	t.ended = l.stopping
	return t
}

// forget drops what is known of connections that ended.
func (l *logs) forget(e zmtp.Event) {
	if e.Kind != zmtp.Gone {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for t := range l.takers {
		if t.peer == e.Peer {
			delete(l.takers, t)
		}
	}
	for name, t := range l.by {
		if t.peer == e.Peer {
			delete(l.by, name)
		}
	}
}

// Flush implements zmtp.Receiver.
func (t *taker) Flush() {}

// Message implements zmtp.Receiver. It waits while the queue of batches is full:
// the producer feels it by TCP.
func (t *taker) Message(m zmtp.Message) {
	l, p := t.l, m.Parts()
	if len(p) != 4 || string(p[2]) != zeekBin {
		l.bad.Add(1)
		return
	}
	b, picket, err := batchOf(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	if picket && !t.picket {
		t.picket = true
	}
	if picket && t.ended {
		return // it will learn that this one was not taken
	}
	t.taken++ // also of a broken one, so that both count alike
	if err != nil {
		l.bad.Add(1)
		return
	}
	if picket {
		l.mu.Lock()
		if l.by[b.Producer] != t && (l.by[b.Producer] != nil || len(l.by) < maxProducers) {
			l.by[b.Producer] = t
		}
		l.mu.Unlock()
	}
	b.Payload = append(make([]byte, 0, len(p[3])), p[3]...)
	l.batch.Put(item{b: b}, true)
}

// batchOf makes a batch of four frames, all but its payload. A real Zeek numbers
// nothing: Seq is 0, and the rest comes from the node's id and the header.
func batchOf(p [][]byte) (b *record.Batch, picket bool, err error) {
	if len(p[0]) > len(logWrite) {
		b, err = parseEnvelope(p[0])
		return b, true, err
	}
	c, err := record.Open(p[3])
	if err != nil {
		return nil, false, err
	}
	s := c.Schema()
	return &record.Batch{Producer: topic.NameOf(string(p[1])), Records: c.Records(), Stream: s.Stream, Path: s.Path}, false, nil
}

// end takes no more from a Picket producer.
func (t *taker) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
}

// goodbye tells a Picket producer how many batches were taken.
func (t *taker) goodbye() {
	t.mu.Lock()
	picket, taken := t.picket, t.taken
	t.mu.Unlock()
	if picket {
		t.peer.Tell(commandEnd, binary.BigEndian.AppendUint64(nil, taken))
	}
}
