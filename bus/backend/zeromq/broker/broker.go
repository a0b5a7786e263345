// Package broker forwards messages and subscriptions between ZeroMQ nodes, as
// the XPUB/XSUB proxy in a Zeek manager does, on the same ports. Real Zeek nodes
// and Picket nodes connect to it.
//
// It stands between nodes, alone (picket broker) or in the hub. It owns the two
// listening sockets, a bounded queue per subscriber, and the count of who wants
// which topic. A message that a publisher sends goes to all whose subscriptions
// match; one whose queue is full misses it, which is counted per topic, and
// nobody else notices. It never looks behind the topic but for who a connection
// belongs to, answers no hello, and stores nothing.
//
// Two things differ from libzmq's proxy, on purpose. A full subscriber costs only
// itself (there, NODROP stalls all, and without it drops are not counted). And a
// peer's end takes back all of its subscriptions, also repeated ones, of which
// libzmq forgets one (wire.md 1.5); so the last removal always reaches the nodes.
package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/zeek/topic"
)

// Zeek's default endpoints.
const (
	DefaultXPUB = "tcp://127.0.0.1:5555"
	DefaultXSUB = "tcp://127.0.0.1:5556"
)

// Config says where the broker listens and what may wait.
type Config struct {
	XPUB  []string    // where nodes receive; default DefaultXPUB
	XSUB  []string    // where nodes send; default DefaultXSUB
	Curve *zmtp.Curve // server keys, for both sides; nil: no encryption

	Queue      int         // messages that may wait for one subscriber; default 65536
	QueueBytes int         // the same in bytes; default 64 MiB
	Full       zmtp.Policy // at a full queue; default zmtp.Drop: the newest, for this subscriber
	MaxMessage int         // bytes; default 64 MiB
	MaxPeers   int         // connections on each side; default 4096
}

// Property is what the broker's sockets say in their handshake, so that Picket
// nodes know that it filters by subscriptions that may not have reached them yet.
const Property = "X-Picket-Broker"

// Side tells the two sockets apart.
type Side uint8

// The sides, by our sockets.
const (
	XPUB Side = iota // towards subscribers
	XSUB             // towards publishers
)

func (s Side) String() string {
	if s == XPUB {
		return "xpub"
	}
	return "xsub"
}

// Deps is what the program passes in.
type Deps struct {
	Monitor func(Side, zmtp.Event) // told of every connection; must not block; may be nil
	Chance  io.Reader              // nil: crypto/rand
}

// Broker is a broker. Its methods may be called from any goroutine.
type Broker struct {
	xpub, xsub *zmtp.Socket

	mu     sync.Mutex     // of counts, and keeps subscriptions in one order for all
	counts map[string]int // how often peers and links subscribed to a topic
	links  atomic.Pointer[[]*Link]

	injectMu sync.Mutex
	inject   *zmtp.Sender

	toXPUB traffic // from publishers
	toXSUB traffic // subscriptions
	drops  drops
	peers  peers
}

// New builds a broker and starts nothing.
func New(cfg Config, deps Deps) (*Broker, error) {
	if len(cfg.XPUB) == 0 {
		cfg.XPUB = []string{DefaultXPUB}
	}
	if len(cfg.XSUB) == 0 {
		cfg.XSUB = []string{DefaultXSUB}
	}
	if cfg.Queue == 0 {
		cfg.Queue = 65536
	}
	if cfg.Curve != nil && !cfg.Curve.Server {
		return nil, errors.New("broker: curve: needs the keys of a server")
	}
	b := &Broker{counts: map[string]int{}}
	b.links.Store(&[]*Link{})
	monitor := func(s Side) func(zmtp.Event) {
		return func(e zmtp.Event) {
			if e.Kind == zmtp.Gone {
				b.peers.gone(s, e.Peer)
			}
			if deps.Monitor != nil {
				deps.Monitor(s, e)
			}
		}
	}
	base := zmtp.Config{Properties: []zmtp.Property{{Name: Property, Value: "1"}}, Curve: cfg.Curve, Queue: cfg.Queue, QueueBytes: cfg.QueueBytes, MaxMessage: cfg.MaxMessage, MaxPeers: cfg.MaxPeers}
	out := base
	out.Type, out.Bind, out.Full, out.Verboser = zmtp.XPUB, cfg.XPUB, cfg.Full, true
	in := base
	in.Type, in.Bind = zmtp.XSUB, cfg.XSUB
	var err error
	if b.xpub, err = zmtp.New(out, zmtp.Deps{Chance: deps.Chance, Hooks: zmtp.Hooks{
		Subscription: b.subscription, Dropped: b.drops.add, Monitor: monitor(XPUB),
	}}); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	if b.xsub, err = zmtp.New(in, zmtp.Deps{Chance: deps.Chance, Hooks: zmtp.Hooks{
		Receive: b.publisher, Monitor: monitor(XSUB),
	}}); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	b.inject = b.xpub.Sender()
	return b, nil
}

// Listen opens the ports and returns them with their real numbers. Run does so
// too; whoever calls Listen must call Run.
func (b *Broker) Listen() (xpub, xsub []string, err error) {
	// XPUB first, as in Zeek: who can publish can be heard.
	if xpub, err = b.xpub.Listen(); err != nil {
		return nil, nil, fmt.Errorf("broker: %w", err)
	}
	if xsub, err = b.xsub.Listen(); err != nil {
		b.xpub.Close()
		return nil, nil, fmt.Errorf("broker: %w", err)
	}
	return xpub, xsub, nil
}

// Run forwards until ctx ends. Then publishers are cut off first, and what they
// had sent is forwarded before subscribers are.
func (b *Broker) Run(ctx context.Context) error {
	if _, _, err := b.Listen(); err != nil {
		return err
	}
	out, cut := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	var outErr error
	wg.Go(func() { outErr = b.xpub.Run(out) })
	inErr := b.xsub.Run(ctx)
	cut()
	wg.Wait()
	return errors.Join(inErr, outErr)
}

// publisher makes what takes the messages of one publishing peer.
func (b *Broker) publisher(p *zmtp.Peer) zmtp.Receiver {
	return &publisher{b: b, peer: p, out: b.xpub.Sender()}
}

type publisher struct {
	b             *Broker
	peer          *zmtp.Peer
	known         bool // its id was seen
	out           *zmtp.Sender
	frames, bytes uint64
	linked        bool // a link got something since the last flush
}

// Message forwards to subscribers and links.
func (p *publisher) Message(m zmtp.Message) {
	p.frames += uint64(len(m.Parts()))
	p.bytes += uint64(m.Size())
	if !p.known && len(m.Parts()) == 4 {
		p.known = true
		p.b.peers.is(XSUB, p.peer, string(m.Parts()[1]))
	}
	_ = p.out.Forward(m) // ErrClosed at the end, else counted by the socket
	for _, l := range *p.b.links.Load() {
		p.linked = l.offer(m) || p.linked
	}
}

// Flush passes on what was gathered.
func (p *publisher) Flush() {
	p.out.Flush()
	p.b.toXPUB.add(p.frames, p.bytes)
	p.frames, p.bytes = 0, 0
	if p.linked {
		for _, l := range *p.b.links.Load() {
			l.take.Flush()
		}
		p.linked = false
	}
}

// subscription carries a subscriber's wish to the publishers.
func (b *Broker) subscription(p *zmtp.Peer, e zmtp.Subscription) {
	if id, ok := topic.NodeIDOf(e.Topic); ok && e.Subscribe {
		b.peers.is(XPUB, p, id)
	}
	b.toXSUB.add(1, uint64(1+len(e.Topic)))
	times := 1
	if !e.Subscribe {
		times = e.Refs
	}
	b.wish(nil, e.Topic, e.Subscribe, times)
}

// wish counts a subscription of a link, or of a peer with nil, and tells
// publishers and the other links. A link's own count changes under the same lock,
// so that what the others want is always known.
func (b *Broker) wish(from *Link, topic string, subscribe bool, times int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if from != nil && !from.count(topic, subscribe, times) {
		return
	}
	if subscribe {
		b.counts[topic] += times
		b.xsub.Subscribe(topic)
	} else {
		b.counts[topic] -= times
		if b.counts[topic] <= 0 {
			delete(b.counts, topic)
		}
		b.xsub.Release(topic, times)
	}
	for _, l := range *b.links.Load() {
		if l == from {
			continue
		}
		if subscribe {
			l.take.Subscription(topic, true)
		} else if b.counts[topic]-l.own(topic) <= 0 {
			l.take.Subscription(topic, false)
		}
	}
}
