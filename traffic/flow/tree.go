package flow

import (
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// The analyzers of a connection are a list in its side. Each knows its parent:
// the transport, an analyzer, or a place where signatures are matched. Parents
// come before their children. Calls into analyzers may add to the list and mark
// what is in it, so it is never walked by pointer across a call.

// attached is an analyzer of a connection, or a place of detection.
type attached struct {
	a          analyzer.Analyzer // nil: a place of detection
	factory    int               // below 0: a place of detection
	parent     uint32            // 1 + place in the list; 0: the transport
	det        uint32            // of a place: slot of what it has seen
	violations uint32
	ended      uint64      // with which packet, once it is dead
	proto      value.Proto // how bytes come: as a stream or as datagrams
	detecting  bool        // a place that still looks
	failed     bool        // to be taken off after the call
	replaying  bool        // or after the replay of what passed before
	dead       bool        // it was ended
	content    bool        // it asked for its end
	free       bool        // it was ended and nobody knows its number
}

// attach gives a new connection the analyzers that were expected for it or that
// its responder port has, and a look at its first bytes. Those of a TCP port
// come when there are bytes: most SYNs of a scan or a flood get no answer.
func (t *Table) attach(slot uint32, c *conn) {
	t.setCur(slot, c)
	proto := transport(c.key.proto())
	if (len(t.expected.list) == 0 || !t.attachExpected(c, proto)) && !t.cfg.Detection.IgnorePorts {
		if proto != value.ProtoTCP {
			for _, i := range t.choices.udp[c.key.port(1-c.orig)] {
				t.add(c, i, 0, proto)
			}
		} else if len(t.choices.tcp[c.key.port(1-c.orig)]) > 0 {
			c.flags |= flagAnalyzers | flagPort
			if c.orig == 0 {
				c.flags |= flagPortHi
			}
		}
	}
	if t.detection(proto).any {
		c.flags |= flagAnalyzers | flagDetect
	}
}

// attachPort adds the analyzers that the first responder's TCP port has.
func (t *Table) attachPort(c *conn) {
	resp := uint8(0)
	if c.flags&flagPortHi != 0 {
		resp = 1
	}
	c.flags &^= flagPort
	for _, i := range t.choices.tcp[c.key.port(resp)] {
		t.add(c, i, 0, value.ProtoTCP)
	}
}

// add puts an analyzer onto the connection at hand and returns 1 + its place, 0
// if it must not be.
func (t *Table) add(c *conn, factory int, parent uint32, proto value.Proto) uint32 {
	s := t.needSide(c)
	n := t.place(s, parent)
	if n == 0 {
		return 0
	}
	f := &t.choices.list[factory]
	a := f.New(proto)
	s.analyzers[n-1] = attached{a: a, factory: factory, parent: parent, proto: proto}
	c.flags |= flagAnalyzers
	if f.SessionTimeout > 0 && c.session == 0 && c.key.proto() == packet.UDP {
		c.session = packet.Time(f.SessionTimeout)
		t.timer(t.cur.slot, c, timerSession, t.now+c.session)
	}
	if o, ok := a.(analyzer.Opener); ok {
		t.call(c, s, n, func() { o.Open(&t.cur) })
	}
	return n
}

// place finds room in the list, behind the parent.
func (t *Table) place(s *side, parent uint32) uint32 {
	for i := int(parent); i < len(s.analyzers); i++ {
		if s.analyzers[i].free {
			return uint32(i + 1)
		}
	}
	if len(s.analyzers) >= t.cfg.Limits.Analyzers {
		t.stats.ShedAnalyzers++
		return 0
	}
	s.analyzers = append(s.analyzers, attached{})
	return uint32(len(s.analyzers))
}

// call runs a call into the analyzer n, and takes it off if it failed in it.
func (t *Table) call(c *conn, s *side, n uint32, f func()) {
	before := t.cur.running
	t.cur.running = int(n)
	f()
	if s.analyzers[n-1].failed {
		t.end(&t.cur, s, n)
	}
	t.cur.running = before
}

// end ends an analyzer and, before it, all below it.
func (t *Table) end(c *Conn, s *side, n uint32) {
	if s.analyzers[n-1].dead {
		return
	}
	s.analyzers[n-1].dead, s.analyzers[n-1].ended = true, t.stats.Packets
	for i := range s.analyzers {
		if s.analyzers[i].parent == n {
			t.end(c, s, uint32(i+1))
		}
	}
	a := &s.analyzers[n-1]
	if a.det != 0 {
		t.forget(&a.det)
	}
	if a.a == nil {
		return
	}
	if t.choices.list[a.factory].SessionTimeout > 0 {
		c.c.session = 0 // its timer goes with it
	}
	before := c.running
	c.running = int(n)
	a.a.End(c)
	c.running = before
}

// deliver hands bytes to the analyzers of the connection at hand, or a gap of n
// bytes if data is nil.
func (t *Table) deliver(c *conn, e uint8, data []byte, n uint64) {
	if c.flags&flagAnalyzers == 0 {
		return
	}
	if c.flags&flagPort != 0 {
		t.attachPort(c)
	}
	orig := e == c.orig
	wanted := false
	if c.side != 0 {
		wanted = t.pass(c, t.sides.get(c.side), 0, orig, data, n)
	}
	if c.flags&flagDetect != 0 {
		det := c.det // a call may find room for it elsewhere
		on, found := t.detect(c, &det, 0, transport(c.key.proto()), orig, data, n)
		c.det = det
		if !on {
			c.flags &^= flagDetect
		}
		wanted = wanted || on || found
	}
	if !wanted {
		c.flags &^= flagAnalyzers
	}
}

// pass hands bytes or a gap to all whose parent is given. It reports whether one
// of them wants more.
func (t *Table) pass(c *conn, s *side, parent uint32, orig bool, data []byte, n uint64) (wanted bool) {
	for i, all := 0, len(s.analyzers); i < all; i++ {
		if a := &s.analyzers[i]; a.dead || a.parent != parent {
			continue
		}
		t.handTo(c, s, uint32(i+1), orig, data, n)
		wanted = wanted || !s.analyzers[i].dead
	}
	return wanted
}

// handTo gives bytes or a gap to one analyzer or place.
func (t *Table) handTo(c *conn, s *side, i uint32, orig bool, data []byte, n uint64) {
	a := &s.analyzers[i-1]
	if a.a == nil {
		t.pass(c, s, i, orig, data, n)
		if a = &s.analyzers[i-1]; a.detecting && !a.dead {
			det := a.det
			a.det = 0 // ours while we look, also if the place is ended meanwhile
			on, _ := t.detect(c, &det, i, a.proto, orig, data, n)
			if a = &s.analyzers[i-1]; a.dead && det != 0 {
				t.forget(&det)
			}
			a.det, a.detecting = det, on
		}
		return
	}
	before := t.cur.running
	t.cur.running = int(i)
	if data != nil {
		a.a.Deliver(&t.cur, orig, data)
	} else {
		a.a.Gap(&t.cur, orig, n)
	}
	if a = &s.analyzers[i-1]; a.failed && !a.replaying {
		t.end(&t.cur, s, i)
	}
	t.cur.running = before
}

// tell calls f for each analyzer of a connection that is alive.
func (t *Table) tell(c *conn, f func(analyzer.Analyzer)) {
	if c.flags&flagAnalyzers == 0 || c.side == 0 {
		return
	}
	s := t.sides.get(c.side)
	for i := 0; i < len(s.analyzers); i++ {
		if a := &s.analyzers[i]; !a.dead && a.a != nil {
			t.call(c, s, uint32(i+1), func() { f(a.a) })
		}
	}
}

// closed tells analyzers that ask for it that one side closed or reset.
func (t *Table) closed(c *conn) {
	t.tell(c, func(a analyzer.Analyzer) {
		if k, ok := a.(analyzer.Closer); ok {
			k.Closed(&t.cur)
		}
	})
}

// sideEnded tells analyzers that ask for it that all bytes of an end came.
func (t *Table) sideEnded(c *conn, e uint8) {
	t.tell(c, func(a analyzer.Analyzer) {
		if k, ok := a.(analyzer.Ender); ok {
			k.SideEnded(&t.cur, e == c.orig)
		}
	})
}

// interrupted tells analyzers that ask for it of a reset, or of the end.
func (t *Table) interrupted(c *conn) {
	t.tell(c, func(a analyzer.Analyzer) {
		if k, ok := a.(analyzer.Ender); ok {
			k.Interrupted(&t.cur)
		}
	})
}

// parent returns the connection's side if an analyzer of it is being called and
// may have children: not while the connection goes.
func (c *Conn) parent() *side {
	if c.c == nil || c.c.side == 0 || c.running == 0 || c == &c.t.gone {
		return nil
	}
	s := c.t.sides.get(c.c.side)
	if s.analyzers[c.running-1].dead {
		return nil
	}
	return s
}

// Child adds an analyzer below the one being called.
func (c *Conn) Child(name string, proto value.Proto) analyzer.Child {
	if c.parent() == nil {
		return 0
	}
	i, ok := c.t.choices.byName[name]
	if !ok {
		return 0
	}
	return analyzer.Child(c.t.add(c.c, i, uint32(c.running), proto))
}

// Detect adds a place where signatures are matched below the analyzer being
// called.
func (c *Conn) Detect(proto value.Proto) analyzer.Child {
	s := c.parent()
	if s == nil {
		return 0
	}
	n := c.t.place(s, uint32(c.running))
	if n == 0 {
		return 0
	}
	s.analyzers[n-1] = attached{factory: -1, parent: uint32(c.running), proto: proto, detecting: c.t.detection(proto).any}
	return analyzer.Child(n)
}

// child returns the connection's side if n is a living child of the analyzer
// being called.
func (c *Conn) child(n analyzer.Child) *side {
	s := c.parent()
	if s == nil || n == 0 || int(n) > len(s.analyzers) {
		return nil
	}
	if a := &s.analyzers[n-1]; a.dead || a.parent != uint32(c.running) {
		return nil
	}
	return s
}

// Forward hands bytes to a child of the analyzer being called.
func (c *Conn) Forward(n analyzer.Child, orig bool, data []byte) {
	if s := c.child(n); s != nil && data != nil {
		c.t.handTo(c.c, s, uint32(n), orig, data, 0)
	}
}

// ForwardGap tells a child of the analyzer being called that bytes are missing.
func (c *Conn) ForwardGap(n analyzer.Child, orig bool, bytes uint64) {
	if s := c.child(n); s != nil && bytes > 0 {
		c.t.handTo(c.c, s, uint32(n), orig, nil, bytes)
	}
}

// RemoveChild ends a child of the analyzer being called.
func (c *Conn) RemoveChild(n analyzer.Child) {
	s := c.parent()
	if s == nil || n == 0 || int(n) > len(s.analyzers) || s.analyzers[n-1].parent != uint32(c.running) {
		return
	}
	c.t.end(c, s, uint32(n))
	c.t.release(s, uint32(n))
}

// release makes the place of an ended analyzer, and those below it, free for
// others.
func (t *Table) release(s *side, n uint32) {
	for i := range s.analyzers {
		if s.analyzers[i].parent == n && !s.analyzers[i].free {
			t.release(s, uint32(i+1))
		}
	}
	s.analyzers[n-1] = attached{factory: -1, dead: true, free: true}
}

// Remove takes the analyzer being called off the connection after the call.
func (c *Conn) Remove() {
	if s := c.parent(); s != nil {
		a := &s.analyzers[c.running-1]
		a.failed, a.content, a.replaying = true, true, false
	}
}
