package flow

import "github.com/picket-nsm/picket/traffic/packet"

// icmp takes an ICMP or ICMPv6 packet. Its type stands in the sender's port;
// the receiver's has the type of the answer, or the code if there is none.
func (t *Table) icmp(p *packet.Packet) {
	if !t.header(p, 8, "ICMP") {
		return
	}
	typ, code := p.Payload[0], p.Payload[1]
	peer, paired := icmpAnswer(p.Proto, typ)
	if !paired {
		peer = code
	}
	k, srcHi := makeKey(&p.Src, &p.Dst, uint16(typ), uint16(peer), p.Proto, !paired)
	slot, c, h := t.find(&k)
	if c == nil {
		slot, c = t.create(&k, h, srcHi, false, p, t.cfg.Timeouts.ICMPInactivity)
	} else if t.path.n > 0 || c.flags&flagInside != 0 {
		t.sawPath(slot, c)
	}
	t.setCur(slot, c)
	e := c.end(srcHi)
	n := p.PayloadLen
	if t.verify(p) && len(p.Payload) >= n && !p.TransportChecksumOK(n) {
		t.connWeird(slot, c, "bad_ICMP_checksum", "", "ICMP")
		t.stats.DroppedChecksum++
		return
	}
	c.last = t.pktTime
	c.length[e^c.orig] = max(c.length[e^c.orig], 0) + int64(n-8)
	if len(p.Payload) >= n {
		c.counted(e, p)
	}
}

// icmpAnswer returns the type that answers a type, if there is one.
func icmpAnswer(proto, typ uint8) (uint8, bool) {
	if proto == packet.ICMP {
		switch typ {
		case 8: // echo
			return 0, true
		case 0:
			return 8, true
		case 13, 15, 17: // timestamp, information, mask
			return typ + 1, true
		case 14, 16, 18:
			return typ - 1, true
		case 10: // router solicitation
			return 9, true
		case 9:
			return 10, true
		}
		return 0, false
	}
	switch typ {
	case 128, 133, 135, 139, 144: // echo, router, neighbor, node information, home agent
		return typ + 1, true
	case 129, 134, 136, 140, 145:
		return typ - 1, true
	case 130: // multicast listener query
		return 131, true
	case 131:
		return 130, true
	}
	return 0, false
}
