// Package tunnel writes tunnel.log: which tunnels connections run in, when each
// was first seen, and when it closed or had been without new connections for an
// hour.
//
// It stands behind the flow table, whose tunnels it takes (flow.TunnelHandler),
// and hands rows to the log stream. Analyzers of proxies register the tunnels
// that they find. It owns the table of active tunnels, bounded in number and in
// packet time. The rules are those of Zeek's base/frameworks/tunnels.
package tunnel

import (
	"strings"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Schema returns the columns of tunnel.log.
func Schema() *record.Schema {
	return record.New("Tunnel::LOG", "tunnel",
		record.Of("ts", value.KindTime),
		record.Optional("uid", value.KindString),
		record.ConnID(),
		record.Of("tunnel_type", value.KindEnum),
		record.Of("action", value.KindEnum),
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
	colType
	colAction
	numColumns
)

// The actions of tunnel.log.
const (
	discover = "Tunnel::DISCOVER"
	closed   = "Tunnel::CLOSE"
	expire   = "Tunnel::EXPIRE"
)

// Seconds: how long a tunnel may have no new connections
// (Tunnel::expiration_interval), and how often that is looked at
// (table_expire_interval).
const (
	patience = 3600
	interval = 10
)

// MaxActive is how many tunnels are remembered. Beyond it the oldest is
// forgotten without a row, and discovered again with its next connection.
const MaxActive = 1 << 16

// Log makes the rows of one worker. One goroutine.
type Log struct {
	write     func(row []value.Value)
	row       [numColumns]value.Value
	active    map[key]entry
	order     []ref // by age; those gone are skipped
	max       int
	seq       uint64
	started   bool
	start     packet.Time // of the first packet
	due       packet.Time // of the next look
	forgotten uint64
}

// key is a tunnel's conn_id.
type key struct {
	orig, resp   packet.Addr
	origP, respP uint16
	proto        value.Proto
	ipProto      uint8
}

func keyOf(id *analyzer.ID, ipProto uint8) key {
	return key{id.Orig, id.Resp, id.OrigP, id.RespP, id.Proto, ipProto}
}

// entry is an active tunnel.
type entry struct {
	uid  string
	kind string
	seq  uint64
	used float64 // whole seconds from the start, as Zeek counts them
}

type ref struct {
	key key
	seq uint64
}

// New returns a Log that hands its rows to write, in the order of Schema. A row
// and its strings are valid until write returns.
func New(write func(row []value.Value)) *Log {
	return &Log{write: write, active: make(map[key]entry), max: MaxActive}
}

// Tunnel takes a tunnel around a connection.
func (l *Log) Tunnel(tn flow.Tunnel) { l.Register(tn.Time, tn.Kind.String(), &tn.ID, tn.IPProto) }

// Register notes that a tunnel is used by a connection that begins now. kind is
// its Tunnel::Type; id may lack the UID. The first time gives a row.
func (l *Log) Register(now packet.Time, kind string, id *analyzer.ID, ipProto uint8) {
	l.begin(now)
	k := keyOf(id, ipProto)
	used := float64(int64(now - l.start))
	if e, ok := l.active[k]; ok {
		if e.used != used {
			e.used = used
			l.active[k] = e
		}
		return
	}
	l.bound()
	l.seq++
	e := entry{uid: strings.Clone(id.UID), kind: kind, seq: l.seq, used: used}
	l.active[k] = e
	l.order = append(l.order, ref{k, l.seq})
	l.log(now, &k, &e, discover)
}

// ConnRemoved says that a connection is over: if it was a tunnel, that is
// closed.
func (l *Log) ConnRemoved(c *flow.Conn) {
	if len(l.active) == 0 {
		return
	}
	id := c.ID()
	k := keyOf(&id, c.IPProto())
	if e, ok := l.active[k]; ok {
		delete(l.active, k)
		l.log(c.Now(), &k, &e, closed)
	}
}

// Advance moves the clock: now is the time of a packet, of whatever worker.
func (l *Log) Advance(now packet.Time) {
	l.begin(now)
	if now < l.due {
		return
	}
	l.due = now + interval
	n := 0
	for _, r := range l.order {
		e, ok := l.active[r.key]
		if !ok || e.seq != r.seq {
			continue
		}
		if float64(l.start)+e.used+patience < float64(now) {
			delete(l.active, r.key)
			l.log(now, &r.key, &e, expire)
			continue
		}
		l.order[n] = r
		n++
	}
	l.order = l.order[:n]
}

// Forgotten counts the tunnels forgotten because there were too many.
func (l *Log) Forgotten() uint64 { return l.forgotten }

func (l *Log) begin(now packet.Time) {
	if !l.started {
		l.started, l.start, l.due = true, now, now
	}
}

// bound makes room for another tunnel.
func (l *Log) bound() {
	if len(l.active) < l.max && len(l.order) < 2*l.max {
		return
	}
	n := 0
	drop := len(l.active) >= l.max
	for _, r := range l.order {
		if e, ok := l.active[r.key]; !ok || e.seq != r.seq {
			continue
		}
		if drop {
			drop = false
			delete(l.active, r.key)
			l.forgotten++
			continue
		}
		l.order[n] = r
		n++
	}
	l.order = l.order[:n]
}

func (l *Log) log(now packet.Time, k *key, e *entry, action string) {
	row := l.row[:]
	clear(row)
	row[colTS] = value.Time(float64(now))
	if e.uid != "" {
		row[colUID] = value.String(e.uid)
	}
	row[colOrigH], row[colOrigP] = value.Addr16(k.orig), value.Port(k.origP, k.proto)
	row[colRespH], row[colRespP] = value.Addr16(k.resp), value.Port(k.respP, k.proto)
	row[colType], row[colAction] = value.Enum(e.kind), value.Enum(action)
	l.write(row)
}
