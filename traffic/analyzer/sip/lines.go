package sip

import (
	"github.com/picket-nsm/picket/traffic/analyzer"
)

// first reads a request or status line.
func (a *sip) first(c analyzer.Conn, request bool, line []byte) (why string) {
	if !request {
		return a.status(c, line)
	}
	n := span(line, func(b byte) bool { return !token(b) })
	junk, rest := line[:n], line[n:]
	n = span(rest, token)
	method, rest := rest[:n], blanks(rest[n:])
	if n == 0 {
		return "no method"
	}
	n = span(rest, graphic)
	uri, rest := rest[:n], blanks(rest[n:])
	if n == 0 {
		return "no URI"
	}
	v, _, ok := version(rest)
	if !ok {
		return "no version in a request"
	}
	if len(junk) > 0 {
		c.Weird("sip_junk_before_request", render(junk), name)
	}
	a.h.Request(c, method, uri, v)
	return ""
}

func (a *sip) status(c analyzer.Conn, line []byte) (why string) {
	v, rest, ok := version(line)
	if !ok {
		return "no version in a reply"
	}
	rest = blanks(rest)
	if span(rest, digit) < 3 {
		return "no status"
	}
	code := int(rest[0]-'0')*100 + int(rest[1]-'0')*10 + int(rest[2]-'0')
	c.Confirm(service)
	a.h.Reply(c, v, code, blanks(rest[3:]))
	return ""
}

// field reads a header field.
func (a *sip) field(c analyzer.Conn, request bool, s *side, line []byte) (why string) {
	n := span(line, func(b byte) bool { return b != ':' && b != ' ' && b != '\t' })
	key, rest := line[:n], blanks(line[n:])
	if n == 0 || len(rest) == 0 || rest[0] != ':' {
		return "no header field"
	}
	val := blanks(rest[1:])
	if string(key) == "Content-Length" || string(key) == "L" { // other spellings do not count
		s.length = number(val)
	}
	a.h.Header(c, request, key, val)
	return ""
}

// version reads SIP/1.0 and returns the numbers and what is behind.
func version(b []byte) (v, rest []byte, ok bool) {
	if len(b) < 4 || string(b[:4]) != "SIP/" {
		return nil, nil, false
	}
	b = b[4:]
	n := span(b, digit)
	if n == 0 || n >= len(b) || b[n] != '.' {
		return nil, nil, false
	}
	m := span(b[n+1:], digit)
	if m == 0 {
		return nil, nil, false
	}
	return b[:n+1+m], b[n+1+m:], true
}

// number reads what C's strtol reads, as far as it fits an int of 32 bits.
func number(b []byte) int {
	for len(b) > 0 && (b[0] == ' ' || b[0] >= '\t' && b[0] <= '\r') {
		b = b[1:]
	}
	negative := false
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		negative, b = b[0] == '-', b[1:]
	}
	n := 0
	for _, c := range b[:span(b, digit)] {
		if n = n*10 + int(c-'0'); n > maxBody {
			n = maxBody + 1
		}
	}
	if negative {
		return -n
	}
	return n
}

// span returns how many bytes at the beginning are of a kind.
func span(b []byte, is func(byte) bool) int {
	for i, c := range b {
		if !is(c) {
			return i
		}
	}
	return len(b)
}

func blanks(b []byte) []byte {
	return b[span(b, func(c byte) bool { return c == ' ' || c == '\t' }):]
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

// graphic tells printable characters but the blank.
func graphic(b byte) bool { return b > ' ' && b < 0x7f }

// token tells what a method is made of.
func token(b byte) bool {
	switch {
	case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', digit(b):
		return true
	}
	switch b {
	case '_', '.', '!', '%', '*', '+', '`', '\'', '~', '-':
		return true
	}
	return false
}

// render makes bytes readable as Zeek does.
func render(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, len(b))
	for _, c := range b {
		if c < ' ' || c > '~' {
			out = append(out, '\\', 'x', digits[c>>4], digits[c&15])
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}
