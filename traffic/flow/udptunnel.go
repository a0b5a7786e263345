package flow

import "github.com/picket-nsm/picket/traffic/packet"

// tunnelState is what a UDP connection is known to be, in bits by kind.
type tunnelState struct {
	confirmed, violated uint8
	teredo              uint8 // roles that sent good Teredo packets
}

// udpTunnel tells what tunnel the payload of a UDP packet may be: by the
// responder's port (PacketAnalyzer::...::*_ports), or by its first bytes.
func udpTunnel(port uint16, b []byte) packet.Tunnel {
	switch port {
	case 4789:
		return packet.TunnelVXLAN
	case 6081:
		return packet.TunnelGeneve
	case 3544:
		return packet.TunnelTeredo
	case 5072:
		return packet.TunnelAYIYA
	case 2123, 2152:
		return packet.TunnelGTPv1
	case 4754:
		return packet.TunnelGRE
	}
	return packet.DetectTunnel(b)
}

// openUDP looks into a UDP packet of the connection at hand, whose payload is b.
// role is 0 if the originator sent it. Connections may come and go meanwhile.
func (t *Table) openUDP(slot uint32, c *conn, kind packet.Tunnel, role uint8, p *packet.Packet, b []byte) {
	if kind == packet.TunnelGRE {
		t.gre(p, b, 3)
		return
	}
	bit := uint8(1) << kind
	if kind == packet.TunnelGTPv1 {
		if t.path.n >= MaxTunnels {
			t.h.Weird(Weird{Time: t.now, Scope: WeirdNet, Name: "tunnel_depth", Source: kind.Analyzer()})
			return
		}
	} else {
		if c.side != 0 && t.sides.get(c.side).tunnel.violated&bit != 0 {
			return
		}
		if t.path.n >= MaxTunnels {
			t.noteHistory(c, histLimit, 'X')
			t.tooDeep(p, kind.Analyzer())
			return
		}
	}
	var h packet.Cover
	switch kind {
	case packet.TunnelVXLAN:
		h = packet.ParseVXLAN(b)
	case packet.TunnelGeneve:
		h = packet.ParseGeneve(b)
	case packet.TunnelAYIYA:
		h = packet.ParseAYIYA(b)
	case packet.TunnelTeredo:
		h = packet.ParseTeredo(b)
	case packet.TunnelGTPv1:
		h = packet.ParseGTP(b, t.path.last() == packet.TunnelGTPv1)
	}
	if h.Violation != "" {
		t.notTunnel(slot, c, kind, &h, b)
		return
	}
	if !t.judge(slot, c, kind, role, p, &h) {
		return
	}
	l := layer{slot: slot, gen: c.gen, kind: kind, orig: c.orig}
	t.unwrap(p, l, h.Inside, h.Data, p.WireLen-(len(p.Data)-len(h.Data)), 2)
}

// notTunnel notes that a packet is not what the tunnel's packets look like. Others
// are then left alone, but for GTP; a confirmed service stays, since Zeek only
// takes those of protocol analyzers away.
func (t *Table) notTunnel(slot uint32, c *conn, kind packet.Tunnel, h *packet.Cover, b []byte) {
	st := &t.needSide(c).tunnel
	bit := uint8(1) << kind
	if h.Weird.Name != "" && st.confirmed&bit != 0 {
		t.connWeird(slot, c, h.Weird.Name, h.Weird.Addl(), h.Weird.Source)
	}
	if st.violated&bit != 0 {
		return
	}
	st.violated |= bit
	if t.failures == nil {
		return
	}
	if kind == packet.TunnelAYIYA || kind == packet.TunnelGTPv1 {
		b = nil // they do not say
	}
	t.failures.AnalyzerFailed(&Failure{Time: t.now, Packet: true, Analyzer: kind.Analyzer(), Reason: h.Violation, Data: b, ID: t.id(slot, c)})
}

// judge notes what a good header of a UDP tunnel says about the connection, and
// reports whether there is something inside.
func (t *Table) judge(slot uint32, c *conn, kind packet.Tunnel, role uint8, p *packet.Packet, h *packet.Cover) bool {
	st := &t.needSide(c).tunnel
	w := &h.Weird
	if w.Name != "" && !w.Flow {
		t.connWeird(slot, c, w.Name, w.Addl(), w.Source)
	}
	if h.Valid {
		t.confirmTunnel(st, kind, role)
	}
	if w.Flow {
		t.pairWeird(p, w.Name, w.Addl(), w.Source)
	}
	return h.Inside != packet.InsideNothing
}

// confirmTunnel adds the tunnel to the services of the connection at hand; for
// Teredo both sides must have sent a good packet (Tunnel::delay_teredo_confirmation).
func (t *Table) confirmTunnel(st *tunnelState, kind packet.Tunnel, role uint8) {
	if kind == packet.TunnelTeredo {
		if st.teredo |= 1 << role; st.teredo != 3 {
			return
		}
	}
	if bit := uint8(1) << kind; (st.confirmed|st.violated)&bit == 0 {
		st.confirmed |= bit
		t.cur.Confirm(kind.Analyzer())
	}
}
