package filter

import "golang.org/x/net/bpf"

// Instruction codes: class, size, mode and operation (linux/bpf_common.h).
const (
	opLd, opLdx, opSt, opAlu, opJmp, opRet, opMisc = 0, 1, 2, 4, 5, 6, 7

	sizeW, sizeH, sizeB = 0x00, 0x08, 0x10

	modeImm, modeAbs, modeInd, modeMem, modeLen, modeMsh = 0x00, 0x20, 0x40, 0x60, 0x80, 0xa0

	aluAdd, aluSub, aluMul, aluDiv, aluOr, aluAnd = 0x00, 0x10, 0x20, 0x30, 0x40, 0x50
	aluLsh, aluRsh, aluNeg, aluMod, aluXor        = 0x60, 0x70, 0x80, 0x90, 0xa0

	jmpJa, jmpEq, jmpGt, jmpGe, jmpSet = 0x00, 0x10, 0x20, 0x30, 0x40

	srcX = 0x08
	tax  = opMisc
)

// scratch is how many memory words a program has.
const scratch = 16

// ins is one instruction that does not jump.
type ins struct {
	op uint16
	k  uint32
}

// node is a condition: exactly one of its forms. The order of evaluation is that
// of the expression: a load beyond the packet's end rejects the packet, whatever
// would come behind.
type node struct {
	kind nodeKind
	l, r *node // and, or, not (l)
	code []ins // test: what comes before the comparison
	jump ins   // test: the comparison
	val  bool  // constant
}

type nodeKind uint8

const (
	nConst nodeKind = iota
	nTest
	nAnd
	nOr
	nNot
)

func constant(v bool) *node { return &node{kind: nConst, val: v} }

func and(l, r *node) *node {
	if l.kind == nConst {
		if l.val {
			return r
		}
		return l
	}
	return &node{kind: nAnd, l: l, r: r}
}

func or(l, r *node) *node {
	if l.kind == nConst {
		if l.val {
			return l
		}
		return r
	}
	return &node{kind: nOr, l: l, r: r}
}

func not(n *node) *node {
	if n.kind == nConst {
		return constant(!n.val)
	}
	return &node{kind: nNot, l: n}
}

// cmp compares a field of the packet with a number.
func cmp(size uint16, off int, v uint32) *node { return compare(size, off, jmpEq, v) }

func compare(size uint16, off int, jmp uint16, v uint32) *node {
	return &node{kind: nTest, code: []ins{{opLd | size | modeAbs, uint32(off)}}, jump: ins{opJmp | jmp, v}}
}

// masked compares the bits of a field that a mask leaves.
func masked(size uint16, off int, v, mask uint32) *node {
	n := cmp(size, off, v)
	if mask != 0xffffffff {
		n.code = append(n.code, ins{opAlu | aluAnd, mask})
	}
	return n
}

// generator lays a condition out as a program. Labels are numbers; a jump names
// two of them.
type generator struct {
	code []placed
	at   []int // label > place in code
}

type placed struct {
	ins
	cond   bool // jumps to t or f; else, with ja, to t
	ja     bool
	t, f   int
	far    bool // its targets are too far for eight bits
	offset int
}

// generate makes the program; ok is false if it is too long.
func generate(n *node, snaplen uint32) (raw []bpf.RawInstruction, ok bool) {
	if n.kind == nConst && n.val {
		return []bpf.RawInstruction{{Op: opRet, K: snaplen}}, true
	}
	g := &generator{}
	accept, reject := g.label(), g.label()
	g.node(n, accept, reject)
	g.place(accept)
	g.emit(ins{opRet, snaplen})
	g.place(reject)
	g.emit(ins{opRet, 0})
	return g.link()
}

func (g *generator) label() int {
	g.at = append(g.at, -1)
	return len(g.at) - 1
}

func (g *generator) place(l int) { g.at[l] = len(g.code) }

func (g *generator) emit(i ins) { g.code = append(g.code, placed{ins: i}) }

// node emits code that goes to t or f.
func (g *generator) node(n *node, t, f int) {
	switch n.kind {
	case nConst:
		if !n.val {
			t = f
		}
		g.code = append(g.code, placed{ins: ins{opJmp | jmpJa, 0}, ja: true, t: t})
	case nNot:
		g.node(n.l, f, t)
	case nAnd:
		next := g.label()
		g.node(n.l, next, f)
		g.place(next)
		g.node(n.r, t, f)
	case nOr:
		next := g.label()
		g.node(n.l, t, next)
		g.place(next)
		g.node(n.r, t, f)
	case nTest:
		for _, i := range n.code {
			g.emit(i)
		}
		g.code = append(g.code, placed{ins: n.jump, cond: true, t: t, f: f})
	}
}

// link turns labels into distances. A conditional jump reaches 255
// instructions; one that must go farther gets two long jumps behind it. Which
// do is settled by trying until nothing changes: jumps only ever get longer.
func (g *generator) link() ([]bpf.RawInstruction, bool) {
	for changed := true; changed; {
		changed = false
		n := 0
		for i := range g.code {
			g.code[i].offset = n
			n++
			if g.code[i].far {
				n += 2
			}
		}
		if n > maxInstructions {
			return nil, false
		}
		for i := range g.code {
			p := &g.code[i]
			if p.cond && !p.far && (g.distance(p, p.t) > 255 || g.distance(p, p.f) > 255) {
				p.far = true
				changed = true
			}
		}
	}
	var out []bpf.RawInstruction
	for i := range g.code {
		p := &g.code[i]
		r := bpf.RawInstruction{Op: p.op, K: p.k}
		switch {
		case p.ja:
			r.K = uint32(g.distance(p, p.t))
		case p.far:
			r.Jt, r.Jf = 0, 1
			out = append(out, r, bpf.RawInstruction{Op: opJmp | jmpJa, K: uint32(g.distance(p, p.t) - 1)})
			r = bpf.RawInstruction{Op: opJmp | jmpJa, K: uint32(g.distance(p, p.f) - 2)}
		case p.cond:
			r.Jt, r.Jf = uint8(g.distance(p, p.t)), uint8(g.distance(p, p.f))
		}
		out = append(out, r)
	}
	return out, true
}

// distance is how many instructions lie between p and a label.
func (g *generator) distance(p *placed, label int) int {
	return g.code[g.at[label]].offset - p.offset - 1
}
