package weird

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/picket-nsm/picket/traffic/packet"
)

// Shared is the memory of several workers in one process that share a capture.
// It grants a key to the earliest packet and not to the fastest worker, so that
// the rows are the same in every run and for any number of workers. For that an
// answer comes only when the clock of every worker has passed the claim.
type Shared struct {
	mu      sync.Mutex
	ends    []*End
	held    grants
	waiting []asked
	passed  packet.Time // every clock has passed it
}

type asked struct {
	claim  Claim
	end    *End
	answer func(granted bool)
}

// End is a worker's end of a Shared. Its methods are called on that worker's
// goroutine.
type End struct {
	s        *Shared
	index    int
	clock    packet.Time
	answered []answered // guarded by s.mu
	running  []answered // room for Poll
}

type answered struct {
	answer  func(granted bool)
	granted bool
}

// NewShared returns a memory for n workers whose claims last ttl seconds or less, at most
// max of them.
func NewShared(n int, ttl float64, max int) *Shared {
	s := &Shared{held: newGrants(ttl, max)}
	for i := range n {
		s.ends = append(s.ends, &End{s: s, index: i})
	}
	return s
}

// Worker returns the end of worker i, from 0.
func (s *Shared) Worker(i int) *End { return s.ends[i] }

// Claim implements Once. The answer comes in a later Poll.
func (e *End) Claim(c Claim, answer func(bool)) {
	e.s.mu.Lock()
	e.s.waiting = append(e.s.waiting, asked{c, e, answer})
	e.s.mu.Unlock()
}

// Advance says that this worker's claims will not be earlier than now.
func (e *End) Advance(now packet.Time) {
	if now <= e.clock {
		return
	}
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	e.clock = now
	e.s.settle()
}

// Finish says that this worker will not claim any more. It still polls until its
// answers are there.
func (e *End) Finish() { e.Advance(packet.Time(math.Inf(1))) }

// Poll runs the answers that have come.
func (e *End) Poll() {
	e.s.mu.Lock()
	e.running, e.answered = e.answered, e.running[:0]
	e.s.mu.Unlock()
	for i, a := range e.running {
		a.answer(a.granted)
		e.running[i] = answered{}
	}
	e.running = e.running[:0]
}

// settle answers the claims that every clock has passed, the earliest first.
func (s *Shared) settle() {
	passed := s.ends[0].clock
	for _, e := range s.ends[1:] {
		passed = min(passed, e.clock)
	}
	if passed <= s.passed {
		return
	}
	s.passed = passed
	slices.SortFunc(s.waiting, func(a, b asked) int {
		return cmp.Or(cmp.Compare(a.claim.Now, b.claim.Now), cmp.Compare(a.end.index, b.end.index), cmp.Compare(a.claim.Seq, b.claim.Seq))
	})
	n := 0
	for n < len(s.waiting) && s.waiting[n].claim.Now < passed {
		a := &s.waiting[n]
		// A worker's number names it here: several may share a producer's name.
		id := claimID{a.claim.Producer, uint64(a.end.index), a.claim.Seq}
		a.end.answered = append(a.end.answered, answered{a.answer, s.held.decide(&a.claim, id)})
		n++
	}
	s.waiting = slices.Delete(s.waiting, 0, n)
}
