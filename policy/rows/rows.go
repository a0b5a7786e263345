// Package rows has what the rows of many logs are made of: the columns that say when
// and of which connection, and texts that may be unset.
//
// It stands between the logs in policy/builtin and the values of a row. A Conn and a
// Text own copies of what they were given, since rows are written when what an
// analyzer lent is long gone. They know no log, and write none.
package rows

import (
	"bytes"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// Conn is what record.Conn's columns show: when, and of which connection.
type Conn struct {
	TS  packet.Time
	ID  analyzer.ID // its UID is empty: that is borrowed from the connection, and uid a copy
	uid []byte
}

// Columns is how many columns a Conn fills; a log's own are behind them.
const Columns = 6

// Begin notes the time and the connection at hand.
func (r *Conn) Begin(c analyzer.Conn) {
	r.TS, r.ID = c.Now(), c.ID()
	r.uid = append(r.uid[:0], r.ID.UID...)
	r.ID.UID = ""
}

// UID returns the connection's UID, valid until the next Begin.
func (r *Conn) UID() []byte { return r.uid }

// Append appends the columns. The UID is valid until the next Begin.
func (r *Conn) Append(row []value.Value) []value.Value {
	return append(row,
		value.Time(float64(r.TS)), value.String(value.Borrow(r.uid)),
		value.Addr16(r.ID.Orig), value.Port(r.ID.OrigP, r.ID.Proto),
		value.Addr16(r.ID.Resp), value.Port(r.ID.RespP, r.ID.Proto))
}

// Fill sets the first columns of a row, as Append appends them.
func (r *Conn) Fill(row []value.Value) { r.Append(row[:0:Columns]) }

// Clone returns a Conn of its own.
func (r *Conn) Clone() Conn { return Conn{TS: r.TS, ID: r.ID, uid: bytes.Clone(r.uid)} }

// Emptied returns a Conn for reuse: of no connection, with the memory of this one.
func (r *Conn) Emptied() Conn { return Conn{uid: r.uid[:0]} }

// Text is a text that may be unset, as the zero Text is.
type Text struct {
	Set bool
	B   []byte
}

// Put sets the text to a copy of b.
func (t *Text) Put(b []byte) { t.B, t.Set = append(t.B[:0], b...), true }

// Value returns the text for a row, valid until the text changes.
func (t *Text) Value() value.Value {
	if !t.Set {
		return value.Value{}
	}
	return value.String(value.Borrow(t.B))
}

// Emptied returns an unset Text for reuse, with the memory of this one unless that
// is more than keep bytes.
func (t *Text) Emptied(keep int) Text {
	return Text{B: Emptied(t.B, keep)}
}

// Emptied returns a buffer for reuse, or nil if it has more than keep bytes: one
// large message does not hold its memory for good.
func Emptied(b []byte, keep int) []byte {
	if cap(b) > keep {
		return nil
	}
	return b[:0]
}
