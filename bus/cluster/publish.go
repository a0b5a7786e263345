package cluster

import (
	"errors"
	"fmt"
	"sync"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/topic"
	"github.com/picket-nsm/picket/zeek/value"
)

// ErrNobody says that no node of a pool is up.
var ErrNobody = errors.New("no node of the pool is up")

// localQueue is how many events of ours wait to be handled by ourselves.
const localQueue = 1024

// pools are the nodes of each role among which PublishRR and PublishHRW choose.
type pools struct {
	mu     sync.Mutex
	byRole map[layout.Role]*Pool
}

func (p *pools) init(self string, names map[layout.Role][]string) {
	p.byRole = map[layout.Role]*Pool{}
	for role, n := range names {
		p.byRole[role] = NewPool(self, n)
	}
}

func (p *pools) set(n Node, up bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pool := range p.byRole { // by name, as in Zeek: a pool knows its members
		if up {
			pool.Up(n.Name)
		} else {
			pool.Down(n.Name)
		}
	}
}

func (p *pools) choose(role layout.Role, how func(*Pool) (string, bool)) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pool := p.byRole[role]; pool != nil {
		if name, ok := how(pool); ok {
			return name, nil
		}
	}
	return "", fmt.Errorf("pool of %ss: %w", role, ErrNobody)
}

// PublishRR publishes to the next node in turn of those of a role that are up,
// and returns its name. Each key has turns of its own. If this node is one of
// them, it has its turn too: the event then goes to its own handlers, behind what
// they are doing (in real Zeek it is lost). ErrNobody: none is up.
func (c *Cluster) PublishRR(role layout.Role, key string, e event.Event) (node string, err error) {
	node, err = c.pools.choose(role, func(p *Pool) (string, bool) { return p.RoundRobin(key) })
	if err != nil {
		return "", fmt.Errorf("cluster: publish %s: %w", e.Name, err)
	}
	return node, c.publishTo(node, e)
}

// PublishHRW publishes to the node of a role that wants the key most, of those
// that are up, by Zeek's own rendezvous hash, and returns its name: every node of
// the cluster, also a real Zeek, chooses the same one. As in Zeek a node never
// chooses itself. Keys may be strings, numbers, addresses, subnets and ports; the
// error is ErrNobody if none is up, of kind codec.ErrInvalid for other keys.
func (c *Cluster) PublishHRW(role layout.Role, key value.Value, e event.Event) (node string, err error) {
	b, ok := KeyBytes(key)
	if !ok {
		return "", fmt.Errorf("cluster: publish %s: %w", e.Name, errKey)
	}
	node, err = c.pools.choose(role, func(p *Pool) (string, bool) { return p.Rendezvous(b) })
	if err != nil {
		return "", fmt.Errorf("cluster: publish %s: %w", e.Name, err)
	}
	return node, c.publishTo(node, e)
}

// publishTo publishes to one node by name, which may be this one.
func (c *Cluster) publishTo(node string, e event.Event) error {
	if node != c.cfg.Name {
		return c.Publish(topic.Node(node), e)
	}
	t := topic.Node(node)
	to := c.tallies.of(t)
	err := c.declared(&e)
	if err == nil {
		to.produced.add(1)
		select {
		case c.local <- Event{Event: e, Topic: t, Sender: c.cfg.ID}:
			c.metrics.produced.Add(1)
			return nil
		default:
			to.produced.takeBack()
			err = backend.ErrFull
		}
	}
	to.refused.add(1)
	c.metrics.drop(reason(err), 1)
	return fmt.Errorf("cluster: publish %s: %w", e.Name, err)
}

// handleLocal gives an event of our own to our handlers.
func (c *Cluster) handleLocal(e Event) {
	c.tallies.of(e.Topic).delivered.add(1)
	c.metrics.delivered.Add(1)
	c.handling.Lock()
	defer c.handling.Unlock()
	c.handle(c.rx.route(c, e.Topic), e)
}
