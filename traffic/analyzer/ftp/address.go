package ftp

import (
	"bytes"
	"math"
	"net/netip"
)

// Address is where a data connection goes. Host is not valid if only a port was
// given: that of the other end is meant.
type Address struct {
	Host netip.Addr
	Port uint16
}

// ParsePort reads the argument of PORT (RFC 959): h1,h2,h3,h4,p1,p2.
func ParsePort(s []byte) (a Address, ok bool) {
	if len(s) < 11 {
		return a, false
	}
	var n [6]byte
	for i := range n {
		if i > 0 {
			if len(s) == 0 || s[0] != ',' {
				return a, false
			}
			s = s[1:]
		}
		v, rest, found := number(s)
		if !found || v < 0 || v > 255 {
			return a, false
		}
		n[i], s = byte(v), rest
	}
	return Address{netip.AddrFrom4([4]byte(n[:4])), uint16(n[4])<<8 | uint16(n[5])}, true
}

// number reads a number as C's scanf does, with blanks and a sign before it.
func number(s []byte) (n int, rest []byte, ok bool) {
	for len(s) > 0 && isBlank(s[0]) {
		s = s[1:]
	}
	negative := false
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		negative = s[0] == '-'
		s = s[1:]
	}
	for len(s) > 0 && isDigit(s[0]) {
		n = min(n*10+int(s[0]-'0'), math.MaxInt32)
		s, ok = s[1:], true
	}
	if negative {
		n = -n
	}
	return n, s, ok
}

func isBlank(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

// ParsePasv reads the text of a reply to PASV. The six numbers are behind a
// bracket, behind the word PORT, or wherever commas are.
func ParsePasv(text []byte) (a Address, ok bool) {
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return a, false
	}
	if i := bytes.IndexByte(text, '('); i >= 0 {
		return ParsePort(text[i+1:])
	}
	if i := bytes.Index(text, []byte("PORT")); i >= 0 {
		return ParsePort(text[min(i+5, len(text)):])
	}
	i := bytes.IndexByte(text, ',')
	if i < 0 {
		return a, false
	}
	for i--; i >= 0 && isDigit(text[i]); i-- {
	}
	return ParsePort(text[i+1:])
}

// ParseEprt reads the argument of EPRT (RFC 2428): |1|132.235.1.2|6275|, whatever
// the delimiter.
func ParseEprt(s []byte) (a Address, ok bool) {
	if bytes.IndexByte(s, 0) >= 0 {
		return a, false
	}
	for len(s) > 0 && isBlank(s[0]) {
		s = s[1:]
	}
	if len(s) == 0 {
		return a, false
	}
	delimiter := s[0]
	good := true
	_, s, _ = number(s[1:])
	if len(s) == 0 || s[0] != delimiter {
		good = false
	}
	if len(s) > 0 {
		s = s[1:]
	}
	if len(s) > 0 && s[0] != delimiter {
		end := bytes.IndexByte(s, delimiter)
		if end < 0 {
			end = len(s)
		}
		host, err := netip.ParseAddr(string(s[:min(end, 64)]))
		// As in Zeek, a good address makes up for what was wrong before it.
		if good = err == nil && host.Zone() == ""; good {
			a.Host = host.Unmap()
		}
	}
	i := bytes.IndexByte(s, delimiter)
	if i < 0 {
		return a, good
	}
	port, rest, _ := number(s[i+1:])
	if len(rest) == 0 || rest[0] != delimiter || port < 0 || port > 65535 {
		return a, false
	}
	a.Port = uint16(port)
	return a, good
}

// ParseEpsv reads the text of a reply to EPSV (RFC 2428): ... (|||6446|).
func ParseEpsv(text []byte) (a Address, ok bool) {
	i := bytes.IndexByte(text, '(')
	if i < 0 {
		return a, false
	}
	return ParseEprt(text[i+1:])
}
