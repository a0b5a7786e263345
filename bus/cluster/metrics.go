package cluster

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
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
	produced, delivered atomic.Uint64

	mu      sync.Mutex
	dropped map[string]uint64
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
	return Metrics{Produced: c.metrics.produced.Load(), Delivered: c.metrics.delivered.Load(), Dropped: maps.Clone(c.metrics.dropped), Lost: c.gaps.total()}
}

// gaps counts, per sender and topic, the numbers that never came. A backend
// keeps the order of one sender, so a number that is skipped is lost. Counting
// begins with the first event seen: what was sent before a subscription is
// nobody's loss.
type gaps struct {
	mu    sync.Mutex
	pairs map[pair]*gap
	last  *gap   // of the last event, which often is the next one's too
	gone  uint64 // lost of pairs that are forgotten
	past  int    // pairs whose sender is down, or that nobody here wants now
	books *tallies
}

// maxPast bounds how many pairs are kept only in case that they come back.
const maxPast = 8192

type pair struct{ sender, topic string }

type gap struct {
	pair
	last      uint64 // number of the last event
	delivered uint64
	lost      uint64
	tally     *tally
	past      bool // its sender is down, or nobody here wants the topic
	unwanted  bool // what is missing is not lost, as nobody here wants it
}

func (g *gap) lose(n uint64) {
	g.lost += n
	g.tally.lost.add(n)
}

// Gap is how many events of a sender to a topic arrived here, and how many were
// lost on the way.
type Gap struct {
	Sender, Topic   string
	Delivered, Lost uint64
}

func (g *gaps) init(books *tallies) { g.pairs, g.books = map[pair]*gap{}, books }

// saw notes that event n arrived.
func (g *gaps) saw(sender, topic string, n uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.last
	if p == nil || p.topic != topic || p.sender != sender {
		p = g.find(sender, topic, max(n, 1)-1)
		g.last = p
	}
	if n > p.last+1 {
		p.lose(n - p.last - 1)
	}
	p.last = n
	p.delivered++
	p.tally.delivered.add(1)
}

// head notes that the sender has published up to n, so what is missing below is
// lost even if no event follows.
func (g *gaps) head(sender, topic string, n uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.find(sender, topic, n)
	if n > p.last {
		p.lose(n - p.last)
		p.last = n
	}
}

// find returns what is known of a pair. If it is new, or is wanted again, counting
// begins after last, which is nobody's loss.
func (g *gaps) find(sender, topic string, last uint64) *gap {
	p := g.pairs[pair{sender, topic}]
	if p == nil {
		return g.begin(sender, topic, last)
	}
	if p.past {
		p.past = false
		g.past--
	}
	if p.unwanted {
		p.unwanted = false
		if last > p.last {
			p.tally.unheard.add(last - p.last)
			p.last = last
		}
	}
	return p
}

// begin begins to count; last is the number of the last event that is nobody's
// loss.
func (g *gaps) begin(sender, topic string, last uint64) *gap {
	if len(g.pairs) >= maxTopics {
		g.drop(func(*gap) bool { return true })
	}
	p := &gap{pair: pair{strings.Clone(sender), strings.Clone(topic)}, last: last, tally: g.books.of(topic)}
	p.tally.unheard.add(last)
	g.pairs[p.pair] = p
	return p
}

// down notes that a sender is. It may come back, and go on with its numbers.
func (g *gaps) down(sender string) {
	g.rest(func(p *gap) bool { return p.sender == sender }, false)
}

// unwanted notes which topics nobody here wants any more.
func (g *gaps) unwanted(wants func(topic string) bool) {
	g.rest(func(p *gap) bool { return !wants(p.topic) }, true)
}

func (g *gaps) rest(which func(*gap) bool, unwanted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.pairs {
		if !which(p) {
			continue
		}
		if !p.past {
			p.past = true
			g.past++
		}
		p.unwanted = p.unwanted || unwanted
	}
	g.last = nil
	if g.past > maxPast {
		g.drop(func(p *gap) bool { return p.past })
	}
}

// drop forgets pairs; their losses stay in the total.
func (g *gaps) drop(which func(*gap) bool) {
	for k, p := range g.pairs {
		if which(p) {
			g.gone += p.lost
			delete(g.pairs, k)
			if p.past {
				g.past--
			}
		}
	}
	g.last = nil
}

func (g *gaps) total() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.gone
	for _, p := range g.pairs {
		n += p.lost
	}
	return n
}

// Gaps returns what arrived and what was lost per sender and topic, of nodes
// that are up and topics that are subscribed to, in no order.
func (c *Cluster) Gaps() []Gap {
	c.gaps.mu.Lock()
	defer c.gaps.mu.Unlock()
	all := make([]Gap, 0, len(c.gaps.pairs))
	for k, p := range c.gaps.pairs {
		if p.past {
			continue
		}
		all = append(all, Gap{k.sender, k.topic, p.delivered, p.lost})
	}
	return all
}
