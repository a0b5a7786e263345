// Package cluster writes cluster.log: which nodes came and went.
//
// The manager owns it; the rows go through the loggers like any other. It
// formats Zeek's messages (wire.md section 4.6) and decides nothing.
package cluster

import (
	"fmt"

	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Log writes cluster.log. One goroutine.
type Log struct {
	node  string
	write func(row []value.Value)
}

// New returns the log of the named node. It hands its rows to write in the
// order of Schema; a row is valid until write returns.
func New(write func(row []value.Value), node string) *Log {
	return &Log{node: node, write: write}
}

// Schema returns the columns of cluster.log.
func Schema() *record.Schema {
	return record.New("Cluster::LOG", "cluster",
		record.Of("ts", value.KindTime),
		record.Of("node", value.KindString),
		record.Of("message", value.KindString),
	)
}

// NodeUp writes that a node said hello; now is in seconds since the epoch.
func (l *Log) NodeUp(now float64, name, id string) {
	l.Message(now, fmt.Sprintf("got hello from %s (%s)", name, id))
}

// NodeDown writes that a node has gone.
func (l *Log) NodeDown(now float64, name string) { l.Message(now, "node down: "+name) }

// Message writes any other line.
func (l *Log) Message(now float64, text string) {
	l.write([]value.Value{value.Time(now), value.String(l.node), value.String(text)})
}
