package dhcp

import (
	"slices"
	"sync"
	"time"

	"github.com/picket-nsm/picket/zeek/event"
)

// hold is how long a message waits at the manager for earlier ones of slower
// workers.
const hold = 5 * time.Second

// Desk takes the messages of all workers at the manager and makes rows of them.
// Take may be called from any goroutine, the others by the one that writes rows.
type Desk struct {
	join *Join

	newest float64   // time of the last message joined
	since  time.Time // and when it had come

	mu      sync.Mutex
	waiting []arrived // in the order they came
	dropped uint64
}

type arrived struct {
	Message
	at time.Time
}

// NewDesk returns a Desk.
func NewDesk(write Write) *Desk { return &Desk{join: NewJoin(write, nil)} }

// Take takes an event. What is no message is counted, as is the newest one where
// too many wait.
func (d *Desk) Take(e *event.Event, now time.Time) {
	m, ok := FromEvent(e)
	d.mu.Lock()
	defer d.mu.Unlock()
	if !ok || len(d.waiting) >= maxHeld {
		d.dropped++
		return
	}
	d.waiting = append(d.waiting, arrived{m, now})
}

// Dropped returns how many events were not taken.
func (d *Desk) Dropped() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dropped
}

// Tick joins what has waited long enough, and writes what is over.
func (d *Desk) Tick(now time.Time) {
	d.settle(now.Add(-hold))
	if !d.since.IsZero() {
		// The clock of packets goes on where no message comes, behind those that wait.
		d.join.Advance(d.newest + (now.Sub(d.since) - hold).Seconds())
	}
}

// Close joins all that has come, and writes all.
func (d *Desk) Close(now time.Time) {
	d.settle(now)
	d.join.Close()
}

// settle joins the messages that came until then, and all others that are not
// later than these.
func (d *Desk) settle(until time.Time) {
	d.mu.Lock()
	n, last := 0, 0.0
	for n < len(d.waiting) && !d.waiting[n].at.After(until) {
		last = max(last, d.waiting[n].TS)
		n++
	}
	var due []arrived
	if n > 0 {
		left := d.waiting[:0:0]
		for _, m := range d.waiting {
			if m.TS <= last {
				due = append(due, m)
			} else {
				left = append(left, m)
			}
		}
		d.waiting = left
	}
	d.mu.Unlock()
	slices.SortStableFunc(due, func(a, b arrived) int { return a.compare(&b.Message) })
	for i := range due {
		m := &due[i]
		d.join.Add(&m.Message)
		if m.TS >= d.newest {
			d.newest, d.since = m.TS, m.at
		}
	}
}
