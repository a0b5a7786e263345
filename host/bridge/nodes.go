package bridge

import (
	"slices"
	"time"

	"github.com/picket-nsm/picket/bus/backend/zeromq/hello"
	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/topic"
)

// What follows is called by the loop only.

// zeekWants takes a subscription of a Zeek process, or the end of the last one.
func (b *Bridge) zeekWants(t string, subscribe bool) {
	if _, ok := topic.NodeIDOf(t); ok {
		b.meets(b.self, b.cfg.ID, t, subscribe)
		for _, id := range b.personas() {
			if p := b.remote[id]; p.machine != nil {
				b.meets(p.machine, id, t, subscribe)
			}
		}
	}
	var err error
	switch {
	case subscribe && !b.seen[t]:
		b.seen[t] = true
		err = b.members.Subscribe(t, "", nil)
	case !subscribe && b.seen[t]:
		delete(b.seen, t)
		err = b.members.Unsubscribe(t, "")
	}
	if err != nil {
		b.deps.Log.Error("subscribe for a Zeek process", "topic", t, "err", err)
	}
}

func (b *Bridge) meets(m *hello.Machine, id, t string, subscribe bool) {
	now := b.deps.Now()
	if subscribe {
		b.step(m, id, m.Subscribed(now, t))
	} else {
		b.step(m, id, m.Unsubscribed(now, t))
	}
}

// heard takes a hello that a Zeek process said to one of the node ids for which we
// greet.
func (b *Bridge) heard(to string, kind hello.Kind, from hello.Peer) {
	m := b.self
	if to != b.cfg.ID {
		p := b.remote[to]
		if p == nil || p.machine == nil {
			return // it has left meanwhile
		}
		m = p.machine
	}
	if kind == hello.SayZeroMQ {
		b.step(m, to, m.Said(b.deps.Now(), from))
	} else {
		b.step(m, to, m.Hello(b.deps.Now(), from))
	}
}

// step carries out what a machine wants. Our own greets, so that Zeek processes say
// who they are, but never says Cluster::hello: it is no node.
func (b *Bridge) step(m *hello.Machine, as string, steps []hello.Step) {
	self := m == b.self
	for _, s := range steps {
		switch {
		case s.Kind == hello.SayZeroMQ, s.Kind == hello.SayCluster && !self:
			e := m.Event(s.Kind)
			payload, err := b.deps.Codec.Append(nil, &e)
			if err == nil {
				err = b.link.Publish([]byte(topic.NodeID(s.ID)), []byte(as), []byte(b.deps.Codec.Name()), payload)
			}
			if err != nil {
				b.deps.Log.Error("greet a Zeek process", "id", s.ID, "err", err)
			}
		case s.Kind == hello.Up && self:
			n := cluster.Node{Name: s.Name, ID: s.ID, Role: b.role(s.Name)}
			b.deps.Log.Info("Zeek process is up", "name", s.Name, "id", s.ID)
			b.zeeks[s.ID] = &zeek{Node: n}
			b.announceHere(b.zeeks[s.ID])
		case s.Kind == hello.Down && self:
			if n := b.zeeks[s.ID]; n != nil {
				b.deps.Log.Info("Zeek process is gone", "name", s.Name, "id", s.ID)
				delete(b.zeeks, s.ID)
				b.announce(n.Node, cluster.Goodbye(n.Node))
			}
		case s.Kind == hello.Warn && self:
			b.deps.Log.Warn(s.Text, "name", s.Name, "id", s.ID)
		}
	}
	b.deps.Ledger.Counter(Zeeks).Set(uint64(len(b.zeeks)))
}

func (b *Bridge) role(name string) layout.Role {
	n, _ := b.cfg.Layout.Node(name)
	return n.Role
}

// announceHere tells the bus that a Zeek process is there. What it subscribed to is
// known as the bridge's own subscriptions, but for its own topics.
func (b *Bridge) announceHere(n *zeek) {
	turns := b.turns(n.Role)
	b.announce(n.Node, cluster.Here(n.Node, []string{topic.NodeID(n.ID), topic.Node(n.Name)}, time.Duration(turns)*b.cfg.Announce))
	n.pace.Said(turns)
}

// turns is after how many a Zeek process of a role is announced again, as if it were
// a node of the bus.
func (b *Bridge) turns(role layout.Role) int {
	ours := 0
	for _, n := range b.zeeks {
		if n.Role == role {
			ours++
		}
	}
	return b.members.Turns(role, ours)
}

func (b *Bridge) announce(n cluster.Node, e event.Event) {
	payload, err := b.deps.Codec.Append(nil, &e)
	if err == nil {
		err = b.relay.PublishFor(n.ID, cluster.PresenceTopic, b.deps.Codec.Name(), payload)
	}
	if err != nil {
		b.dropped.Add(1)
	}
}

// passTime announces who is there, and lets halves of greetings expire.
func (b *Bridge) passTime() {
	for _, n := range b.sorted() {
		if n.pace.Due(n.ID, b.turns(n.Role)) {
			b.announceHere(n)
		}
	}
	now := b.deps.Now()
	b.step(b.self, b.cfg.ID, b.self.Tick(now))
	for _, id := range b.personas() {
		if p := b.remote[id]; p.machine != nil {
			b.step(p.machine, id, p.machine.Tick(now))
		}
	}
}

// personas are the ids of the nodes of the bus, sorted.
func (b *Bridge) personas() []string {
	var ids []string
	for id := range b.remote {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// wants takes what a node of the bus has subscribed to. To Zeek, a node of the
// layout begins with the first.
func (b *Bridge) wants(n cluster.Node, prefixes []string) {
	p := b.remote[n.ID]
	fresh := p == nil
	if fresh {
		p = &persona{node: n}
		b.remote[n.ID] = p
		if b.known(n.Name) {
			p.machine = hello.New(n.Name, n.ID, b.known, 0)
			// Before Zeek sees its topic, else the answer is taken for an event.
			b.retopic()
		}
	}
	now := b.visible(p, prefixes)
	for _, t := range now {
		if !slices.Contains(p.prefixes, t) {
			if b.wanted[t]++; b.wanted[t] == 1 {
				b.link.Subscribe(t)
			}
		}
	}
	b.unwant(p, now)
	p.prefixes = now
	if !fresh || p.machine == nil {
		return
	}
	// Zeek processes that are there already do not subscribe again.
	var ids []string
	for t := range b.seen {
		if _, ok := topic.NodeIDOf(t); ok {
			ids = append(ids, t)
		}
	}
	slices.Sort(ids)
	for _, t := range ids {
		b.step(p.machine, n.ID, p.machine.Subscribed(b.deps.Now(), t))
	}
}

// visible are the prefixes that Zeek shall see: not what is between nodes of ours,
// and of node ids only its own, as Zeek would greet whoever else subscribed.
func (b *Bridge) visible(p *persona, prefixes []string) []string {
	var out []string
	own := topic.NodeID(p.node.ID)
	add := func(t string) {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	for _, t := range prefixes {
		_, isID := topic.NodeIDOf(t)
		if t != cluster.PresenceTopic && !isID {
			add(t)
		}
	}
	if p.machine != nil {
		add(own)
	}
	return out
}

// unwant takes back the prefixes of a node that are not among those it keeps.
func (b *Bridge) unwant(p *persona, keep []string) {
	for _, t := range p.prefixes {
		if slices.Contains(keep, t) {
			continue
		}
		if b.wanted[t]--; b.wanted[t] == 0 {
			delete(b.wanted, t)
			b.link.Unsubscribe(t)
		}
	}
}

// left takes a node of the bus away from Zeek.
func (b *Bridge) left(n cluster.Node) {
	p := b.remote[n.ID]
	if p == nil {
		return
	}
	delete(b.remote, n.ID)
	b.retopic()
	// In the order in which Zeek sees a node leave: its own topics first.
	slices.Sort(p.prefixes)
	b.unwant(p, nil)
}

// retopic renews what greeting looks at.
func (b *Bridge) retopic() {
	all := map[string]bool{b.cfg.ID: true}
	for id, p := range b.remote {
		if p.machine != nil {
			all[id] = true
		}
	}
	b.topics.Store(&all)
}
