package rx

// inst is a step of the nondeterministic automaton. A pattern's instructions are
// made from its end to its beginning, each knowing what comes next.
type inst struct {
	kind instKind
	x, y uint16 // next; of iSplit both
	set  uint16 // of iSet
}

type instKind uint8

const (
	iAccept instKind = iota // its number is the pattern's
	iFail
	iSplit
	iSet
	iBegin
	iEnd
)

type compiler struct {
	insts  []inst
	sets   []byteSet
	byset  map[byteSet]uint16
	max    int
	steps  int
	failed bool
}

// emit adds an instruction. When there are too many it notes that and goes on
// with the last.
func (c *compiler) emit(i inst) uint16 {
	if len(c.insts) >= c.max {
		c.failed = true
		return uint16(c.max - 1)
	}
	c.insts = append(c.insts, i)
	return uint16(len(c.insts) - 1)
}

// setOf returns the number of a byte set.
func (c *compiler) setOf(s byteSet) uint16 {
	if n, ok := c.byset[s]; ok {
		return n
	}
	if c.byset == nil {
		c.byset = map[byteSet]uint16{}
	}
	n := uint16(len(c.sets))
	c.sets = append(c.sets, s)
	c.byset[s] = n
	return n
}

// whole compiles a pattern as Zeek frames it: begin and end of input are symbols
// that come once, and that a pattern may but need not ask for.
func (c *compiler) whole(tree *node, mode Mode, pattern uint16) uint16 {
	next := pattern
	if mode == Exact {
		next = c.emit(inst{kind: iSplit, x: c.emit(inst{kind: iEnd, x: next}), y: next})
	}
	next = c.compile(tree, next)
	if mode == Anywhere {
		var all byteSet
		all.negate()
		loop := c.emit(inst{kind: iSplit, y: next})
		c.insts[loop].x = c.emit(inst{kind: iSet, set: c.setOf(all), x: loop})
		next = loop
	}
	return c.emit(inst{kind: iSplit, x: c.emit(inst{kind: iBegin, x: next}), y: next})
}

// compile returns where n begins, if next follows it.
func (c *compiler) compile(n *node, next uint16) uint16 {
	if c.steps++; c.steps > 4*c.max {
		c.failed = true
	}
	if c.failed {
		return next
	}
	switch n.op {
	case opSet:
		return c.emit(inst{kind: iSet, set: c.setOf(n.set), x: next})
	case opBegin:
		return c.emit(inst{kind: iBegin, x: next})
	case opEnd:
		return c.emit(inst{kind: iEnd, x: next})
	case opCat:
		for i := len(n.subs) - 1; i >= 0; i-- {
			next = c.compile(n.subs[i], next)
		}
	case opAlt:
		start := c.compile(n.subs[0], next)
		for _, sub := range n.subs[1:] {
			start = c.emit(inst{kind: iSplit, x: start, y: c.compile(sub, next)})
		}
		return start
	case opRepeat:
		return c.repeat(n, next)
	}
	return next
}

func (c *compiler) repeat(n *node, next uint16) uint16 {
	sub := n.subs[0]
	start := next
	if n.max < 0 {
		start = c.emit(inst{kind: iSplit, y: next})
		if c.failed {
			return next
		}
		// x must be known before the loop can be read: compile may not look at it.
		c.insts[start].x = start
		c.insts[start].x = c.compile(sub, start)
		if n.min == 1 {
			// a+ is a, then a*: one copy is enough.
			return c.insts[start].x
		}
	} else {
		for i := n.min; i < n.max && !c.failed; i++ {
			start = c.emit(inst{kind: iSplit, x: c.compile(sub, start), y: next})
		}
	}
	for i := 0; i < n.min && !c.failed; i++ {
		start = c.compile(sub, start)
	}
	return start
}

// divide finds the classes of bytes that no pattern tells apart, and rewrites
// the sets of instructions as sets of classes.
func (s *Set) divide(sets []byteSet) {
	s.nclass = 1
	for i := range sets {
		moved := map[uint8]uint8{}
		outside := [256]bool{}
		for b := range 256 {
			if !sets[i].has(byte(b)) {
				outside[s.classes[b]] = true
			}
		}
		for b := range 256 {
			old := s.classes[b]
			if !sets[i].has(byte(b)) || !outside[old] {
				continue
			}
			to, ok := moved[old]
			if !ok {
				to = uint8(s.nclass)
				s.nclass++
				moved[old] = to
			}
			s.classes[b] = to
		}
	}
	s.sets = make([]byteSet, len(sets))
	for i := range sets {
		for b := range 256 {
			if sets[i].has(byte(b)) {
				s.sets[i].add(s.classes[b])
			}
		}
	}
}
