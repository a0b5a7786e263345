package flow

import (
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// MaxTunnels is how many tunnels around a packet are looked through (Zeek's
// Tunnel::max_depth).
const MaxTunnels = 4

// maxTunnelChanges is how often the tunnels around a connection may change
// before its parents are no longer noted (Tunnel::max_changes_per_connection).
const maxTunnelChanges = 5

// Tunnel is a tunnel that connections run in: a UDP connection, or for IP in IP
// and GRE two hosts. Those have ports 0; the originator is who sent the first
// packet.
type Tunnel struct {
	Time    packet.Time // network time
	Kind    packet.Tunnel
	ID      analyzer.ID // its strings are borrowed
	IPProto uint8       // protocol number that led to it
}

// TunnelHandler is an extra ability of a Handler, asked for once: Tunnel is told
// of each tunnel around a new connection, the outermost first, and again when
// the connection is seen inside of others.
type TunnelHandler interface{ Tunnel(tn Tunnel) }

// layer is one tunnel around a packet: a connection, or for IP and GRE a pair
// of hosts.
type layer struct {
	slot, gen uint32
	kind      packet.Tunnel
	orig      uint8 // a connection's originator when the packet came
}

// path holds the tunnels around the packet at hand, the outermost first. What is
// behind n is zero, so that paths can be compared.
type path struct {
	layers [MaxTunnels]layer
	n      uint8
}

// last is the kind of the innermost tunnel.
func (a *path) last() packet.Tunnel {
	if a.n == 0 {
		return packet.TunnelNone
	}
	return a.layers[a.n-1].kind
}

// inside is what a connection in a tunnel has.
type inside struct {
	path    path
	uids    [1 + maxTunnelChanges][maxUID]byte // of its parents
	lens    [1 + maxTunnelChanges]uint8
	parents uint8
	changes uint8
}

// tunnels is what a Table needs for packets in packets.
type tunnels struct {
	path    path
	packets [MaxTunnels]packet.Packet // by depth
	insides slab[inside]
	pairs   pairs
	handler TunnelHandler // nil: nobody wants to know
	names   []string      // scratch
}

// tooDeep reports whether no further tunnel may be looked into.
func (t *Table) tooDeep(p *packet.Packet, source string) bool {
	if t.path.n < MaxTunnels {
		return false
	}
	t.pairWeird(p, "exceeded_tunnel_max_depth", "", source)
	return true
}

// unwrap takes what a tunnel in p carries. passed is how many layers Zeek counts
// between p's IP header and the inside.
func (t *Table) unwrap(p *packet.Packet, l layer, in packet.Inside, data []byte, wireLen, passed int) {
	if p.Depth+passed >= packet.MaxDepth {
		t.pairWeird(p, "max_packet_analyzer_depth_exceeded", "", l.kind.Analyzer())
		return
	}
	n := t.path.n
	t.path.layers[n] = l
	t.path.n++
	t.stats.Tunneled++
	q := &t.packets[n]
	packet.DecodeInside(q, p, in, data, wireLen, passed)
	for ok := true; ok; ok = q.Next() { // one, but for aggregated wireless frames
		t.datagram(q)
	}
	q.Forget()
	t.path.layers[n] = layer{}
	t.path.n--
}

// ipTunnel takes a packet with an IP packet right behind its IP header.
func (t *Table) ipTunnel(p *packet.Packet) {
	if t.tooDeep(p, packet.TunnelIP.Analyzer()) || !t.fits(p, p.Payload, p.Proto == packet.IP6IP) {
		return
	}
	t.unwrap(p, t.pair(p, packet.TunnelIP), packet.InsideIP, p.Payload, len(p.Payload), 1)
}

// fits checks that what is inside is one whole IP packet.
func (t *Table) fits(p *packet.Packet, data []byte, v6 bool) bool {
	var name string
	switch fit, _, _ := packet.FitIP(data, v6); fit {
	case packet.FitVersion:
		name = "invalid_inner_IP_version"
	case packet.FitShort:
		name = "truncated_inner_IP"
	case packet.FitLong:
		name = "inner_IP_payload_length_mismatch"
	default:
		return true
	}
	t.pairWeird(p, name, "", packet.TunnelIP.Analyzer())
	return false
}

// gre takes a GRE packet: b is what follows the IP header, or the UDP header if
// passed says so.
func (t *Table) gre(p *packet.Packet, b []byte, passed int) {
	g := packet.ParseGRE(b)
	if g.Weird.Name != "" {
		t.pairWeird(p, g.Weird.Name, g.Weird.Addl(), g.Weird.Source)
		return
	}
	if t.tooDeep(p, packet.TunnelIP.Analyzer()) || g.Version == 1 && !t.fits(p, g.Data, g.IPv6) {
		return
	}
	t.unwrap(p, t.pair(p, packet.TunnelGRE), g.Inside, g.Data, len(g.Data), passed)
}

// enclose notes the tunnels around a new connection.
func (t *Table) enclose(c *conn) {
	in := t.needInside(c)
	in.path = t.path
	t.addParent(in)
	t.tellTunnels()
}

func (t *Table) needInside(c *conn) *inside {
	s := t.needSide(c)
	if s.inside == 0 {
		s.inside = t.insides.alloc()
		in := t.insides.get(s.inside)
		in.path, in.parents, in.changes = path{}, 0, 0
		c.flags |= flagInside
	}
	return t.insides.get(s.inside)
}

// sawPath compares the tunnels around the packet at hand with those around the
// connection's last one. It is only to be called if one of them has any.
func (t *Table) sawPath(slot uint32, c *conn) {
	in := t.needInside(c)
	if in.path == t.path {
		return
	}
	in.path = t.path
	if in.changes >= maxTunnelChanges {
		t.connWeird(slot, c, "tunnel_max_changes_per_connection_exceeded", "5", "")
		t.noteHistory(c, histLimit, 'X')
		return
	}
	in.changes++
	if t.path.n > 0 {
		t.addParent(in)
		t.tellTunnels()
	}
}

// addParent notes the UID of the innermost tunnel around the packet at hand.
func (t *Table) addParent(in *inside) {
	id, ok := t.layerID(&t.path.layers[t.path.n-1])
	if !ok {
		return
	}
	for i := range in.parents {
		if string(in.uids[i][:in.lens[i]]) == id.UID {
			return
		}
	}
	if int(in.parents) < len(in.uids) {
		in.lens[in.parents] = uint8(copy(in.uids[in.parents][:], id.UID))
		in.parents++
	}
}

// layerID names a tunnel. It fails if a limit has removed its connection in the
// middle of the packet.
func (t *Table) layerID(l *layer) (analyzer.ID, bool) {
	if l.kind == packet.TunnelIP || l.kind == packet.TunnelGRE {
		return t.pairID(l.slot), true
	}
	c := t.conns.get(l.slot)
	return t.id(l.slot, c), c.gen == l.gen
}

// tellTunnels tells the handler of the tunnels around the packet at hand.
func (t *Table) tellTunnels() {
	if t.tunnels.handler == nil {
		return
	}
	for i := range t.path.n {
		l := &t.path.layers[i]
		id, ok := t.layerID(l)
		if !ok {
			continue
		}
		proto := uint8(packet.UDP)
		if l.kind == packet.TunnelIP || l.kind == packet.TunnelGRE {
			proto = t.pairs.slab.get(l.slot).proto
		}
		t.tunnels.handler.Tunnel(Tunnel{Time: t.now, Kind: l.kind, ID: id, IPProto: proto})
	}
}

// dropInside gives back what a connection in a tunnel had.
func (t *Table) dropInside(s *side) {
	t.insides.release(s.inside)
	s.inside = 0
}

// TunnelParents are the UIDs of the tunnels in which the connection was seen:
// of each path the innermost, in the order in which they came. Nil if there are
// none. The strings and the slice are borrowed.
func (c *Conn) TunnelParents() []string {
	if c.c.flags&flagInside == 0 {
		return nil
	}
	in := c.t.insides.get(c.t.sides.get(c.c.side).inside)
	names := c.t.names[:0]
	for i := range in.parents {
		names = append(names, value.Borrow(in.uids[i][:in.lens[i]]))
	}
	c.t.names = names
	return names
}
