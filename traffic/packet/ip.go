package packet

import "encoding/binary"

// DecodeIP fills p with a bare IP packet: what a fragment reassembler has put
// together, or a tunnel's inside. wireLen is len(data) for whole packets.
func DecodeIP(p *Packet, data []byte, wireLen int) {
	Decode(p, LinkRaw, data, wireLen)
}

// ip decodes the IP packet at Data[off:end]. The order of the checks is Zeek's.
func (p *Packet) ip(off, end int) {
	d := p.Data[off:end]
	if len(d) < 20 {
		p.weird("truncated_IP", source[lIP])
		return
	}
	switch d[0] >> 4 {
	case 4:
		p.ipv4(d, off)
	case 6:
		if len(d) < 40 {
			p.weird("truncated_IP", source[lIP])
			return
		}
		p.ipv6(d, off)
	default:
		p.weird("unknown_ip_version", source[lIP])
	}
}

// ipv4 writes every field of the internet layer.
func (p *Packet) ipv4(d []byte, off int) {
	_ = d[19]
	hdr := int(d[0]&15) * 4
	total := int(binary.BigEndian.Uint16(d[2:]))
	stated := total
	if total == 0 {
		// Segmentation offload: the sender's own capture, before the card
		// filled in the length.
		p.weird("ip_hdr_len_zero", source[lIP])
		total = len(p.Data) - off
	}
	if p.WireLen < total+off || hdr > total || hdr > len(d) || hdr < 20 {
		p.clearIP()
		p.weird(badHeader(p.WireLen-off, hdr, total, len(d)), source[lIP])
		return
	}
	d = d[:min(total, len(d))]
	p.IP = d
	p.IPLen, p.HdrLen = stated, hdr
	p.Payload = d[hdr:]
	p.PayloadLen = total - hdr
	p.IPv6, p.ZeroLen, p.IsESP, p.IsMobility = false, stated == 0, false, false
	p.TTL, p.Proto = d[8], d[9]
	p.FragID = uint32(binary.BigEndian.Uint16(d[4:]))
	f := binary.BigEndian.Uint16(d[6:])
	p.DF = f&0x4000 != 0
	p.MoreFrags = f&0x2000 != 0
	p.IsFrag = f&0x3fff != 0
	p.FragOff = int(f&0x1fff) * 8
	p.Src.set4(d[12:])
	p.Dst.set4(d[16:])
}

// badHeader names what is wrong with an IPv4 header, in the order in which Zeek
// looks: wire bytes from the header on, header length, total length, captured.
func badHeader(wire, hdr, total, captured int) string {
	switch {
	case wire < total:
		return "truncated_IP_len"
	case hdr > total:
		return "invalid_IP_header_size"
	case hdr > captured:
		return "internally_truncated_header"
	}
	return "IPv4_min_header_size"
}

// set4 makes ::ffff:a.b.c.d of four bytes, in two stores: single bytes would
// stall the load that copies the address.
func (a *Addr) set4(b []byte) {
	binary.LittleEndian.PutUint64(a[:8], 0)
	binary.LittleEndian.PutUint64(a[8:], 0xffff0000|uint64(binary.LittleEndian.Uint32(b))<<32)
}

func (p *Packet) ipv6(d []byte, off int) {
	_ = d[39]
	p.Src = Addr(d[8:24])
	p.Dst = Addr(d[24:40])
	x := chain{next: d[6], len: 40}
	if isExt(x.next) {
		x.walk(p, d)
	}
	total := int(binary.BigEndian.Uint16(d[4:])) + 40
	if p.WireLen < total+off {
		p.weird("truncated_IP_len", source[lIP])
		return
	}
	if x.len > total {
		p.weird("invalid_IP_header_size", source[lIP])
		return
	}
	p.IPv6 = true
	d = d[:min(total, len(d))]
	p.IP = d
	p.IPLen, p.HdrLen = total, x.len
	p.Payload = d[x.len:]
	p.PayloadLen = total - x.len
	p.TTL, p.Proto = d[7], x.next
	switch x.last {
	case Fragment:
		h := d[x.len-8:]
		f := binary.BigEndian.Uint16(h[2:])
		p.IsFrag = true
		p.MoreFrags = f&1 != 0
		p.FragOff = int(f &^ 7)
		p.FragID = binary.BigEndian.Uint32(h[4:])
	case ESP:
		p.IsESP = true
	case Mobility:
		p.IsMobility = true
	}
}
