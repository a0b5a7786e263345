package flow

import "github.com/picket-nsm/picket/traffic/packet"

// maxTime bounds packet times, so that deadlines are always later than now.
const maxTime = 1 << 40

// verify reports whether a packet's checksums count.
func (t *Table) verify(p *packet.Packet) bool { return !t.cfg.NoChecksums && !p.NoChecksum }

// packet takes a packet that was captured.
func (t *Table) packet(p *packet.Packet) {
	t.stats.Packets++
	if p.Time < 0 {
		t.h.Weird(Weird{Time: t.now, Scope: WeirdNet, Name: "negative_packet_timestamp"})
		t.stats.DroppedIP++
		return
	}
	if !(p.Time < maxTime) {
		p.Time = t.now // no time at all
	}
	t.advance(p.Time)
	t.pktTime = p.Time
	t.datagram(p)
}

// datagram is the way of one packet through the IP layer, in Zeek's order of
// checks. It may be the inside of another.
func (t *Table) datagram(p *packet.Packet) {
	if p.NWeirds > 0 {
		t.packetWeirds(p)
	}
	if p.IP == nil {
		t.stats.DroppedIP++
		return
	}
	if t.verify(p) {
		if p.ZeroLen {
			t.stats.DroppedIP++
			return
		}
		if !p.IPChecksumOK() {
			t.pairWeird(p, "bad_IP_checksum", "", "IP")
			t.stats.DroppedChecksum++
			return
		}
	}
	if p.IsFrag {
		if p.IPLen > len(p.IP) {
			// It cannot be put together. The first one is still good for its
			// transport header.
			t.pairWeird(p, "incompletely_captured_fragment", "", "IP")
			if p.FragOff != 0 {
				t.stats.DroppedIP++
				return
			}
		} else if p = t.fragment(p); p == nil {
			return
		}
	}
	t.transport(p)
}

// packetWeirds passes on what decoding found odd.
func (t *Table) packetWeirds(p *packet.Packet) {
	for i := range p.NWeirds {
		w := &p.Weirds[i]
		if w.Flow {
			t.pairWeird(p, w.Name, w.Addl(), w.Source)
		} else {
			t.h.Weird(Weird{Time: t.now, Scope: WeirdNet, Name: t.tunnelName(w.Name, w.Source), Addl: w.Addl(), Source: w.Source})
		}
	}
}

func (t *Table) transport(p *packet.Packet) {
	if p.IsESP {
		return
	}
	if p.IsMobility {
		if t.verify(p) && !p.MobilityChecksumOK() {
			t.pairWeird(p, "bad_MH_checksum", "", "IP")
		} else if p.Proto != packet.NoNext {
			t.pairWeird(p, "mobility_piggyback", "", "IP")
		}
		return
	}
	switch p.Proto {
	case packet.TCP:
		t.tcp(p)
	case packet.UDP:
		t.udp(p)
	case packet.ICMP, packet.ICMPv6:
		t.icmp(p)
	case packet.IPIP, packet.IP6IP:
		t.ipTunnel(p)
	case packet.GRE:
		t.gre(p, p.Payload, 2)
	case packet.NoNext:
		if t.path.last() != packet.TunnelTeredo { // there it is a bubble
			t.pairWeird(p, "ipv6_no_next", "", "IP")
		}
	default:
		t.other(p)
	}
}

// header reports whether the first n bytes of the transport header are there.
func (t *Table) header(p *packet.Packet, n int, source string) bool {
	if p.PayloadLen > 0 && p.PayloadLen < n && !p.ZeroLen {
		t.pairWeird(p, "truncated_header", "", source)
	} else if len(p.Payload) < n {
		t.pairWeird(p, "internally_truncated_header", "", source)
	} else {
		return true
	}
	t.stats.DroppedHeader++
	return false
}

// counted notes a packet that its transport accepted.
func (c *conn) counted(e uint8, p *packet.Packet) {
	c.pkts[e]++
	c.ipBytes[e] += uint64(p.IPLen)
}

// setCur makes a connection the one at hand.
func (t *Table) setCur(slot uint32, c *conn) { t.cur.slot, t.cur.c = slot, c }
