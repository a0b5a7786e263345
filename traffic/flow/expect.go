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

	young [youngConns]youngConn // TCP connections that began last, as a ring
	at    int                   // where the next one goes
}

// youngConns is among how many connections an expectation that comes late finds
// the one it was made for.
const youngConns = 1 << 10

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
func (t *Table) Learn(e analyzer.Expectation, since packet.Time) {
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
// and had seen what it wanted.
func (t *Table) has(c *conn, factory int, parent uint32) bool {
	if c.side == 0 {
		return false
	}
	for i := range t.sides.get(c.side).analyzers {
		if a := &t.sides.get(c.side).analyzers[i]; (!a.dead || a.content) && a.factory == factory && a.parent == parent {
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
