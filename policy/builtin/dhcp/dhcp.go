// Package dhcp writes dhcp.log: a row for each transaction, put together from the
// messages of all the connections and workers that saw a part of it.
//
// It stands behind the DHCP analyzer, whose Handler it implements. A worker hands
// each message to a Place: that of its process (Shared), or in a cluster the
// manager, as Zeek's event DHCP::aggregate_msgs, whose Join makes the rows there. It
// owns the transactions of the last half minute. It never looks at packets.
package dhcp

import (
	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/dhcp"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Schema returns the columns of dhcp.log.
func Schema() *record.Schema {
	return record.New("DHCP::LOG", "dhcp",
		record.Of("ts", value.KindTime),
		record.Of("uids", value.KindSet, value.KindString),
		record.Optional("client_addr", value.KindAddr),
		record.Optional("server_addr", value.KindAddr),
		record.Optional("mac", value.KindString),
		record.Optional("host_name", value.KindString),
		record.Optional("client_fqdn", value.KindString),
		record.Optional("domain", value.KindString),
		record.Optional("requested_addr", value.KindAddr),
		record.Optional("assigned_addr", value.KindAddr),
		record.Optional("lease_time", value.KindInterval),
		record.Optional("client_message", value.KindString),
		record.Optional("server_message", value.KindString),
		record.Of("msg_types", value.KindVector, value.KindString),
		record.Of("duration", value.KindInterval),
	)
}

// Write takes a row, which is valid until it returns.
type Write func(row []value.Value)

// Place is where a worker's messages go to be put together. It is used on the
// worker's goroutine.
type Place interface {
	// Open says how this worker writes rows, and tells of oddities that belong to
	// no connection. Once, before all else.
	Open(write Write, weird func(now packet.Time, name, addl string))
	// Message takes a message, and what it was made of. Both are borrowed.
	Message(m *Message, raw *wire.Msg)
	// Advance says that this worker's messages will not be earlier than now.
	Advance(now packet.Time)
	// Finish says that there will be none.
	Finish()
}

// Log hands the messages of one worker on. One goroutine.
type Log struct {
	place Place
	msg   Message
}

// New returns a Log.
func New(place Place, write Write, weird func(now packet.Time, name, addl string)) *Log {
	place.Open(write, weird)
	return &Log{place: place}
}

// Handler returns what one connection's messages go to; it is what the DHCP
// factory wants.
func (l *Log) Handler() wire.Handler { return conn{l} }

// conn implements the analyzer's Handler. It has no state.
type conn struct{ log *Log }

// Message implements the analyzer's Handler.
func (s conn) Message(c analyzer.Conn, orig bool, m *wire.Msg) {
	l := s.log
	l.msg.fill(c, orig, m)
	l.place.Message(&l.msg, m)
}

// End implements the analyzer's Handler.
func (conn) End(analyzer.Conn) {}
