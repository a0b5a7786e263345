package cluster

import (
	"maps"
	"sync"
)

// maxTopics bounds how many topics and pairs of sender and topic are numbered.
const maxTopics = 1 << 16

// Metrics are a node's counters.
type Metrics struct {
	Produced  uint64            // events that Publish took
	Delivered uint64            // events that arrived and were decoded
	Dropped   map[string]uint64 // events by reason, at either end
	Lost      uint64            // events of others that never arrived here, by their numbers
}

type metrics struct {
	mu                  sync.Mutex
	produced, delivered uint64
	dropped             map[string]uint64
}

func (m *metrics) add(n *uint64) {
	m.mu.Lock()
	*n++
	m.mu.Unlock()
}

func (m *metrics) drop(why string, n uint64) {
	m.mu.Lock()
	m.dropped[why] += n
	m.mu.Unlock()
}

// Metrics returns the counters.
func (c *Cluster) Metrics() Metrics {
	c.metrics.mu.Lock()
	defer c.metrics.mu.Unlock()
	return Metrics{Produced: c.metrics.produced, Delivered: c.metrics.delivered, Dropped: maps.Clone(c.metrics.dropped), Lost: c.gaps.total()}
}

// gaps counts, per sender and topic, the numbers that never came. A backend
// keeps the order of one sender, so a number that is skipped is lost. Counting
// begins with the first event seen: what was sent before a subscription is
// nobody's loss.
type gaps struct {
	mu   sync.Mutex
	last map[pair]uint64
	lost map[pair]uint64
	gone uint64 // lost of pairs that are forgotten
}

type pair struct{ sender, topic string }

// Gap is how many events of a sender to a topic were lost on the way here.
type Gap struct {
	Sender, Topic string
	Lost          uint64
}

func (g *gaps) init() { g.last, g.lost = map[pair]uint64{}, map[pair]uint64{} }

// saw notes that event n arrived.
func (g *gaps) saw(sender, topic string, n uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := pair{sender, topic}
	last, known := g.last[k]
	if known && n > last+1 {
		g.lost[k] += n - last - 1
	}
	if !known && len(g.last) >= maxTopics {
		g.drop(func(string, string) bool { return true })
	}
	g.last[k] = n
}

// head notes that the sender has published up to n, so what is missing below is
// lost even if no event follows.
func (g *gaps) head(sender, topic string, n uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := pair{sender, topic}
	if last, known := g.last[k]; known && n > last {
		g.lost[k] += n - last
		g.last[k] = n
	}
}

// forget drops what is known of pairs; their losses stay in the total.
func (g *gaps) forget(which func(sender, topic string) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(which)
}

func (g *gaps) drop(which func(sender, topic string) bool) {
	for k := range g.last {
		if which(k.sender, k.topic) {
			g.gone += g.lost[k]
			delete(g.last, k)
			delete(g.lost, k)
		}
	}
}

func (g *gaps) total() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.gone
	for _, l := range g.lost {
		n += l
	}
	return n
}

// Gaps returns the losses per sender and topic, of nodes that are up.
func (c *Cluster) Gaps() []Gap {
	c.gaps.mu.Lock()
	defer c.gaps.mu.Unlock()
	var all []Gap
	for k, n := range c.gaps.lost {
		all = append(all, Gap{k.sender, k.topic, n})
	}
	return all
}
