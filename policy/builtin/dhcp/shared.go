package dhcp

import (
	"math"
	"sync"

	wire "github.com/picket-nsm/picket/traffic/analyzer/dhcp"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// maxHeld is how many messages may wait for slower workers; more, and the
// earliest are taken as if all had come.
const maxHeld = 1 << 16

// Shared joins the messages of several workers of one process that share a
// capture. A message waits until the clock of every worker has passed it, so that
// the rows are the same for any number of workers. Rows are written by the worker
// whose clock let them go.
type Shared struct {
	mu     sync.Mutex
	ends   []*End
	held   int // messages that wait
	join   *Join
	passed packet.Time
	caller *End // whose goroutine holds mu
}

// End is a worker's end of a Shared. It is a Place.
type End struct {
	s     *Shared
	clock packet.Time
	queue []Message // that wait, in the order of their times
	head  int
	write Write
	weird func(now packet.Time, name, addl string)
}

// NewShared returns what joins the messages of n workers.
func NewShared(n int) *Shared {
	s := &Shared{}
	for range n {
		s.ends = append(s.ends, &End{s: s})
	}
	s.join = NewJoin(
		func(row []value.Value) { s.caller.write(row) },
		func(now packet.Time, name, addl string) { s.caller.weird(now, name, addl) })
	return s
}

// Worker returns the end of worker i, from 0.
func (s *Shared) Worker(i int) *End { return s.ends[i] }

// Open implements Place.
func (e *End) Open(write Write, weird func(now packet.Time, name, addl string)) {
	e.write, e.weird = write, weird
}

// Message implements Place.
func (e *End) Message(m *Message, _ *wire.Msg) {
	s := e.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.caller = e
	e.queue = append(e.queue, *m)
	if s.held++; s.held > maxHeld {
		s.take(s.first())
	}
}

// first returns the end with the earliest message, nil if there is none.
func (s *Shared) first() *End {
	var first *End
	for _, e := range s.ends {
		if e.head < len(e.queue) && (first == nil || e.queue[e.head].compare(&first.queue[first.head]) < 0) {
			first = e
		}
	}
	return first
}

// take joins the first message of an end.
func (s *Shared) take(e *End) {
	s.join.Add(&e.queue[e.head])
	e.queue[e.head] = Message{}
	s.held--
	if e.head++; e.head == len(e.queue) {
		e.queue, e.head = e.queue[:0], 0
	} else if e.head > 256 && e.head > len(e.queue)/2 {
		e.queue, e.head = e.queue[:copy(e.queue, e.queue[e.head:])], 0
	}
}

// Advance implements Place.
func (e *End) Advance(now packet.Time) {
	if now <= e.clock {
		return
	}
	s := e.s
	s.mu.Lock()
	defer s.mu.Unlock()
	e.clock = now
	passed := now
	for _, o := range s.ends {
		passed = min(passed, o.clock)
	}
	if passed <= s.passed {
		return
	}
	s.passed, s.caller = passed, e
	for f := s.first(); f != nil && f.queue[f.head].TS < float64(passed); f = s.first() {
		s.take(f)
	}
	if math.IsInf(float64(passed), 1) {
		s.join.Close()
	} else {
		s.join.Advance(float64(passed))
	}
}

// Finish implements Place. The last worker to finish writes what is left.
func (e *End) Finish() { e.Advance(packet.Time(math.Inf(1))) }
