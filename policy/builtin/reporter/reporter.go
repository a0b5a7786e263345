// Package reporter writes reporter.log: what a node has to say about itself
// that an analyst should see beside the logs.
//
// Zeek's scripts and core report here; Picket's nodes report problems with
// what they read and write. It is a record, not a log of the program: that
// goes to the node's output.
package reporter

import (
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Level is how bad it is, by Zeek's enum name.
type Level string

// Zeek's levels.
const (
	Info    Level = "Reporter::INFO"
	Warning Level = "Reporter::WARNING"
	Error   Level = "Reporter::ERROR"
)

// Log writes reporter.log. One goroutine.
type Log struct{ write func(row []value.Value) }

// New returns the log. It hands its rows to write in the order of Schema; a
// row is valid until write returns.
func New(write func(row []value.Value)) *Log { return &Log{write: write} }

// Schema returns the columns of reporter.log.
func Schema() *record.Schema {
	return record.New("Reporter::LOG", "reporter",
		record.Of("ts", value.KindTime),
		record.Of("level", value.KindEnum),
		record.Of("message", value.KindString),
		record.Optional("location", value.KindString),
	)
}

// Message writes a row; now is packet time where packets are read, else wall
// time, in seconds since the epoch. location is what the message is about (a
// file, an interface); empty: unset.
func (l *Log) Message(now float64, level Level, text, location string) {
	row := []value.Value{value.Time(now), value.Enum(string(level)), value.String(text), {}}
	if location != "" {
		row[3] = value.String(location)
	}
	l.write(row)
}
