// Package snmp reads SNMP v1, v2c and v3: who asks, what is asked and answered.
//
// It stands between flow, which hands it datagrams, and policy, which implements
// Handler. It owns one parsed message for all connections of a worker and nothing
// per connection. It never decrypts, and knows no MIB.
//
// It parses as Zeek 9.0 does, which reads BER more simply than traffic/format/asn1:
// tags are one byte, a length of 0x80 is 0, and what a sequence says of its own
// length is not looked at: its values follow each other to the datagram's end.
//
// Sources: RFC 1157 (v1), 1901 and 3416 (v2c), 3412 and 3414 (v3), 1155 (values),
// ITU-T X.690 (BER).
package snmp

import (
	"strconv"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// service is the name in conn.log's service column.
const service = "snmp"

// Versions as they stand in a message.
const (
	V1  = 0
	V2c = 1
	V3  = 3
)

// Kind says what a message holds. Those up to Report are numbered as their tags
// without 0xa0.
type Kind uint8

// What a message can hold.
const (
	Get Kind = iota
	GetNext
	Response
	Set
	Trap
	GetBulk
	Inform
	TrapV2
	Report
	Unknown       // another tag
	Encrypted     // v3: only the header can be read
	UnknownScoped // v3: neither encrypted nor not
)

var kinds = [...]string{"get", "get-next", "response", "set", "trap", "get-bulk", "inform", "trap-v2", "report", "unknown", "encrypted", "unknown-scoped"}

// String returns the kind's name, for tests.
func (k Kind) String() string { return kinds[k] }

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine. A Handler belongs to one connection at a time; after End
// it is given to another one.
type Handler interface {
	// Message hands over a message. m is borrowed.
	Message(c analyzer.Conn, orig bool, m *Msg)
	// Odd tells of an oddity that Zeek reports without a connection.
	Odd(c analyzer.Conn, name, addl string)
	// End says that the connection is going.
	End(c analyzer.Conn)
}

// Msg is a message of a version that is known.
type Msg struct {
	Version   int64
	Community []byte // v1, v2c; nil in v3
	User      []byte // v3: of the user-based security model, if the body is not encrypted; else nil
	Kind      Kind
	Tag       uint8 // of Unknown and UnknownScoped
	Bindings  []Binding
}

// Binding is a variable and its value.
type Binding struct {
	Name  []byte // OBJECT IDENTIFIER, encoded
	Tag   uint8
	Value []byte // encoded
}

// maxKept is how many bindings the shared message keeps room for.
const maxKept = 1024

// Factory returns the factory of one worker; it and all its analyzers are used
// by one goroutine. newHandler is called for an analyzer that is made, not for
// one that is used again.
func Factory(newHandler func() Handler) analyzer.Factory {
	s := &shared{free: freelist.New[*snmp](maxFree)}
	return analyzer.Factory{
		Name:  "SNMP",
		Ports: []analyzer.Port{{Num: 161, Proto: value.ProtoUDP}, {Num: 162, Proto: value.ProtoUDP}},
		New: func(proto value.Proto) analyzer.Analyzer {
			a := s.free.Take()
			if a == nil {
				a = &snmp{s: s, h: newHandler()}
			}
			a.stream = proto == value.ProtoTCP
			return a
		},
	}
}

// maxFree is how many finished analyzers are kept for reuse.
const maxFree = 1024

// shared is what the analyzers of a worker have in common.
type shared struct {
	p    parser
	free freelist.List[*snmp]
}

// snmp is the analyzer of one connection.
type snmp struct {
	s      *shared
	h      Handler
	stream bool // a stream has no datagrams: it is not looked at
}

// Deliver implements analyzer.Analyzer.
func (a *snmp) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if a.stream {
		return
	}
	p := &a.s.p
	*p = parser{b: data, msg: Msg{Bindings: p.msg.Bindings[:0]}, c: c, h: a.h, orig: orig}
	if p.message(); p.bad != "" {
		c.Violation(service, p.bad, nil)
	}
	kept := p.msg.Bindings
	if cap(kept) > maxKept {
		kept = nil
	}
	clear(kept[:cap(kept)])
	*p = parser{msg: Msg{Bindings: kept[:0]}}
}

// Gap implements analyzer.Analyzer; there are none in UDP.
func (a *snmp) Gap(analyzer.Conn, bool, uint64) {}

// End implements analyzer.Analyzer.
func (a *snmp) End(c analyzer.Conn) {
	a.h.End(c)
	*a = snmp{s: a.s, h: a.h}
	a.s.free.Keep(a)
}

// Unsigned returns the number in a value's content as Zeek takes it: its bytes
// in order, at most eight of them (more make 0).
func Unsigned(content []byte) uint64 {
	if len(content) > 8 {
		return 0
	}
	var n uint64
	for _, c := range content {
		n = n<<8 | uint64(c)
	}
	return n
}

// AppendOID appends an OBJECT IDENTIFIER as Zeek shows it, nothing if it is cut
// or a number in it has more than ten bytes.
func AppendOID(dst, content []byte) []byte {
	if len(content) == 0 || content[len(content)-1]&0x80 != 0 || longest(content) > maxSub {
		return dst
	}
	var n uint64
	first := true
	for _, c := range content {
		n = n<<7 | uint64(c&0x7f)
		if c&0x80 != 0 {
			continue
		}
		if first {
			first = false
			// Zeek divides a 32-bit number here.
			low := int64(int32(n))
			dst = strconv.AppendInt(dst, low/40, 10)
			dst = strconv.AppendInt(append(dst, '.'), low%40, 10)
		} else {
			dst = strconv.AppendUint(append(dst, '.'), n, 10)
		}
		n = 0
	}
	return dst
}

// maxSub is how many bytes a number of an OBJECT IDENTIFIER may have.
const maxSub = 10

// longest returns how many bytes the first number of more than maxSub has, or 0.
func longest(content []byte) int {
	n := 0
	for _, c := range content {
		n++
		if c&0x80 == 0 {
			if n > maxSub {
				return n
			}
			n = 0
		}
	}
	return 0
}
