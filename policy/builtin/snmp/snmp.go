// Package snmp writes snmp.log: a row for each connection, when it goes, with
// how many variables were asked for and answered.
//
// It stands behind the SNMP analyzer, whose Handler it implements, and hands rows
// to the log stream. It owns, per connection, the counts and three texts, each at
// most as large as a datagram. It never looks at packets.
package snmp

import (
	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/snmp"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// keepText is the largest buffer that a reused connection keeps.
const keepText = 256

// Schema returns the columns of snmp.log.
func Schema() *record.Schema {
	return record.New("SNMP::LOG", "snmp",
		record.Conn(),
		record.Of("duration", value.KindInterval),
		record.Of("version", value.KindString),
		record.Optional("community", value.KindString),
		record.Of("get_requests", value.KindCount),
		record.Of("get_bulk_requests", value.KindCount),
		record.Of("get_responses", value.KindCount),
		record.Of("set_requests", value.KindCount),
		record.Optional("display_string", value.KindString),
		record.Optional("up_since", value.KindTime),
	)
}

// Deps is what the program passes.
type Deps struct {
	// Write takes a row, which is valid until it returns.
	Write func(row []value.Value)
	// Weird takes an oddity that belongs to no connection.
	Weird func(now packet.Time, name, addl string)
}

// Log makes the rows of one worker. One goroutine.
type Log struct {
	deps Deps
	row  []value.Value
}

// New returns a Log.
func New(deps Deps) *Log { return &Log{deps: deps} }

// Handler returns what one connection's messages go to; it is what the SNMP
// factory wants.
func (l *Log) Handler() wire.Handler { return &conn{log: l} }

// conn is the state of one connection. It implements the analyzer's Handler.
type conn struct {
	log *Log
	rows.Conn
	info
	community, display []byte
}

type info struct {
	has           bool // a message was seen
	last          packet.Time
	version       string
	gets, bulks   uint64
	answers, sets uint64
	knowsWho      bool // community is set
	described     bool // display is set
	up            float64
	knowsUp       bool
}

// Message implements the analyzer's Handler.
func (s *conn) Message(c analyzer.Conn, _ bool, m *wire.Msg) {
	now := c.Now()
	if !s.has {
		s.Conn.Begin(c)
		s.has, s.version = true, version(m.Version)
	}
	if !s.knowsWho {
		switch {
		case m.Version != wire.V3:
			s.knowsWho, s.community = true, append(s.community[:0], m.Community...)
		case len(m.User) > 0:
			s.knowsWho, s.community = true, append(s.community[:0], m.User...)
		}
	}
	s.last = now
	n := uint64(len(m.Bindings))
	switch m.Kind {
	case wire.Get, wire.GetNext:
		s.gets += n
	case wire.GetBulk:
		s.bulks += n
	case wire.Set:
		s.sets += n
	case wire.Response:
		s.answers += n
		s.look(now, m.Bindings)
	}
}

// Names of the variables that are logged, in their shortest form.
const (
	sysDescr  = "\x2b\x06\x01\x02\x01\x01\x01\x00" // 1.3.6.1.2.1.1.1.0
	sysUpTime = "\x2b\x06\x01\x02\x01\x01\x03\x00" // 1.3.6.1.2.1.1.3.0
)

// look finds out what a host says of itself.
func (s *conn) look(now packet.Time, bindings []wire.Binding) {
	for i := range bindings {
		b := &bindings[i]
		switch {
		case string(b.Name) == sysDescr && b.Type() == wire.Octets:
			s.described, s.display = true, append(s.display[:0], b.Value...)
		case string(b.Name) == sysUpTime && b.Type() == wire.Number:
			s.knowsUp, s.up = true, float64(now)-float64(wire.Unsigned(b.Value))/100
		}
	}
}

func version(v int64) string {
	switch v {
	case wire.V1:
		return "1"
	case wire.V2c:
		return "2c"
	case wire.V3:
		return "3"
	}
	return "unknown"
}

// Odd implements the analyzer's Handler.
func (s *conn) Odd(c analyzer.Conn, name, addl string) { s.log.deps.Weird(c.Now(), name, addl) }

// End implements the analyzer's Handler.
func (s *conn) End(analyzer.Conn) {
	if s.has {
		s.write()
	}
	s.info = info{}
	s.community, s.display = rows.Emptied(s.community, keepText), rows.Emptied(s.display, keepText)
}

func (s *conn) write() {
	l := s.log
	var who, display, up value.Value
	if s.knowsWho {
		who = value.String(value.Borrow(s.community))
	}
	if s.described {
		display = value.String(value.Borrow(s.display))
	}
	if s.knowsUp {
		up = value.Time(s.up)
	}
	l.row = append(s.Conn.Append(l.row[:0]),
		value.Interval(float64(s.last-s.TS)), value.String(s.version), who,
		value.Count(s.gets), value.Count(s.bulks), value.Count(s.answers), value.Count(s.sets), display, up)
	l.deps.Write(l.row)
}
