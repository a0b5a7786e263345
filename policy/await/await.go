// Package await has what logs share whose protocols announce a connection to come,
// and whose rows show the file that it brings: FTP's data connections, IRC's direct
// ones.
//
// It stands between those logs in policy/builtin and what workers tell each other, in
// news, of such connections. A log has one Table, which owns what is awaited and is
// used by the worker's goroutine alone; an Endpoint says where a connection goes to,
// also in news; a Board is what news go over. It knows no protocol, and tells nothing
// by itself.
package await

import (
	"encoding/binary"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Patience is for how many seconds a connection is awaited that nobody asks for.
const Patience = 300

// sweepEvery is how many seconds lie between two looks for what is too old.
const sweepEvery = 10

// Board tells the logs of other workers what this one knows, and brings what they
// tell: the connection to come may be another worker's than the one that announced
// it. What arrives may be anything.
type Board interface {
	Alone() bool
	Tell(kind string, at packet.Time, data []byte)
	Listen(kind string, read func(at packet.Time, data []byte))
}

// Endpoint is where an awaited connection goes to.
type Endpoint struct {
	Host packet.Addr
	Port uint16
}

// To returns where c goes to.
func To(c analyzer.Conn) Endpoint {
	id := c.ID()
	return Endpoint{id.Resp, id.RespP}
}

// Append appends the endpoint as it stands in news: 16 bytes of address, 2 of port.
func (e Endpoint) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint16(append(b, e.Host[:]...), e.Port)
}

// ParseEndpoint reads what Append wrote; ok is false if b is too short.
func ParseEndpoint(b []byte) (e Endpoint, rest []byte, ok bool) {
	const size = len(e.Host) + 2
	if len(b) < size {
		return e, nil, false
	}
	return Endpoint{packet.Addr(b), binary.BigEndian.Uint16(b[size-2:])}, b[size:], true
}

// Table holds connections to come, or under way, with what their log knows of them,
// until they are over or nobody has asked for them for some time.
type Table[T any] struct {
	max  int
	list map[Endpoint]entry[T]
	next packet.Time // when to look for what is too old
}

type entry[T any] struct {
	x    T
	used packet.Time
}

// New returns a Table for up to max connections; 0: no limit.
func New[T any](max int) Table[T] { return Table[T]{max: max, list: map[Endpoint]entry[T]{}} }

// Len returns how many are awaited, or forgotten soon.
func (t *Table[T]) Len() int { return len(t.list) }

// Full reports that there is no room for one more, after those that are too old are
// forgotten.
func (t *Table[T]) Full(now packet.Time) bool {
	if now >= t.next {
		t.next = now + sweepEvery
		for e, w := range t.list {
			if w.used+Patience <= now {
				delete(t.list, e)
			}
		}
	}
	return t.max > 0 && len(t.list) >= t.max
}

// Put awaits a connection to e, in place of one that is awaited there already. It
// returns false if the table is full.
func (t *Table[T]) Put(e Endpoint, x T, now packet.Time) bool {
	if t.Full(now) {
		if _, known := t.list[e]; !known {
			return false
		}
	}
	t.list[e] = entry[T]{x, now}
	return true
}

// Get returns what is known of the connection to e, which is awaited anew from now on.
func (t *Table[T]) Get(e Endpoint, now packet.Time) (x T, ok bool) {
	w, ok := t.list[e]
	if !ok || w.used+Patience <= now {
		return x, false
	}
	if w.used < now {
		w.used = now
		t.list[e] = w
	}
	return w.x, true
}

// Forget awaits no connection to e any more.
func (t *Table[T]) Forget(e Endpoint) { delete(t.list, e) }
