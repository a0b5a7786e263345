package declare

import (
	"fmt"
	"strings"

	"github.com/picket-nsm/picket/zeek/value"
)

// maxDepth bounds types inside types.
const maxDepth = 64

// Parse reads declarations out of Zeek scripts, by name and text:
//
//	module M;
//	type R: record { a: count; b: string &optional; };
//	type E: enum { ONE, TWO };
//	redef record R += { c: addr &optional; };
//	global e: event(x: R, y: set[addr]);
//
// and, for an event that has no global, the head of its handler. It skips all
// else. Types that it does not know are like any: everything fits them. The
// error names file and line.
func Parse(files ...File) (*Set, error) {
	p := parser{set: &Set{events: map[string]*Event{}}, types: map[string]*Type{
		"transport_proto": {Kind: value.KindEnum, Name: "transport_proto", Values: []string{"unknown_transport", "tcp", "udp", "icmp"}},
		"string_vec":      {Kind: value.KindVector, Result: &Type{Kind: value.KindString}},
	}}
	for _, f := range files {
		p.file, p.lex, p.module, p.bad = f.Name, lexer{src: f.Text, line: 1}, "", nil
		p.advance()
		p.script()
		if p.bad != nil {
			return nil, p.bad
		}
	}
	return p.set, nil
}

// File is a script.
type File struct{ Name, Text string }

type parser struct {
	set    *Set
	types  map[string]*Type // by full name
	file   string
	lex    lexer
	tok    token
	module string
	bad    error
}

func (p *parser) fail(format string, args ...any) {
	if p.bad == nil {
		p.bad = fmt.Errorf("%s:%d: %s", p.file, p.tok.line, fmt.Sprintf(format, args...))
	}
}

func (p *parser) advance() string {
	was := p.tok.text
	p.tok = p.lex.next()
	return was
}

// take passes a token, if it is the next one.
func (p *parser) take(text string) bool {
	if p.tok.text != text {
		return false
	}
	p.advance()
	return true
}

func (p *parser) want(text string) {
	if p.bad == nil && !p.take(text) {
		p.fail("want %q, not %q", text, p.tok.text)
	}
}

func (p *parser) word() string {
	if p.tok.text == "" || !wordByte(p.tok.text[0]) {
		p.fail("want a name, not %q", p.tok.text)
		return ""
	}
	return p.advance()
}

func (p *parser) script() {
	for p.bad == nil && p.tok.text != "" {
		switch p.tok.text {
		case "module":
			p.advance()
			if p.module = p.word(); p.module == "GLOBAL" {
				p.module = ""
			}
			p.rest()
		case "export":
			p.advance()
			p.take("{") // its end is skipped as a stray bracket
		case "}", ";":
			p.advance()
		case "type":
			p.advance()
			p.typeDeclaration()
		case "redef":
			p.advance()
			if p.take("record") {
				p.redefRecord()
			} else {
				p.rest()
			}
		case "global", "const", "option":
			p.advance()
			p.global()
		case "event":
			p.advance()
			name := p.full(p.word())
			if p.tok.text == "(" {
				if params := p.params(); p.bad == nil && p.set.events[name] == nil {
					p.set.events[name] = &Event{name, params}
				}
			}
			p.rest()
		default:
			p.rest()
		}
	}
}

// rest skips to the end of a statement: a semicolon, or a block.
func (p *parser) rest() {
	depth := 0
	for p.tok.text != "" {
		switch p.advance() {
		case "(", "[", "{":
			depth++
		case ")", "]":
			depth--
		case "}":
			if depth--; depth <= 0 && p.tok.text != ";" && p.tok.text != "else" {
				return
			}
		case ";":
			if depth <= 0 {
				return
			}
		}
	}
}

// full adds the module to a name that has none.
func (p *parser) full(name string) string {
	if p.module == "" || strings.Contains(name, "::") {
		return strings.TrimPrefix(name, "GLOBAL::")
	}
	return p.module + "::" + name
}

// lookup finds a type by name, in the module first.
func (p *parser) lookup(name string) *Type {
	if t := p.types[p.full(name)]; t != nil {
		return t
	}
	return p.types[name]
}

func (p *parser) typeDeclaration() {
	name := p.full(p.word())
	p.want(":")
	t := p.parseType(1)
	if p.bad != nil {
		return
	}
	if t != nil && t.Name == "" && (t.Kind == value.KindRecord || t.Kind == value.KindEnum) {
		t.Name = name
	}
	p.types[name] = t
	p.rest()
}

// redefRecord adds fields to a record: redef record R += { ... };
func (p *parser) redefRecord() {
	t := p.lookup(p.word())
	if !p.take("+") || !p.take("=") {
		p.rest()
		return
	}
	more := p.fields("{", "}", 1)
	if p.bad == nil && t.IsRecord() {
		t.Fields = append(t.Fields, more...)
	}
	p.rest()
}

// global reads "NAME: event(...)" and skips what is no event.
func (p *parser) global() {
	name := p.full(p.word())
	if p.take(":") && p.take("event") && p.tok.text == "(" {
		if params := p.params(); p.bad == nil {
			p.set.events[name] = &Event{name, params}
		}
	}
	p.rest()
}

func (p *parser) params() []Field { return p.fields("(", ")", 1) }

// fields reads "name: type &attr, ..." between brackets.
func (p *parser) fields(open, end string, depth int) []Field {
	var out []Field
	p.want(open)
	for p.bad == nil && !p.take(end) {
		var f Field
		f.Name = p.word()
		p.want(":")
		f.Type = p.parseType(depth + 1)
		for strings.HasPrefix(p.tok.text, "&") {
			a := p.advance()
			f.Optional = f.Optional || a == "&optional" || a == "&default"
			if p.take("=") {
				p.expression(end)
			}
		}
		if p.take("=") {
			p.expression(end)
		}
		if p.bad == nil && p.tok.text != end && !p.take(",") && !p.take(";") {
			p.fail("want %q after %s, not %q", end, f.Name, p.tok.text)
		}
		out = append(out, f)
	}
	return out
}

// expression skips a value, up to the next attribute, separator or end.
func (p *parser) expression(end string) {
	depth := 0
	for p.tok.text != "" {
		t := p.tok.text
		if depth == 0 && (t == ";" || t == "," || t == end || strings.HasPrefix(t, "&") && len(t) > 1) {
			return
		}
		switch t {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		}
		p.advance()
	}
}

// parseType reads a type. nil is a type that is not known.
func (p *parser) parseType(depth int) *Type {
	if depth > maxDepth {
		p.fail("types are nested too deep")
		return nil
	}
	w := p.word()
	if p.bad != nil {
		return nil
	}
	switch w {
	case "set":
		return (&Type{Kind: value.KindSet}).indexed(p.index(depth))
	case "table":
		index := p.index(depth)
		if !p.take("of") { // a set in its old spelling
			return (&Type{Kind: value.KindSet}).indexed(index)
		}
		return (&Type{Kind: value.KindTable, Result: p.parseType(depth + 1)}).indexed(index)
	case "vector", "list":
		p.want("of")
		return &Type{Kind: value.KindVector, Result: p.parseType(depth + 1)}
	case "record":
		return &Type{Kind: value.KindRecord, Fields: p.fields("{", "}", depth)}
	case "enum":
		return &Type{Kind: value.KindEnum, Values: p.enum()}
	case "opaque":
		p.want("of")
		p.word()
		return &Type{Kind: value.KindOpaque}
	case "event", "function", "hook":
		if p.tok.text == "(" {
			p.params()
		}
		if p.take(":") {
			p.parseType(depth + 1)
		}
		return &Type{Kind: value.KindFunc}
	case "file":
		if p.take("of") {
			p.parseType(depth + 1)
		}
		return &Type{Kind: value.KindFile}
	}
	if k, ok := words()[w]; ok {
		return &Type{Kind: k}
	}
	return p.lookup(w)
}

func (p *parser) index(depth int) []*Type {
	var out []*Type
	p.want("[")
	for p.bad == nil {
		out = append(out, p.parseType(depth+1))
		if !p.take(",") {
			break
		}
	}
	p.want("]")
	return out
}

func (p *parser) enum() []string {
	var out []string
	p.want("{")
	for p.bad == nil && !p.take("}") {
		out = append(out, p.full(p.word()))
		if p.take("=") {
			p.expression("}")
		}
		for strings.HasPrefix(p.tok.text, "&") && p.bad == nil {
			p.advance()
			if p.take("=") {
				p.expression("}")
			}
		}
		if p.tok.text != "}" {
			p.want(",")
		}
	}
	return out
}
