package eventjson

import (
	"encoding/base64"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/picket-nsm/picket/zeek/text"
	"github.com/picket-nsm/picket/zeek/value"
)

// ParseValue returns the one value that text holds. Other keys beside
// @data-type and data are ignored. Sets and tables come in canonical order. With
// Named a record comes as a value of that kind that holds name, value, name,
// value ...: declare.Set.Fit gives its fields their positions. The value owns
// its bytes; the error is of kind ErrSyntax.
func ParseValue(text []byte, s Style) (value.Value, error) {
	r := parser{p: text, style: s}
	v := r.document(nil)
	return v, r.err()
}

// parser reads JSON as Zeek's own reader does, which is more and less than
// RFC 8259: \v is an escape, raw controls and any bytes may stand in strings,
// an unknown escape is a question mark, CR is no blank.
//
// It reads in one go: a value's type stands before its data. Where it stands
// behind, the data is passed and read again; how much may be is bounded, so
// that values in values in the wrong order cost no more than any others.
type parser struct {
	p      []byte
	style  Style
	at     int
	seen   int // values so far
	passed int // bytes that were passed and will be read again
	bad    string
}

func (r *parser) err() error {
	if r.bad == "" {
		return nil
	}
	return fmt.Errorf("%w: %s at byte %d", ErrSyntax, r.bad, r.at)
}

func (r *parser) fail(what string) value.Value {
	if r.bad == "" {
		r.bad = what
	}
	return value.Value{}
}

// document reads the value that is the whole text. Top-level keys go to head.
func (r *parser) document(head *Message) value.Value {
	r.blanks()
	v := r.value(1, head)
	r.blanks()
	if r.bad == "" && r.at != len(r.p) {
		return r.fail("bytes after the value")
	}
	return v
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

// key reads a key and its colon; what it returns is valid until the next call.
func (r *parser) key() []byte {
	r.blanks()
	if r.at >= len(r.p) || r.p[r.at] != '"' {
		r.fail("no key")
		return nil
	}
	k := r.strBytes()
	if !r.skip(':') {
		r.fail("no colon")
		return nil
	}
	r.blanks()
	return k
}

// more reads what stands between elements, or the end.
func (r *parser) more(end byte) bool {
	if r.bad != "" || r.skip(end) {
		return false
	}
	if !r.skip(',') {
		r.fail("no comma and no end")
		return false
	}
	return true
}

// value reads a value; r.at is at its first byte.
func (r *parser) value(depth int, head *Message) (v value.Value) {
	if r.seen++; r.seen > MaxValues {
		return r.fail("too many values")
	}
	if !r.opens('{', depth) {
		return r.fail("not a value")
	}
	var typ []byte
	haveType, haveData, dataAt := false, false, -1
	for ok := !r.skip('}'); ok; ok = r.more('}') {
		switch k := r.key(); string(k) {
		case "@data-type":
			if haveType || !r.is('"') {
				if !haveType && dataAt < 0 {
					haveType = true // no text: no type has that name
				}
				r.pass(depth)
				continue
			}
			haveType, typ = true, r.strBytes()
		case "data":
			switch {
			case haveData || dataAt >= 0:
				r.pass(depth)
			case haveType:
				haveData = true
				v = r.data(string(typ), depth)
			default:
				dataAt = r.at
				r.pass(depth)
				if r.passed += r.at - dataAt; r.passed > 16*len(r.p)+1<<20 {
					return r.fail("data before @data-type in too many levels")
				}
			}
		default:
			if head != nil && r.is('"') && head.take(k, r) {
				continue
			}
			r.pass(depth)
		}
	}
	if r.bad != "" {
		return value.Value{}
	}
	if !haveType || !haveData && dataAt < 0 {
		if head != nil && !haveType && !haveData && dataAt < 0 {
			head.plain = true
			return value.Value{}
		}
		return r.fail(noData)
	}
	if !haveData {
		end := r.at
		r.at = dataAt
		v = r.data(string(typ), depth)
		r.at = end
	}
	return v
}

// opens passes the bracket that begins an array or object, if there is one and
// it is not too deep.
func (r *parser) opens(c byte, depth int) bool {
	if r.at >= len(r.p) || r.p[r.at] != c {
		return false
	}
	if depth > MaxDepth {
		r.fail("nested too deep")
		return false
	}
	r.at++
	return true
}

func (r *parser) is(c byte) bool { return r.at < len(r.p) && r.p[r.at] == c }

// data reads the data of a value of that type.
func (r *parser) data(typ string, depth int) value.Value {
	switch typ {
	case "none":
		r.pass(depth)
		return value.Value{}
	case "set":
		elems, unique := value.Sorted(r.list(depth + 1))
		if !unique {
			return r.fail("the same element twice in a set")
		}
		return value.Set(elems)
	case "table":
		pairs, unique := value.SortedPairs(r.pairs(depth + 1))
		if !unique {
			return r.fail("the same key twice in a table")
		}
		return value.Table(pairs)
	case "vector":
		return value.Vector(r.list(depth + 1))
	case "boolean":
		switch {
		case r.literal("true"):
			return value.Bool(true)
		case r.literal("false"):
			return value.Bool(false)
		}
		return r.fail("bad boolean")
	case "count", "integer", "real":
		return r.number(typ)
	case "record":
		if r.style == Named {
			return r.record(depth + 1)
		}
	case "bytes":
		if r.style == Named && r.is('"') {
			b, err := base64.StdEncoding.AppendDecode(nil, r.strBytes())
			if err != nil {
				return r.fail("bad base64")
			}
			return value.String(value.Borrow(b))
		}
	}
	if !r.is('"') {
		return r.fail("bad value")
	}
	if typ == "string" {
		return value.String(string(r.strBytes()))
	}
	v, ok := scalar(typ, r.strBytes())
	if !ok {
		return r.fail("bad value")
	}
	return v
}

func (r *parser) list(depth int) (out []value.Value) {
	if !r.opens('[', depth) {
		r.fail("elements are not an array")
		return nil
	}
	for ok := !r.skip(']'); ok; ok = r.more(']') {
		r.blanks()
		v := r.value(depth+1, nil)
		if r.bad != "" {
			return nil
		}
		if out == nil {
			out = make([]value.Value, 0, 4)
		}
		out = append(out, v)
	}
	return out
}

// pairs reads [{"key":K,"value":V},...], where other keys are ignored.
func (r *parser) pairs(depth int) (out []value.Value) {
	if !r.opens('[', depth) {
		r.fail("a table is not an array")
		return nil
	}
	for ok := !r.skip(']'); ok; ok = r.more(']') {
		r.blanks()
		if !r.opens('{', depth+1) {
			r.fail("a table entry is not an object")
			return nil
		}
		var pair [2]value.Value
		var have [2]bool
		for ok := !r.skip('}'); ok; ok = r.more('}') {
			i := -1
			switch string(r.key()) {
			case "key":
				i = 0
			case "value":
				i = 1
			}
			if i < 0 || have[i] {
				r.pass(depth + 1)
				continue
			}
			have[i] = true
			pair[i] = r.value(depth+2, nil)
		}
		if r.bad == "" && (!have[0] || !have[1]) {
			r.fail("a table entry without key or value")
		}
		if r.bad != "" {
			return nil
		}
		out = append(out, pair[0], pair[1])
	}
	return out
}

// record reads {"name":V,...}.
func (r *parser) record(depth int) value.Value {
	if !r.opens('{', depth) {
		return r.fail("a record is not an object")
	}
	var out []value.Value
	for ok := !r.skip('}'); ok; ok = r.more('}') {
		name := value.String(string(r.key()))
		for i := 0; i < len(out); i += 2 {
			if out[i].Str() == name.Str() {
				return r.fail("the same field twice in a record")
			}
		}
		if len(out) > 2*maxFields {
			return r.fail("too many fields in a record")
		}
		out = append(out, name, r.value(depth+1, nil))
	}
	if r.bad != "" {
		return value.Value{}
	}
	return value.Record(out)
}

// maxFields bounds the search for the same field twice.
const maxFields = 1024

// literal passes a word, if it comes.
func (r *parser) literal(w string) bool {
	if len(r.p)-r.at < len(w) || string(r.p[r.at:r.at+len(w)]) != w {
		return false
	}
	r.at += len(w)
	return true
}

// pass goes over any JSON that a reader in Zeek takes.
func (r *parser) pass(depth int) {
	if r.bad != "" {
		return
	}
	r.blanks()
	if r.at >= len(r.p) {
		r.fail("cut")
		return
	}
	switch r.p[r.at] {
	case '{':
		if r.opens('{', depth+1) {
			for ok := !r.skip('}'); ok; ok = r.more('}') {
				r.key()
				r.pass(depth + 1)
			}
		}
	case '[':
		if r.opens('[', depth+1) {
			for ok := !r.skip(']'); ok; ok = r.more(']') {
				r.pass(depth + 1)
			}
		}
	case '"':
		r.strBytes()
	default:
		if !r.literal("true") && !r.literal("false") && !r.literal("null") {
			r.digits()
		}
	}
}

// strBytes reads a string whose opening quote is at r.at. The bytes are those of
// the text where it has no escapes.
func (r *parser) strBytes() []byte {
	r.at++
	from := r.at
	for i, c := range r.p[from:] {
		if c == '"' {
			r.at = from + i + 1
			return r.p[from : from+i]
		}
		if c == '\\' {
			r.at = from + i
			return r.escaped(append([]byte(nil), r.p[from:r.at]...))
		}
	}
	r.at = len(r.p)
	r.fail("cut string")
	return nil
}

func (r *parser) escaped(out []byte) []byte {
	for r.at < len(r.p) {
		c := r.p[r.at]
		r.at++
		switch c {
		case '"':
			return out
		case '\\':
			out = r.escape(out)
		default:
			out = append(out, c)
		}
	}
	r.fail("cut string")
	return nil
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
	case '/':
		if r.style == Named {
			return append(out, c)
		}
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
		d := text.HexDigit(r.p[r.at])
		r.at++
		if d < 0 {
			r.fail("bad escape")
			return 0
		}
		u = u<<4 | rune(d)
	}
	return u
}
