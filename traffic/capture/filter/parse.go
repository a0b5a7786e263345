package filter

import "fmt"

// compiler parses an expression and makes conditions as it goes: vlan and mpls
// move the offsets of everything that follows in the text, as in libpcap.
type compiler struct {
	expr string
	link uint16
	raw  bool
	toks []token
	pos  int

	typeOff int // of the EtherType
	l3      int // of the IP header
	mpls    int // labels passed
	tagCol  int // column of the first vlan, 0 for none
	depth   int // of nested parentheses

	ops int   // operators on this level of parentheses
	odd token // a % or ^ among them
}

// maxDepth bounds the recursion.
const maxDepth = 100

// maxExpr is how long an expression may be.
const maxExpr = 64 << 10

// quals are the qualifiers of a term; those behind it may leave them out.
type quals struct {
	ok    bool // there were any
	proto proto
	word  token // of the protocol, for errors
	dir   dir
	what  what
}

type dir uint8

const (
	dirEither dir = iota
	dirSrc
	dirDst
	dirBoth
)

type what uint8

const (
	isHost what = iota // also where nothing was said
	isNet
	isPort
	isRange
	isProto
)

func (c *compiler) fail(t token, hint, format string, args ...any) error {
	return &Error{Expr: c.expr, Col: t.col, Msg: fmt.Sprintf(format, args...), Hint: hint}
}

func (c *compiler) peek() token { return c.toks[c.pos] }

func (c *compiler) next() token {
	t := c.toks[c.pos]
	if t.kind != tEnd {
		c.pos++
	}
	return t
}

// is reports whether the next token is one of the keywords or operators.
func (c *compiler) is(texts ...string) bool { return oneOf(c.peek(), texts...) }

func oneOf(t token, texts ...string) bool {
	if t.kind != tWord && t.kind != tOp {
		return false
	}
	for _, s := range texts {
		if t.text == s {
			return true
		}
	}
	return false
}

// take skips the next token if it is one of the texts.
func (c *compiler) take(texts ...string) bool {
	if c.is(texts...) {
		c.pos++
		return true
	}
	return false
}

func (c *compiler) compile() (*node, error) {
	var err error
	if len(c.expr) > maxExpr {
		return nil, &Error{Expr: c.expr[:100] + "...", Col: 1, Msg: fmt.Sprintf("the filter has more than %d bytes", maxExpr)}
	}
	if c.toks, err = lex(c.expr); err != nil {
		return nil, err
	}
	if c.peek().kind == tEnd {
		return constant(true), nil
	}
	n, _, err := c.or(quals{})
	if err != nil {
		return nil, err
	}
	if t := c.peek(); t.kind != tEnd {
		return nil, c.fail(t, "join terms with and, or", "%q is not expected here", t.text)
	}
	return n, nil
}

// or parses terms joined by and, or; both bind alike, from the left, as in
// libpcap.
func (c *compiler) or(q quals) (*node, quals, error) {
	n, q, err := c.term(q)
	for err == nil {
		var join func(l, r *node) *node
		switch {
		case c.take("and", "&&"):
			join = and
		case c.take("or", "||"):
			join = or
		default:
			return n, q, nil
		}
		var r *node
		if r, q, err = c.term(q); err == nil {
			n = join(n, r)
		}
	}
	return nil, q, err
}

// term parses one term. prev are the qualifiers of the term before it, which a
// bare value takes over. It returns the qualifiers of its own.
func (c *compiler) term(prev quals) (*node, quals, error) {
	if c.depth++; c.depth > maxDepth {
		return nil, quals{}, c.fail(c.peek(), "", "more than %d levels of parentheses and nots", maxDepth)
	}
	defer func() { c.depth-- }()
	t := c.peek()
	if c.take("not", "!") {
		n, q, err := c.term(prev)
		if err != nil {
			return nil, q, err
		}
		return not(n), q, nil
	}
	if n, ok, err := c.relation(); ok || err != nil {
		return n, quals{}, err
	}
	if c.is("(") {
		if c.bare(c.pos + 1) {
			n, err := c.list(prev)
			return n, prev, err
		}
		c.next()
		n, _, err := c.or(quals{})
		if err != nil {
			return nil, quals{}, err
		}
		return n, quals{}, c.close(t)
	}
	if c.bare(c.pos) {
		n, err := c.value(prev)
		return n, prev, err
	}
	if t.kind == tWord {
		if n, ok, err := c.special(); ok || err != nil {
			return n, quals{}, err
		}
	}
	return c.qualified()
}

func (c *compiler) close(open token) error {
	if !c.take(")") {
		return c.fail(c.peek(), fmt.Sprintf("close the parenthesis of column %d", open.col), "%q is not expected here", c.peek().text)
	}
	return nil
}

// bare reports whether token i is a value without qualifiers in front.
func (c *compiler) bare(i int) bool {
	switch t := c.toks[i]; t.kind {
	case tNumber:
		return !c.operator(i + 1)
	case tDotted, tIP6, tMAC, tName:
		return true
	case tWord:
		_, p := protoWords[t.text]
		_, u := unsupported[t.text]
		return !p && !u && !keywords[t.text]
	case tOp:
		return t.text == "(" && i+1 < len(c.toks) && c.bare(i+1)
	}
	return false
}

// list parses values in parentheses, joined by and, or, that share qualifiers:
// host (a or b).
func (c *compiler) list(q quals) (*node, error) {
	if c.depth++; c.depth > maxDepth {
		return nil, c.fail(c.peek(), "", "more than %d levels of parentheses and nots", maxDepth)
	}
	defer func() { c.depth-- }()
	open := c.next()
	n, err := c.item(q)
	for err == nil {
		var join func(l, r *node) *node
		switch {
		case c.take("and", "&&"):
			join = and
		case c.take("or", "||"):
			join = or
		default:
			return n, c.close(open)
		}
		var r *node
		if r, err = c.item(q); err == nil {
			n = join(n, r)
		}
	}
	return nil, err
}

func (c *compiler) item(q quals) (*node, error) {
	if c.depth++; c.depth > maxDepth {
		return nil, c.fail(c.peek(), "", "more than %d levels of parentheses and nots", maxDepth)
	}
	defer func() { c.depth-- }()
	switch {
	case c.take("not", "!"):
		n, err := c.item(q)
		if err != nil {
			return nil, err
		}
		return not(n), nil
	case c.is("("):
		return c.list(q)
	}
	return c.value(q)
}

// special parses the terms that are no qualifiers with a value.
func (c *compiler) special() (*node, bool, error) {
	t := c.peek()
	switch t.text {
	case "less", "greater":
		c.next()
		v := c.next()
		if v.kind != tNumber {
			return nil, true, c.fail(v, "as in less 100", "%q is no number of bytes", v.text)
		}
		n := &node{kind: nTest, code: []ins{{opLd | modeLen, 0}}, jump: ins{opJmp | jmpGe, v.num}}
		if t.text == "less" {
			n.jump.op = opJmp | jmpGt
			n = not(n)
		}
		return n, true, nil
	case "vlan":
		c.next()
		n, err := c.vlan(t)
		return n, true, err
	case "mpls":
		c.next()
		n, err := c.label(t)
		return n, true, err
	case "broadcast", "multicast":
		c.next()
		n, err := c.cast(quals{}, t)
		return n, true, err
	}
	return nil, false, nil
}

// qualified parses qualifiers and what they stand before.
func (c *compiler) qualified() (*node, quals, error) {
	var q quals
	start := c.peek()
	if hint, ok := unsupported[start.text]; ok && start.kind == tWord {
		return nil, q, c.fail(start, hint, "%q is not supported", start.text)
	}
	if w, ok := protoWords[start.text]; ok && start.kind == tWord {
		c.next()
		q.ok, q.proto, q.word = true, w.p, start
	}
	if t := c.peek(); q.ok && oneOf(t, "broadcast", "multicast") {
		c.next()
		n, err := c.cast(q, t)
		return n, quals{}, err
	}
	if c.take("proto") {
		q.ok, q.what = true, isProto
		n, err := c.values(q)
		return n, q, err
	}
	directed := false
	switch {
	case c.take("src"):
		q.dir, directed = dirSrc, true
	case c.take("dst"):
		q.dir, directed = dirDst, true
	}
	if directed && c.pos+1 < len(c.toks) && c.is("or", "and") && oneOf(c.toks[c.pos+1], "src", "dst") {
		both := c.next().text == "and"
		second := c.next()
		if (second.text == "src") == (q.dir == dirSrc) {
			return nil, q, c.fail(second, "write src or dst, src and dst", "%q is there twice", second.text)
		}
		q.dir = dirEither
		if both {
			q.dir = dirBoth
		}
	}
	kinded := true
	switch {
	case c.take("host"):
	case c.take("net"):
		q.what = isNet
	case c.take("port"):
		q.what = isPort
	case c.take("portrange"):
		q.what = isRange
	default:
		kinded = false
	}
	if !directed && !kinded {
		if q.proto == pNone {
			return nil, q, c.unexpected(start)
		}
		if c.bare(c.pos) {
			return nil, q, c.fail(c.peek(), "say host, net, port, portrange or proto before it", "%q is not expected here", c.peek().text)
		}
		n, err := c.protocol(start)
		return n, quals{}, err
	}
	q.ok = true
	n, err := c.values(q)
	return n, q, err
}

// values parses the value behind qualifiers, or several in parentheses.
func (c *compiler) values(q quals) (*node, error) {
	if c.is("(") {
		return c.list(q)
	}
	return c.value(q)
}

func (c *compiler) unexpected(t token) error {
	switch t.kind {
	case tEnd:
		return c.fail(t, "", "the expression ends too soon")
	case tWord:
		hint := ""
		if t.text == "src" || t.text == "dst" {
			hint = "say what: src host, src net, src port"
		}
		return c.fail(t, hint, "%q is not expected here", t.text)
	}
	return c.fail(t, "", "%q is not expected here", t.text)
}
