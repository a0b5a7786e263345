package flow

import (
	"encoding/binary"
	"strconv"

	"github.com/picket-nsm/picket/traffic/packet"
)

// udp takes a UDP packet.
func (t *Table) udp(p *packet.Packet) {
	if !t.header(p, 8, "UDP") {
		return
	}
	b := p.Payload
	sp, dp := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	k, srcHi := makeKey(&p.Src, &p.Dst, sp, dp, p.Proto, false)
	slot, c, h := t.find(&k)
	if c == nil {
		servers := &t.choices.servers[1]
		slot, c = t.create(&k, h, srcHi, servers.has(sp) && !servers.has(dp), p, t.cfg.Timeouts.UDPInactivity)
		t.attach(slot, c)
	} else if t.path.n > 0 || c.flags&flagInside != 0 {
		t.sawPath(slot, c)
	}
	t.setCur(slot, c)
	// Roles, not ends: when an analyzer turns the connection round, Zeek leaves
	// these values where they are.
	role := uint8(0)
	if c.end(srcHi) != c.orig {
		role = 1
	}
	n := p.PayloadLen
	stated := int(binary.BigEndian.Uint16(b[4:]))
	sum := binary.BigEndian.Uint16(b[6:])
	if t.mustSum(p, n) && !(sum == 0 && (!p.IPv6 || vxlan(b, dp))) && !p.TransportChecksumOK(n) {
		t.connWeird(slot, c, "bad_UDP_checksum", "", "UDP")
		t.scaledHistory(c, c.orig^role, &c.badSums[role], 'C')
		t.stats.DroppedChecksum++
		return
	}
	if stated != n {
		t.text = strconv.AppendInt(t.text[:0], int64(stated), 10)
		t.text = append(t.text, " != "...)
		t.text = strconv.AppendInt(t.text, int64(n), 10)
		t.connWeird(slot, c, "UDP_datagram_length_mismatch", string(t.text), "UDP")
	}
	c.last = t.pktTime
	t.noteHistory(c, 1<<role, 'D'|role<<5)
	c.length[role] = max(c.length[role], 0) + int64(stated-8)
	if kind := udpTunnel(c.key.port(1-c.orig), b[8:]); kind != packet.TunnelNone {
		gen := c.gen
		t.openUDP(slot, c, kind, role, p, b[8:])
		if c.gen != gen {
			return // a limit removed it
		}
		t.setCur(slot, c)
	}
	t.deliver(c, c.orig^role, b[8:], 0)
	c.counted(c.orig^role, p)
}

// mustSum reports whether a transport checksum over n bytes can and shall be
// verified.
func (t *Table) mustSum(p *packet.Packet, n int) bool {
	return t.verify(p) && len(p.Payload) >= n && p.WireLen <= len(p.Data)
}

// vxlan tells what looks like VXLAN: its outer checksum may be left out.
func vxlan(b []byte, dp uint16) bool {
	return dp == vxlanPort && len(b) > 8+8+14 && b[8]&8 != 0
}
