package flow

import "github.com/picket-nsm/picket/traffic/packet"

// other takes a packet of a transport that is only counted: SCTP, OSPF ...
func (t *Table) other(p *packet.Packet) {
	k, srcHi := makeKey(&p.Src, &p.Dst, 0, 0, p.Proto, false)
	slot, c, h := t.find(&k)
	if c == nil {
		slot, c = t.create(&k, h, srcHi, false, p, t.cfg.Timeouts.UnknownInactivity)
	} else if t.path.n > 0 || c.flags&flagInside != 0 {
		t.sawPath(slot, c)
	}
	t.setCur(slot, c)
	c.last = t.pktTime
	c.counted(c.end(srcHi), p)
}
