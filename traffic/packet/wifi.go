package packet

import "encoding/binary"

// wifi decodes an 802.11 data frame; others have no IP. A frame of several
// subframes (A-MSDU) gives its first here and the others with Next.
func (p *Packet) wifi(off, end int) {
	d := p.Data[off:end]
	n := 24
	if len(d) <= n {
		p.weird("truncated_802_11_header", source[lWifi])
		return
	}
	fc, flags := d[0], d[1]
	if fc&0x08 == 0 || fc&0x40 != 0 { // no data frame, or one without data
		return
	}
	if flags&3 == 3 {
		n += 6
	}
	if len(d) <= n {
		p.weird("truncated_802_11_header", source[lWifi])
		return
	}
	amsdu := false
	if fc&0x80 != 0 { // QoS
		amsdu = d[n]&0x80 != 0
		if flags&0x40 != 0 { // encrypted
			return
		}
		n += 2
	}
	if len(d) <= n {
		p.weird("truncated_802_11_header", source[lWifi])
		return
	}
	src, dst := 10, 4
	switch flags & 3 {
	case 1:
		dst = 16
	case 2:
		src = 16
	case 3:
		src, dst = 24, 16
	}
	p.SrcMAC, p.DstMAC, p.HasMAC = [6]byte(d[src:src+6]), [6]byte(d[dst:dst+6]), true
	if !amsdu {
		p.wifiInner(off+n, end)
		return
	}
	p.rest, p.restEnd = off+n, end
	p.subframe()
}

// Next goes on to the next IP packet inside the same frame: only an 802.11
// A-MSDU has more than one. It reports whether there was another subframe;
// weirds and the IP layer are then those of that subframe.
func (p *Packet) Next() bool {
	if p.rest >= p.restEnd {
		return false
	}
	ok := p.IP != nil || (plain(p.EtherType) == lARP && p.NWeirds == 0)
	p.clearIP()
	p.NWeirds = 0
	if !ok { // the subframe before was no good: Zeek gives up
		p.rest = p.restEnd
		p.weird("invalid_802_11_amsdu_inner_packet", source[lWifi])
		return true
	}
	p.subframe()
	return true
}

// subframe decodes the A-MSDU subframe at rest and moves rest behind it.
func (p *Packet) subframe() {
	d := p.Data[p.rest:p.restEnd]
	if len(d) < 14 {
		p.weird("truncated_802_11_amsdu_header", source[lWifi])
		p.rest = p.restEnd
		return
	}
	n := int(binary.BigEndian.Uint16(d[12:]))
	if len(d) < n+14 {
		p.weird("truncated_802_11_amsdu_packet", source[lWifi])
		p.rest = p.restEnd
		return
	}
	off := p.rest + 14
	p.rest = off + n
	// Padding to a multiple of four; Zeek takes the remainder for it.
	if pad := n % 4; p.restEnd-p.rest >= pad {
		p.rest += pad
	}
	p.wifiInner(off, off+n)
}

// wifiInner decodes what a frame or subframe carries: SNAP with no organisation.
func (p *Packet) wifiInner(off, end int) {
	d := p.Data[off:end]
	if len(d) < 8 {
		p.weird("truncated_802_11_llc_header", source[lWifi])
		return
	}
	if d[0] != 0xaa || d[1] != 0xaa || d[2] != 3 || d[3]|d[4]|d[5] != 0 {
		return
	}
	p.EtherType = binary.BigEndian.Uint16(d[6:])
	l := plain(p.EtherType)
	if l == lNone {
		return
	}
	p.Depth++
	p.layers(l, off+8, end)
}
