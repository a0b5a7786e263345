package flow

import (
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// Conn is one connection, as analyzers and policy see it. A *Conn is a view
// made for one call: it is valid until the call returns, and so are the strings
// it hands out.
type Conn struct {
	t       *Table
	c       *conn
	slot    uint32
	running int // 1 + place of the analyzer being called
}

var (
	_ analyzer.Conn    = (*Conn)(nil)
	_ analyzer.Flipper = (*Conn)(nil)
	_ analyzer.Limiter = (*Conn)(nil)
	_ analyzer.Stream  = (*Conn)(nil)
	_ analyzer.Local   = (*Conn)(nil)

	_ analyzer.Parent   = (*Conn)(nil)
	_ analyzer.Expecter = (*Conn)(nil)
	_ analyzer.Remover  = (*Conn)(nil)
)

// uidCache remembers the last UID made for a connection without a side.
type uidCache struct {
	gen uint32
	n   int
	buf [maxUID]byte
}

// ID returns the connection's names as they are now.
func (c *Conn) ID() analyzer.ID { return c.t.id(c.slot, c.c) }

func (t *Table) id(slot uint32, c *conn) analyzer.ID {
	id := analyzer.ID{UID: t.uidOf(c), Proto: transport(c.key.proto()), Start: c.start}
	id.Orig, id.OrigP = c.key.end(c.orig)
	id.Resp, id.RespP = c.key.end(1 - c.orig)
	return id
}

// uidOf returns the connection's UID, made when first asked for.
func (t *Table) uidOf(c *conn) string {
	if c.side != 0 {
		s := t.sides.get(c.side)
		if s.uidLen == 0 {
			s.uidLen = uint8(len(appendUID(s.uid[:0], t.uidKey, c)))
		}
		return value.Borrow(s.uid[:s.uidLen])
	}
	if u := &t.uid; u.gen != c.gen {
		u.gen, u.n = c.gen, len(appendUID(u.buf[:0], t.uidKey, c))
	}
	return value.Borrow(t.uid.buf[:t.uid.n])
}

// Now is the network time: that of the packet at hand, unless an earlier one had
// a later time.
func (c *Conn) Now() packet.Time { return c.t.now }

// Weird reports a protocol oddity of this connection.
func (c *Conn) Weird(name, addl, source string) { c.t.connWeird(c.slot, c.c, name, addl, source) }

// Confirm adds a name to the service column. The string is kept: it must not be
// borrowed.
func (c *Conn) Confirm(service string) {
	s := c.t.needSide(c.c)
	for _, have := range s.services {
		if have == service {
			return
		}
	}
	s.services = append(s.services, service)
	if interactiveService(service) {
		c.t.setSilence(c.slot, c.c, packet.Time(c.t.cfg.Timeouts.InteractiveInactivity))
	}
}

// Partial says that the beginning of a TCP connection was not seen.
func (c *Conn) Partial() bool { return c.c.tcp != 0 && c.t.tcps.get(c.c.tcp).partial }

// Flip exchanges originator and responder.
func (c *Conn) Flip() { c.t.flip(c.c) }

// histLimit is the bit of the letter X.
const histLimit = 0x400

// LimitReached notes in the history that analysis was cut short.
func (c *Conn) LimitReached() { c.t.noteHistory(c.c, histLimit, 'X') }

// IPProto is the protocol number in the IP header.
func (c *Conn) IPProto() uint8 { return c.c.key.proto() }

// Service is the service column: names in the order of confirmation, in lower
// case, with commas between; empty if there are none.
func (c *Conn) Service() string {
	if c.c.side == 0 {
		return ""
	}
	list := c.t.sides.get(c.c.side).services
	if len(list) == 0 {
		return ""
	}
	b := c.t.text[:0]
	for i, name := range list {
		if i > 0 {
			b = append(b, ',')
		}
		for j := range len(name) {
			ch := name[j]
			if ch >= 'A' && ch <= 'Z' {
				ch |= 0x20
			}
			b = append(b, ch)
		}
	}
	c.t.text = b
	return value.Borrow(b)
}

// Duration is from the first to the last packet, in seconds. If it is not
// above 0, duration, orig_bytes and resp_bytes are unset in conn.log.
func (c *Conn) Duration() float64 { return float64(c.c.last - c.c.start) }

// Bytes are the payload bytes of both directions.
func (c *Conn) Bytes() (orig, resp uint64) {
	if c.c.tcp != 0 {
		tc := c.t.tcps.get(c.c.tcp)
		return tc.size(c.c.orig), tc.size(1 - c.c.orig)
	}
	return uint64(max(c.c.length[0], 0)), uint64(max(c.c.length[1], 0))
}

// Local says whether the ends are in the local networks; known is false if
// there are no local networks.
func (c *Conn) Local() (orig, resp, known bool) {
	n := &c.t.local
	if len(n.v4)+len(n.v6) == 0 {
		return false, false, false
	}
	o, _ := c.c.key.end(c.c.orig)
	r, _ := c.c.key.end(1 - c.c.orig)
	return n.has(&o), n.has(&r), true
}

// MissedBytes are the bytes in content gaps.
func (c *Conn) MissedBytes() uint64 { return c.c.missed }

// History is the history column; empty: unset. Borrowed.
func (c *Conn) History() string {
	if c.c.flags&flagLongHist != 0 {
		return value.Borrow(c.t.sides.get(c.c.side).hist)
	}
	return value.Borrow(c.c.hist[:c.c.histLen])
}

// Packets counts the packets of both directions.
func (c *Conn) Packets() (orig, resp uint64) { return c.c.pkts[c.c.orig], c.c.pkts[1-c.c.orig] }

// IPBytes are the bytes of the IP packets of both directions, headers included.
func (c *Conn) IPBytes() (orig, resp uint64) { return c.c.ipBytes[c.c.orig], c.c.ipBytes[1-c.c.orig] }

// State is the conn_state column.
func (c *Conn) State() string {
	switch c.c.key.proto() {
	case packet.TCP:
		return c.tcpState()
	case packet.UDP:
		o, r := c.c.length[0] >= 0, c.c.length[1] >= 0
		switch {
		case o && r:
			return "SF"
		case o:
			return "S0"
		case r:
			return "SHR"
		}
	}
	return "OTH"
}

// tcpState is the table in Zeek's base/protocols/conn: the first rule that
// matches the final states of both ends.
func (c *Conn) tcpState() string {
	tc := c.t.tcps.get(c.c.tcp)
	o, r := tc.end[c.c.orig].state, tc.end[1-c.c.orig].state
	oSilent := o == stInactive || o == stPartial
	rSilent := r == stInactive || r == stPartial
	switch {
	case r == stReset:
		if o == stSynSent || o == stSynAckSent {
			return "REJ"
		}
		if o == stReset {
			if ob, rb := c.Bytes(); ob == 0 && rb == 0 {
				return "REJ"
			}
		}
		if oSilent {
			return "RSTRH"
		}
		return "RSTR"
	case o == stReset:
		if !rSilent {
			return "RSTO"
		}
		if synThenReset(c.History()) {
			return "RSTOS0"
		}
		return "OTH"
	case o == stClosed && r == stClosed:
		return "SF"
	case o == stClosed:
		if rSilent {
			return "SH"
		}
		return "S2"
	case r == stClosed:
		if oSilent {
			return "SHR"
		}
		return "S3"
	case o == stSynSent && r == stInactive:
		return "S0"
	case o == stEstablished && r == stEstablished:
		return "S1"
	}
	return "OTH"
}

// synThenReset tells the histories of RSTOS0: a SYN of the originator, perhaps
// after a flip, and a reset of it before anything of H A F G I Q.
func synThenReset(h string) bool {
	if len(h) > 0 && h[0] == '^' {
		h = h[1:]
	}
	if len(h) == 0 || h[0] != 'S' {
		return false
	}
	for i := 1; i < len(h); i++ {
		switch h[i] {
		case 'R':
			return true
		case 'H', 'A', 'F', 'G', 'I', 'Q':
			return false
		}
	}
	return false
}
