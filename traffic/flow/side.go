package flow

import (
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
)

// side is what only few connections have.
type side struct {
	analyzers []attached
	services  []string   // confirmed, in order
	failures  []string   // analyzers taken off after they had been confirmed
	pieces    [2][]piece // TCP: what came before its time, by end
	held      int        // bytes accounted for pieces
	hist      []byte     // the whole history, once it is long
	inside    uint32     // in a tunnel: slot of what goes with it
	tunnel    tunnelState
	uid       [maxUID]byte
	uidLen    uint8
}

func (t *Table) needSide(c *conn) *side {
	if c.side == 0 {
		c.side = t.sides.alloc()
	}
	return t.sides.get(c.side)
}

// dropSide gives everything back; slices keep their room for the next user.
func (t *Table) dropSide(c *conn) {
	s := t.sides.get(c.side)
	for e := range s.pieces {
		t.dropPieces(s, uint8(e), len(s.pieces[e]))
	}
	clear(s.analyzers)
	clear(s.services)
	clear(s.failures)
	s.analyzers, s.services, s.failures = s.analyzers[:0], s.services[:0], s.failures[:0]
	s.hist, s.uidLen, s.held = s.hist[:0], 0, 0
	s.tunnel = tunnelState{}
	if s.inside != 0 {
		t.dropInside(s)
	}
	t.sides.release(c.side)
	c.side = 0
}

// addHistory appends a letter.
func (t *Table) addHistory(c *conn, letter byte) {
	if c.flags&flagLongHist == 0 {
		if int(c.histLen) < len(c.hist) {
			c.hist[c.histLen] = letter
			c.histLen++
			return
		}
		s := t.needSide(c)
		s.hist = append(s.hist[:0], c.hist[:]...)
		c.flags |= flagLongHist
	}
	s := t.sides.get(c.side)
	if len(s.hist) >= t.cfg.Limits.History {
		t.stats.ShedHistory++
		return
	}
	s.hist = append(s.hist, letter)
}

// noteHistory appends a letter unless its bit says that it is there. It reports
// whether it was.
func (t *Table) noteHistory(c *conn, bit uint32, letter byte) bool {
	if c.histSeen&bit != 0 {
		return true
	}
	c.histSeen |= bit
	t.addHistory(c, letter)
	return false
}

// scaledHistory counts, and appends a letter at 1, 10, 100 ... times.
func (t *Table) scaledHistory(c *conn, e uint8, n *uint32, letter byte) {
	*n++
	switch *n {
	case 1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9:
		t.addHistory(c, c.sided(e, letter))
	}
}

// sided gives the letter of an end: upper case for the originator.
func (c *conn) sided(e uint8, letter byte) byte {
	if e != c.orig {
		return letter | 0x20
	}
	return letter
}

// connWeird reports a weird of a connection.
func (t *Table) connWeird(slot uint32, c *conn, name, addl, source string) {
	c.flags |= flagWeird
	t.h.Weird(Weird{Time: t.now, Scope: WeirdConn, Name: name, Addl: addl, Source: source, ID: t.id(slot, c)})
}

// pairWeird reports a weird of a packet's two addresses.
func (t *Table) pairWeird(p *packet.Packet, name, addl, source string) {
	t.h.Weird(Weird{Time: t.now, Scope: WeirdFlow, Name: t.tunnelName(name, source), Addl: addl, Source: source,
		ID: analyzer.ID{Orig: p.Src, Resp: p.Dst, Proto: transport(p.Proto), Start: p.Time}})
}

// tunnelName is the name of a weird that an analyzer of packets found, which
// says whether they were in a tunnel. Without a source it was no such analyzer.
func (t *Table) tunnelName(name, source string) string {
	if t.path.n == 0 || source == "" {
		return name
	}
	return name + "_in_tunnel"
}
