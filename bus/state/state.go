// Package state holds what nodes share and one of them owns. For now that is
// one thing: who may report what the whole cluster reports once.
//
// It stands beside the data path: a worker's policy asks through a Once, on the
// worker's own goroutine, and gets its answers there. Local answers by itself;
// Client asks the proxy that owns the key by rendezvous, whose Owner answers from
// a table that survives its death. Nothing here blocks a packet.
package state

import (
	"cmp"
	"sync"
)

// Claim asks for the right to report something. Producer, Start and Seq name
// it: a claim that is asked again gets the same answer.
type Claim struct {
	Producer string
	Start    uint64 // which life of the producer
	Seq      uint64 // number of the claim in that life

	Key string
	TTL float64 // seconds for which nobody else may report it
	Now float64 // packet time, seconds since the epoch
}

// ID names a claim.
type ID struct {
	Producer   string
	Start, Seq uint64
}

// ID returns the claim's name.
func (c *Claim) ID() ID { return ID{c.Producer, c.Start, c.Seq} }

// Once answers claims: of those for one key within TTL seconds of the first, in
// packet time, one is granted.
//
// Claim is called on the worker's goroutine and does not block; answer is called
// there too, from within Claim or from Poll, once per call of Claim.
type Once interface {
	Claim(c Claim, answer func(granted bool))
}

// Table remembers grants. It is a pure function of the claims it was asked: no
// clock, no goroutine.
type Table struct {
	max   int
	clock float64            // latest time in any claim
	keys  map[string][]Grant // in the order they were granted
	queue []aged             // in the order of granting; queue[:head] is gone
	head  int
	shed  uint64
}

// Grant is a claim that was granted.
type Grant struct {
	ID
	From, Until float64
}

type aged struct {
	key string
	g   Grant
}

// NewTable returns a table of at most max grants; 0: 262,144. With more, the
// oldest is forgotten early and counted.
func NewTable(max int) *Table {
	return &Table{max: cmp.Or(max, 1<<18), keys: map[string][]Grant{}}
}

// Ask answers a claim. fresh means that it is granted now for the first time.
func (t *Table) Ask(c *Claim) (granted, fresh bool) {
	id := c.ID()
	for _, g := range t.keys[c.Key] {
		if g.ID == id {
			return true, false
		}
		// Clocks of workers differ: a claim may be from before the grant.
		if c.Now < g.Until && c.Now+c.TTL > g.From {
			granted = true
		}
	}
	if granted {
		return false, false
	}
	t.put(c.Key, Grant{id, c.Now, c.Now + c.TTL})
	return true, true
}

func (t *Table) put(key string, g Grant) {
	t.clock = max(t.clock, g.From)
	// A grant is kept for its time over again after it ended, so that claims asked
	// again late still get the answer they had.
	for len(t.queue) > t.head {
		if old := t.queue[t.head].g; t.clock <= old.Until+(old.Until-old.From) {
			break
		}
		t.pop()
	}
	if len(t.queue)-t.head >= t.max {
		t.pop()
		t.shed++
	}
	t.keys[key] = append(t.keys[key], g)
	t.queue = append(t.queue, aged{key, g})
}

func (t *Table) pop() {
	old := t.queue[t.head]
	t.queue[t.head] = aged{}
	if t.head++; t.head > 1024 && t.head > len(t.queue)/2 {
		t.queue = t.queue[:copy(t.queue, t.queue[t.head:])]
		t.head = 0
	}
	grants := t.keys[old.key]
	for i := range grants {
		if grants[i] == old.g {
			grants = append(grants[:i:i], grants[i+1:]...)
			break
		}
	}
	if len(grants) == 0 {
		delete(t.keys, old.key)
	} else {
		t.keys[old.key] = grants
	}
}

// Len returns how many grants are remembered.
func (t *Table) Len() int { return len(t.queue) - t.head }

// Shed returns how many were forgotten early.
func (t *Table) Shed() uint64 { return t.shed }

// Local is a Once within one process, for any number of its workers. It answers
// at once.
type Local struct {
	mu sync.Mutex
	t  *Table
}

// NewLocal returns a Local of at most max grants; 0: the default.
func NewLocal(max int) *Local { return &Local{t: NewTable(max)} }

// Claim implements Once.
func (l *Local) Claim(c Claim, answer func(bool)) {
	l.mu.Lock()
	granted, _ := l.t.Ask(&c)
	l.mu.Unlock()
	answer(granted)
}
