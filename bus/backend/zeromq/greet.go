package zeromq

import (
	"fmt"
	"slices"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/zeromq/hello"
	"github.com/picket-nsm/picket/zeek/topic"
)

// maxEarly bounds what is remembered before we greet anybody.
const maxEarly = 4096

// Discover sets what is told of nodes that the exchange of hellos shows to be up,
// and to have left.
func (c *Conn) Discover(tell func(p backend.Peer, up bool)) {
	c.greet.Lock()
	defer c.greet.Unlock()
	c.greet.tell = tell
}

// begin takes part in the exchange once we have subscribed to our own topic: who
// is greeted answers there. Nodes that were seen before are greeted now.
func (c *Conn) begin(on bool) {
	g := &c.greet
	g.Lock()
	defer g.Unlock()
	if g.machine == nil || g.on == on {
		return
	}
	g.on = on
	var ids []string
	for id := range g.early {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		c.do(g.machine.Subscribed(c.deps.Now(), id))
	}
	clear(g.early)
}

// saw takes another node's subscription, or its end.
func (c *Conn) saw(t string, subscribe bool) {
	if _, ok := topic.NodeIDOf(t); !ok {
		return
	}
	g := &c.greet
	g.Lock()
	defer g.Unlock()
	switch {
	case g.machine == nil:
	case g.on && subscribe:
		c.do(g.machine.Subscribed(c.deps.Now(), t))
	case g.on:
		c.do(g.machine.Unsubscribed(c.deps.Now(), t))
	case subscribe && len(g.early) < maxEarly:
		g.early[t] = true
	default:
		delete(g.early, t)
	}
}

// greeted takes a message to our own topic if it is a hello; parts are four.
func (c *Conn) greeted(parts [][]byte) bool {
	g := &c.greet
	if g.machine == nil || string(parts[0]) != g.topic {
		return false
	}
	if string(parts[2]) != c.deps.Codec.Name() {
		g.Lock()
		name := string(parts[2])
		fresh := !g.strange[name] && len(g.strange) < 16
		g.strange[name] = true
		g.Unlock()
		if fresh {
			c.deps.Warn(fmt.Sprintf("node %s speaks %.40q, this cluster %s: it is not let in; give all nodes the same codec", parts[1], name, c.deps.Codec.Name()))
		}
		return false
	}
	e, err := c.deps.Codec.Decode(parts[3])
	if err != nil {
		return false // the handler counts it
	}
	kind, from, ok := hello.Parse(e)
	if !ok {
		return false
	}
	g.Lock()
	defer g.Unlock()
	switch {
	case from.ID != string(parts[1]):
		c.deps.Warn(fmt.Sprintf("node %s greets as %s: ignored", parts[1], from.ID))
	case kind == hello.SayZeroMQ:
		c.do(g.machine.Said(c.deps.Now(), from))
	default:
		c.do(g.machine.Hello(c.deps.Now(), from))
	}
	return true
}

// left notes that one of our connections is gone.
func (c *Conn) left(receiving bool) {
	c.greet.Lock()
	defer c.greet.Unlock()
	clear(c.greet.early)
	if c.greet.machine != nil {
		c.greet.machine.Lost(c.deps.Now(), receiving)
	}
}

// passTime lets what is old expire.
func (c *Conn) passTime(ready bool) {
	g := &c.greet
	g.Lock()
	defer g.Unlock()
	if g.machine == nil {
		return
	}
	if now := c.deps.Now(); ready {
		c.do(g.machine.Tick(now))
	} else {
		g.machine.Wait(now)
	}
}

// do carries steps out; greet is locked, so that they stay in order.
func (c *Conn) do(steps []hello.Step) {
	for _, s := range steps {
		switch s.Kind {
		case hello.SayZeroMQ, hello.SayCluster:
			e := c.greet.machine.Event(s.Kind)
			b, err := c.deps.Codec.Append(nil, &e)
			if err == nil {
				err = c.out.put(topic.NodeID(s.ID), c.cfg.ID, c.deps.Codec.Name(), b, true)
			}
			if err != nil && !c.closed.Load() {
				c.deps.Warn(fmt.Sprintf("greet %s: %v", s.ID, err))
			}
		case hello.Up, hello.Down:
			if c.greet.tell != nil {
				c.greet.tell(backend.Peer{Name: s.Name, ID: s.ID}, s.Kind == hello.Up)
			}
		case hello.Warn:
			c.deps.Warn(fmt.Sprintf("node %s (%s): %s", s.Name, s.ID, s.Text))
		}
	}
}

// Peers returns the nodes that have greeted us and are up.
func (c *Conn) Peers() []backend.Peer {
	c.greet.Lock()
	defer c.greet.Unlock()
	var all []backend.Peer
	if c.greet.machine != nil {
		for _, p := range c.greet.machine.Peers() {
			all = append(all, backend.Peer(p))
		}
	}
	return all
}
