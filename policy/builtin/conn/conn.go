// Package conn writes conn.log: one row for each connection, when it is over.
//
// It stands behind the flow table, which calls ConnRemoved after the
// connection's analyzers have ended, so a connection's protocol rows come
// before its conn row. It owns one row that it fills again and again. It
// decides nothing: flow knows every value, and the rules of when a column is
// unset are Zeek's (base/protocols/conn/main.zeek).
package conn

import (
	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Schema returns the columns of conn.log.
func Schema() *record.Schema {
	return record.New("Conn::LOG", "conn",
		record.Conn(),
		record.Of("proto", value.KindEnum),
		record.Optional("service", value.KindString),
		record.Optional("duration", value.KindInterval),
		record.Optional("orig_bytes", value.KindCount),
		record.Optional("resp_bytes", value.KindCount),
		record.Optional("conn_state", value.KindString),
		record.Optional("local_orig", value.KindBool),
		record.Optional("local_resp", value.KindBool),
		record.Optional("missed_bytes", value.KindCount),
		record.Optional("history", value.KindString),
		record.Optional("orig_pkts", value.KindCount),
		record.Optional("orig_ip_bytes", value.KindCount),
		record.Optional("resp_pkts", value.KindCount),
		record.Optional("resp_ip_bytes", value.KindCount),
		record.Optional("tunnel_parents", value.KindSet, value.KindString),
		record.Optional("ip_proto", value.KindCount),
	)
}

// Columns, in the order of Schema.
const (
	colTS = iota
	colUID
	colOrigH
	colOrigP
	colRespH
	colRespP
	colProto
	colService
	colDuration
	colOrigBytes
	colRespBytes
	colState
	colLocalOrig
	colLocalResp
	colMissed
	colHistory
	colOrigPkts
	colOrigIPBytes
	colRespPkts
	colRespIPBytes
	colTunnelParents
	colIPProto
	numColumns
)

// Log makes the rows of one worker. One goroutine.
type Log struct {
	write func(row []value.Value)
	row   [numColumns]value.Value
	elems []value.Value // of the tunnel_parents
}

// New returns a Log that hands its rows to write, in the order of Schema. A row
// and its strings are valid until write returns.
func New(write func(row []value.Value)) *Log { return &Log{write: write} }

// ConnRemoved writes the row of a connection.
func (l *Log) ConnRemoved(c *flow.Conn) {
	row := l.row[:]
	clear(row)
	id := c.ID()
	row[colTS] = value.Time(float64(id.Start))
	row[colUID] = value.String(id.UID)
	row[colOrigH] = value.Addr16(id.Orig)
	row[colOrigP] = value.Port(id.OrigP, id.Proto)
	row[colRespH] = value.Addr16(id.Resp)
	row[colRespP] = value.Port(id.RespP, id.Proto)
	row[colProto] = value.Enum(id.Proto.String())
	if s := c.Service(); s != "" {
		row[colService] = value.String(s)
	}
	if d := c.Duration(); d > 0 {
		orig, resp := c.Bytes()
		row[colDuration] = value.Interval(d)
		row[colOrigBytes] = value.Count(orig)
		row[colRespBytes] = value.Count(resp)
	}
	row[colState] = value.String(c.State())
	if orig, resp, known := c.Local(); known {
		row[colLocalOrig] = value.Bool(orig)
		row[colLocalResp] = value.Bool(resp)
	}
	row[colMissed] = value.Count(c.MissedBytes())
	if h := c.History(); h != "" {
		row[colHistory] = value.String(h)
	}
	orig, resp := c.Packets()
	row[colOrigPkts], row[colRespPkts] = value.Count(orig), value.Count(resp)
	orig, resp = c.IPBytes()
	row[colOrigIPBytes], row[colRespIPBytes] = value.Count(orig), value.Count(resp)
	if parents := c.TunnelParents(); len(parents) > 0 {
		l.elems = l.elems[:0]
		for _, uid := range parents {
			l.elems = append(l.elems, value.String(uid))
		}
		row[colTunnelParents] = value.Set(l.elems)
	}
	row[colIPProto] = value.Count(uint64(c.IPProto()))
	l.write(row)
}
