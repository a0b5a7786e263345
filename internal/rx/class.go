package rx

import (
	"strings"

	"github.com/picket-nsm/picket/zeek/text"
)

// class reads a character class. A ] or - in the first place stands for itself.
func (p *parser) class() (*node, error) {
	n := &node{op: opSet}
	p.at++
	negated := p.take('^')
	for first := true; ; first = false {
		b := p.peek()
		switch {
		case b == 0 || b == '\n':
			return nil, p.errorf("missing ]")
		case b == ']' && !first:
			p.at++
			if negated {
				n.set.negate()
			}
			return n, nil
		case b == '[' && strings.HasPrefix(p.text[p.at:], "[:"):
			done, err := p.named(&n.set)
			if err != nil {
				return nil, err
			}
			if done {
				continue
			}
		case b == '-' && !first && p.at+1 < len(p.text) && p.text[p.at+1] != ']':
			return nil, p.errorf(`a range has no beginning; write \-`)
		}
		if err := p.rangeOf(&n.set); err != nil {
			return nil, err
		}
	}
}

// rangeOf reads a byte or two with a dash between.
func (p *parser) rangeOf(set *byteSet) error {
	lo, err := p.classByte()
	if err != nil {
		return err
	}
	if p.peek() != '-' || p.at+1 >= len(p.text) || p.text[p.at+1] == ']' || p.text[p.at+1] == '\n' {
		p.addFolded(set, lo)
		return nil
	}
	p.at++
	if p.peek() == '-' && p.at+1 < len(p.text) && p.text[p.at+1] != ']' {
		return p.errorf(`a range ends with a dash; write \-`)
	}
	hi, err := p.classByte()
	if err != nil {
		return err
	}
	if lo > hi {
		return p.errorf("range from %q back to %q", lo, hi)
	}
	if p.fold && (isAlpha(lo) || isAlpha(hi)) && !(isAlpha(lo) && isAlpha(hi) && lo&0x20 == hi&0x20) {
		return p.errorf("range from %q to %q is not clear without case", lo, hi)
	}
	for b := int(lo); b <= int(hi); b++ {
		p.addFolded(set, byte(b))
	}
	return nil
}

func (p *parser) addFolded(set *byteSet, b byte) {
	set.add(b)
	if p.fold && isAlpha(b) {
		set.add(b ^ 0x20)
	}
}

func (p *parser) classByte() (byte, error) {
	b := p.peek()
	if b == '\\' {
		return p.escape()
	}
	p.at++
	return b, nil
}

// named reads [:alpha:] and its like. It reports false if this is none.
func (p *parser) named(set *byteSet) (bool, error) {
	rest := p.text[p.at+2:]
	i := 0
	for i < len(rest) && isAlpha(rest[i]) {
		i++
	}
	if i == 0 || !strings.HasPrefix(rest[i:], ":]") {
		return false, nil
	}
	is := classOf(strings.ToLower(rest[:i]), p.fold)
	if is == nil {
		return false, p.errorf("unknown class [:%s:]", rest[:i])
	}
	for b := range byte(0x80) {
		if is(b) {
			set.add(b)
		}
	}
	p.at += 2 + i + 2
	return true, nil
}

func classOf(name string, fold bool) func(b byte) bool {
	digit := func(b byte) bool { return b >= '0' && b <= '9' }
	graph := func(b byte) bool { return b > ' ' && b < 0x7f }
	switch name {
	case "upper":
		if fold {
			return isAlpha
		}
		return func(b byte) bool { return b >= 'A' && b <= 'Z' }
	case "lower":
		if fold {
			return isAlpha
		}
		return func(b byte) bool { return b >= 'a' && b <= 'z' }
	case "alpha":
		return isAlpha
	case "digit":
		return digit
	case "alnum":
		return func(b byte) bool { return isAlpha(b) || digit(b) }
	case "xdigit":
		return func(b byte) bool { return text.HexDigit(b) >= 0 }
	case "blank":
		return func(b byte) bool { return b == ' ' || b == '\t' }
	case "space":
		return func(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }
	case "cntrl":
		return func(b byte) bool { return b < ' ' || b == 0x7f }
	case "graph":
		return graph
	case "print":
		return func(b byte) bool { return b == ' ' || graph(b) }
	case "punct":
		return func(b byte) bool { return graph(b) && !isAlpha(b) && !digit(b) }
	}
	return nil
}
