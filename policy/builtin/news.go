package builtin

import (
	"encoding/binary"
	"math"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// News is what the policy of a worker tells the policies of all others, because
// a connection that they get belongs to one of its own: a data connection to
// expect, the file that it brought. What one worker tells arrives in order, or
// not at all.
type News struct {
	Kind string      // who reads it
	At   packet.Time // when it was seen
	Data []byte
}

// Board passes news on: a protocol's log tells and listens. Without other
// workers it does nothing.
type Board struct {
	tell    func(News) // nil: there is nobody
	readers map[string]func(at packet.Time, data []byte)
}

// Alone reports that nobody would hear.
func (b *Board) Alone() bool { return b.tell == nil }

// Tell tells all other workers. data may be used again when it returns.
func (b *Board) Tell(kind string, at packet.Time, data []byte) {
	if b.tell != nil {
		b.tell(News{kind, at, data})
	}
}

// Listen has read called with news of a kind, on the worker's goroutine. data is
// borrowed and may be anything. Call it while protocols are made.
func (b *Board) Listen(kind string, read func(at packet.Time, data []byte)) { b.readers[kind] = read }

func (b *Board) hear(n News) {
	if read := b.readers[n.Kind]; read != nil {
		read(n.At, n.Data)
	}
}

// expected is the kind of news about connections to expect: both addresses, the
// port, the transport, the seconds as a double, the analyzer's name.
const expected = "expect"

// tableLearner is what learns of connections to expect: flow.Table.
type tableLearner interface {
	Learn(e analyzer.Expectation, since packet.Time)
}

// Hear takes what another worker has told. Expectations go on to table. It is
// called between packets.
func (p *Policy) Hear(n News, table tableLearner) {
	if n.Kind != expected {
		p.board.hear(n)
		return
	}
	if e, ok := parseExpectation(n.Data); ok {
		table.Learn(e, n.At)
	}
}

// Between returns the hosts of the connection that the news say is to come, and
// whether they say so. An unknown host is the zero address.
func (n *News) Between() (a, b packet.Addr, ok bool) {
	if n.Kind != expected {
		return a, b, false
	}
	e, ok := parseExpectation(n.Data)
	return e.Orig, e.Resp, ok && e.Analyzer != ""
}

func appendExpectation(b []byte, e *analyzer.Expectation) []byte {
	b = append(append(b, e.Orig[:]...), e.Resp[:]...)
	b = append(binary.BigEndian.AppendUint16(b, e.RespP), byte(e.Proto))
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(e.Timeout))
	return append(b, e.Analyzer...)
}

func parseExpectation(b []byte) (e analyzer.Expectation, ok bool) {
	const fixed = 16 + 16 + 2 + 1 + 8
	if len(b) < fixed {
		return e, false
	}
	e.Orig, e.Resp = packet.Addr(b[:16]), packet.Addr(b[16:32])
	e.RespP, e.Proto = binary.BigEndian.Uint16(b[32:]), value.Proto(b[34])
	e.Timeout = math.Float64frombits(binary.BigEndian.Uint64(b[35:]))
	e.Analyzer = string(b[fixed:])
	return e, true
}
