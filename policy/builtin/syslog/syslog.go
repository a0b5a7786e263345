// Package syslog writes syslog.log: a row for each message.
//
// It stands behind the syslog analyzer, whose Handler it implements, and hands
// rows to the log stream. It owns one row that it fills again and again, and
// never looks at packets.
package syslog

import (
	"strconv"

	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/syslog"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Schema returns the columns of syslog.log.
func Schema() *record.Schema {
	return record.New("Syslog::LOG", "syslog",
		record.Conn(),
		record.Of("proto", value.KindEnum),
		record.Of("facility", value.KindString),
		record.Of("severity", value.KindString),
		record.Of("message", value.KindString),
	)
}

// Log makes the rows of one worker. One goroutine.
type Log struct {
	write func(row []value.Value)
	row   []value.Value
}

// New returns a Log that hands its rows to write, in the order of Schema. A row
// and its strings are valid until write returns.
func New(write func(row []value.Value)) *Log { return &Log{write: write} }

// Handler returns what messages go to; it is what the syslog factory wants. All
// connections share one: no row depends on another.
func (l *Log) Handler() wire.Handler { return l }

// Message implements the analyzer's Handler.
func (l *Log) Message(c analyzer.Conn, m *wire.Msg) {
	id := c.ID()
	l.row = append(l.row[:0],
		value.Time(float64(c.Now())), value.String(id.UID),
		value.Addr16(id.Orig), value.Port(id.OrigP, id.Proto), value.Addr16(id.Resp), value.Port(id.RespP, id.Proto),
		value.Enum(id.Proto.String()), value.String(facility(m.Facility)), value.String(severity(m.Severity)),
		value.String(value.Borrow(m.Text)))
	l.write(l.row)
}

// End implements the analyzer's Handler.
func (l *Log) End(analyzer.Conn) {}

// facility names a facility (RFC 5424 section 6.2.1) as Zeek does.
func facility(n int) string {
	names := [...]string{
		"KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV", "FTP",
		"NTP", "AUDIT", "ALERT", "CLOCK", "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4", "LOCAL5", "LOCAL6", "LOCAL7",
	}
	switch {
	case n < len(names):
		return names[n]
	case n == wire.Unspecified:
		return "UNSPECIFIED"
	}
	return "?-" + strconv.Itoa(n)
}

// severity names a severity; there are eight.
func severity(n int) string {
	names := [...]string{"EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG"}
	if n < len(names) {
		return names[n]
	}
	return "UNSPECIFIED"
}
