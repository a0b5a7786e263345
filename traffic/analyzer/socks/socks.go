// Package socks reads what client and proxy say to each other in SOCKS 4, 4a and
// 5, and hands the connection behind it on.
//
// It stands between flow, which hands it the bytes of a connection, and policy,
// its Handler. When both sides have agreed, a place of detection below takes all
// that follows. It owns, per connection, the message at hand of both sides and
// what one side sends early; it knows nothing of logs or of what is asked for.
//
// Sources: RFC 1928, 1929, the documents SOCKS4 and SOCKS4A of Ying-Da Lee; what
// confirms and what violates is Zeek 9.0's.
package socks

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name, and the source of its weirds.
const Name = "SOCKS"

// Address is an address, a name, or both (SOCKS 4a). Name is borrowed.
type Address struct {
	Host             packet.Addr
	Name             []byte
	HasHost, HasName bool
}

// Request is what a client asks its proxy for. It is borrowed.
type Request struct {
	Version int // 4 or 5
	Command uint8
	To      Address
	Port    uint16
	User    []byte // version 4
}

// Reply is a proxy's answer. It is borrowed.
type Reply struct {
	Version int
	Code    uint8
	Bound   Address
	Port    uint16
}

// Handler is told of one connection; policy implements it.
type Handler interface {
	// Login hands over name and password (RFC 1929), borrowed.
	Login(c analyzer.Conn, user, password []byte)
	// LoginReply says whether they were right: 0.
	LoginReply(c analyzer.Conn, code uint8)
	Request(c analyzer.Conn, r *Request)
	Reply(c analyzer.Conn, r *Reply)
	// End says that nothing more comes. confirmed is false if it was not SOCKS.
	// The Handler may be used for another connection afterwards.
	End(c analyzer.Conn, confirmed bool)
}

const (
	// maxText is how long the name of a user or host may be in version 4.
	maxText = 255
	// maxHeld is how many bytes of one side wait: those of a message that is not
	// whole, or that come before the other side has answered.
	maxHeld = 8 << 10
	// keepHeld and maxFree bound what is kept for reuse.
	keepHeld = 256
	maxFree  = 256
)

// userPassword is the method of authentication that is known (RFC 1929).
const userPassword = 2

// Factory returns the factory of one worker; it and all its analyzers are used by
// one goroutine. newHandler is called for an analyzer that is made, not for one
// that is used again.
func Factory(newHandler func() Handler) analyzer.Factory {
	free := freelist.New[*socks](maxFree)
	return analyzer.Factory{
		Name:       Name,
		Ports:      []analyzer.Port{{Num: 1080, Proto: value.ProtoTCP}},
		Signatures: signatures.SOCKS(),
		New: func(value.Proto) analyzer.Analyzer {
			if s := free.Take(); s != nil {
				return s
			}
			return &socks{free: &free, h: newHandler()}
		},
	}
}

// What a side says next.
type stage uint8

const (
	greeting stage = iota // the version, and with 4 the whole message
	login
	message // version 5
	done
)

// socks is the analyzer of one connection.
type socks struct {
	free      *freelist.List[*socks]
	h         Handler
	held      [2][]byte // of client and proxy
	at        [2]stage
	version   uint8 // that the client began with
	chosen    bool  // the proxy has chosen a method
	method    uint8
	confirmed bool
	violated  bool
	deaf      bool // nothing more is read
	odd       [2]bool
	open      bool           // what follows is the connection behind the proxy
	child     analyzer.Child // whatever that is
	calling   bool
	ended     bool
	request   Request
	reply     Reply
}

func sideOf(orig bool) int {
	if orig {
		return 0
	}
	return 1
}

// Deliver implements analyzer.Analyzer.
func (s *socks) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if s.open {
		s.child.Forward(c, orig, data)
		return
	}
	if s.deaf || len(data) == 0 || analyzer.Partial(c) {
		return
	}
	side := sideOf(orig)
	s.calling = true
	s.held[side] = append(s.held[side], data...)
	// What this side says may be what the other's bytes wait for: these come first.
	for !s.deaf && !s.open && !s.ended && (s.read(c, !orig) || !s.deaf && s.read(c, orig)) {
		if s.at[0] == done && s.at[1] == done {
			s.connect(c)
		}
	}
	if len(s.held[side]) > maxHeld && !s.deaf {
		s.deaf = true
		analyzer.ReachLimit(c)
	}
	s.calling = false
	if s.ended {
		s.End(c)
	}
}

// connect hands on what came early, and from then on all.
func (s *socks) connect(c analyzer.Conn) {
	s.open = true
	s.child = analyzer.StartDetect(c)
	for side := range s.held {
		s.child.Forward(c, side == 0, s.held[side])
		s.held[side] = s.held[side][:0]
	}
}

// Gap implements analyzer.Analyzer. Before the agreement nothing is read behind
// a gap.
func (s *socks) Gap(c analyzer.Conn, orig bool, n uint64) {
	if !s.open {
		s.deaf = true
		return
	}
	s.child.Gap(c, orig, n)
}

// End implements analyzer.Analyzer.
func (s *socks) End(c analyzer.Conn) {
	if s.calling {
		s.ended = true
		return
	}
	s.h.End(c, s.confirmed && !s.violated)
	for i := range s.held {
		if cap(s.held[i]) > keepHeld {
			s.held[i] = nil
		}
	}
	*s = socks{free: s.free, h: s.h, held: [2][]byte{s.held[0][:0], s.held[1][:0]}}
	s.free.Keep(s)
}

// read reads a side's next message, if it is there. It reports whether it was.
func (s *socks) read(c analyzer.Conn, orig bool) bool {
	side := sideOf(orig)
	b := s.held[side]
	if len(b) == 0 || s.at[side] == done {
		return false
	}
	n := 0
	switch {
	case s.at[side] == login:
		n = s.readLogin(c, orig, b)
	case s.at[side] == message:
		if b[0] != 5 {
			s.fail(c, "unsupported/unknown SOCKS version ", b[0])
		} else if orig {
			n = s.request5(c, b)
		} else {
			n = s.reply5(c, b)
		}
	case orig:
		n = s.begin(c, b)
	default:
		n = s.answer(c, b)
	}
	if s.deaf || s.ended || n == 0 {
		return false
	}
	s.held[side] = append(b[:0], b[n:]...)
	return true
}

// fail says that the bytes are not SOCKS.
func (s *socks) fail(c analyzer.Conn, reason string, n uint8) {
	s.deaf, s.violated = true, true
	c.Violation(Name, reason+strconv.Itoa(int(n)), nil)
}

// begin reads a client's first message.
func (s *socks) begin(c analyzer.Conn, b []byte) int {
	switch b[0] {
	case 4:
		s.version = 4
		return s.request4(c, b)
	case 5:
		// The methods it knows. What it says next depends on the proxy's choice.
		s.version = 5
		if len(b) < 2 || len(b) < 2+int(b[1]) || !s.chosen {
			return 0
		}
		s.at[0] = message
		if s.subNegotiation() {
			s.at[0] = login
		}
		return 2 + int(b[1])
	}
	s.fail(c, "unsupported/unknown SOCKS version ", b[0])
	return 0
}

// subNegotiation reports whether the chosen method asks for one.
func (s *socks) subNegotiation() bool { return s.method != 0 && s.method != 0xff }

// answer reads a proxy's first message.
func (s *socks) answer(c analyzer.Conn, b []byte) int {
	switch {
	case b[0] == 5:
		if len(b) < 2 {
			return 0
		}
		s.method, s.chosen = b[1], true
		s.at[1] = message
		if s.subNegotiation() {
			s.at[1] = login
		}
		return 2
	case b[0] == 4, b[0] == 0 && s.version == 4:
		return s.reply4(c, b)
	}
	s.fail(c, "unsupported/unknown SOCKS version ", b[0])
	return 0
}

// readLogin reads the messages between the choice of a method and the request.
func (s *socks) readLogin(c analyzer.Conn, orig bool, b []byte) int {
	side := sideOf(orig)
	if s.method != userPassword || b[0] != 1 || s.odd[side] {
		// Where it ends is not known. Each side's is said once, then nothing.
		if !s.odd[side] {
			s.odd[side] = true
			var buf [48]byte
			if s.method != userPassword {
				text := strconv.AppendUint(buf[:0], uint64(s.method), 10)
				c.Weird("socks5_unsupported_authentication_method", value.Borrow(text), Name)
			} else {
				text := strconv.AppendUint(append(buf[:0], "method 2, version "...), uint64(b[0]), 10)
				c.Weird("socks5_unsupported_authentication", value.Borrow(text), Name)
			}
			s.deaf = s.odd[0] && s.odd[1]
		}
		s.held[side] = b[:0]
		return 0
	}
	if !orig {
		if len(b) < 2 {
			return 0
		}
		s.at[1] = message
		s.h.LoginReply(c, b[1])
		return 2
	}
	if len(b) < 2 || len(b) < 3+int(b[1]) {
		return 0
	}
	user, rest := b[2:2+int(b[1])], b[2+int(b[1]):]
	if len(rest) < 1+int(rest[0]) {
		return 0
	}
	s.at[0] = message
	s.h.Login(c, user, rest[1:1+int(rest[0])])
	return len(b) - len(rest) + 1 + int(rest[0])
}

// request4 reads a request of SOCKS 4; an address 0.0.0.x says that a name
// follows (4a).
func (s *socks) request4(c analyzer.Conn, b []byte) int {
	if len(b) < 9 {
		return 0
	}
	user, ok := s.text4(c, b[8:])
	if !ok {
		return 0
	}
	n := 8 + len(user) + 1
	s.request = Request{Version: 4, Command: b[1], Port: binary.BigEndian.Uint16(b[2:]), User: user}
	s.request.To.Host, s.request.To.HasHost = addr4(b[4:8]), true
	if binary.BigEndian.Uint32(b[4:]) <= 0xff {
		name, ok := s.text4(c, b[n:])
		if !ok {
			return 0
		}
		s.request.To.Name, s.request.To.HasName = name, true
		n += len(name) + 1
	}
	s.at[0] = done
	s.h.Request(c, &s.request)
	return n
}

// text4 returns the bytes before the next zero.
func (s *socks) text4(c analyzer.Conn, b []byte) ([]byte, bool) {
	n := bytes.IndexByte(b, 0)
	if n > maxText || n < 0 && len(b) > maxText {
		s.fail(c, "a text is longer than ", maxText)
		return nil, false
	}
	if n < 0 {
		return nil, false
	}
	return b[:n], true
}

func (s *socks) reply4(c analyzer.Conn, b []byte) int {
	if len(b) < 8 {
		return 0
	}
	s.reply = Reply{Version: 4, Code: b[1], Port: binary.BigEndian.Uint16(b[2:])}
	s.reply.Bound.Host, s.reply.Bound.HasHost = addr4(b[4:8]), true
	s.replied(c)
	return 8
}

func (s *socks) replied(c analyzer.Conn) {
	s.at[1] = done
	s.h.Reply(c, &s.reply)
	s.confirmed = true
	c.Confirm(Name)
}

func (s *socks) request5(c analyzer.Conn, b []byte) int {
	if len(b) < 4 {
		return 0
	}
	if b[2] != 0 {
		s.fail(c, "invalid value in reserved field: ", b[2])
		return 0
	}
	if b[1] == 0 || b[1] > 3 {
		s.fail(c, "undefined value in command field: ", b[1])
		return 0
	}
	to, port, n := s.address(c, b)
	if n > 0 {
		s.at[0] = done
		s.request = Request{Version: 5, Command: b[1], To: to, Port: port}
		s.h.Request(c, &s.request)
	}
	return n
}

func (s *socks) reply5(c analyzer.Conn, b []byte) int {
	if len(b) < 4 {
		return 0
	}
	bound, port, n := s.address(c, b)
	if n > 0 {
		s.reply = Reply{Version: 5, Code: b[1], Bound: bound, Port: port}
		s.replied(c)
	}
	return n
}

// address reads the address and port of a message of SOCKS 5. n is the length of
// the message; 0: it is not whole, or wrong.
func (s *socks) address(c analyzer.Conn, b []byte) (a Address, port uint16, n int) {
	switch b[3] {
	case 1:
		n = 4 + 4
	case 3:
		if len(b) < 5 {
			return a, 0, 0
		}
		n = 5 + int(b[4])
	case 4:
		n = 4 + 16
	default:
		s.fail(c, "invalid SOCKSv5 addr type: ", b[3])
		return a, 0, 0
	}
	if len(b) < n+2 {
		return a, 0, 0
	}
	switch b[3] {
	case 1:
		a.Host, a.HasHost = addr4(b[4:8]), true
	case 3:
		a.Name, a.HasName = b[5:n], true
	case 4:
		a.Host, a.HasHost = packet.Addr(b[4:20]), true
	}
	return a, binary.BigEndian.Uint16(b[n:]), n + 2
}

func addr4(b []byte) packet.Addr {
	var a packet.Addr
	a[10], a[11] = 0xff, 0xff
	copy(a[12:], b)
	return a
}
