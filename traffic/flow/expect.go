package flow

import (
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// ExpectHandler is an extra ability of a Handler, asked for once: it hears of
// each connection that an analyzer expects, because in a cluster another worker
// may be the one that gets it. That worker is told with Table.Expect.
type ExpectHandler interface{ Expected(e analyzer.Expectation) }

// expected is which connections are expected to have which analyzers.
type expected struct {
	list  map[expectKey][]awaited
	n     int         // in all of the list
	sweep int         // at how many expired ones are looked for
	next  packet.Time // before that nobody looks again
}

type expectKey struct {
	orig, resp packet.Addr
	port       uint16
	proto      value.Proto
}

type awaited struct {
	factory int
	until   packet.Time
}

const minSweep = 1 << 10

// Expect says that a connection to come gets an analyzer. What the Table has no
// analyzer or no room for is forgotten.
func (t *Table) Expect(e analyzer.Expectation) {
	factory, ok := t.choices.byName[e.Analyzer]
	if !ok || !(e.Timeout > 0) {
		return
	}
	x := &t.expected
	k := expectKey{e.Orig, e.Resp, e.RespP, e.Proto}
	until := t.now + packet.Time(e.Timeout)
	list := x.list[k]
	for i := range list {
		if list[i].factory == factory {
			list[i].until = max(list[i].until, until)
			return
		}
	}
	if x.n >= max(x.sweep, minSweep) || x.n >= t.cfg.Limits.Expected {
		if t.now >= x.next {
			x.expire(t.now)
			x.sweep = 2 * x.n
		}
		if x.n >= t.cfg.Limits.Expected {
			t.stats.ShedExpected++
			return
		}
		list = x.list[k]
	}
	if x.list == nil {
		x.list = map[expectKey][]awaited{}
	}
	x.list[k] = append(list, awaited{factory, until})
	x.n++
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
			if w.until > t.now {
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
		c.t.expects.Expected(e)
	}
}
