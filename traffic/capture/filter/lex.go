package filter

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// kind is what a token is.
type kind uint8

const (
	tEnd    kind = iota
	tWord        // keyword or name
	tName        // a word behind a backslash: never a keyword
	tNumber      // num
	tDotted      // 10.1 or 10.1.2.3: num and bits
	tIP6         // addr
	tMAC         // mac
	tOp          // operator or bracket, text
)

type token struct {
	kind kind
	text string
	col  int
	num  uint32
	bits int // of a dotted number: 16, 24 or 32
	addr netip.Addr
	mac  [6]byte
}

// lex cuts an expression into tokens; the last is tEnd.
func lex(expr string) ([]token, error) {
	var out []token
	brackets := 0
	for i := 0; i < len(expr); {
		ch := expr[i]
		col := i + 1
		switch {
		case ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r':
			i++
		case ch == '\\':
			n := i + 1
			for n < len(expr) && wordByte(expr[n]) {
				n++
			}
			if n == i+1 {
				return nil, &Error{Expr: expr, Col: col, Msg: "a backslash without a name", Hint: `as in ip proto \tcp`}
			}
			out = append(out, token{kind: tName, text: strings.ToLower(expr[i+1 : n]), col: col})
			i = n
		case wordByte(ch) || (ch == ':' && brackets == 0):
			n := i
			for n < len(expr) && (wordByte(expr[n]) || (brackets == 0 && expr[n] == ':') || (expr[n] == '-' && n+1 < len(expr) && wordByte(expr[n+1]))) {
				n++
			}
			t, err := word(expr, expr[i:n], col)
			if err != nil {
				return nil, err
			}
			out = append(out, t)
			i = n
		default:
			op := expr[i : i+1]
			if i+1 < len(expr) {
				switch two := expr[i : i+2]; two {
				case "&&", "||", "<=", ">=", "==", "!=", "<<", ">>":
					op = two
				}
			}
			if !strings.Contains("()[]!=<>+-*/%&|^:", op[:1]) {
				return nil, &Error{Expr: expr, Col: col, Msg: fmt.Sprintf("%q has no meaning here", op)}
			}
			switch op {
			case "[":
				brackets++
			case "]":
				brackets--
			}
			out = append(out, token{kind: tOp, text: op, col: col})
			i += len(op)
		}
	}
	return append(out, token{kind: tEnd, text: "the end", col: len(expr) + 1}), nil
}

func wordByte(b byte) bool {
	return b == '_' || b == '.' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// word tells numbers, addresses and names apart.
func word(expr, s string, col int) (token, error) {
	t := token{kind: tWord, text: strings.ToLower(s), col: col}
	bad := func(msg, hint string) (token, error) {
		return t, &Error{Expr: expr, Col: col, Msg: msg, Hint: hint}
	}
	digits := s[0] >= '0' && s[0] <= '9'
	switch {
	case strings.Count(s, ":") == 5 && !strings.Contains(s, "::") && len(s) <= 17:
		if m, ok := parseMAC(s); ok {
			t.kind, t.mac = tMAC, m
			return t, nil
		}
		return bad(fmt.Sprintf("%q is no Ethernet address", s), "as in 00:11:22:aa:bb:cc")
	case strings.Contains(s, ":"):
		a, err := netip.ParseAddr(s)
		if err != nil || !a.Is6() || a.Zone() != "" {
			return bad(fmt.Sprintf("%q is no address", s), "an IPv6 address is like 2001:db8::1, an Ethernet address like 00:11:22:aa:bb:cc")
		}
		t.kind, t.addr = tIP6, a
		return t, nil
	case digits && strings.Contains(s, ".") && strings.Trim(s, "0123456789.") == "":
		parts := strings.Split(s, ".")
		for _, p := range parts {
			v, err := strconv.ParseUint(p, 10, 8)
			if err != nil || (len(p) > 1 && p[0] == '0') {
				return bad(fmt.Sprintf("%q is no IPv4 address", s), "four numbers up to 255")
			}
			t.num = t.num<<8 | uint32(v)
		}
		if len(parts) > 4 {
			return bad(fmt.Sprintf("%q is no IPv4 address", s), "four numbers up to 255")
		}
		t.kind, t.bits = tDotted, 8*len(parts)
		return t, nil
	case digits && !strings.ContainsAny(s, "-_."):
		v, err := strconv.ParseUint(s, 0, 32)
		if err != nil || strings.HasPrefix(t.text, "0b") || strings.HasPrefix(t.text, "0o") {
			return bad(fmt.Sprintf("%q is no number of 32 bits", s), "numbers are decimal, 0x... or, with a 0 in front, octal")
		}
		t.kind, t.num = tNumber, uint32(v)
	}
	return t, nil
}

func parseMAC(s string) (m [6]byte, ok bool) {
	for i, p := range strings.Split(s, ":") {
		v, err := strconv.ParseUint(p, 16, 8)
		if err != nil || i > 5 {
			return m, false
		}
		m[i] = byte(v)
	}
	return m, true
}
