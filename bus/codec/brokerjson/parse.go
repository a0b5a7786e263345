package brokerjson

import (
	"unicode/utf16"
	"unicode/utf8"

	"github.com/picket-nsm/picket/bus/codec"
)

// kind is what a JSON text is made of.
type kind byte

const (
	jsonNull kind = iota
	jsonBool
	jsonInteger // no fraction, no exponent
	jsonReal
	jsonString
	jsonArray
	jsonObject
)

// node is a piece of JSON.
type node struct {
	kind kind
	text string // digits of a number, bytes of a string; true, false
	list []node // elements; key, value, key, value ... of an object
}

// get returns the value of the first such key.
func (n *node) get(key string) *node {
	if n.kind != jsonObject {
		return nil
	}
	for i := 0; i+1 < len(n.list); i += 2 {
		if n.list[i].text == key {
			return &n.list[i+1]
		}
	}
	return nil
}

// parser reads JSON as Zeek's own reader does, which is more and less than
// RFC 8259: \v is an escape, raw controls and any bytes may stand in strings,
// an unknown escape is a question mark, CR is no blank. It takes nesting up to
// 128 and a bounded number of nodes, for which it needs a bounded memory.
type parser struct {
	p    []byte
	at   int
	seen int
	bad  string
}

// maxNodes bounds what a text may cost; a value takes three nodes.
const maxNodes = codec.MaxValues

func parse(p []byte) (node, string, int) {
	r := parser{p: p}
	n := r.node(1)
	r.blanks()
	if r.bad == "" && r.at != len(p) {
		r.bad = "bytes after the value"
	}
	return n, r.bad, r.at
}

func (r *parser) fail(what string) node {
	if r.bad == "" {
		r.bad = what
	}
	return node{}
}

func (r *parser) blanks() {
	for r.at < len(r.p) && (r.p[r.at] == ' ' || r.p[r.at] == '\t' || r.p[r.at] == '\n') {
		r.at++
	}
}

// skip passes blanks and then c, if it comes.
func (r *parser) skip(c byte) bool {
	r.blanks()
	if r.at < len(r.p) && r.p[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *parser) node(depth int) node {
	if r.seen++; r.seen > maxNodes {
		return r.fail("too many values")
	}
	r.blanks()
	if r.at >= len(r.p) {
		return r.fail("cut")
	}
	c := r.p[r.at]
	if depth > codec.MaxDepth && (c == '{' || c == '[') {
		return r.fail("nested too deep")
	}
	switch c {
	case '{':
		return r.object(depth)
	case '[':
		return r.array(depth)
	case '"':
		return node{kind: jsonString, text: r.str()}
	case 't':
		return r.word("true", jsonBool)
	case 'f':
		return r.word("false", jsonBool)
	case 'n':
		if len(r.p)-r.at >= 3 && string(r.p[r.at:r.at+3]) == "nan" {
			return r.word("nan", jsonReal)
		}
		return r.word("null", jsonNull)
	case 'i':
		return r.word("inf", jsonReal)
	}
	return r.number()
}

func (r *parser) word(w string, k kind) node {
	if len(r.p)-r.at < len(w) || string(r.p[r.at:r.at+len(w)]) != w {
		return r.fail("not a JSON value")
	}
	r.at += len(w)
	return node{kind: k, text: w}
}

func (r *parser) array(depth int) node {
	r.at++
	n := node{kind: jsonArray}
	if r.skip(']') {
		return n
	}
	for {
		n.list = append(n.list, r.node(depth+1))
		if r.bad != "" {
			return node{}
		}
		if r.skip(']') {
			return n
		}
		if !r.skip(',') {
			return r.fail("no comma or end of array")
		}
	}
}

func (r *parser) object(depth int) node {
	r.at++
	n := node{kind: jsonObject}
	if r.skip('}') {
		return n
	}
	for {
		r.blanks()
		if r.at >= len(r.p) || r.p[r.at] != '"' {
			return r.fail("no key")
		}
		key := node{kind: jsonString, text: r.str()}
		if r.bad == "" && !r.skip(':') {
			return r.fail("no colon")
		}
		val := r.node(depth + 1)
		if r.bad != "" {
			return node{}
		}
		n.list = append(n.list, key, val)
		if r.skip('}') {
			return n
		}
		if !r.skip(',') {
			return r.fail("no comma or end of object")
		}
	}
}

func (r *parser) digits() int {
	from := r.at
	for r.at < len(r.p) && r.p[r.at] >= '0' && r.p[r.at] <= '9' {
		r.at++
	}
	return r.at - from
}

func (r *parser) number() node {
	from := r.at
	if r.p[r.at] == '-' {
		r.at++
		// Zeek writes these where a double is no number.
		for _, w := range []string{"inf", "nan"} {
			if len(r.p)-r.at >= 3 && string(r.p[r.at:r.at+3]) == w {
				r.at += 3
				return node{kind: jsonReal, text: "-" + w}
			}
		}
	}
	n := node{kind: jsonInteger}
	if r.digits() == 0 {
		return r.fail("not a JSON value")
	}
	if r.at < len(r.p) && r.p[r.at] == '.' {
		n.kind = jsonReal
		if r.at++; r.digits() == 0 {
			return r.fail("no digits after the point")
		}
	}
	if r.at < len(r.p) && (r.p[r.at] == 'e' || r.p[r.at] == 'E') {
		n.kind = jsonReal
		r.at++
		if r.at < len(r.p) && (r.p[r.at] == '+' || r.p[r.at] == '-') {
			r.at++
		}
		if r.digits() == 0 {
			return r.fail("no digits in the exponent")
		}
	}
	n.text = string(r.p[from:r.at])
	return n
}

// str reads a string whose opening quote is at r.at.
func (r *parser) str() string {
	r.at++
	from := r.at
	for r.at < len(r.p) && r.p[r.at] != '"' && r.p[r.at] != '\\' {
		r.at++
	}
	if r.at < len(r.p) && r.p[r.at] == '"' {
		r.at++
		return string(r.p[from : r.at-1])
	}
	out := append([]byte(nil), r.p[from:r.at]...)
	for r.at < len(r.p) {
		c := r.p[r.at]
		r.at++
		switch c {
		case '"':
			return string(out)
		case '\\':
			out = r.escape(out)
		default:
			out = append(out, c)
		}
	}
	r.fail("cut string")
	return ""
}

// escape reads what follows a backslash.
func (r *parser) escape(out []byte) []byte {
	if r.at >= len(r.p) {
		return out
	}
	c := r.p[r.at]
	r.at++
	switch c {
	case '"', '\\':
		return append(out, c)
	case 'b':
		return append(out, '\b')
	case 'f':
		return append(out, '\f')
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	case 'v':
		return append(out, '\v')
	case 'u':
		u := r.hex4()
		if utf16.IsSurrogate(u) && len(r.p)-r.at >= 6 && r.p[r.at] == '\\' && r.p[r.at+1] == 'u' {
			save := r.at
			r.at += 2
			if both := utf16.DecodeRune(u, r.hex4()); both != utf8.RuneError {
				return utf8.AppendRune(out, both)
			}
			r.at = save
		}
		return utf8.AppendRune(out, u) // half a pair becomes U+FFFD
	}
	return append(out, '?')
}

func (r *parser) hex4() (u rune) {
	if len(r.p)-r.at < 4 {
		r.fail("cut escape")
		return 0
	}
	for range 4 {
		c := r.p[r.at]
		r.at++
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			r.fail("bad escape")
			return 0
		}
		u = u<<4 | rune(c)
	}
	return u
}
