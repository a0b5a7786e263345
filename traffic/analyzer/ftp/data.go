package ftp

import (
	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/files/magic"
	"github.com/picket-nsm/picket/zeek/value"
)

// DataName is the name of the analyzer of data connections, which are expected
// under it, and the source of their files.
const DataName = "FTP_DATA"

// DataHandler is told of one data connection; policy implements it.
type DataHandler interface {
	files.Owner
	// Begin says that a connection has begun that was expected.
	Begin(c analyzer.Conn)
	// Looked says which type the first bytes of both sides together show; empty:
	// none is known.
	Looked(c analyzer.Conn, mime string)
	// End says that the connection is over, and its files are.
	End(c analyzer.Conn)
}

// look is how many bytes of a connection its type is told from.
const look = 1024

// DataFactory returns the factory of one worker for data connections.
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
			for i := range d.sides {
				d.sides[i].Side = files.Side{Source: DataName, Owner: d.h, Orig: i == 0}
			}
			return d
		},
	}
}

// data is the analyzer of one data connection.
type data struct {
	table *files.Table
	h     DataHandler
	free  *freelist.List[*data]
	sides [2]dataSide // of originator and responder
	first []byte      // the first bytes of both
	known bool
}

type dataSide struct {
	files.Side
	ref files.Ref
	at  uint64 // bytes so far
}

func (d *data) side(orig bool) *dataSide {
	if orig {
		return &d.sides[0]
	}
	return &d.sides[1]
}

// Open implements analyzer.Opener.
func (d *data) Open(c analyzer.Conn) { d.h.Begin(c) }

// Deliver implements analyzer.Analyzer.
func (d *data) Deliver(c analyzer.Conn, orig bool, b []byte) {
	if len(b) == 0 {
		return
	}
	if !d.known {
		d.first = append(d.first, b[:min(len(b), look-len(d.first))]...)
		if len(d.first) == look {
			d.identify(c)
		}
	}
	s := d.side(orig)
	s.at += uint64(len(b))
	d.table.Data(c, &s.Side, &s.ref, b)
}

func (d *data) identify(c analyzer.Conn) {
	d.known = true
	d.h.Looked(c, magic.Detect(d.first))
}

// Gap implements analyzer.Analyzer.
func (d *data) Gap(c analyzer.Conn, orig bool, n uint64) {
	s := d.side(orig)
	d.table.Gap(c, &s.Side, &s.ref, s.at, n)
	s.at += n
}

// End implements analyzer.Analyzer.
func (d *data) End(c analyzer.Conn) {
	if len(d.first) > 0 && !d.known {
		d.identify(c)
	}
	for i := range d.sides {
		s := &d.sides[i]
		d.table.End(c, &s.Side, &s.ref)
		s.ref, s.at = files.Ref{}, 0
	}
	d.h.End(c)
	d.first, d.known = d.first[:0], false
	d.free.Keep(d)
}
