package irc

import (
	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/value"
)

// DataName is the name of the analyzer of direct connections, which are expected
// under it, and the source of their files and weirds.
const DataName = "IRC_DATA"

// DataHandler is told of one direct connection; policy implements it.
type DataHandler interface {
	files.Owner
	// Begin says that a connection has begun that was expected.
	Begin(c analyzer.Conn)
	// End says that the connection is going; its file is over.
	End(c analyzer.Conn)
}

// DataFactory returns the factory of one worker for direct connections.
// newHandler is called for an analyzer that is made, not for one that is used
// again.
func DataFactory(t *files.Table, newHandler func() DataHandler) analyzer.Factory {
	free := freelist.New[*data](maxFree)
	return analyzer.Factory{
		Name: DataName,
		New: func(value.Proto) analyzer.Analyzer {
			if d := free.Take(); d != nil {
				return d
			}
			d := &data{table: t, h: newHandler(), free: &free}
			d.side = files.Side{Source: DataName, Owner: d.h}
			return d
		},
	}
}

// data is the analyzer of one direct connection: who offered the file sends it,
// the other side says how many bytes it has, in four bytes each time.
type data struct {
	table *files.Table
	h     DataHandler
	free  *freelist.List[*data]
	side  files.Side
	ref   files.Ref
	at    uint64 // bytes so far
}

// Open implements analyzer.Opener.
func (d *data) Open(c analyzer.Conn) { d.h.Begin(c) }

// Deliver implements analyzer.Analyzer.
func (d *data) Deliver(c analyzer.Conn, orig bool, b []byte) {
	switch {
	case len(b) == 0:
	case !orig:
		d.at += uint64(len(b))
		d.table.Data(c, &d.side, &d.ref, b)
	case len(b)%4 != 0:
		c.Weird("irc_invalid_dcc_send_ack", "", DataName)
	}
}

// Gap implements analyzer.Analyzer.
func (d *data) Gap(c analyzer.Conn, orig bool, n uint64) {
	if !orig {
		d.table.Gap(c, &d.side, &d.ref, d.at, n)
		d.at += n
	}
}

// End implements analyzer.Analyzer.
func (d *data) End(c analyzer.Conn) {
	d.table.End(c, &d.side, &d.ref)
	d.h.End(c)
	d.ref, d.at = files.Ref{}, 0
	d.free.Keep(d)
}
