// Package ntp writes ntp.log, ntp_control.log and ntp_private.log: a row for
// each message.
//
// It stands behind the NTP analyzer, whose Handler it implements, and hands rows
// to the log streams. It owns, per connection, the last message of each of the
// three kinds: as in Zeek 9.0 each message writes them all again (zeek-semantics
// section 5), so that a control message repeats the row of the standard one
// before it. It never looks at packets.
package ntp

import (
	"net/netip"

	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/ntp"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// keepText is the largest buffer that a reused connection keeps.
const keepText = 1024

// Schema returns the columns of ntp.log.
func Schema() *record.Schema {
	return record.New("NTP::LOG", "ntp",
		record.Conn(),
		record.Of("version", value.KindCount),
		record.Of("mode", value.KindCount),
		record.Of("stratum", value.KindCount),
		record.Of("poll", value.KindInterval),
		record.Of("precision", value.KindInterval),
		record.Of("root_delay", value.KindInterval),
		record.Of("root_disp", value.KindInterval),
		record.Of("ref_id", value.KindString),
		record.Of("ref_time", value.KindTime),
		record.Of("org_time", value.KindTime),
		record.Of("rec_time", value.KindTime),
		record.Of("xmt_time", value.KindTime),
		record.Optional("num_exts", value.KindCount),
	)
}

// ControlSchema returns the columns of ntp_control.log.
func ControlSchema() *record.Schema {
	return record.New("NTP::CONTROL_LOG", "ntp_control",
		record.Conn(),
		record.Of("version", value.KindCount),
		record.Of("mode", value.KindCount),
		record.Of("op_code", value.KindCount),
		record.Of("sequence", value.KindCount),
		record.Of("status", value.KindCount),
		record.Of("association_id", value.KindCount),
		record.Of("resp_bit", value.KindBool),
		record.Of("err_bit", value.KindBool),
		record.Of("more_bit", value.KindBool),
		record.Optional("data", value.KindString),
		record.Optional("key_id", value.KindCount),
		record.Optional("crypto_checksum", value.KindString),
	)
}

// PrivateSchema returns the columns of ntp_private.log.
func PrivateSchema() *record.Schema {
	return record.New("NTP::PRIVATE_LOG", "ntp_private",
		record.Conn(),
		record.Of("version", value.KindCount),
		record.Of("mode", value.KindCount),
		record.Of("req_code", value.KindCount),
		record.Of("sequence", value.KindCount),
		record.Of("implementation", value.KindCount),
		record.Of("auth_bit", value.KindBool),
		record.Of("err", value.KindCount),
		record.Optional("data", value.KindString),
	)
}

// Write takes a row, which is valid until it returns.
type Write func(row []value.Value)

// Log makes the rows of one worker. One goroutine.
type Log struct {
	standard, control, private Write
	row                        []value.Value
	text                       []byte
}

// New returns a Log that hands its rows to the three, in the order of their
// schemas.
func New(standard, control, private Write) *Log {
	return &Log{standard: standard, control: control, private: private, text: make([]byte, 0, 16)}
}

// Handler returns what one connection's messages go to; it is what the NTP
// factory wants.
func (l *Log) Handler() wire.Handler { return &conn{log: l} }

// saved is the last message of a kind.
type saved struct {
	has  bool
	ts   float64
	id   analyzer.ID
	m    wire.Msg
	n    int    // bytes of a control message's data
	data []byte // those, its checksum, or a private message's data
}

// conn is the state of one connection. It implements the analyzer's Handler.
type conn struct {
	log                        *Log
	uid                        []byte
	standard, control, private saved
}

// Message implements the analyzer's Handler.
func (s *conn) Message(c analyzer.Conn, m *wire.Msg) {
	id := c.ID()
	s.uid = append(s.uid[:0], id.UID...)
	id.UID = ""
	switch {
	case m.IsStandard():
		s.standard.keep(c, id, m)
	case m.Mode == wire.ModeControl:
		s.control.keep(c, id, m)
	case m.Mode == wire.ModePrivate:
		s.private.keep(c, id, m)
	}
	if s.standard.has {
		s.writeStandard()
	}
	if s.control.has {
		s.writeControl()
	}
	if s.private.has {
		s.writePrivate()
	}
}

func (v *saved) keep(c analyzer.Conn, id analyzer.ID, m *wire.Msg) {
	v.has, v.ts, v.id, v.m, v.n = true, float64(c.Now()), id, *m, len(m.Control.Data)
	v.data = append(append(append(v.data[:0], m.Control.Data...), m.Control.Checksum...), m.Private.Data...)
	v.m.Control.Data, v.m.Control.Checksum, v.m.Private.Data = nil, nil, nil // they are borrowed
}

// End implements the analyzer's Handler.
func (s *conn) End(analyzer.Conn) {
	s.standard.reset()
	s.control.reset()
	s.private.reset()
}

func (v *saved) reset() {
	*v = saved{data: rows.Emptied(v.data, keepText)}
}

// begin fills the columns that all three logs have.
func (s *conn) begin(v *saved) {
	s.log.row = append(s.log.row[:0],
		value.Time(v.ts), value.String(value.Borrow(s.uid)),
		value.Addr16(v.id.Orig), value.Port(v.id.OrigP, v.id.Proto), value.Addr16(v.id.Resp), value.Port(v.id.RespP, v.id.Proto),
		value.Count(uint64(v.m.Version)), value.Count(uint64(v.m.Mode)))
}

func (s *conn) writeStandard() {
	l, m := s.log, &s.standard.m.Standard
	s.begin(&s.standard)
	id := m.RefID[:] // a kiss code, the name of a clock, or else an address
	if m.Stratum > 1 {
		l.text = netip.AddrFrom4(m.RefID).AppendTo(l.text[:0])
		id = l.text
	}
	l.row = append(l.row,
		value.Count(uint64(m.Stratum)), value.Interval(m.Poll), value.Interval(m.Precision),
		value.Interval(m.Delay), value.Interval(m.Dispersion), value.String(value.Borrow(id)),
		value.Time(m.Reference), value.Time(m.Origin), value.Time(m.Receive), value.Time(m.Transmit),
		value.Count(uint64(m.Extensions)))
	l.standard(l.row)
}

func (s *conn) writeControl() {
	l, m := s.log, &s.control.m.Control
	s.begin(&s.control)
	var data, key, sum value.Value
	text := s.control.data
	if n := s.control.n; n > 0 {
		data, text = value.String(value.Borrow(text[:n])), text[n:]
	}
	if m.HasMAC {
		key, sum = value.Count(uint64(m.KeyID)), value.String(value.Borrow(text))
	}
	l.row = append(l.row,
		value.Count(uint64(m.Op)), value.Count(uint64(m.Sequence)), value.Count(uint64(m.Status)),
		value.Count(uint64(m.Association)), value.Bool(m.Response), value.Bool(m.Error), value.Bool(m.More),
		data, key, sum)
	l.control(l.row)
}

func (s *conn) writePrivate() {
	l, m := s.log, &s.private.m.Private
	s.begin(&s.private)
	var data value.Value
	if len(s.private.data) > 0 {
		data = value.String(value.Borrow(s.private.data))
	}
	l.row = append(l.row,
		value.Count(uint64(m.Request)), value.Count(uint64(m.Sequence)), value.Count(uint64(m.Implementation)),
		value.Bool(m.Auth), value.Count(uint64(m.Err)), data)
	l.private(l.row)
}
