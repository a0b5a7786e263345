package files

import (
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
)

// queue holds the files under way in the order in which they are looked at for
// silence: the timeout is the same for all, so each goes to the end.
type queue struct{ first, last *File }

func (q *queue) push(f *File) {
	f.prev, f.next = q.last, nil
	if q.last != nil {
		q.last.next = f
	} else {
		q.first = f
	}
	q.last = f
}

func (q *queue) remove(f *File) {
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		q.first = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	} else {
		q.last = f.prev
	}
	f.prev, f.next = nil, nil
}

// schedule looks at f again after the timeout.
func (t *Table) schedule(f *File) {
	f.checkAt = t.now + packet.Time(t.cfg.Timeout)
	t.queue.push(f)
	t.deadline.At = t.queue.first.checkAt
}

func (t *Table) unschedule(f *File) {
	t.queue.remove(f)
	if t.deadline.At = analyzer.Never; t.queue.first != nil {
		t.deadline.At = t.queue.first.checkAt
	}
}

// Deadline returns the next moment at which the Table wants to be called, kept up
// to date: flow.Table.Follow takes it.
func (t *Table) Deadline() *analyzer.Deadline { return &t.deadline }

// fire looks at the file whose turn it is.
func (t *Table) fire(now packet.Time) {
	t.now = max(t.now, now)
	f := t.queue.first
	if f == nil {
		t.deadline.At = analyzer.Never
		return
	}
	if float64(t.now-f.LastActive) < t.cfg.Timeout {
		t.unschedule(f)
		t.schedule(f)
		return
	}
	t.timeout(f)
}

// expire ends the input for the timers: files that have been silent for long
// enough need not wait for their turn.
func (t *Table) expire(now packet.Time) {
	t.now = max(t.now, now)
	for f := t.queue.first; f != nil; {
		next := f.next
		if float64(t.now-f.LastActive) >= t.cfg.Timeout {
			t.timeout(f)
		}
		f = next
	}
}

func (t *Table) timeout(f *File) {
	f.TimedOut = true
	t.stats.TimedOut++
	t.remove(f)
}

// Finish ends the input: every file left has timed out. The Table is empty
// after it and can be used again.
func (t *Table) Finish(now packet.Time) {
	t.now = max(t.now, now)
	for t.queue.first != nil {
		t.timeout(t.queue.first)
	}
}
