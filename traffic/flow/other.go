package flow

import "github.com/picket-nsm/picket/traffic/packet"

// other takes a packet of a transport that is only counted: SCTP, OSPF ...
func (t *Table) other(p *packet.Packet) {
	k, srcHi := makeKey(&p.Src, &p.Dst, 0, 0, p.Proto, false)
	slot, c, h := t.find(&k)
	if c == nil {
		slot, c = t.create(&k, h, srcHi, false, p, t.cfg.Timeouts.UnknownInactivity)
	}
	t.setCur(slot, c)
	c.last = t.pktTime
	c.counted(c.end(srcHi), p)
}
