package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/topic"
	"github.com/picket-nsm/picket/zeek/value"
)

// Presence (architecture, decision 8). Events on the topic picket.presence:
//
//	Picket::here(name, id, role, subscriptions, heads, next)    again and again;
//	    heads is topic, number, topic, number ... of what was published lately
//	    (headTold), next the time until the next one at the latest
//	Picket::goodbye(name, id)    in the end, or by the hub when a connection ended
//
// What changes is told at once: a newcomer, an end, subscriptions. What is said only
// to be heard is said the more seldom, the more nodes of one's role there are (Turns),
// so that nobody hears more of it in a larger cluster (adr/0098).
const (
	PresenceTopic = "picket.presence"
	EventHere     = "Picket::here"
	EventGoodbye  = "Picket::goodbye"
)

// Here is the announcement of a node that cannot make it itself: a bridge makes it
// for a real Zeek. Its sender must be the node's id. The next one comes within next.
func Here(n Node, subscriptions []string, next time.Duration) event.Event {
	return here(n, subscriptions, nil, next)
}

func here(n Node, subscriptions []string, heads []value.Value, next time.Duration) event.Event {
	var subs []value.Value
	for _, s := range subscriptions {
		subs = append(subs, value.String(s))
	}
	return event.New(EventHere, value.String(n.Name), value.String(n.ID), value.String(n.Role.String()), value.Vector(subs), value.Vector(heads), value.Interval(next.Seconds()))
}

// Goodbye is the opposite of Here.
func Goodbye(n Node) event.Event {
	return event.New(EventGoodbye, value.String(n.Name), value.String(n.ID))
}

// Bounds on what others make us keep.
const (
	maxNodes = 4096
	maxHeads = 256 // in one announcement; the others follow with the next ones
)

// headTold is how many announcements tell the last number of a topic: whoever
// loses the end of a burst may well lose the announcements behind it, too.
const headTold = 16

// changeDelay is how long after a change of our subscriptions the others hear of it.
const changeDelay = 20 * time.Millisecond

type presence struct {
	mu    sync.Mutex
	turn  int              // of ours so far, by which the silence of others is measured
	spare int              // answers to newcomers that are left in this turn
	nodes map[string]*peer // by name
	told  map[string]told  // by name: what the callbacks know
	wake  chan struct{}
	dirty chan struct{} // our subscriptions changed: announce soon
	// A node that said goodbye may have an announcement still on its way.
	left map[string]int // by id: the turn

	again      bool   // somebody may believe that we are gone: announce in the next turn
	reconnects uint64 // of the backend, so far

	strange map[string]string // codecs of nodes that speak another one, by id
	fresh   []Node            // of these, those that nobody was told of: id, and the codec as name
	met     bool              // a node that speaks ours was there
}

type peer struct {
	Node
	subscriptions []string
	seen          int           // turn of ours in which it was heard last
	quiet         time.Duration // silence after which it is down
	bus           bool          // the bus says that it is there
	spoke         bool          // it announces itself, so its silence means something
}

type told struct {
	Node
	subscriptions []string
}

func (p *presence) init() {
	p.nodes, p.told, p.left = map[string]*peer{}, map[string]told{}, map[string]int{}
	p.strange, p.spare = map[string]string{}, heardPerTurn
	p.wake, p.dirty = make(chan struct{}, 1), make(chan struct{}, 1)
}

// changed says that our own subscriptions did.
func (p *presence) changed() {
	select {
	case p.dirty <- struct{}{}:
	default:
	}
}

func (p *presence) stir() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// maxStrange bounds how many nodes with another codec are told apart.
const maxStrange = 64

// strange notes who speaks another codec, if it means to be a node: it says that
// it is there, or something to us alone.
func (c *Cluster) strange(m backend.Message) {
	if m.Topic != PresenceTopic && m.Topic != topic.NodeID(c.cfg.ID) {
		return
	}
	p := &c.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.strange[m.Sender]; known || len(p.strange) >= maxStrange {
		return
	}
	p.strange[m.Sender] = m.Codec
	p.fresh = append(p.fresh, Node{ID: m.Sender, Name: m.Codec})
	p.stir()
}

// refused is the error of a node that is among others, none of which it understands.
func (c *Cluster) refused() error {
	p := &c.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.cfg.Role == layout.None || p.met || len(p.nodes) > 0 || len(p.strange) == 0 {
		return nil // the hub and tools are nobody's node
	}
	var ids []string
	for id := range p.strange {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	who := ids[0]
	if len(ids) > 1 {
		who = fmt.Sprintf("%s and %d others", who, len(ids)-1)
	}
	return fmt.Errorf("%w: this node speaks %s, the cluster %.40q (%s): give all nodes the same codec", ErrRefused, c.deps.Codec.Name(), p.strange[ids[0]], who)
}

// heard takes an event about presence.
func (c *Cluster) heard(m backend.Message, e event.Event) {
	str := func(i int) string {
		if i < len(e.Args) && e.Args[i].Kind() == value.KindString {
			return e.Args[i].Str()
		}
		return ""
	}
	name, id := str(0), str(1)
	p := &c.presence
	switch {
	case name == "" || id == "":
	case id == c.cfg.ID:
		if e.Name == EventGoodbye { // our connection ended, and is back
			p.mu.Lock()
			p.again = true
			p.mu.Unlock()
		}
	case e.Name == EventGoodbye:
		p.mu.Lock()
		if n := p.nodes[name]; n != nil && n.ID == id {
			delete(p.nodes, name)
		}
		if m.Sender == id { // else its connection ended, but it may come back
			if len(p.left) >= maxNodes {
				clear(p.left)
			}
			p.left[id] = p.turn
		}
		p.mu.Unlock()
		p.stir()
	case e.Name == EventHere && m.Sender == id && len(e.Args) == 6:
		role, _ := layout.ParseRole(str(2))
		var subs []string
		for _, s := range e.Args[3].Elems() {
			subs = append(subs, s.Str())
		}
		heads := e.Args[4].Elems()
		for i := 0; i+1 < len(heads); i += 2 {
			if t := heads[i].Str(); c.wants(t) {
				c.gaps.head(id, t, heads[i+1].Count())
			}
		}
		p.mu.Lock()
		_, gone := p.left[id]
		n := p.nodes[name]
		fresh := !gone && (n == nil || n.ID != id || !n.spoke)
		if fresh && (n == nil || n.ID != id) && (n != nil || len(p.nodes) < maxNodes) {
			n = &peer{Node: Node{Name: name, ID: id, Role: role}}
			p.nodes[name] = n
		}
		if n != nil && n.ID == id && !gone {
			if c.deps.Wants != nil && !slices.Equal(n.subscriptions, subs) {
				p.stir()
			}
			n.seen, n.subscriptions, n.spoke, n.Role = p.turn, subs, true, role
			n.quiet = patience(c.cfg.Down, c.promised(e.Args[5]))
		}
		// It does not know us either: do not let it wait for our turn. Of a crowd of
		// newcomers the rest has to, so that N of them do not make N² answers at once.
		answers := fresh && m.Topic == PresenceTopic && p.spare > 0
		if answers {
			p.spare--
		}
		p.mu.Unlock()
		if fresh {
			p.stir()
			if answers {
				answer, _ := c.here(nil)
				_ = c.Publish(topic.NodeID(id), answer) // counted; the next announcement comes anyway
			}
		}
	}
}

// discovered takes what the bus itself says of a node.
func (c *Cluster) discovered(b backend.Peer, up bool) {
	if b.ID == c.cfg.ID || b.Name == "" {
		return
	}
	p := &c.presence
	p.mu.Lock()
	n := p.nodes[b.Name]
	switch {
	case !up:
		if n != nil && n.ID == b.ID {
			delete(p.nodes, b.Name)
		}
	case n != nil && n.ID == b.ID:
		n.bus = true
	case n != nil || len(p.nodes) < maxNodes:
		role := layout.None
		if c.cfg.RoleOf != nil {
			role = c.cfg.RoleOf(b.Name)
		}
		p.nodes[b.Name] = &peer{Node: Node{Name: b.Name, ID: b.ID, Role: role}, seen: p.turn, bus: true}
	}
	p.mu.Unlock()
	p.stir()
}

// promised reads until when a node says that it speaks again: within bounds.
func (c *Cluster) promised(v value.Value) time.Duration {
	longest := maxTurns * c.cfg.Announce
	if v.Kind() != value.KindInterval || !(v.Float() >= 0) {
		return 0
	}
	return time.Duration(min(v.Float(), longest.Seconds()) * float64(time.Second))
}

// Turns is after how many turns a node of a role announces itself, of which there
// are so many more than those that are known to announce themselves, and at least as
// many as the layout names: they are about to come.
func (c *Cluster) Turns(role layout.Role, more int) int {
	c.presence.mu.Lock()
	defer c.presence.mu.Unlock()
	for _, n := range c.presence.nodes {
		if n.Role == role && n.spoke {
			more++
		}
	}
	return Turns(max(more, len(c.cfg.Pools[role])))
}

// here makes this node's announcement, and promises the next one.
func (c *Cluster) here(heads []value.Value) (e event.Event, turns int) {
	turns = c.Turns(c.cfg.Role, 1)
	self := Node{c.cfg.Name, c.cfg.ID, c.cfg.Role}
	return here(self, c.prefixes(), heads, time.Duration(turns)*c.cfg.Announce), turns
}

// announce tells all; it returns the turns until the next time at the latest.
func (c *Cluster) announce() int {
	c.pub.Lock()
	var heads []value.Value
	var told []*outgoing
	for t, n := range c.pub.heads {
		if len(told) == maxHeads {
			break
		}
		heads = append(heads, value.String(t), value.Count(n.seq))
		told = append(told, n)
	}
	c.pub.Unlock()
	e, turns := c.here(heads)
	if c.Publish(PresenceTopic, e) != nil { // counted
		return turns
	}
	c.pub.Lock()
	for _, n := range told {
		if n.tell--; n.tell == 0 && c.pub.heads[n.topic] == n {
			delete(c.pub.heads, n.topic)
		}
	}
	c.pub.Unlock()
	return turns
}

// Gone tells all nodes that this one's connection has ended, instead of letting
// them wait for its silence. The hub calls it.
func (c *Cluster) Gone(id string) {
	c.presence.mu.Lock()
	var name string
	for _, n := range c.presence.nodes {
		if n.ID == id {
			name = n.Name
		}
	}
	c.presence.mu.Unlock()
	if name == "" {
		return
	}
	goodbye := event.New(EventGoodbye, value.String(name), value.String(id))
	_ = c.Publish(PresenceTopic, goodbye) // counted; silence tells as well
	c.heard(backend.Message{}, goodbye)   // our own messages do not come back
}

// present announces, watches for silence and tells changes until ctx ends.
func (c *Cluster) present(ctx context.Context) error {
	var pace Pace
	pace.Said(c.announce())
	tick := time.NewTicker(c.cfg.Announce)
	defer tick.Stop()
	var soon <-chan time.Time
	alone := time.After(c.cfg.Down)
	for {
		select {
		case <-ctx.Done():
			c.announce() // the last numbers
			_ = c.Publish(PresenceTopic, event.New(EventGoodbye, value.String(c.cfg.Name), value.String(c.cfg.ID)))
			return nil
		case <-c.presence.wake:
		case <-c.presence.dirty:
			if soon == nil { // several subscriptions in a row are one announcement
				soon = time.After(changeDelay)
			}
			continue
		case <-soon:
			soon = nil
			pace.Said(c.announce())
		case <-alone:
			if err := c.refused(); err != nil {
				return err
			}
		case <-tick.C:
			if c.missing() {
				pace.Said(0)
			}
			if pace.Due(c.cfg.ID, c.Turns(c.cfg.Role, 1)) {
				pace.Said(c.announce())
			}
			c.silence()
			tick.Reset(c.cfg.Announce) // turns missed without a processor are no turns
		}
		c.tell()
	}
}

// missing says whether somebody may have missed our last word, or believe that we
// are gone: once after each goodbye in our name, and after each reconnect.
func (c *Cluster) missing() bool {
	var n uint64
	if c.deps.Status != nil {
		n = c.deps.Status().Reconnects
	}
	p := &c.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	again := p.again || n != p.reconnects
	p.again, p.reconnects = false, n
	return again
}

// silence begins a turn and takes nodes off that were not heard of. Silence is as many
// turns as we had ourselves: while we were asleep, starved or cut off we did not listen,
// and what was said then may be still to be read.
func (c *Cluster) silence() {
	p := &c.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn++
	p.spare = heardPerTurn
	since := func(turn int) time.Duration { return time.Duration(p.turn-turn) * c.cfg.Announce }
	deaf := c.deps.Status != nil && !c.deps.Status().Connected
	for name, n := range p.nodes {
		switch {
		case deaf:
			n.seen = p.turn
		case n.bus && !n.spoke:
		case since(n.seen) > max(n.quiet, c.cfg.Down):
			delete(p.nodes, name)
		}
	}
	for id, at := range p.left {
		if since(at) > 10*c.cfg.Down {
			delete(p.left, id)
		}
	}
}

// tell brings what the callbacks know up to date.
func (c *Cluster) tell() {
	p := &c.presence
	var down, up []Node
	var want []told
	p.mu.Lock()
	strangers := p.fresh
	p.fresh = nil
	p.met = p.met || len(p.nodes) > 0
	for name, old := range p.told {
		if n := p.nodes[name]; n == nil || n.ID != old.ID {
			down = append(down, old.Node)
			delete(p.told, name)
		}
	}
	for name, n := range p.nodes {
		was, known := p.told[name]
		if !known {
			up = append(up, n.Node)
		}
		if !known || !slices.Equal(was.subscriptions, n.subscriptions) {
			p.told[name] = told{n.Node, n.subscriptions}
			want = append(want, p.told[name])
		}
	}
	p.mu.Unlock()
	byName := func(a, b Node) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(down, byName)
	slices.SortFunc(up, byName)
	for _, n := range down {
		c.gaps.down(n.ID)
		c.pools.set(n, false)
		if c.deps.NodeDown != nil {
			c.deps.NodeDown(n)
		}
	}
	for _, n := range up {
		c.pools.set(n, true)
		if c.deps.NodeUp != nil {
			c.deps.NodeUp(n)
		}
	}
	for _, n := range strangers {
		if c.deps.Stranger != nil {
			c.deps.Stranger(n.ID, n.Name)
		}
	}
	slices.SortFunc(want, func(a, b told) int { return strings.Compare(a.Name, b.Name) })
	for _, w := range want {
		if c.deps.Wants != nil {
			c.deps.Wants(w.Node, w.subscriptions)
		}
	}
}

// Live returns the other nodes of a role that are up, by name. layout.None: all.
func (c *Cluster) Live(role layout.Role) []Node {
	c.presence.mu.Lock()
	defer c.presence.mu.Unlock()
	var all []Node
	for _, n := range c.presence.nodes {
		if role == layout.None || n.Role == role {
			all = append(all, n.Node)
		}
	}
	slices.SortFunc(all, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return all
}
