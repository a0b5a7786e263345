package state

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/internal/queue"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/topic"
	"github.com/picket-nsm/picket/zeek/value"
)

// Events between Client and Owner:
//
//	Picket::claim(producer, start, seq, key, ttl, now)   to the proxy's node topic
//	Picket::claimed(producer, start, seq, granted)       to the sender's id topic
const (
	eventClaim   = "Picket::claim"
	eventClaimed = "Picket::claimed"
)

// maxKey bounds a key in bytes; longer claims are ignored and counted.
const maxKey = 4096

// OwnerConfig says how an Owner keeps its table.
type OwnerConfig struct {
	Name  string // of this node, a proxy
	Dir   string // its folder, where the journal is
	Max   int    // grants remembered; 0: 262,144
	Queue int    // claims that wait; 0: 8192. Newest dropped: their workers ask again
}

// Owner answers claims for the keys that are this proxy's. New opens the
// journal, Run answers.
type Owner struct {
	cfg     OwnerConfig
	cluster *cluster.Cluster
	table   *Table
	journal *journal
	in      *queue.Queue[asked]

	cut                                   int64
	answered, granted, dropped, bad, sick atomic.Uint64
	shed, held                            atomic.Uint64
	trouble                               atomic.Pointer[string]
}

type asked struct {
	Claim
	from string
}

// OwnerStatus is an Owner's counters.
type OwnerStatus struct {
	Answered uint64 // claims answered, granted or not
	Granted  uint64 // claims granted for the first time
	Held     uint64 // grants remembered
	Dropped  uint64 // claims that found the queue full; asked again
	Bad      uint64 // events that are not claims
	Unsaved  uint64 // claims not answered because the journal could not be written; asked again
	Shed     uint64 // grants forgotten early
	Cut      int64  // bytes at the end of the journal that were no whole record when it was opened
	Trouble  string // the journal's last error
}

// NewOwner opens or makes the journal in cfg.Dir and takes claims from now on;
// Run answers them.
func NewOwner(cfg OwnerConfig, c *cluster.Cluster) (*Owner, error) {
	if cfg.Queue == 0 {
		cfg.Queue = 8192
	}
	o := &Owner{cfg: cfg, cluster: c, table: NewTable(cfg.Max), in: queue.New[asked](cfg.Queue)}
	var err error
	if o.journal, o.cut, err = openJournal(cfg.Dir, o.table); err != nil {
		return nil, fmt.Errorf("claims of %s: %w", cfg.Name, err)
	}
	o.held.Store(uint64(o.table.Len()))
	if err := c.Subscribe(topic.Node(cfg.Name), eventClaim, o.take); err != nil {
		return nil, fmt.Errorf("claims of %s: %w", cfg.Name, err)
	}
	return o, nil
}

// take puts a claim into the queue: the backend's goroutine must not wait for a disk.
func (o *Owner) take(e cluster.Event) {
	c, ok := claimOf(&e.Event)
	if !ok || len(c.Key) > maxKey || len(c.Producer) > 255 {
		o.bad.Add(1)
		return
	}
	if o.in.Put(asked{c, e.Sender}, false) == queue.Full {
		o.dropped.Add(1)
	}
}

// Run answers until ctx ends, then what waits, and closes the journal.
func (o *Owner) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, o.in.Close)
	defer stop()
	o.in.Drain(o.answer)
	return o.journal.close()
}

func (o *Owner) answer(a asked) {
	granted, fresh := o.table.Ask(&a.Claim)
	if fresh {
		if err := o.save(&a.Claim); err != nil {
			// Not in the journal, so not ours to give: take it back, and be asked again.
			text := err.Error()
			o.trouble.Store(&text)
			o.sick.Add(1)
			o.table.undo(a.Key, a.ID())
			return
		}
		o.granted.Add(1)
	}
	o.answered.Add(1)
	o.held.Store(uint64(o.table.Len()))
	o.shed.Store(o.table.Shed())
	_ = o.cluster.Publish(topic.NodeID(a.from), event.New(eventClaimed, // counted; a lost answer is asked for again
		value.String(a.Producer), value.Count(a.Start), value.Count(a.Seq), value.Bool(granted)))
}

func (o *Owner) save(c *Claim) error {
	if err := o.journal.note(c.Key, Grant{c.ID(), c.Now, c.Now + c.TTL}); err != nil {
		return err
	}
	if o.journal.stale(o.table) {
		if err := o.journal.compact(o.table); err != nil {
			text := err.Error() // the old journal is still good
			o.trouble.Store(&text)
		}
	}
	return nil
}

// undo takes back the grant made last.
func (t *Table) undo(key string, id ID) {
	last := len(t.queue) - 1
	if last < t.head || t.queue[last].key != key || t.queue[last].g.ID != id {
		return
	}
	t.queue = t.queue[:last]
	if g := t.keys[key]; len(g) > 1 {
		t.keys[key] = g[:len(g)-1]
	} else {
		delete(t.keys, key)
	}
}

// Status returns the counters; from any goroutine.
func (o *Owner) Status() OwnerStatus {
	s := OwnerStatus{
		Answered: o.answered.Load(), Granted: o.granted.Load(), Held: o.held.Load(), Dropped: o.dropped.Load(),
		Bad: o.bad.Load(), Unsaved: o.sick.Load(), Shed: o.shed.Load(), Cut: o.cut,
	}
	if t := o.trouble.Load(); t != nil {
		s.Trouble = *t
	}
	return s
}

func claimOf(e *event.Event) (c Claim, ok bool) {
	a := e.Args
	if len(a) != 6 || a[0].Kind() != value.KindString || a[1].Kind() != value.KindCount || a[2].Kind() != value.KindCount ||
		a[3].Kind() != value.KindString || a[4].Kind() != value.KindDouble || a[5].Kind() != value.KindDouble {
		return c, false
	}
	c = Claim{Producer: a[0].Str(), Start: a[1].Count(), Seq: a[2].Count(), Key: a[3].Str(), TTL: a[4].Float(), Now: a[5].Float()}
	// Not a number, or endless, would never expire.
	return c, c.TTL >= 0 && c.TTL < 1e10 && c.Now > -1e12 && c.Now < 1e12
}
