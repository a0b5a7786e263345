package sip

import (
	"bytes"
	"math"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// client takes a header field of a request.
func (i *info) client(c analyzer.Conn, name, val []byte) {
	switch {
	case is(name, "CALL-ID"):
		i.put(callID, val)
	case is(name, "CONTENT-LENGTH"), is(name, "L"):
		i.length(c, 0, val)
	case is(name, "CSEQ"):
		i.put(seq, val)
	case is(name, "DATE"):
		i.put(date, val)
	case is(name, "FROM"), is(name, "F"):
		i.put(requestFrom, before(val, "tag="))
	case is(name, "REPLY-TO"):
		i.put(replyTo, val)
	case is(name, "SUBJECT"), is(name, "S"):
		i.put(subject, val)
	case is(name, "TO"), is(name, "T"):
		i.put(requestTo, val)
	case is(name, "USER-AGENT"):
		i.put(agent, val)
	case is(name, "VIA"), is(name, "V"):
		i.via(c, 0, val)
	}
}

// server takes a header field of a reply.
func (i *info) server(c analyzer.Conn, name, val []byte) {
	switch {
	case is(name, "CONTENT-LENGTH"), is(name, "L"):
		i.length(c, 1, val)
	case is(name, "CONTENT-TYPE"), is(name, "C"):
		i.put(contentType, val)
	case is(name, "WARNING"):
		i.put(warning, val)
	case is(name, "FROM"), is(name, "F"):
		i.put(responseFrom, before(val, "tag="))
	case is(name, "TO"), is(name, "T"):
		i.put(responseTo, val)
	case is(name, "VIA"), is(name, "V"):
		i.via(c, 1, val)
	}
}

// length takes the length of a body.
func (i *info) length(c analyzer.Conn, k int, val []byte) {
	n, ok := count(val)
	if !ok {
		weird := "invalid_SIP_request_body_len"
		if k == 1 {
			weird = "invalid_SIP_response_body_len"
		}
		c.Weird(weird, value.Borrow(val), "")
		return
	}
	i.lens[k], i.hasLen[k] = n, true
}

// via takes a station of the way.
func (i *info) via(c analyzer.Conn, k int, val []byte) {
	if len(i.paths[k]) >= maxPath {
		weird := "sip_max_request_path_length_exceeded"
		if k == 1 {
			weird = "sip_max_response_path_length_exceeded"
		}
		c.Weird(weird, "", "")
		return
	}
	i.paths[k] = append(i.paths[k], bytes.Clone(i.cut(before(val, "branch"))))
}

// is reports whether a name is this one, written in capitals.
func is(name []byte, want string) bool {
	if len(name) != len(want) {
		return false
	}
	for i, c := range name {
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != want[i] {
			return false
		}
	}
	return true
}

// before returns what stands before a parameter: a semicolon, one blank or none,
// and its name.
func before(b []byte, parameter string) []byte {
	for at := 0; ; at++ {
		n := bytes.IndexByte(b[at:], ';')
		if n < 0 {
			return b
		}
		at += n
		rest := b[at+1:]
		if len(rest) > 0 && rest[0] == ' ' {
			rest = rest[1:]
		}
		if len(rest) >= len(parameter) && string(rest[:len(parameter)]) == parameter {
			return b[:at]
		}
	}
}

// count reads a number as Zeek casts a string: as C's strtoull does, with nothing
// but space behind.
func count(b []byte) (n uint64, ok bool) {
	space := func(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
	if len(b) == 0 || bytes.IndexByte(b, 0) >= 0 {
		return 0, false
	}
	for len(b) > 0 && space(b[0]) {
		b = b[1:]
	}
	rest, negative := b, false
	if len(rest) > 0 && (rest[0] == '+' || rest[0] == '-') {
		negative, rest = rest[0] == '-', rest[1:]
	}
	digits := 0
	for ; len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9'; rest = rest[1:] {
		d := uint64(rest[0] - '0')
		if digits++; n > (math.MaxUint64-d)/10 {
			n = math.MaxUint64
		} else {
			n = n*10 + d
		}
	}
	if digits == 0 {
		rest = b
	}
	for _, c := range rest {
		if !space(c) {
			return 0, false
		}
	}
	if negative && n < math.MaxUint64 {
		n = -n
	}
	return n, true
}
