// Package hello is the exchange by which the nodes of a ZeroMQ cluster find each
// other (wire.md section 1.6): who has subscribed to its own node id topic, who
// has said ZeroMQ::hello, and who Cluster::hello.
//
// It stands between the sockets of a node, or of the bridge, which tell it what
// they see, and whoever wants to know which nodes are up. It owns what is known of
// every other node. It is a pure machine: no clock, no goroutine, no socket; what
// is to be done comes back as steps, in order.
//
// It does what Zeek does, and differs where Zeek would forget a peer for good: when
// our own connections to the broker were lost (Lost) all are greeted anew, and
// one that does not come back is down after the grace.
package hello

import (
	"slices"
	"strings"
	"time"

	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/topic"
	"github.com/picket-nsm/picket/zeek/value"
)

// Names of the two events.
const (
	EventZeroMQ  = "Cluster::Backend::ZeroMQ::hello"
	EventCluster = "Cluster::hello"
)

// Expiration is how long one half of the exchange is remembered without the
// other: Zeek's hello_expiration.
const Expiration = 10 * time.Second

// maxPeers bounds what others make us keep.
const maxPeers = 4096

// Kind is what is to be done.
type Kind uint8

// The kinds of step.
const (
	SayZeroMQ  Kind = iota // publish ZeroMQ::hello with our name and id to ID's topic
	SayCluster             // publish Cluster::hello there
	Up                     // the node is up: tell
	Down                   // the node is down: tell
	Warn                   // Text is worth a line in the log
)

// Step is one thing to be done.
type Step struct {
	Kind     Kind
	Name, ID string // of the other node; Name is empty for the first two and some warnings
	Text     string
}

// Peer is a node that is up.
type Peer struct{ Name, ID string }

// Machine is what one node knows of the others. It is for one goroutine.
type Machine struct {
	self   Peer
	known  func(name string) bool
	expire time.Duration

	seen   map[string]bool      // ids whose subscription is in effect
	subs   map[string]time.Time // ... and whose ZeroMQ::hello is waited for
	hellos map[string]time.Time // the other way round
	up     map[string]string    // name: id
	stale  map[string]lost      // ids of nodes in up that have not shown up since Lost
}

// lost is what is to be made good with a node after a connection was lost.
type lost struct {
	at    time.Time
	greet bool // it saw us leave: greet it anew
}

// New returns a machine for the node of that name and id. known says whether a
// name is in the layout; expire 0: Expiration.
func New(name, id string, known func(name string) bool, expire time.Duration) *Machine {
	if expire == 0 {
		expire = Expiration
	}
	return &Machine{
		self: Peer{name, id}, known: known, expire: expire,
		seen: map[string]bool{}, subs: map[string]time.Time{}, hellos: map[string]time.Time{},
		up: map[string]string{}, stale: map[string]lost{},
	}
}

// Event makes the event that a SayZeroMQ or SayCluster step asks for.
func (m *Machine) Event(k Kind) event.Event {
	name := EventZeroMQ
	if k == SayCluster {
		name = EventCluster
	}
	return event.New(name, value.String(m.self.Name), value.String(m.self.ID))
}

// Parse reads one of the two events.
func Parse(e event.Event) (k Kind, from Peer, ok bool) {
	switch e.Name {
	case EventZeroMQ:
		k = SayZeroMQ
	case EventCluster:
		k = SayCluster
	default:
		return 0, from, false
	}
	if len(e.Args) != 2 || e.Args[0].Kind() != value.KindString || e.Args[1].Kind() != value.KindString {
		return 0, from, false
	}
	from = Peer{e.Args[0].Str(), e.Args[1].Str()}
	return k, from, from.ID != ""
}

// Subscribed takes a subscription that some node made. Repeated ones and those to
// other topics than node ids mean nothing.
func (m *Machine) Subscribed(now time.Time, t string) []Step {
	id, ok := topic.NodeIDOf(t)
	if !ok || id == m.self.ID || m.seen[id] || len(m.seen) >= maxPeers {
		return nil
	}
	m.seen[id] = true
	if l, ok := m.stale[id]; ok && !l.greet {
		delete(m.stale, id)
		return nil // up, and it has not seen us leave: only the report is repeated
	}
	steps := []Step{{Kind: SayZeroMQ, ID: id}}
	if _, said := m.hellos[id]; said {
		delete(m.hellos, id)
		return append(steps, Step{Kind: SayCluster, ID: id})
	}
	m.subs[id] = now
	return steps
}

// Unsubscribed takes the end of a subscription: the node has left.
func (m *Machine) Unsubscribed(_ time.Time, t string) []Step {
	id, ok := topic.NodeIDOf(t)
	if !ok || id == m.self.ID {
		return nil
	}
	delete(m.seen, id)
	delete(m.subs, id)
	delete(m.hellos, id)
	name := m.nameOf(id)
	if name == "" {
		return []Step{{Kind: Warn, ID: id, Text: "unsubscription of a node that was not up"}}
	}
	return m.down(name)
}

// Said takes a ZeroMQ::hello.
func (m *Machine) Said(now time.Time, from Peer) []Step {
	if from.ID == m.self.ID {
		return nil
	}
	var steps []Step
	old, up := m.up[from.Name]
	switch {
	case up && old == from.ID && !m.stale[from.ID].greet:
		return []Step{{Kind: Warn, Name: from.Name, ID: from.ID, Text: "ZeroMQ::hello twice"}}
	case up && old != from.ID:
		steps = append(steps, Step{Kind: Warn, Name: from.Name, ID: from.ID, Text: "never said goodbye as " + old})
		steps = append(steps, m.down(from.Name)...)
	}
	if _, ok := m.subs[from.ID]; ok {
		delete(m.subs, from.ID)
		return append(steps, Step{Kind: SayCluster, ID: from.ID})
	}
	if up && old == from.ID && m.seen[from.ID] {
		// It has seen us come back, and we have never lost sight of it.
		return append(steps, Step{Kind: SayZeroMQ, ID: from.ID}, Step{Kind: SayCluster, ID: from.ID})
	}
	if len(m.hellos) < maxPeers {
		m.hellos[from.ID] = now
	}
	return steps
}

// Hello takes a Cluster::hello: the node considers us complete, and is up.
func (m *Machine) Hello(_ time.Time, from Peer) []Step {
	if from.ID == m.self.ID {
		return nil
	}
	if !m.known(from.Name) {
		return []Step{{Kind: Warn, Name: from.Name, ID: from.ID, Text: "Cluster::hello of a node that is not in the layout"}}
	}
	var steps []Step
	old, up := m.up[from.Name]
	delete(m.stale, from.ID)
	if up && old == from.ID {
		return nil
	}
	if up {
		steps = append(steps, Step{Kind: Warn, Name: from.Name, ID: from.ID, Text: "Cluster::hello of a second node of that name, beside " + old})
		steps = append(steps, m.down(from.Name)...)
	}
	m.up[from.Name] = from.ID
	return append(steps, Step{Kind: Up, Name: from.Name, ID: from.ID})
}

// Tick lets what is half done expire, and nodes that did not come back. Call it
// each second or so.
func (m *Machine) Tick(now time.Time) []Step {
	var steps []Step
	for _, half := range []struct {
		of   map[string]time.Time
		text string
	}{{m.subs, "subscription without a ZeroMQ::hello has expired"}, {m.hellos, "ZeroMQ::hello without a subscription has expired"}} {
		for id, at := range half.of {
			if now.Sub(at) >= m.expire {
				delete(half.of, id)
				steps = append(steps, Step{Kind: Warn, ID: id, Text: half.text})
			}
		}
	}
	for id, l := range m.stale {
		if now.Sub(l.at) < m.expire {
			continue
		}
		delete(m.stale, id)
		if name := m.nameOf(id); name != "" && !m.seen[id] {
			steps = append(steps, m.down(name)...)
		}
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return strings.Compare(a.ID, b.ID) })
	return steps
}

// Lost says that one of our connections to the broker has ended: the one by which
// we receive, so that all others see us leave, or the one by which we publish and
// see what the others subscribe to. Nodes that are up stay so for the grace, and
// are down after it if they do not show up again.
func (m *Machine) Lost(now time.Time, receiving bool) {
	if receiving {
		clear(m.hellos)
	} else {
		clear(m.seen)
		clear(m.subs)
	}
	for _, id := range m.up {
		m.stale[id] = lost{now, receiving || m.stale[id].greet}
	}
}

// Wait has the grace begin now: there is no connection yet by which anybody
// could show up.
func (m *Machine) Wait(now time.Time) {
	for id, l := range m.stale {
		l.at = now
		m.stale[id] = l
	}
}

// Peers returns the nodes that are up, by name.
func (m *Machine) Peers() []Peer {
	var all []Peer
	for name, id := range m.up {
		all = append(all, Peer{name, id})
	}
	slices.SortFunc(all, func(a, b Peer) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (m *Machine) nameOf(id string) string {
	for name, i := range m.up {
		if i == id {
			return name
		}
	}
	return ""
}

func (m *Machine) down(name string) []Step {
	id := m.up[name]
	delete(m.up, name)
	delete(m.stale, id)
	return []Step{{Kind: Down, Name: name, ID: id}}
}
