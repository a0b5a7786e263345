package layout

import (
	"fmt"
	"strconv"
	"strings"
)

// Parse reads a cluster-layout.zeek as the generators of Zeek and zeekctl
// write it: redef Cluster::nodes with = or +=, manager_is_logger, and the
// hosts table of clusters on several hosts. Other statements are passed over;
// both branches of an @if count. file is only for messages, which begin with
// file:line. The result is validated.
func Parse(file string, text []byte) (*Layout, error) {
	if len(text) > 16<<20 {
		return nil, fmt.Errorf("%s: %d bytes are too many for a layout", file, len(text))
	}
	p := &parser{file: file, text: blankComments(text), hosts: map[string]Node{}, l: &Layout{ManagerIsLogger: true}}
	if err := p.run(); err != nil {
		return nil, err
	}
	for i := range p.l.Nodes {
		n := &p.l.Nodes[i]
		if n.Host == "" {
			continue
		}
		h, ok := p.hosts[n.Host]
		if !ok {
			return nil, p.errorAt(p.lines[n.Name], "node %s: host %q is not in the table of hosts", n.Name, n.Host)
		}
		n.Addr, n.Host = h.Addr, h.Host
	}
	if len(p.l.Nodes) == 0 {
		return nil, fmt.Errorf("%s: no nodes: nothing redefines Cluster::nodes", file)
	}
	if err := p.l.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p.l, nil
}

// blankComments replaces comments by blanks, so that offsets and lines stay.
func blankComments(text []byte) string {
	out := []byte(string(text))
	quoted, comment := false, false
	for i := 0; i < len(out); i++ {
		c := out[i]
		switch {
		case c == '\n':
			quoted, comment = false, false
		case comment:
			out[i] = ' '
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '#' && !quoted:
			out[i], comment = ' ', true
		}
	}
	return string(out)
}

type parser struct {
	file  string
	text  string
	at    int
	hosts map[string]Node // Addr, or Host to look up
	lines map[string]int  // offsets of nodes, for messages
	l     *Layout
	end   string // what closes the record being read
}

func (p *parser) errorAt(at int, format string, args ...any) error {
	line := 1 + strings.Count(p.text[:min(at, len(p.text))], "\n")
	return fmt.Errorf("%s:%d: %s", p.file, line, fmt.Sprintf(format, args...))
}

func (p *parser) fail(format string, args ...any) error { return p.errorAt(p.at, format, args...) }

func (p *parser) blanks() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// peek passes blanks and returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	p.blanks()
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// skip passes s, if it comes next.
func (p *parser) skip(s string) bool {
	p.blanks()
	if strings.HasPrefix(p.text[p.at:], s) {
		p.at += len(s)
		return true
	}
	return false
}

func (p *parser) expect(s string) error {
	if !p.skip(s) {
		return p.fail("expected %s, found %s", s, p.here())
	}
	return nil
}

// here describes what comes next.
func (p *parser) here() string {
	p.blanks()
	rest := p.text[p.at:]
	if rest == "" {
		return "the end of the file"
	}
	rest, _, _ = strings.Cut(rest, "\n")
	return strconv.QuoteToASCII(rest[:min(len(rest), 20)])
}

// word reads a name, with its module.
func (p *parser) word() string {
	p.blanks()
	from := p.at
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c != '_' && c != ':' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			break
		}
		p.at++
	}
	return p.text[from:p.at]
}

func (p *parser) run() error {
	p.lines = map[string]int{}
	for p.peek() != 0 {
		start := p.at
		if p.text[p.at] == '@' {
			p.line()
			continue
		}
		keyword := p.word()
		var err error
		switch keyword {
		case "redef":
			err = p.redef(start)
		case "event", "function", "hook":
			err = p.body()
		default:
			err = p.statement()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) line() {
	if i := strings.IndexByte(p.text[p.at:], '\n'); i >= 0 {
		p.at += i
	} else {
		p.at = len(p.text)
	}
}

func (p *parser) redef(start int) error {
	switch strings.TrimPrefix(p.word(), "Cluster::") {
	case "nodes":
		if p.skip("+=") {
			return p.table(p.node)
		}
		if p.skip("=") {
			p.l.Nodes, p.lines = nil, map[string]int{}
			return p.table(p.node)
		}
		return p.fail("expected = or += after Cluster::nodes, found %s", p.here())
	case "hosts":
		if p.skip("+=") || p.skip("=") {
			return p.table(p.host)
		}
		return p.fail("expected = or += after Cluster::hosts, found %s", p.here())
	case "manager_is_logger":
		if err := p.expect("="); err != nil {
			return err
		}
		at := p.at
		switch v := p.word(); v {
		case "T", "F":
			p.l.ManagerIsLogger = v == "T"
		default:
			return p.errorAt(at, "manager_is_logger is T or F, not %q", v)
		}
		return p.expect(";")
	}
	p.at = start
	return p.statement()
}

// statement passes everything up to the next semicolon outside brackets.
func (p *parser) statement() error {
	start := p.at
	depth := 0
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch c {
		case '"':
			if _, err := p.str(); err != nil {
				return err
			}
			continue
		case '{', '(', '[':
			depth++
		case '}', ')', ']':
			if depth--; depth < 0 {
				return p.fail("unexpected %c", c)
			}
		}
		p.at++
		if c == ';' && depth == 0 {
			return nil
		}
	}
	return p.errorAt(start, "statement without an end")
}

// body passes the block of an event handler or function.
func (p *parser) body() error {
	start := p.at
	depth := 0
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c == '"' {
			if _, err := p.str(); err != nil {
				return err
			}
			continue
		}
		p.at++
		switch c {
		case '{':
			depth++
		case '}':
			if depth--; depth <= 0 {
				return nil
			}
		}
	}
	return p.errorAt(start, "block without an end")
}

// str reads a string.
func (p *parser) str() (string, error) {
	p.blanks()
	start := p.at
	if p.peek() != '"' {
		return "", p.fail("expected a string, found %s", p.here())
	}
	var out []byte
	for p.at++; p.at < len(p.text) && p.text[p.at] != '\n'; p.at++ {
		c := p.text[p.at]
		if c == '"' {
			p.at++
			return string(out), nil
		}
		if c == '\\' && p.at+1 < len(p.text) {
			p.at++
			c = p.text[p.at]
		}
		out = append(out, c)
	}
	return "", p.errorAt(start, "string without an end")
}

// table reads { ["name"] = [ ... ], ... };
func (p *parser) table(entry func(name string, at int) error) error {
	if err := p.expect("{"); err != nil {
		return err
	}
	for !p.skip("}") {
		if err := p.expect("["); err != nil {
			return err
		}
		p.blanks()
		at := p.at
		name, err := p.str()
		if err != nil {
			return err
		}
		if err := p.expect("]"); err != nil {
			return err
		}
		if err := p.expect("="); err != nil {
			return err
		}
		// Zeek also takes the record's name with brackets: Cluster::Node($ip=...).
		end := "]"
		if p.skip("Cluster::Node(") || p.skip("Node(") {
			end = ")"
		} else if err := p.expect("["); err != nil {
			return err
		}
		p.end = end
		if err := entry(name, at); err != nil {
			return err
		}
		if !p.skip(",") && p.peek() != '}' {
			return p.fail("expected , or }, found %s", p.here())
		}
	}
	return p.expect(";")
}

// fields reads $key=value, ... up to the end of the record.
func (p *parser) fields(set func(key string, at int) error) error {
	for !p.skip(p.end) {
		if err := p.expect("$"); err != nil {
			return err
		}
		at := p.at
		key := p.word()
		if err := p.expect("="); err != nil {
			return err
		}
		if err := set(key, at); err != nil {
			return err
		}
		if !p.skip(",") && !strings.HasPrefix(p.text[p.at:], p.end) {
			return p.fail("expected , or %s after $%s, found %s", p.end, key, p.here())
		}
	}
	return nil
}

func (p *parser) node(name string, at int) error {
	n := Node{Name: name}
	if _, twice := p.lines[name]; twice {
		return p.errorAt(at, "node %s is there twice", name)
	}
	typed := false
	err := p.fields(func(key string, keyAt int) (err error) {
		switch key {
		case "node_type":
			p.blanks()
			at := p.at
			w := p.word()
			role, ok := ParseRole(strings.TrimPrefix(w, "Cluster::"))
			if !ok || role == None {
				return p.errorAt(at, "node %s: unknown type %q; it is one of CONTROL, LOGGER, MANAGER, PROXY, WORKER", name, w)
			}
			n.Role, typed = role, true
		case "ip":
			err = p.addr(&n)
		case "p":
			n.Port, err = p.port()
		case "metrics_port":
			n.MetricsPort, err = p.port()
		case "manager":
			n.Manager, err = p.str()
		case "zone_id":
			n.Zone, err = p.str()
		case "id":
			n.ID, err = p.str()
		default:
			return p.errorAt(keyAt, "node %s: unknown field $%s", name, key)
		}
		return err
	})
	if err != nil {
		return err
	}
	if !typed {
		return p.errorAt(at, "node %s: $node_type is missing", name)
	}
	if n.Addr == "" && n.Host == "" {
		return p.errorAt(at, "node %s: $ip is missing", name)
	}
	p.lines[name] = at
	p.l.Nodes = append(p.l.Nodes, n)
	return nil
}

func (p *parser) host(name string, at int) error {
	n := Node{Name: name}
	err := p.fields(func(key string, keyAt int) error {
		if key != "ip" {
			return p.errorAt(keyAt, "host %s: unknown field $%s", name, key)
		}
		return p.addr(&n)
	})
	if err != nil {
		return err
	}
	if n.Addr == "" && n.Host == "" {
		return p.errorAt(at, "host %s: $ip is missing", name)
	}
	p.hosts[name] = n
	return nil
}
