package filter

import "github.com/picket-nsm/picket/traffic/packet"

// expr is a number computed from a packet.
type expr struct {
	kind  exprKind
	num   uint32
	op    uint16 // binary: aluAdd ...
	l, r  *expr  // binary, negative (l)
	size  uint16 // load: of the field
	off   int    // load: of the header
	ip    bool   // load: behind an IPv4 header of any length
	check *node  // load: what the packet must be
}

type exprKind uint8

const (
	eNum exprKind = iota
	eLen
	eLoad
	eBin
	eNeg
)

// precedence of the binary operators. libpcap gives none to % and ^, and reads
// a*b%c as a*(b%c); we ask for parentheses there.
var precedence = map[string]int{"|": 1, "&": 2, "<<": 3, ">>": 3, "+": 4, "-": 4, "*": 5, "/": 5, "%": 6, "^": 6}

var aluOf = map[string]uint16{"|": aluOr, "&": aluAnd, "<<": aluLsh, ">>": aluRsh, "+": aluAdd, "-": aluSub,
	"*": aluMul, "/": aluDiv, "%": aluMod, "^": aluXor}

// relation parses a comparison of two expressions. ok is false, and nothing
// taken, if what comes is none.
func (c *compiler) relation() (n *node, ok bool, err error) {
	if !c.arithmetic() {
		return nil, false, nil
	}
	l, err := c.number()
	if err != nil {
		return nil, true, err
	}
	t := c.next()
	var jump uint16
	negate := false
	switch {
	case oneOf(t, "=", "=="):
		jump = jmpEq
	case oneOf(t, "!="):
		jump, negate = jmpEq, true
	case oneOf(t, ">"):
		jump = jmpGt
	case oneOf(t, ">="):
		jump = jmpGe
	case oneOf(t, "<"):
		jump, negate = jmpGe, true
	case oneOf(t, "<="):
		jump, negate = jmpGt, true
	default:
		return nil, true, c.fail(t, "as in tcp[13] & 2 != 0", "a comparison is missing before %q", t.text)
	}
	r, err := c.number()
	if err != nil {
		return nil, true, err
	}
	n = &node{kind: nTest}
	checks := constant(true)
	e := emitter{c: c, t: t, checks: &checks}
	if r.kind == eNum {
		err = e.eval(l, 0)
		n.jump = ins{opJmp | jump, r.num}
	} else {
		err = e.pair(l, r, 0, false)
		n.jump = ins{opJmp | jump | srcX, 0}
	}
	if err != nil {
		return nil, true, err
	}
	n.code = e.code
	if negate {
		n = not(n)
	}
	return and(checks, n), true, nil
}

// arithmetic reports whether an expression with numbers begins here: it looks at
// most to the matching parenthesis and one token farther.
func (c *compiler) arithmetic() bool {
	i := c.pos
	switch t := c.toks[i]; {
	case oneOf(t, "-", "len"):
		return true
	case t.kind == tNumber:
		return c.operator(i + 1)
	case t.kind == tWord:
		if _, ok := numbers[t.text]; ok {
			return true
		}
		if _, ok := protoWords[t.text]; ok {
			return oneOf(c.toks[i+1], "[")
		}
	case oneOf(t, "("):
		depth := 0
		for ; i < len(c.toks); i++ {
			switch {
			case oneOf(c.toks[i], "(", "["):
				depth++
			case oneOf(c.toks[i], ")", "]"):
				if depth--; depth == 0 {
					return i+1 < len(c.toks) && c.operator(i+1)
				}
			}
		}
	}
	return false
}

// operator reports whether token i computes or compares.
func (c *compiler) operator(i int) bool {
	return oneOf(c.toks[i], "|", "&", "<<", ">>", "+", "-", "*", "/", "%", "^", "=", "==", "!=", "<", "<=", ">", ">=")
}

// binary parses operators of a precedence and higher ones.
func (c *compiler) binary(least int) (*expr, error) {
	l, err := c.unary()
	if err != nil {
		return nil, err
	}
	for {
		t := c.peek()
		p := precedence[t.text]
		if t.kind != tOp || p < least {
			return l, nil
		}
		c.next()
		if c.ops++; t.text == "%" || t.text == "^" {
			c.odd = t
		}
		if c.depth++; c.depth > maxDepth {
			return nil, c.fail(t, "", "more than %d operators within each other", maxDepth)
		}
		r, err := c.binary(p + 1)
		c.depth--
		if err != nil {
			return nil, err
		}
		if (t.text == "/" || t.text == "%") && r.kind == eNum && r.num == 0 {
			return nil, c.fail(t, "", "a division by 0")
		}
		if (t.text == "<<" || t.text == ">>") && r.kind == eNum && r.num > 31 {
			return nil, c.fail(t, "numbers have 32 bits", "a shift by %d", r.num)
		}
		l = &expr{kind: eBin, op: aluOf[t.text], l: l, r: r}
		if l.l.kind == eNum && l.r.kind == eNum {
			v, _ := alu(l.op, l.l.num, l.r.num)
			l = &expr{kind: eNum, num: v}
		}
	}
}

// number parses an expression: one level of parentheses.
func (c *compiler) number() (*expr, error) {
	ops, odd := c.ops, c.odd
	c.ops, c.odd = 0, token{}
	e, err := c.binary(1)
	if err == nil && c.ops > 1 && c.odd.col > 0 {
		err = c.fail(c.odd, "use parentheses: (a % b) + c", "%q beside another operator", c.odd.text)
	}
	c.ops, c.odd = ops, odd
	return e, err
}

func (c *compiler) unary() (*expr, error) {
	if c.depth++; c.depth > maxDepth {
		return nil, c.fail(c.peek(), "", "more than %d levels of parentheses", maxDepth)
	}
	defer func() { c.depth-- }()
	t := c.next()
	switch {
	case oneOf(t, "("):
		e, err := c.number()
		if err != nil {
			return nil, err
		}
		return e, c.close(t)
	case oneOf(t, "-"):
		e, err := c.unary()
		if err != nil {
			return nil, err
		}
		if e.kind == eNum {
			return &expr{kind: eNum, num: -e.num}, nil
		}
		return &expr{kind: eNeg, l: e}, nil
	case oneOf(t, "len"):
		return &expr{kind: eLen}, nil
	case t.kind == tNumber:
		return &expr{kind: eNum, num: t.num}, nil
	case t.kind == tWord:
		if v, ok := numbers[t.text]; ok {
			return &expr{kind: eNum, num: v}, nil
		}
		if _, ok := protoWords[t.text]; ok {
			return c.load(t)
		}
	}
	if t.kind == tEnd {
		return nil, c.fail(t, "", "the expression ends too soon")
	}
	return nil, c.fail(t, "put blanks around operators", "%q is no number", t.text)
}

// load parses proto[index:size].
func (c *compiler) load(t token) (*expr, error) {
	if open := c.next(); !oneOf(open, "[") {
		return nil, c.fail(open, "as in tcp[13]", "%q is not expected behind %q", open.text, t.text)
	}
	index, err := c.number()
	if err != nil {
		return nil, err
	}
	e := &expr{kind: eLoad, l: index, size: sizeB}
	if c.take(":") {
		s := c.next()
		switch {
		case s.kind == tNumber && s.num == 1:
		case s.kind == tNumber && s.num == 2:
			e.size = sizeH
		case s.kind == tNumber && s.num == 4:
			e.size = sizeW
		default:
			return nil, c.fail(s, "1, 2 or 4 bytes", "%q is no size of a field", s.text)
		}
	}
	if !c.take("]") {
		return nil, c.fail(c.peek(), "as in tcp[4:2]", "%q is not expected within brackets", c.peek().text)
	}
	if index.kind == eNum && index.num > 0xffff {
		return nil, c.fail(t, "", "byte %d of a packet", int32(index.num))
	}
	w := protoWords[t.text]
	switch w.p {
	case pEther:
		return e, nil
	case pIP, pIP6, pARP, pRARP:
		e.off = c.l3
		e.check, err = c.protocol(t)
		return e, err
	case pICMP6:
		e.off = c.l3 + 40
		e.check, err = c.both(t, nil, cmp(sizeB, c.l3+6, packet.ICMPv6))
		return e, err
	case pAH, pESP:
		return nil, c.fail(t, "", "%q has no bytes to look at", t.text)
	}
	// Behind an IPv4 header, in first fragments only.
	e.off, e.ip = c.l3, true
	e.check, err = c.both(t, and(cmp(sizeB, c.l3+9, w.number), c.firstFragment()), nil)
	return e, err
}

// emitter turns expressions into instructions that leave the value in A.
type emitter struct {
	c      *compiler
	t      token
	code   []ins
	checks **node // what the packet must be, before any of the code runs
}

func (e *emitter) add(op uint16, k uint32) { e.code = append(e.code, ins{op, k}) }

// eval computes x into A. Memory words from slot on are free.
func (e *emitter) eval(x *expr, slot int) error {
	if slot >= scratch {
		return e.c.fail(e.t, "", "the comparison needs more than %d intermediate values", scratch)
	}
	switch x.kind {
	case eNum:
		e.add(opLd|modeImm, x.num)
	case eLen:
		e.add(opLd|modeLen, 0)
	case eNeg:
		if err := e.eval(x.l, slot); err != nil {
			return err
		}
		e.add(tax, 0) // x/net/bpf has no negation
		e.add(opLd|modeImm, 0)
		e.add(opAlu|aluSub|srcX, 0)
	case eBin:
		if x.r.kind == eNum {
			if err := e.eval(x.l, slot); err != nil {
				return err
			}
			e.add(opAlu|x.op, x.r.num)
			return nil
		}
		if err := e.pair(x.l, x.r, slot, true); err != nil {
			return err
		}
		e.add(opAlu|x.op|srcX, 0)
	case eLoad:
		return e.load(x, slot)
	}
	return nil
}

// pair computes l into A and r into X. mute leaves out what r asks of the
// packet: libpcap's operators only heed their left side (comparisons heed both),
// and filters are written against that.
func (e *emitter) pair(l, r *expr, slot int, mute bool) error {
	if err := e.eval(l, slot); err != nil {
		return err
	}
	e.add(opSt, uint32(slot))
	before := *e.checks
	if err := e.eval(r, slot+1); err != nil {
		return err
	}
	if mute {
		*e.checks = before
	}
	e.add(tax, 0)
	e.add(opLd|modeMem, uint32(slot))
	return nil
}

func (e *emitter) load(x *expr, slot int) error {
	if x.l.kind == eNum {
		e.check(x.check)
		k := uint32(x.off) + x.l.num
		if x.ip {
			e.add(opLdx|sizeB|modeMsh, uint32(x.off))
			e.add(opLd|x.size|modeInd, k)
		} else {
			e.add(opLd|x.size|modeAbs, k)
		}
		return nil
	}
	if err := e.eval(x.l, slot); err != nil {
		return err
	}
	e.check(x.check)
	if x.ip {
		e.add(opLdx|sizeB|modeMsh, uint32(x.off))
		e.add(opAlu|aluAdd|srcX, 0)
	}
	e.add(tax, 0)
	e.add(opLd|x.size|modeInd, uint32(x.off))
	return nil
}

// check asks for one more thing that the packet must be.
func (e *emitter) check(n *node) {
	if n != nil {
		*e.checks = and(*e.checks, n)
	}
}
