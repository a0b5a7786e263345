package irc

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/picket-nsm/picket/traffic/packet"
)

func skipSpaces(b []byte) []byte {
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	return b
}

// text cuts a text at its first NUL, as Zeek does with most.
func text(b []byte) []byte {
	if n := bytes.IndexByte(b, 0); n >= 0 {
		return b[:n]
	}
	return b
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// split appends the words between separators to dst.
func split(dst [][]byte, b []byte, by byte) [][]byte {
	for len(b) > 0 && len(dst) < maxWords {
		n := bytes.IndexByte(b, by)
		if n < 0 {
			return append(dst, b)
		}
		if n > 0 {
			dst = append(dst, b[:n])
		}
		b = b[n+1:]
	}
	return dst
}

// line takes a line.
func (a *irc) line(d *direction, l []byte) {
	if len(l) > longest {
		a.odd("irc_line_size_exceeded")
		return
	}
	if l = skipSpaces(l); len(l) < 3 {
		a.odd("irc_line_too_short")
		return
	}
	if l[0] == '@' { // tags
		n := bytes.IndexByte(l, ' ')
		if n < 0 {
			return
		}
		l = l[n+1:]
	}
	prefix := false
	if len(l) > 0 && l[0] == ':' {
		n := bytes.IndexByte(l, ' ')
		if n < 0 {
			a.odd("irc_invalid_line")
			return
		}
		prefix = n > 1
		l = skipSpaces(l[n+1:])
	}
	if len(l) < 3 {
		a.odd("irc_invalid_line")
		a.c.Violation(service, "line too short", nil)
		return
	}
	if isDigit(l[0]) {
		if !isDigit(l[1]) || !isDigit(l[2]) || len(l) < 4 || l[3] != ' ' {
			a.odd("irc_invalid_reply_number")
			a.c.Violation(service, "invalid reply number", nil)
			return
		}
		if string(l[:3]) == "670" { // the server agrees to STARTTLS
			a.startTLS(d)
		}
		return
	}
	word, params, _ := bytes.Cut(l, []byte(" "))
	a.command(d, word, skipSpaces(params), prefix)
}

// command takes a command. prefix says that somebody's name was in front.
func (a *irc) command(d *direction, word, params []byte, prefix bool) {
	var buf [maxCommand]byte
	up := buf[:0]
	if len(word) <= maxCommand {
		for _, b := range word {
			if b >= 'a' && b <= 'z' {
				b -= 'a' - 'A'
			}
			up = append(up, b)
		}
	}
	if d.orig && !a.confirmed && known(up) {
		a.confirmed = true
		a.c.Confirm(service)
	}
	if string(up) == "STARTTLS" {
		return
	}
	if !d.server {
		a.serverBegins(d, up, params, prefix)
	}
	if len(word) > maxCommand {
		a.weird("irc_invalid_command", "")
		if a.invalid++; a.invalid > maxInvalid {
			a.weird("irc_too_many_invalid", "")
			a.c.Violation(service, "too many long lines", nil)
		}
		return
	}
	switch string(up) {
	case "PRIVMSG":
		if !a.message(d, params) {
			return
		}
	case "USER":
		a.user(d, params)
	case "JOIN":
		if !a.join(d, params) {
			return
		}
	case "NJOIN":
		if !a.serverJoin(d, params) {
			return
		}
	case "NICK":
		if len(params) > 0 && params[0] == ':' {
			params = params[1:]
		}
		a.h.Nick(a.c, d.orig, params)
	}
	if a.dir[0].server && a.dir[1].server && a.dir[0].packs && a.dir[1].packs {
		a.packed = true
	}
}

// serverBegins looks for the registration of a server, which may say that it
// compresses.
func (a *irc) serverBegins(d *direction, up, params []byte, prefix bool) {
	switch string(up) {
	case "PASS":
		a.s.words = split(a.s.words[:0], params, ' ')
		d.packs = len(a.s.words) > 3 && bytes.ContainsAny(a.s.words[3], "zZ")
	case "SERVER":
		d.server = !prefix
	}
}

// user takes the parameters of USER.
func (a *irc) user(d *direction, params []byte) {
	s := a.s
	s.words = split(s.words[:0], params, ' ')
	at := func(i int) []byte {
		if i < len(s.words) {
			return text(s.words[i])
		}
		return nil
	}
	// As in Zeek the blanks between the words of the name are one too few, and one
	// at the end is too much.
	s.text = s.text[:0]
	for i := 3; i < len(s.words); i++ {
		s.text = append(s.text, s.words[i]...)
		if i > 3 {
			s.text = append(s.text, ' ')
		}
	}
	name := text(s.text)
	if len(name) > 0 && name[0] == ':' {
		name = name[1:]
	}
	s.user = User{Orig: d.orig, Name: at(0), Host: at(1), Server: at(2), RealName: name}
	a.h.User(a.c, &s.user)
	s.user = User{}
}

// join takes the parameters of JOIN.
func (a *irc) join(d *direction, params []byte) bool {
	s := a.s
	if len(params) > 0 && params[0] == ':' {
		params = params[1:]
	}
	s.words = split(s.words[:0], params, ' ')
	if len(s.words) == 0 {
		a.weird("irc_invalid_join_line", "")
		return false
	}
	s.list, s.keys = split(s.list[:0], s.words[0], ','), s.keys[:0]
	if len(s.words) > 1 {
		s.keys = split(s.keys, s.words[1], ',')
	}
	first := true
	for i, channel := range s.list {
		var key []byte
		if i < len(s.keys) {
			key = s.keys[i]
		}
		if a.joined(i, key) {
			continue
		}
		s.join = Join{Orig: d.orig, First: first, Channel: channel, Password: key}
		a.h.Join(a.c, &s.join)
		first = false
	}
	s.join = Join{}
	return true
}

// joined reports whether a channel with its key stands in the list before: they
// are a set.
func (a *irc) joined(at int, key []byte) bool {
	for i := range a.s.list[:at] {
		var k []byte
		if i < len(a.s.keys) {
			k = a.s.keys[i]
		}
		if bytes.Equal(a.s.list[i], a.s.list[at]) && bytes.Equal(k, key) {
			return true
		}
	}
	return false
}

// serverJoin takes the parameters of NJOIN: a channel, and many names.
func (a *irc) serverJoin(d *direction, params []byte) bool {
	s := a.s
	s.words = split(s.words[:0], params, ' ')
	if len(s.words) != 2 {
		a.weird("irc_invalid_njoin_line", "")
		return false
	}
	names := s.words[1]
	if names[0] == ':' {
		names = names[1:]
	}
	s.list, s.keys = split(s.list[:0], names, ','), s.keys[:0]
	first := true
	for i := range s.list {
		if a.joined(i, nil) {
			continue
		}
		s.join = Join{Orig: d.orig, First: first, Channel: s.words[0]}
		a.h.Join(a.c, &s.join)
		first = false
	}
	s.join = Join{}
	return true
}

// message takes the parameters of PRIVMSG.
func (a *irc) message(d *direction, params []byte) bool {
	n := bytes.IndexByte(params, ' ')
	if n < 0 {
		a.weird("irc_invalid_privmsg_message_format", "")
		return false
	}
	m := skipSpaces(params[n+1:])
	if len(m) > 0 && m[0] == ':' {
		m = m[1:]
	}
	if len(m) > 0 && m[0] == 1 {
		m = m[1:]
	}
	if len(m) <= 3 || !bytes.HasPrefix(m, []byte("DCC")) {
		return true
	}
	if m[len(m)-1] == 1 {
		m = m[:len(m)-1]
	}
	s := a.s
	s.words = split(s.words[:0], m, ' ')
	w := s.words
	if len(w) < 5 || len(w) > 6 {
		// Turbo DCC has a T at the end.
		if len(w) != 7 || string(w[6]) != "T" {
			a.weird("irc_invalid_dcc_message_format", "")
			return false
		}
	}
	host, ok := number(w[3])
	if !ok {
		a.weird("irc_invalid_dcc_host", "")
		return false
	}
	port, ok := number(w[4])
	if !ok || port > 65535 {
		a.weird("irc_invalid_dcc_port", strconv.FormatInt(int64(int32(port)), 10))
		return false
	}
	s.dcc = DCC{Orig: d.orig, Type: text(w[1]), Argument: text(w[2]), Addr: packet.Addr{10: 0xff, 11: 0xff}, Port: uint16(port)}
	binary.BigEndian.PutUint32(s.dcc.Addr[12:], host)
	if len(w) >= 6 {
		s.dcc.Size = size(w[5])
	}
	a.h.DCC(a.c, &s.dcc)
	s.dcc = DCC{}
	return true
}

// number reads the digits that b begins with.
func number(b []byte) (n uint32, ok bool) {
	for i, c := range b {
		if !isDigit(c) {
			return n, i > 0
		}
		next := uint64(n)*10 + uint64(c-'0')
		if next > math.MaxUint32 {
			return 0, false
		}
		n = uint32(next)
	}
	return n, len(b) > 0
}

// size reads a size as C's atoi does, with what becomes of negative ones.
func size(b []byte) uint64 {
	for len(b) > 0 && (b[0] == ' ' || b[0] >= '\t' && b[0] <= '\r') {
		b = b[1:]
	}
	neg := len(b) > 0 && b[0] == '-'
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		b = b[1:]
	}
	var n int64
	for _, c := range b {
		if !isDigit(c) {
			break
		}
		if n > (math.MaxInt64-9)/10 {
			n = math.MaxInt64
			if neg {
				n = math.MinInt64
			}
			return uint64(int64(int32(n)))
		}
		n = n*10 + int64(c-'0')
	}
	if neg {
		n = -n
	}
	return uint64(int64(int32(n)))
}

// known tells the commands of clients and servers, in capitals.
func known(up []byte) bool {
	switch string(up) {
	case "ADMIN", "AWAY", "CNOTICE", "CPRIVMSG", "CONNECT", "DIE", "ENCAP", "ERROR", "INFO", "INVITE", "ISON", "JOIN", "KICK",
		"KILL", "KNOCK", "LINKS", "LIST", "LUSERS", "MODE", "MOTD", "NAMES", "NICK", "NOTICE", "OPER", "PART", "PASS", "PING",
		"PONG", "PRIVMSG", "QUIT", "REHASH", "RULES", "SERVER", "SERVICE", "SERVLIST", "SETNAME", "SILENCE", "SQUERY", "SQUIT",
		"STATS", "SUMMON", "TIME", "TOPIC", "TRACE", "USER", "USERHOST", "USERS", "VERSION", "WALLOPS", "WHO", "WHOIS", "WHOWAS",
		"STARTTLS":
		return true
	}
	return false
}
