// Package analyzer writes analyzer.log: a row for each analyzer that turned out
// to be wrong although it had recognised its protocol, and for each that found
// what it takes apart broken.
//
// It stands behind the flow table, which decides whether a violation counts and
// says so once per connection and analyzer, and behind the file analyzers. It
// owns one row that it fills again and again, and never decides anything.
package analyzer

import (
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// maxData is how many bytes of what was wrong are shown
// (Analyzer::Logging::failure_data_max_size).
const maxData = 40

// Schema returns the columns of analyzer.log.
func Schema() *record.Schema {
	return record.New("Analyzer::Logging::LOG", "analyzer",
		record.Of("ts", value.KindTime),
		record.Of("analyzer_kind", value.KindString),
		record.Of("analyzer_name", value.KindString),
		record.Optional("uid", value.KindString),
		record.Optional("fuid", value.KindString),
		record.ConnID(),
		record.Optional("proto", value.KindEnum),
		record.Of("failure_reason", value.KindString),
		record.Optional("failure_data", value.KindString),
	)
}

// Columns, in the order of Schema.
const (
	colTS = iota
	colKind
	colName
	colUID
	colFUID
	colOrigH
	colOrigP
	colRespH
	colRespP
	colProto
	colReason
	colData
	numColumns
)

// Log makes the rows of one worker. One goroutine.
type Log struct {
	write func(row []value.Value)
	row   [numColumns]value.Value
}

// New returns a Log that hands its rows to write, in the order of Schema. A row
// and its strings are valid until write returns.
func New(write func(row []value.Value)) *Log { return &Log{write: write} }

// Failed writes the row of a protocol or packet analyzer. f is borrowed.
func (l *Log) Failed(f *flow.Failure) {
	kind := "protocol"
	if f.Packet {
		kind = "packet"
	}
	l.fill(f.Time, kind, f.Analyzer, f.Reason, f.Data)
	l.row[colProto] = value.Enum(f.ID.Proto.String())
	l.conn(&f.ID)
	l.write(l.row[:])
}

// FileFailed writes the row of a file analyzer; id is nil unless the file came
// over just one connection. Everything is borrowed.
func (l *Log) FileFailed(at packet.Time, name, reason string, data []byte, fuid string, id *analyzer.ID) {
	l.fill(at, "file", name, reason, data)
	l.row[colFUID] = value.String(fuid)
	if id != nil {
		l.conn(id)
	}
	l.write(l.row[:])
}

func (l *Log) fill(at packet.Time, kind, name, reason string, data []byte) {
	clear(l.row[:])
	l.row[colTS] = value.Time(float64(at))
	l.row[colKind] = value.String(kind)
	l.row[colName] = value.String(name)
	l.row[colReason] = value.String(reason)
	if len(data) > 0 {
		l.row[colData] = value.String(value.Borrow(data[:min(len(data), maxData)]))
	}
}

func (l *Log) conn(id *analyzer.ID) {
	l.row[colUID] = value.String(id.UID)
	l.row[colOrigH], l.row[colOrigP] = value.Addr16(id.Orig), value.Port(id.OrigP, id.Proto)
	l.row[colRespH], l.row[colRespP] = value.Addr16(id.Resp), value.Port(id.RespP, id.Proto)
}
