package smtp

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// maxSearched is the longest text in which addresses are looked for, as in Zeek
// (max_find_all_string_length).
const maxSearched = 10_000

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// eachAddress calls yield for each run of bytes that is written like a mail
// address, with the marks around it: what follows the beginning, "<", ",", ":" or
// a blank, up to ">", ",", ";" or a blank, and has an @ in it.
func eachAddress(b []byte, yield func(address []byte) bool) {
	if len(b) > maxSearched {
		return
	}
	for at := 0; at < len(b); {
		local := at
		if opens(b[at]) {
			local++
		}
		end := local
		for end < len(b) && !opens(b[end]) && b[end] != '@' {
			end++
		}
		if end == local {
			at++
			continue
		}
		if end == len(b) || b[end] != '@' {
			at = end
			continue
		}
		domain := end + 1
		end = domain
		for end < len(b) && !closes(b[end]) {
			end++
		}
		if end == domain {
			at = domain
			continue
		}
		if end < len(b) {
			end++
		}
		if !yield(b[at:end]) {
			return
		}
		at = end
	}
}

func opens(c byte) bool  { return c == '<' || c == ',' || c == ':' || isBlank(c) }
func closes(c byte) bool { return c == '>' || c == ',' || c == ';' || isBlank(c) }

func firstAddress(b []byte) (first []byte) {
	eachAddress(b, func(a []byte) bool {
		first = a
		return false
	})
	return first
}

// stripAddress appends an address without the marks around it and in it.
func stripAddress(dst, a []byte) []byte {
	for _, c := range a {
		if !opens(c) && !closes(c) {
			dst = append(dst, c)
		}
	}
	return dst
}

// dropORCPT takes away what stands before the address in the parameter ORCPT, in
// place.
func dropORCPT(b []byte) []byte {
	mark := []byte("ORCPT=rfc822")
	for from := 0; ; {
		i := bytes.Index(b[from:], mark)
		if i < 0 {
			return b
		}
		from += i
		n := len(mark)
		if from+n < len(b) && b[from+n] == ';' {
			n++
		}
		b = append(b[:from], b[from+n:]...)
	}
}

// eachMailbox calls yield for each mailbox of a header field: what stands between
// commas that are not in quotes and has an @ in it. It follows Zeek's expression
// (\"[^"]*\")?[^,]+@[^,]+ with the longest match.
func eachMailbox(b []byte, yield func(mailbox []byte) bool) {
	if len(b) > maxSearched {
		return
	}
	var s segment
	for at := 0; at < len(b); {
		end := -1
		if b[at] == '"' {
			if n := bytes.IndexByte(b[at+1:], '"'); n >= 0 {
				end = s.mailbox(b, at+n+2)
			}
		}
		if end < 0 {
			end = s.mailbox(b, at)
		}
		if end < 0 {
			at++
			continue
		}
		if !yield(b[at:end]) {
			return
		}
		at = end
	}
}

// segment is what stands between two commas; it is looked through once.
type segment struct {
	from, to int
	sign     int // where the last @ is that something follows
}

// mailbox returns where the comma behind at is, if an @ with something on both
// sides is before it; else -1.
func (s *segment) mailbox(b []byte, at int) int {
	if at < s.from || at > s.to || s.to == 0 {
		s.from, s.to = at, len(b)
		if n := bytes.IndexByte(b[at:], ','); n >= 0 {
			s.to = at + n
		}
		s.sign = -1
		if s.to > at {
			if n := bytes.LastIndexByte(b[at:s.to-1], '@'); n >= 0 {
				s.sign = at + n
			}
		}
	}
	if s.sign > at {
		return s.to
	}
	return -1
}

func trimSpace(b []byte) []byte {
	space := func(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
	for len(b) > 0 && space(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && space(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func prefixFolded(b []byte, word string) bool {
	return len(b) >= len(word) && strings.EqualFold(value.Borrow(b[:len(word)]), word)
}

func hasSuffix(b []byte, word string) bool {
	return len(b) >= len(word) && string(b[len(b)-len(word):]) == word
}

// spot is where an IP address stands in a text.
type spot struct {
	from, to int
	addr     packet.Addr
	valid    bool // else it only looks like one
}

// addresses finds the IP addresses in a text. The result is valid until the next
// call.
func (l *Log) addresses(b []byte) []spot {
	l.spots = l.spots[:0]
	for at := 0; at < len(b); {
		n := max(address4(b[at:]), address6(b[at:]))
		if n <= 0 {
			at++
			continue
		}
		s := spot{from: at, to: at + n}
		s.addr, s.valid = parseAddr(b[at : at+n])
		l.spots = append(l.spots, s)
		at += n
	}
	return l.spots
}

// hop finds the address in a Received field: of those in brackets or between
// blanks the second one, if there is one.
func (l *Log) hop(b []byte) (a packet.Addr, ok bool) {
	all := l.addresses(b)
	for i := range all {
		s := &all[i]
		before, behind := 0, len(b)
		if i > 0 {
			before = all[i-1].to
		}
		if i+1 < len(all) {
			behind = all[i+1].from
		}
		if !s.valid || !wrapped(b[before:s.from], b[s.to:behind]) {
			continue
		}
		if ok {
			return s.addr, true
		}
		a, ok = s.addr, true
	}
	return a, ok
}

// wrapped reports whether brackets, or blanks, or nothing at all stand around.
func wrapped(before, behind []byte) bool {
	if len(before) == 0 || len(behind) == 0 {
		return len(before) == len(behind)
	}
	switch before[len(before)-1] {
	case '[':
		return behind[0] == ']'
	case '(':
		return behind[0] == ')'
	case '{':
		return behind[0] == '}'
	case ' ':
		return behind[0] == ' '
	}
	return false
}

// address4 returns the length of the longest IPv4 address that b begins with; 0
// if it begins with none.
func address4(b []byte) int {
	at := 0
	for range 3 {
		n := digits(b[at:])
		if n == 0 || n > 3 || octet(b[at:at+n]) < 0 || at+n >= len(b) || b[at+n] != '.' {
			return 0
		}
		at += n + 1
	}
	for n := min(digits(b[at:]), 3); n > 0; n-- {
		if octet(b[at:at+n]) >= 0 {
			return at + n
		}
	}
	return 0
}

// digits returns how many digits b begins with, at most 4.
func digits(b []byte) int {
	n := 0
	for n < len(b) && n < 4 && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return n
}

// octet returns the value of up to three digits; -1 if that is too large.
func octet(b []byte) int {
	v := 0
	for _, c := range b {
		v = 10*v + int(c-'0')
	}
	if v > 255 {
		return -1
	}
	return v
}

// address6 returns the length of the longest IPv6 address that b begins with; 0 if
// it begins with none. As in Zeek, the IPv4 part of a compressed one follows the
// last group without a colon.
func address6(b []byte) int {
	if len(b) < 2 || b[0] != ':' && !isHex(b[0]) {
		return 0
	}
	best, at := 0, 0
	for groups := 0; groups < 8; groups++ {
		if groups == 0 && compressed(b) {
			return tail6(b, 2, 0)
		}
		n := hexes(b[at:])
		switch {
		case groups == 7 && n > 0:
			best = max(best, at+min(n, 4))
		case groups == 6:
			if v4 := address4(b[at:]); v4 > 0 {
				best = at + v4
			}
		}
		if n == 0 || n > 4 {
			return best
		}
		if at += n; compressed(b[at:]) && groups < 7 {
			return max(best, tail6(b, at+2, groups+1))
		}
		if at >= len(b) || b[at] != ':' {
			return best
		}
		at++
	}
	return best
}

// tail6 returns where an address ends whose two colons end at from, behind some
// groups.
func tail6(b []byte, from, groups int) int {
	best := from
	if groups <= 5 {
		if v4 := address4(b[from:]); v4 > 0 {
			best = from + v4
		}
	}
	for at, more := from, 1; more <= 7-groups; more++ {
		n := hexes(b[at:])
		if n == 0 {
			break
		}
		best = max(best, at+min(n, 4))
		for k := 1; k <= min(n, 4) && more <= 5-groups; k++ {
			if v4 := address4(b[at+k:]); v4 > 0 {
				best = max(best, at+k+v4)
			}
		}
		if at += n; n > 4 || at >= len(b) || b[at] != ':' {
			break
		}
		at++
	}
	return best
}

func compressed(b []byte) bool { return len(b) >= 2 && b[0] == ':' && b[1] == ':' }

// hexes returns how many hexadecimal digits b begins with, at most 5.
func hexes(b []byte) int {
	n := 0
	for n < len(b) && n < 5 && isHex(b[n]) {
		n++
	}
	return n
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// parseAddr reads an address. Octets of IPv4 may begin with zeros.
func parseAddr(b []byte) (a packet.Addr, ok bool) {
	if bytes.IndexByte(b, ':') >= 0 {
		ip, err := netip.ParseAddr(string(b))
		return ip.As16(), err == nil
	}
	var ip [4]byte
	for i := range ip {
		n := digits(b)
		if n == 0 || n > 3 {
			return a, false
		}
		ip[i] = byte(octet(b[:n]))
		if b = b[n:]; i < 3 {
			if len(b) == 0 || b[0] != '.' {
				return a, false
			}
			b = b[1:]
		}
	}
	return netip.AddrFrom4(ip).As16(), true
}
