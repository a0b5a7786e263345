// Package ntp reads NTP: the messages that keep clocks, and the control and
// private ones that ask servers about themselves.
//
// It stands between flow, which hands it datagrams, and policy, which implements
// Handler. It owns one parsed message for all connections of a worker. It parses
// as Zeek 9.0 does, and takes what it is told for true: it never compares times.
//
// Sources: RFC 5905, 5906, 1119 (appendix B of 1305), the header files of ntp.org
// for mode 7.
package ntp

import (
	"encoding/binary"
	"math"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// service is the name in conn.log's service column.
const service = "ntp"

// maxFree is how many finished analyzers are kept for reuse.
const maxFree = 1024

// Modes of messages.
const (
	ModeClient  = 3
	ModeServer  = 4
	ModeControl = 6
	ModePrivate = 7
)

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine. A Handler belongs to one connection at a time; after End
// it is given to another one.
type Handler interface {
	// Message hands over a message. m is borrowed.
	Message(c analyzer.Conn, m *Msg)
	// End says that the connection is going.
	End(c analyzer.Conn)
}

// Msg is a message. Standard is set in modes 1 to 5, Control in 6, Private in 7.
type Msg struct {
	Version, Mode uint8
	Standard      Standard
	Control       Control
	Private       Private
}

// IsStandard reports whether a message has a standard body.
func (m *Msg) IsStandard() bool { return m.Mode >= 1 && m.Mode <= 5 }

// Standard is what modes 1 to 5 hold. Times are seconds since 1970, 0 if they are
// not known.
type Standard struct {
	Stratum                              uint8
	Poll, Precision, Delay, Dispersion   float64 // seconds
	RefID                                [4]byte
	Reference, Origin, Receive, Transmit float64
	Extensions                           int
}

// Control is what mode 6 holds.
type Control struct {
	Response, Error, More         bool
	Op                            uint8
	Sequence, Status, Association uint16
	Data                          []byte // nil: none
	HasMAC                        bool
	KeyID                         uint32
	Checksum                      []byte
}

// Private is what mode 7 holds.
type Private struct {
	Auth                                   bool
	Sequence, Implementation, Request, Err uint8
	Data                                   []byte // nil: none
}

// Factory returns the factory of one worker; it and all its analyzers are used
// by one goroutine. newHandler is called for an analyzer that is made, not for
// one that is used again.
func Factory(newHandler func() Handler) analyzer.Factory {
	s := &shared{free: freelist.New[*ntp](maxFree)}
	return analyzer.Factory{
		Name:  "NTP",
		Ports: []analyzer.Port{{Num: 123, Proto: value.ProtoUDP}},
		New: func(proto value.Proto) analyzer.Analyzer {
			a := s.free.Take()
			if a == nil {
				a = &ntp{s: s, h: newHandler()}
			}
			a.stream = proto == value.ProtoTCP
			return a
		},
	}
}

// shared is what the analyzers of a worker have in common.
type shared struct {
	msg  Msg
	free freelist.List[*ntp]
}

// ntp is the analyzer of one connection.
type ntp struct {
	s       *shared
	h       Handler
	stream  bool // a stream has no datagrams: it is not looked at
	flipped [2]bool
}

// Deliver implements analyzer.Analyzer.
func (a *ntp) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if a.stream {
		return
	}
	m := &a.s.msg
	*m = Msg{}
	if !m.parse(data) {
		c.Violation(service, "message is cut or its extensions are wrong", nil)
		return
	}
	c.Confirm(service)
	side := 0
	if !orig {
		side = 1
	}
	if !a.flipped[side] && (m.Mode == ModeServer && orig || m.Mode == ModeClient && !orig) {
		a.flipped[side] = true
		if f, ok := c.(analyzer.Flipper); ok {
			f.Flip()
		}
	}
	a.h.Message(c, m)
	*m = Msg{}
}

// Gap implements analyzer.Analyzer; there are none in UDP.
func (a *ntp) Gap(analyzer.Conn, bool, uint64) {}

// End implements analyzer.Analyzer.
func (a *ntp) End(c analyzer.Conn) {
	a.h.End(c)
	*a = ntp{s: a.s, h: a.h}
	a.s.free.Keep(a)
}

// parse reads a message and reports whether it is whole.
func (m *Msg) parse(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	m.Version, m.Mode = b[0]>>3&7, b[0]&7
	switch b = b[1:]; {
	case m.IsStandard():
		return m.Standard.parse(b)
	case m.Mode == ModeControl:
		return m.Control.parse(b)
	case m.Mode == ModePrivate:
		return m.Private.parse(b)
	}
	return true
}

// standardLen is the length of a standard body without its first byte.
const standardLen = 47

func (s *Standard) parse(b []byte) bool {
	if len(b) < standardLen {
		return false
	}
	s.Stratum = b[0]
	s.Poll, s.Precision = math.Ldexp(1, int(int8(b[1]))), math.Ldexp(1, int(int8(b[2])))
	s.Delay, s.Dispersion = short(b[3:]), short(b[7:])
	copy(s.RefID[:], b[11:])
	s.Reference, s.Origin, s.Receive, s.Transmit = timestamp(b[15:]), timestamp(b[23:]), timestamp(b[31:]), timestamp(b[39:])
	for b = b[standardLen:]; len(b) > maxMAC; s.Extensions++ {
		n := extension(b)
		if n == 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

// maxMAC is the longest code that proves who sent a message; more than that
// begins with an extension.
const maxMAC = 24

// extension returns the length of an extension field (RFC 5906 section 10), 0 if
// it is wrong.
func extension(b []byte) int {
	const head, foot = 18, 4 // what stands before the value, and before the signature
	if len(b) < head+foot {
		return 0
	}
	n, val := int(binary.BigEndian.Uint16(b[2:])), int64(binary.BigEndian.Uint32(b[14:]))
	if n < head+foot || val > int64(n-head-foot) || int64(len(b)) < head+val+foot {
		return 0
	}
	sig := int64(binary.BigEndian.Uint32(b[head+val:]))
	end := max(int64(n), head+val+foot+sig)
	if end > int64(len(b)) {
		return 0
	}
	return int(end)
}

// short reads a number of seconds in the short format. Zeek takes both halves as
// signed.
func short(b []byte) float64 {
	sec, frac := int16(binary.BigEndian.Uint16(b)), int16(binary.BigEndian.Uint16(b[2:]))
	return float64(sec) + float64(frac)/(1<<16)
}

// epoch is 1970 in seconds since 1900.
const epoch = 2208988800

// timestamp reads a time in the long format.
func timestamp(b []byte) float64 {
	sec, frac := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if sec == 0 && frac == 0 {
		return 0
	}
	return float64(int64(sec)-epoch) + float64(frac)/(1<<32)
}

func (m *Control) parse(b []byte) bool {
	if len(b) < 11 {
		return false
	}
	m.Response, m.Error, m.More, m.Op = b[0]&0x80 != 0, b[0]&0x40 != 0, b[0]&0x20 != 0, b[0]&0x1f
	m.Sequence, m.Status = binary.BigEndian.Uint16(b[1:]), binary.BigEndian.Uint16(b[3:])
	m.Association = binary.BigEndian.Uint16(b[5:])
	n := int(binary.BigEndian.Uint16(b[9:]))
	if b = b[11:]; len(b) < n {
		return false
	}
	if n > 0 {
		m.Data = b[:n]
	}
	if b = b[n:]; len(b) == 12 {
		m.HasMAC, m.KeyID, m.Checksum = true, binary.BigEndian.Uint32(b), b[4:]
	}
	return true
}

func (m *Private) parse(b []byte) bool {
	if len(b) < 5 {
		return false
	}
	m.Auth, m.Sequence, m.Implementation, m.Request = b[0]&0x80 != 0, b[0]&0x7f, b[1], b[2]
	m.Err = b[3] >> 4
	n := int(binary.BigEndian.Uint16(b[3:]) & 0xfff)
	if b = b[5:]; len(b) < n || m.Auth && len(b)-n < 20 {
		return false
	}
	if n > 0 {
		m.Data = b[:n]
	}
	return true
}
