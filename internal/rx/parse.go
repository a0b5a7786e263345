package rx

import (
	"fmt"
	"strings"

	"github.com/picket-nsm/picket/zeek/text"
)

// node is a piece of a parsed pattern.
type node struct {
	op       op
	set      byteSet
	subs     []*node
	min, max int // of opRepeat; max below 0: no bound
}

type op uint8

const (
	opEmpty op = iota
	opSet
	opBegin
	opEnd
	opCat
	opAlt
	opRepeat
)

// byteSet is a set of bytes.
type byteSet [4]uint64

func (s *byteSet) add(b byte)      { s[b>>6] |= 1 << (b & 63) }
func (s *byteSet) has(b byte) bool { return s[b>>6]&(1<<(b&63)) != 0 }

func (s *byteSet) negate() {
	for i := range s {
		s[i] = ^s[i]
	}
}

// maxDepth bounds groups within groups.
const maxDepth = 200

// maxCount bounds a counted repetition.
const maxCount = 1 << 16

// parser reads one pattern.
type parser struct {
	text  string
	at    int
	depth int
	fold  bool // letters in either case
	dotNL bool
}

func parse(text string, dotNL bool) (*node, error) {
	p := &parser{text: text, dotNL: dotNL}
	n, err := p.alternatives()
	if err == nil && p.at < len(p.text) {
		err = p.errorf("unexpected %q", p.text[p.at])
	}
	return n, err
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("byte %d: "+format, append([]any{p.at}, args...)...)
}

// peek returns the next byte, 0 at the end: a NUL in a pattern is an error.
func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) take(b byte) bool {
	if p.peek() == b && p.at < len(p.text) {
		p.at++
		return true
	}
	return false
}

// alternatives reads series between bars. Only the first may be empty.
func (p *parser) alternatives() (*node, error) {
	n, err := p.series()
	if err != nil || p.peek() != '|' {
		return n, err
	}
	alt := &node{op: opAlt, subs: []*node{n}}
	for p.take('|') {
		start := p.at
		n, err := p.series()
		if err != nil {
			return nil, err
		}
		if p.at == start {
			return nil, p.errorf("nothing after |")
		}
		alt.subs = append(alt.subs, n)
	}
	return alt, nil
}

func (p *parser) series() (*node, error) {
	cat := &node{op: opCat}
	for p.at < len(p.text) && p.peek() != '|' && p.peek() != ')' {
		n, err := p.single()
		if err != nil {
			return nil, err
		}
		cat.subs = append(cat.subs, n)
	}
	switch len(cat.subs) {
	case 0:
		return &node{op: opEmpty}, nil
	case 1:
		return cat.subs[0], nil
	}
	return cat, nil
}

// single reads one element with what repeats it.
func (p *parser) single() (*node, error) {
	n, err := p.element()
	for depth := 0; err == nil; depth++ {
		if depth > maxDepth {
			return nil, p.errorf("too many repetitions of repetitions")
		}
		switch p.peek() {
		case '*':
			n = &node{op: opRepeat, subs: []*node{n}, max: -1}
		case '+':
			n = &node{op: opRepeat, subs: []*node{n}, min: 1, max: -1}
		case '?':
			n = &node{op: opRepeat, subs: []*node{n}, max: 1}
		case '{':
			r := &node{op: opRepeat, subs: []*node{n}}
			if r.min, r.max, err = p.counts(); err != nil {
				return nil, err
			}
			n = r
			continue
		default:
			return n, nil
		}
		p.at++
	}
	return nil, err
}

// counts reads {n}, {n,} or {n,m}.
func (p *parser) counts() (lo, hi int, err error) {
	p.at++
	if lo, err = p.number(); err != nil {
		return 0, 0, err
	}
	hi = lo
	if p.take(',') {
		hi = -1
		if p.peek() != '}' {
			if hi, err = p.number(); err != nil {
				return 0, 0, err
			}
			if hi < lo {
				return 0, 0, p.errorf("bad repetition {%d,%d}", lo, hi)
			}
		}
	}
	if !p.take('}') {
		return 0, 0, p.errorf("want } after the number of repetitions")
	}
	return lo, hi, nil
}

func (p *parser) number() (int, error) {
	n, start := 0, p.at
	for p.peek() >= '0' && p.peek() <= '9' {
		if n = n*10 + int(p.peek()-'0'); n > maxCount {
			return 0, p.errorf("more than %d repetitions: %w", maxCount, ErrTooLarge)
		}
		p.at++
	}
	if p.at == start {
		return 0, p.errorf("want a number")
	}
	return n, nil
}

func (p *parser) element() (*node, error) {
	b := p.text[p.at]
	switch b {
	case '(':
		return p.group()
	case '[':
		return p.class()
	case '"':
		return p.quoted()
	case '^':
		p.at++
		return &node{op: opBegin}, nil
	case '$':
		p.at++
		return &node{op: opEnd}, nil
	case '.':
		p.at++
		n := &node{op: opSet}
		if !p.dotNL {
			n.set.add('\n')
		}
		n.set.negate()
		return n, nil
	case '\\':
		b, err := p.escape()
		return one(b, false), err
	case '*', '+', '?':
		return nil, p.errorf("nothing to repeat before %c", b)
	case '{', '}', 0, '\n':
		return nil, p.errorf("unexpected %q; write %s", b, escaped(b))
	}
	p.at++
	return one(b, p.fold), nil
}

func escaped(b byte) string {
	switch b {
	case 0:
		return `\x00`
	case '\n':
		return `\n`
	}
	return `\` + string(b)
}

// one returns the node of a byte; fold adds the letter's other case.
func one(b byte, fold bool) *node {
	n := &node{op: opSet}
	n.set.add(b)
	if fold && isAlpha(b) {
		n.set.add(b ^ 0x20)
	}
	return n
}

// group reads (a), (?i:a) or (?s:a).
func (p *parser) group() (*node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.errorf("groups are nested more than %d deep: %w", maxDepth, ErrTooLarge)
	}
	fold, dotNL := p.fold, p.dotNL
	switch rest := p.text[p.at:]; {
	case strings.HasPrefix(rest, "(?i:"), strings.HasPrefix(rest, "(?I:"):
		p.fold = true
		p.at += 4
	case strings.HasPrefix(rest, "(?s:"), strings.HasPrefix(rest, "(?S:"):
		p.dotNL = true
		p.at += 4
	default:
		p.at++
	}
	n, err := p.alternatives()
	if err != nil {
		return nil, err
	}
	if !p.take(')') {
		return nil, p.errorf("missing )")
	}
	p.fold, p.dotNL = fold, dotNL
	p.depth--
	return n, nil
}

// quoted reads bytes between quotation marks. They stand for themselves, in
// their own case.
func (p *parser) quoted() (*node, error) {
	n := &node{op: opCat}
	for p.at++; ; {
		switch p.peek() {
		case '"':
			p.at++
			return n, nil
		case '\\':
			b, err := p.escape()
			if err != nil {
				return nil, err
			}
			n.subs = append(n.subs, one(b, false))
		case 0, '\n':
			return nil, p.errorf("missing quotation mark")
		default:
			n.subs = append(n.subs, one(p.peek(), false))
			p.at++
		}
	}
}

// escape reads what stands behind a backslash.
func (p *parser) escape() (byte, error) {
	p.at++
	b := p.peek()
	switch {
	case b == 0 || b == '\n':
		return 0, p.errorf("nothing after the backslash")
	case b == 'x':
		if p.at+2 < len(p.text) {
			hi, lo := text.HexDigit(p.text[p.at+1]), text.HexDigit(p.text[p.at+2])
			if hi >= 0 && lo >= 0 {
				p.at += 3
				return byte(hi<<4 | lo), nil
			}
		}
		return 0, p.errorf(`want two hexadecimal digits after \x`)
	case b >= '0' && b <= '7':
		v := 0
		for range 3 {
			if d := p.peek(); d >= '0' && d <= '7' {
				v = v<<3 | int(d-'0')
				p.at++
			}
		}
		if v > 255 {
			return 0, p.errorf(`octal escape \%o is no byte`, v)
		}
		return byte(v), nil
	}
	p.at++
	const names, values = "bfnrtav", "\b\f\n\r\t\a\v"
	if i := strings.IndexByte(names, b); i >= 0 {
		return values[i], nil
	}
	return b, nil
}

func isAlpha(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }
