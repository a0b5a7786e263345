package flow

import (
	"encoding/binary"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// ExpectHandler is an extra ability of a Handler, asked for once: it hears of
// each connection that an analyzer expects, because in a cluster another worker
// may be the one that gets it. That worker is told with Table.Learn.
type ExpectHandler interface {
	Expected(e analyzer.Expectation, now packet.Time)
}

// expected is which connections are expected to have which analyzers.
type expected struct {
	list  map[expectKey][]awaited
	n     int         // in all of the list
	sweep int         // at how many expired ones are looked for
	next  packet.Time // before that nobody looks again

	alert packet.Time           // until then other workers may tell of connections
	young [youngConns]youngConn // TCP connections that began last, as a ring
	at    int                   // where the next one goes
}

// youngConns is among how many connections an expectation that comes late finds
// the one it was made for.
const youngConns = 1 << 10

// While other workers may tell of connections, what passes on those that nothing
// was found on is held so long (seconds), as far as it is so many bytes and
// pieces.
const (
	holdTime   = 0.05
	holdBytes  = 128 << 10
	holdChunks = 1 << 10
)

type youngConn struct{ slot, gen uint32 }

type expectKey struct {
	orig, resp packet.Addr
	port       uint16
	proto      value.Proto
}

type awaited struct {
	factory     int
	from, until packet.Time
}

const minSweep = 1 << 10

// Expect says that a connection to come gets an analyzer. What the Table has no
// analyzer or no room for is forgotten.
func (t *Table) Expect(e analyzer.Expectation) { t.expect(&e, t.now) }

// Learn takes an expectation that another worker has made at the time since,
// by packets. It may come late: then the connection is looked for among those
// that began last. Its analyzer gets what signatures are still matched on; where
// that is over, it is told of a gap. Learn is not for use within a call.
// Without an analyzer it only says that some may be told of for so long.
func (t *Table) Learn(e analyzer.Expectation, since packet.Time) {
	if e.Timeout > 0 && e.Timeout <= maxAlert {
		t.expected.alert = max(t.expected.alert, since+packet.Time(e.Timeout))
	}
	factory, ok := t.expect(&e, since)
	if !ok || e.Proto != value.ProtoTCP {
		return
	}
	x := &t.expected
	for i := range x.young {
		y := x.young[(x.at+i)%youngConns] // the oldest first
		if y.gen == 0 {
			continue
		}
		c := t.conns.get(y.slot)
		if c.gen != y.gen || c.start < since || !(c.start < since+packet.Time(e.Timeout)) {
			continue
		}
		resp, port := c.key.end(1 - c.orig)
		orig, _ := c.key.end(c.orig)
		if resp == e.Resp && port == e.RespP && (orig == e.Orig || e.Orig == packet.Addr{}) && !t.has(c, factory, 0) {
			t.attachLate(y.slot, c, factory)
		}
	}
}

// maxAlert is the longest that an alert lasts, in seconds.
const maxAlert = 3600

// hold keeps bytes, or a gap of n, of a young connection that nothing was found
// on. It reports false if they are not to be kept.
func (t *Table) hold(c *conn, d *seen, orig bool, data []byte, n uint64) bool {
	if t.now >= t.expected.alert || t.now >= c.start+holdTime || c.key.proto() != packet.TCP {
		return false
	}
	if d.over { // else this piece is counted already
		d.chunks++
		d.size += uint32(len(data))
	}
	if d.chunks > holdChunks || d.size > holdBytes || c.side != 0 && len(t.sides.get(c.side).analyzers) > 0 {
		return false
	}
	kind := byte(0)
	if orig {
		kind = pieceOrig
	}
	if data == nil {
		var gap [8]byte
		binary.BigEndian.PutUint64(gap[:], n)
		return t.remember(d, kind|pieceGap, gap[:])
	}
	return t.remember(d, kind, data)
}

// began notes a TCP connection for expectations that come late.
func (x *expected) began(slot uint32, c *conn) {
	x.young[x.at] = youngConn{slot, c.gen}
	x.at = (x.at + 1) % youngConns
}

// attachLate gives a connection that has begun an analyzer, and what has passed.
func (t *Table) attachLate(slot uint32, c *conn, factory int) {
	t.setCur(slot, c)
	c.flags &^= flagPort // those of its port do not apply, unless they are there
	n := t.add(c, factory, 0, value.ProtoTCP)
	if n == 0 {
		return
	}
	s := t.sides.get(c.side)
	if c.flags&flagDetect != 0 {
		if c.det == 0 {
			return // nothing has passed
		}
		t.pieces(t.seen.get(c.det), func(kind byte, data []byte) bool {
			orig := kind&pieceOrig != 0
			if kind&pieceGap != 0 {
				t.handTo(c, s, n, orig, nil, binary.BigEndian.Uint64(data))
			} else {
				t.handTo(c, s, n, orig, data, 0)
			}
			return !s.analyzers[n-1].dead
		})
		if t.seen.get(c.det).over { // it was held for this
			c.flags &^= flagDetect
			t.forget(&c.det)
		}
		return
	}
	tc := t.tcps.get(c.tcp)
	for e := range tc.end {
		if passed := tc.end[e].delivered - 1; passed > 0 && !s.analyzers[n-1].dead {
			t.handTo(c, s, n, uint8(e) == c.orig, nil, passed)
		}
	}
}

// expect notes an expectation made at the time from. It returns the factory's
// number; ok is false if there is none, or no room.
func (t *Table) expect(e *analyzer.Expectation, from packet.Time) (factory int, ok bool) {
	factory, ok = t.choices.byName[e.Analyzer]
	if !ok || !(e.Timeout > 0) {
		return 0, false
	}
	x := &t.expected
	k := expectKey{e.Orig, e.Resp, e.RespP, e.Proto}
	until := from + packet.Time(e.Timeout)
	list := x.list[k]
	for i := range list {
		if list[i].factory == factory {
			list[i].from, list[i].until = min(list[i].from, from), max(list[i].until, until)
			return factory, true
		}
	}
	if x.n >= max(x.sweep, minSweep) || x.n >= t.cfg.Limits.Expected {
		if t.now >= x.next {
			x.expire(t.now)
			x.sweep = 2 * x.n
		}
		if x.n >= t.cfg.Limits.Expected {
			t.stats.ShedExpected++
			return 0, false
		}
		list = x.list[k]
	}
	if x.list == nil {
		x.list = map[expectKey][]awaited{}
	}
	x.list[k] = append(list, awaited{factory, from, until})
	x.n++
	return factory, true
}

// expire forgets what is over.
func (x *expected) expire(now packet.Time) {
	// A second at least, so that a full table is not gone through for each.
	x.next = max(now+1, x.next)
	for k, list := range x.list {
		rest := list[:0]
		for _, w := range list {
			if w.until > now {
				rest = append(rest, w)
			}
		}
		x.n -= len(list) - len(rest)
		if len(rest) == 0 {
			delete(x.list, k)
		} else {
			x.list[k] = rest
		}
	}
}

// attachExpected gives a new connection the analyzers that were expected for it.
// It reports whether there were any.
func (t *Table) attachExpected(c *conn, proto value.Proto) (any bool) {
	var k expectKey
	k.orig, _ = c.key.end(c.orig)
	k.resp, k.port = c.key.end(1 - c.orig)
	k.proto = proto
	for range 2 { // from this originator, then from anybody
		for _, w := range t.expected.list[k] {
			if w.from <= t.now && w.until > t.now {
				any = true
				if !t.has(c, w.factory, 0) {
					t.add(c, w.factory, 0, proto)
				}
			}
		}
		k.orig = packet.Addr{}
	}
	return any
}

// has reports whether an analyzer is on the connection below the parent, or was
// and had seen what it wanted. One that failed with the packet at hand is still
// there: Zeek takes analyzers off behind a packet.
func (t *Table) has(c *conn, factory int, parent uint32) bool {
	if c.side == 0 {
		return false
	}
	for i := range t.sides.get(c.side).analyzers {
		if a := &t.sides.get(c.side).analyzers[i]; (!a.dead || a.content || a.ended == t.stats.Packets) && a.factory == factory && a.parent == parent {
			return true
		}
	}
	return false
}

// Expect says that an analyzer has read about a connection to come.
func (c *Conn) Expect(e analyzer.Expectation) {
	c.t.Expect(e)
	if c.t.expects != nil {
		c.t.expects.Expected(e, c.t.now)
	}
}
