// Package cluster is what a node says to the others: typed events over any
// backend and codec, and who is there.
//
// It stands between the parts of a node that publish and handle events (policy,
// bus/state, the hub's doors) and a backend, which somebody else runs. It owns
// the numbers of events per topic, by which the receiver counts exactly what was
// lost, and the list of live nodes. It never keeps an event, and never decides
// what becomes of a node that is down.
package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/zeek/declare"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/topic"
	"github.com/picket-nsm/picket/zeek/value"
)

// Config says who this node is.
type Config struct {
	Name string
	ID   string // of this life: see NodeID
	Role layout.Role

	// RoleOf says what the layout knows of a node that does not announce itself, a
	// real Zeek's; nil: nothing.
	RoleOf func(name string) layout.Role
	// Pools are the names of the layout's nodes by role, this one among them, for
	// PublishRR and PublishHRW, and for Turns before all are up; nil: there are none.
	Pools map[layout.Role][]string

	// Announce is how often it says that it is there, more seldom with many nodes of its
	// role (Turns); default 1 s. Down is the silence after which a node is down, or three
	// times what that node said when it speaks again; default 3 s.
	Announce, Down time.Duration
}

// Deps is what a Cluster needs.
type Deps struct {
	Events backend.Events
	Codec  codec.Codec   // what this node publishes in
	Also   []codec.Codec // what it understands besides
	// Declared are the events whose parameters are known. Those that are in it are
	// checked against it, what we publish and what arrives: so receivers that insist on
	// types, as real Zeek does, take ours, and handlers need not look. nil: none are.
	Declared *declare.Set
	Books    Books // counters by topic that outlive the process; nil: none do
	// Status is the backend's: without a connection, silence proves nothing about the
	// others, and after a reconnect they may know nothing of us. nil: always connected.
	Status func() backend.Status
	// NodeUp and NodeDown are called on Run's goroutine, once for each change, in
	// the order they were seen. Either may be nil.
	NodeUp, NodeDown func(Node)
	// Stranger is called there once for each node that speaks a codec which we do not:
	// its events are dropped and counted. May be nil.
	Stranger func(id, codec string)
	// Wants is called there too, after NodeUp, with what a node has subscribed to, as
	// far as it says so, and again when that changes. May be nil.
	Wants func(n Node, prefixes []string)
}

// Node is a node of the cluster in one of its lives.
type Node struct {
	Name string
	ID   string
	Role layout.Role
}

// Event is an event as it arrives, with where from.
type Event struct {
	event.Event
	Topic  string
	Sender string // node id
}

// NodeID makes the id of a node's life. chance must be different each time.
func NodeID(backend, name, host string, pid int, chance string) string {
	return fmt.Sprintf("%s_%s_%s_%d_%s", backend, name, host, pid, chance)
}

// Subscriptions returns what a node subscribes to at its start, in Zeek's order
// (wire.md section 4.3, and as recorded): supervision, shared tables, its pool,
// its class, its id, its name.
func Subscriptions(name, id string, role layout.Role) []string {
	s := []string{topic.Supervisor, topic.Table}
	switch role {
	case layout.Logger:
		s = append(s, topic.LoggerPool, topic.Logger)
	case layout.Manager:
		s = append(s, topic.Manager)
	case layout.Proxy:
		s = append(s, topic.ProxyPool, topic.Proxy)
	case layout.Worker:
		s = append(s, topic.WorkerPool, topic.Worker)
	}
	return append(s, topic.NodeID(id), topic.Node(name))
}

// Cluster is a node's part of it. Methods may be called from any goroutine.
type Cluster struct {
	cfg     Config
	deps    Deps
	readers map[string]codec.Reader // by codec; of the backend's goroutine

	mu   sync.RWMutex
	subs map[string][]subscription // by topic prefix
	also map[string]int            // prefixes that somebody beside us wants, and how many times
	gen  atomic.Uint64             // changes with subs

	pub struct { // numbers and order of what is published
		sync.Mutex
		topics map[string]*outgoing
		last   *outgoing            // of the last event, which often is the next one's too
		heads  map[string]*outgoing // whose numbers the next announcements tell
		event  event.Event
		meta   []event.Meta
		buf    []byte
	}
	in struct { // of the backend's goroutine
		codec  string // of the last message, which often is the next one's too
		reader codec.Reader
		event  event.Event
	}
	handling sync.Mutex // one event at a time is handled
	rx       routes     // with handling
	local    chan Event // to ourselves
	pools    pools
	tallies  tallies
	gaps     gaps
	presence presence
	metrics  metrics
}

type subscription struct {
	name   string
	handle func(Event)
}

// outgoing is a topic that this node publishes to.
type outgoing struct {
	topic string
	seq   uint64 // number of the last event
	tally *tally
	tell  int // announcements that still have to tell seq; it is in heads until 0
}

// New returns the cluster as seen by a node that is not yet part of it: Run
// makes it so. It sets the handler of deps.Events.
func New(cfg Config, deps Deps) *Cluster {
	cfg.Announce = cmp.Or(cfg.Announce, time.Second)
	cfg.Down = cmp.Or(cfg.Down, 3*time.Second)
	c := &Cluster{cfg: cfg, deps: deps, readers: map[string]codec.Reader{}, subs: map[string][]subscription{}, also: map[string]int{}}
	for _, cc := range append([]codec.Codec{deps.Codec}, deps.Also...) {
		c.readers[cc.Name()] = codec.NewReader(cc)
	}
	c.pub.topics, c.pub.heads = map[string]*outgoing{}, map[string]*outgoing{}
	c.rx.init()
	c.local = make(chan Event, localQueue)
	c.pools.init(cfg.Name, cfg.Pools)
	c.tallies.books, c.tallies.by = deps.Books, map[string]*tally{}
	c.gaps.init(&c.tallies)
	c.presence.init()
	c.metrics.dropped = map[string]uint64{}
	deps.Events.Receive(c.receive)
	if d, ok := deps.Events.(backend.Discoverer); ok {
		d.Discover(c.discovered)
	}
	return c
}

// Subscribe calls handle with events of that name (empty: all) whose topic
// begins with prefix. One event at a time is handled; handle must not block;
// values are its own. It may publish. Several may subscribe to the same.
func (c *Cluster) Subscribe(prefix, name string, handle func(Event)) error {
	c.mu.Lock()
	fresh := c.subs[prefix] == nil
	c.subs[prefix] = append(slices.Clip(c.subs[prefix]), subscription{name, handle})
	c.gen.Add(1)
	c.mu.Unlock()
	if fresh {
		if err := c.deps.Events.Subscribe(prefix); err != nil {
			return fmt.Errorf("cluster: %w", err)
		}
		c.presence.changed()
	}
	return nil
}

// Unsubscribe ends all subscriptions to that prefix for events of that name.
func (c *Cluster) Unsubscribe(prefix, name string) error {
	c.mu.Lock()
	left := slices.DeleteFunc(slices.Clone(c.subs[prefix]), func(s subscription) bool { return s.name == name })
	last := len(left) == 0 && c.subs[prefix] != nil
	if last {
		delete(c.subs, prefix)
	} else if len(left) > 0 {
		c.subs[prefix] = left
	}
	c.gen.Add(1)
	c.mu.Unlock()
	if !last {
		return nil
	}
	c.gaps.unwanted(c.wants)
	if err := c.deps.Events.Unsubscribe(prefix); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	c.presence.changed()
	return nil
}

// Want announces a prefix to which somebody beside this node has subscribed at the
// bus, a door's client: bridges bring here only what some node says it wants. With on
// false it takes one Want back.
func (c *Cluster) Want(prefix string, on bool) {
	c.mu.Lock()
	was := c.also[prefix]
	if on {
		c.also[prefix]++
	} else if was > 1 {
		c.also[prefix]--
	} else {
		delete(c.also, prefix)
	}
	c.mu.Unlock()
	if on && was == 0 || !on && was == 1 {
		c.presence.changed()
	}
}

func (c *Cluster) wants(t string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for p := range c.subs {
		if strings.HasPrefix(t, p) {
			return true
		}
	}
	return false
}

// prefixes returns what the node says it wants, sorted.
func (c *Cluster) prefixes() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var all []string
	for p := range c.subs {
		all = append(all, p)
	}
	for p := range c.also {
		all = append(all, p)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Publish sends an event. nil means that it is on its way, not that anybody got
// it. It keeps nothing of e, whose metadata gets a number in place of one it had.
func (c *Cluster) Publish(t string, e event.Event) error {
	bad := c.declared(&e)
	c.pub.Lock()
	defer c.pub.Unlock()
	to := c.outgoing(t)
	p := &c.pub
	if bad != nil {
		to.tally.refused.add(1)
		c.metrics.drop(dropInvalid, 1)
		return fmt.Errorf("cluster: publish %s: %w", e.Name, bad)
	}
	// The event is numbered in memory of our own: nothing is made for it.
	p.meta = p.meta[:0]
	for i := range e.Meta {
		if e.Meta[i].ID != event.MetaSequence {
			p.meta = append(p.meta, e.Meta[i])
		}
	}
	p.meta = append(p.meta, event.Meta{ID: event.MetaSequence, Value: value.Count(to.seq + 1)})
	p.event = event.Event{Name: e.Name, Args: e.Args, Meta: p.meta}
	b, err := c.deps.Codec.Append(p.buf[:0], &p.event)
	p.event = event.Event{}
	clear(p.meta)
	if p.buf = b[:0]; cap(b) > keepBuffer {
		p.buf = nil
	}
	if err == nil {
		to.tally.produced.add(1) // first, in case that we die in between
		if err = c.deps.Events.Publish(t, c.deps.Codec.Name(), b); err != nil {
			to.tally.produced.takeBack()
		}
	}
	if err != nil {
		to.tally.refused.add(1)
		c.metrics.drop(reason(err), 1)
		return fmt.Errorf("cluster: publish %s: %w", e.Name, err)
	}
	to.seq++
	if to.tell == 0 && to.topic != PresenceTopic {
		p.heads[to.topic] = to
	}
	to.tell = headTold
	c.metrics.produced.Add(1)
	return nil
}

var errKey = fmt.Errorf("%w: a key of this type cannot be hashed", codec.ErrInvalid)

// declared checks an event against its declaration, if it has one.
func (c *Cluster) declared(e *event.Event) error {
	if c.deps.Declared.Event(e.Name) == nil {
		return nil
	}
	if err := c.deps.Declared.Fit(e); err != nil {
		return fmt.Errorf("%w: %w", codec.ErrInvalid, err)
	}
	return nil
}

// keepBuffer is the largest buffer that is used again.
const keepBuffer = 1 << 20

// outgoing finds a topic that is published to; pub is locked.
func (c *Cluster) outgoing(t string) *outgoing {
	p := &c.pub
	if p.last != nil && p.last.topic == t {
		return p.last
	}
	to := p.topics[t]
	if to == nil {
		if len(p.topics) >= maxTopics {
			// Receivers see the numbers begin anew, and lose no event by it.
			clear(p.topics)
			clear(p.heads)
			c.metrics.drop(dropForgotten, 0)
		}
		to = &outgoing{topic: strings.Clone(t), tally: c.tallies.of(t)}
		p.topics[to.topic] = to
	}
	p.last = to
	return to
}

// Reasons under which events are dropped here.
const (
	dropInvalid   = "invalid"       // ours could not be encoded
	dropFull      = "queue_full"    // the backend's queue was full
	dropLarge     = "too_large"     // above what the backend takes
	dropClosed    = "closed"        // the backend is closed or away
	dropCodec     = "unknown_codec" // arrived in a codec we do not speak
	dropCorrupt   = "corrupt"       // arrived, but is no event
	dropMismatch  = "mismatch"      // arrived, but does not fit its declaration
	dropForgotten = "numbers_forgotten"
)

func reason(err error) string {
	switch {
	case errors.Is(err, codec.ErrInvalid):
		return dropInvalid
	case errors.Is(err, backend.ErrFull):
		return dropFull
	case errors.Is(err, backend.ErrTooLarge):
		return dropLarge
	}
	return dropClosed
}

// receive takes a message off the backend.
func (c *Cluster) receive(m backend.Message) {
	in := &c.in
	if in.reader == nil || in.codec != m.Codec {
		r := c.readers[m.Codec]
		if r == nil {
			c.metrics.drop(dropCodec, 1)
			c.strange(m)
			return
		}
		in.codec, in.reader = strings.Clone(m.Codec), r
	}
	seq, numbered, err := in.reader.Read(&in.event, m.Payload)
	if err != nil {
		c.metrics.drop(dropCorrupt, 1)
		return
	}
	e := in.event
	if numbered {
		c.gaps.saw(m.Sender, m.Topic, seq)
	}
	c.metrics.delivered.Add(1)
	if m.Topic == PresenceTopic || e.Name == EventHere {
		c.heard(m, e)
	}
	if c.declared(&e) != nil {
		c.metrics.drop(dropMismatch, 1)
		return
	}
	c.handling.Lock()
	defer c.handling.Unlock()
	c.handle(c.rx.route(c, m.Topic), Event{Event: e, Topic: m.Topic, Sender: m.Sender})
}

// handle gives an event to those who want it; handling is locked.
func (c *Cluster) handle(r *route, e Event) {
	for i := range r.handlers {
		if s := &r.handlers[i]; s.name == "" || s.name == e.Name {
			s.handle(e)
		}
	}
}

// routes remembers who wants a topic, until subscriptions change.
type routes struct {
	gen     uint64
	byTopic map[string]*route
	last    *route
}

type route struct {
	topic    string
	handlers []subscription
}

// cacheSize bounds the memory for topics seen; a full cache starts anew.
const cacheSize = 4096

func (r *routes) init() { r.byTopic = map[string]*route{} }

func (r *routes) route(c *Cluster, t string) *route {
	if g := c.gen.Load(); g != r.gen || len(r.byTopic) > cacheSize {
		r.gen, r.last = g, nil
		clear(r.byTopic)
	}
	if r.last != nil && r.last.topic == t {
		return r.last
	}
	to := r.byTopic[t]
	if to == nil {
		to = &route{topic: strings.Clone(t)}
		c.mu.RLock()
		for p, subs := range c.subs {
			if !strings.HasPrefix(t, p) {
				continue
			}
			for _, s := range subs {
				if s.handle != nil {
					to.handlers = append(to.handlers, s)
				}
			}
		}
		c.mu.RUnlock()
		r.byTopic[to.topic] = to
	}
	r.last = to
	return to
}

// ErrRefused says that the cluster speaks another codec than this node.
var ErrRefused = errors.New("refused by the cluster")

// Run makes the node part of the cluster until ctx ends, then says goodbye. It
// does not run the backend, which must run longer. A node with a role ends by
// itself, with ErrRefused, if all that it hears at its start is another codec.
func (c *Cluster) Run(ctx context.Context) error {
	for _, s := range append(Subscriptions(c.cfg.Name, c.cfg.ID, c.cfg.Role), PresenceTopic) {
		if err := c.Subscribe(s, "", nil); err != nil {
			return err
		}
	}
	in, stop := context.WithCancel(ctx)
	defer stop()
	var own sync.WaitGroup
	own.Go(func() {
		for {
			select {
			case e := <-c.local:
				c.handleLocal(e)
			case <-in.Done():
				for len(c.local) > 0 {
					c.handleLocal(<-c.local)
				}
				return
			}
		}
	})
	err := c.present(ctx)
	stop()
	own.Wait()
	return err
}
