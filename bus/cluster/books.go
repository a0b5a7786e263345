package cluster

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/zeek/topic"
)

// Books is where a node's counters outlive it: a *ledger.Ledger.
type Books interface {
	Counter(name string) *ledger.Counter
}

// Names of a node's counters of events, each followed by a class of topics
// (topic.Class). Of the events that one node publishes and another is subscribed
// to, each is in exactly one of them:
//
//	published = refused + produced
//	produced  = unheard + delivered + lost + on its way
//
// On its way is what is in queues now, or what was when a process died; the
// numbers of both ends say how many.
const (
	EventsProduced  = "events.produced."  // at the publisher: taken by Publish, and numbered
	EventsRefused   = "events.refused."   // at the publisher: Publish returned an error
	EventsDelivered = "events.delivered." // at a receiver
	EventsLost      = "events.lost."      // at a receiver: numbers that never came
	EventsUnheard   = "events.unheard."   // at a receiver: numbers before the first that it saw of a publisher
)

// maxClasses bounds how many classes of topics have counters; the others share one.
const (
	maxClasses = 24
	otherClass = "(other)"
)

// Topic is what became of the events of a class of topics at this node.
type Topic struct {
	Class                                       string
	Produced, Refused, Delivered, Lost, Unheard uint64
}

// tallies are the counters by class.
type tallies struct {
	books Books

	mu sync.Mutex
	by map[string]*tally
}

type tally struct{ produced, refused, delivered, lost, unheard count }

// count counts here, and in the books if there are any.
type count struct {
	n    atomic.Uint64
	book *ledger.Counter
}

func (c *count) add(n uint64) {
	c.n.Add(n)
	if c.book != nil {
		c.book.Add(n)
	}
}

func (c *count) takeBack() { c.add(^uint64(0)) }

// of returns the tally of a topic's class.
func (t *tallies) of(name string) *tally {
	class := topic.Class(name)
	t.mu.Lock()
	defer t.mu.Unlock()
	if x := t.by[class]; x != nil {
		return x
	}
	if len(t.by) >= maxClasses {
		class = otherClass
		if x := t.by[class]; x != nil {
			return x
		}
	}
	x := &tally{}
	if t.books != nil {
		for prefix, c := range map[string]*count{EventsProduced: &x.produced, EventsRefused: &x.refused, EventsDelivered: &x.delivered, EventsLost: &x.lost, EventsUnheard: &x.unheard} {
			c.book = t.books.Counter(prefix + class[:min(len(class), maxClassName)])
		}
	}
	t.by[class] = x
	return x
}

// maxClassName leaves room for the prefix in a ledger's names.
const maxClassName = 60

// Topics returns what became of events so far, by class of topic.
func (c *Cluster) Topics() []Topic {
	c.tallies.mu.Lock()
	defer c.tallies.mu.Unlock()
	var all []Topic
	for class, x := range c.tallies.by {
		all = append(all, Topic{class, x.produced.n.Load(), x.refused.n.Load(), x.delivered.n.Load(), x.lost.n.Load(), x.unheard.n.Load()})
	}
	slices.SortFunc(all, func(a, b Topic) int { return strings.Compare(a.Class, b.Class) })
	return all
}
