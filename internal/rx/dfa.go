package rx

import (
	"encoding/binary"
	"slices"
)

// Status says how the matching of a stream goes on.
type Status uint8

const (
	// Live: more bytes may match something.
	Live Status = iota
	// Dead: nothing that follows can match.
	Dead
	// Stale: the states were thrown away since the stream's last bytes, because
	// there were too many of them. Nothing was matched. Whoever still has the
	// stream's bytes feeds them again to a new Stream.
	Stale
)

// Stream is where the matching of one stream stands. The zero value is before
// its first byte.
type Stream struct {
	gen uint32 // of the states; 0: not started
	at  int32  // row of the state, or dead
}

// Dead reports that nothing that follows can match.
func (s *Stream) Dead() bool { return s.at == dead }

// A state is known by the offset of its row in Matcher.next. Row 0 is nobody's,
// so that 0 means: not made yet. Values below 0 need a look: the complement of a
// row whose state accepts or can lead nowhere.
const (
	unknown = 0
	dead    = 1 // no row begins there
)

// Matcher runs a Set. One goroutine.
type Matcher struct {
	set   *Set
	limit int
	gen   uint32
	width int     // columns of a row: the classes, and the end of input
	next  []int32 // rows
	lists []uint16
	from  []uint32 // by state: its instructions in lists begin there
	ids   map[string]int32
	size  int // bytes of all that

	list []uint16 // scratch: the state being made
	key  []byte   // its key in ids
	mark []uint32 // by instruction: in which round it was met
	todo []uint16
	now  uint32

	made, flushed uint64
}

// Matcher returns a Matcher that keeps its states within limit bytes, but never
// fewer than a few.
func (s *Set) Matcher(limit int) *Matcher {
	m := &Matcher{set: s, limit: limit, width: s.nclass + 1, mark: make([]uint32, len(s.insts))}
	m.flush()
	m.flushed = 0
	return m
}

// Stats tells how many states there are now, how many were ever made, and how
// often all were thrown away.
func (m *Matcher) Stats() (states int, made, flushed uint64) {
	return len(m.from) - 1, m.made, m.flushed
}

// flush throws all states away.
func (m *Matcher) flush() {
	m.gen++
	if m.gen == 0 {
		m.gen = 1
	}
	m.flushed++
	m.next = append(m.next[:0], make([]int32, m.width)...)
	m.lists = m.lists[:0]
	m.from = append(m.from[:0], 0)
	m.ids = map[string]int32{}
	m.size = 0
}

// Feed takes the next bytes of a stream and sets the bit of every pattern that
// matches with them; hits has a bit for each pattern. Nothing is cleared. A
// pattern that needs the end of input matches at End.
func (m *Matcher) Feed(s *Stream, data []byte, hits []uint64) Status {
	at := s.at
	switch {
	case at == dead:
		return Dead
	case s.gen == 0:
		at = m.start(hits)
	case s.gen != m.gen:
		return Stale
	}
	if at != dead {
		at = m.run(at, data, hits)
	}
	s.at, s.gen = at, m.gen
	if at == dead {
		return Dead
	}
	return Live
}

// run moves from the state at over data.
func (m *Matcher) run(at int32, data []byte, hits []uint64) int32 {
	classes := &m.set.classes
	next := m.next
	for _, b := range data {
		to := next[uint(at)+uint(classes[b])]
		if to <= 0 {
			if to == unknown {
				to = m.make(at, classes[b])
				next = m.next
			}
			if to < 0 {
				if to = m.look(to, hits, false); to == dead {
					return dead
				}
			}
		}
		at = to
	}
	return at
}

// End says that the stream is over. Patterns that need the end set their bits.
func (m *Matcher) End(s *Stream, hits []uint64) Status {
	if st := m.Feed(s, nil, hits); st != Live {
		return st
	}
	to := m.next[int(s.at)+m.set.nclass]
	if to == unknown {
		to = m.makeEnd(s.at)
	}
	if to < 0 {
		m.look(to, hits, true)
	}
	s.at = dead
	return Dead
}

// Match matches a whole input.
func (m *Matcher) Match(data []byte, hits []uint64) {
	var s Stream
	if m.Feed(&s, data, hits) == Live {
		m.End(&s, hits)
	}
}

// look notes what a state accepts, and returns its row, or dead if it can lead
// nowhere. end says that it is behind the end of input: a pattern that must
// match all of it is accepted nowhere else.
func (m *Matcher) look(to int32, hits []uint64, end bool) int32 {
	row := ^to
	if row == dead {
		return dead
	}
	id := int(row) / m.width
	list := m.lists[m.from[id]:m.end(id)]
	i := 0
	for i < len(list) && int(list[i]) < m.set.n {
		if end || m.set.mode != Exact {
			hits[list[i]/64] |= 1 << (list[i] % 64)
		}
		i++
	}
	if i == len(list) {
		return dead
	}
	return row
}

func (m *Matcher) end(id int) uint32 {
	if id+1 < len(m.from) {
		return m.from[id+1]
	}
	return uint32(len(m.lists))
}

// start returns the state before the first byte.
func (m *Matcher) start(hits []uint64) int32 {
	// One look-up per stream: the state is made like any other and found by its
	// instructions.
	if to := m.next[0]; to != unknown { // row 0 is nobody's: its first cell is free
		if to < 0 {
			return m.look(to, hits, false)
		}
		return to
	}
	m.begin()
	m.follow(m.set.start, true)
	begun := slices.Clone(m.list)
	m.begin()
	for _, i := range begun {
		if m.set.insts[i].kind == iBegin {
			m.follow(m.set.insts[i].x, false)
		}
	}
	to := m.state()
	m.next[0] = to
	if to < 0 {
		return m.look(to, hits, false)
	}
	return to
}

// make makes the state that a byte of a class leads to from the state at.
func (m *Matcher) make(at int32, class uint8) int32 {
	id := int(at) / m.width
	m.begin()
	for _, i := range m.lists[m.from[id]:m.end(id)] {
		if in := &m.set.insts[i]; in.kind == iSet && m.set.sets[in.set].has(class) {
			m.follow(in.x, false)
		}
	}
	gen := m.gen
	to := m.state()
	if gen == m.gen {
		m.next[int(at)+int(class)] = to
	}
	return to
}

// makeEnd makes the state behind the end of input.
func (m *Matcher) makeEnd(at int32) int32 {
	id := int(at) / m.width
	m.begin()
	for _, i := range m.lists[m.from[id]:m.end(id)] {
		if in := &m.set.insts[i]; in.kind == iEnd {
			m.follow(in.x, false)
		}
	}
	gen := m.gen
	to := m.state()
	if gen == m.gen {
		m.next[int(at)+m.set.nclass] = to
	}
	return to
}

// begin starts a new state.
func (m *Matcher) begin() {
	m.list = m.list[:0]
	if m.now++; m.now == 0 {
		clear(m.mark)
		m.now = 1
	}
}

// follow adds what an instruction leads to without input.
func (m *Matcher) follow(i uint16, begin bool) {
	m.todo = append(m.todo[:0], i)
	for len(m.todo) > 0 {
		i := m.todo[len(m.todo)-1]
		m.todo = m.todo[:len(m.todo)-1]
		if m.mark[i] == m.now {
			continue
		}
		m.mark[i] = m.now
		switch in := &m.set.insts[i]; in.kind {
		case iSplit:
			m.todo = append(m.todo, in.y, in.x)
		case iFail:
		case iBegin:
			if begin { // it comes once
				m.list = append(m.list, i)
			}
		default:
			m.list = append(m.list, i)
		}
	}
}

// stateCost is what a state costs beside its row and its list, in bytes.
const stateCost = 96

// state returns the state of the instructions in list, made if it is new: its
// row, or the complement of that if a look is needed.
func (m *Matcher) state() int32 {
	if len(m.list) == 0 {
		return ^int32(dead)
	}
	slices.Sort(m.list)
	m.key = m.key[:0]
	for _, i := range m.list {
		m.key = binary.LittleEndian.AppendUint16(m.key, i)
	}
	if to, ok := m.ids[string(m.key)]; ok {
		return to
	}
	cost := 4*m.width + 4*len(m.list) + stateCost
	if m.size+cost > m.limit && len(m.from) > 2 {
		m.flush()
	}
	m.size += cost
	m.made++
	row := int32(len(m.next))
	m.next = append(m.next, make([]int32, m.width)...)
	m.from = append(m.from, uint32(len(m.lists)))
	m.lists = append(m.lists, m.list...)
	to := row
	if int(m.list[0]) < m.set.n { // an accepting instruction: they come first
		to = ^row
	}
	m.ids[string(m.key)] = to
	return to
}

// States counts the states that input can call for, up to max. Whoever matches
// bytes that others choose knows by it that they cannot make states without end.
func (s *Set) States(max int) int {
	m := s.Matcher(1 << 40)
	var hits = make([]uint64, (s.n+63)/64)
	m.start(hits)
	for id := 1; id < len(m.from) && len(m.from) <= max; id++ {
		for class := range s.nclass {
			m.make(int32(id*m.width), uint8(class))
		}
		m.makeEnd(int32(id * m.width))
	}
	return min(len(m.from)-1, max)
}
