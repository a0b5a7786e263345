package packet

import "encoding/binary"

// layer is one step of decoding. Zeek calls it a packet analyzer.
type layer uint8

const (
	lNone layer = iota // nothing we know: the packet has no IP
	lIP
	lEthernet
	lVLAN
	lMPLS
	lPPPoE
	lPPP
	lPPPSerial
	lSNAP
	lNFLOG
	lNull
	lLoop
	lSLL
	lSLL2
	lWifi
	lRadiotap
	lFDDI
	lVNTag
	lPBB
	lARP
)

// source is the analyzer name that Zeek writes beside a weird of a layer.
var source = [...]string{
	lNone: "", lIP: "IP", lEthernet: "ETHERNET", lVLAN: "VLAN", lMPLS: "MPLS", lPPPoE: "PPPOE", lPPP: "PPP",
	lPPPSerial: "PPPSERIAL", lSNAP: "SNAP", lNFLOG: "NFLOG", lNull: "NULL", lLoop: "NULL", lSLL: "LINUXSLL",
	lSLL2: "LINUXSLL2", lWifi: "IEEE802_11", lRadiotap: "IEEE802_11_RADIO", lFDDI: "FDDI", lVNTag: "VNTAG",
	lPBB: "PBB", lARP: "ARP",
}

// Decode fills p with what data holds: a captured frame of the link type, of
// wireLen bytes on the wire. It sets everything but Time, Seq and NoChecksum,
// allocates nothing and keeps views of data. One goroutine per Packet.
func Decode(p *Packet, link uint16, data []byte, wireLen int) {
	p.Data, p.WireLen = data, wireLen
	p.NVLAN, p.VLAN, p.InnerVLAN = 0, 0, 0
	p.NWeirds, p.rest, p.restEnd = 0, 0, 0
	// The common case, without the detour over layers. Every field is written
	// once: clearing all first would cost a third of the time.
	if link == LinkEthernet && len(data) > 34 && data[12] == 8 && data[13] == 0 && data[14]>>4 == 4 && wireLen > 0 {
		p.macs(data[:12])
		p.EtherType = 0x0800
		p.Depth = 2
		p.ipv4(data[14:], 14)
		return
	}
	p.SrcMAC, p.DstMAC, p.HasMAC, p.EtherType = [6]byte{}, [6]byte{}, false, 0
	p.clearIP()
	if len(data) == 0 || wireLen == 0 {
		p.Depth = 0
		p.weird("empty_pcap_header", "")
		return
	}
	p.Depth = 1
	p.layers(first(link), 0, len(data))
}

// clearLink forgets all of the link layer, and the weirds.
func (p *Packet) clearLink() {
	p.NVLAN, p.VLAN, p.InnerVLAN = 0, 0, 0
	p.NWeirds, p.rest, p.restEnd = 0, 0, 0
	p.SrcMAC, p.DstMAC, p.HasMAC, p.EtherType = [6]byte{}, [6]byte{}, false, 0
}

// clearIP forgets all of the internet layer.
func (p *Packet) clearIP() {
	p.IP, p.Payload = nil, nil
	p.IPv6, p.ZeroLen, p.IsFrag, p.MoreFrags, p.DF, p.IsESP, p.IsMobility = false, false, false, false, false, false, false
	p.Src, p.Dst = Addr{}, Addr{}
	p.Proto, p.TTL = 0, 0
	p.IPLen, p.HdrLen, p.FragOff, p.FragID, p.PayloadLen = 0, 0, 0, 0, 0
}

// first is the outermost layer of a link type.
func first(link uint16) layer {
	switch link {
	case LinkEthernet:
		return lEthernet
	case LinkLinuxSLL:
		return lSLL
	case LinkLinuxSLL2:
		return lSLL2
	case LinkNull:
		return lNull
	case LinkLoop:
		return lLoop
	case LinkNFLOG:
		return lNFLOG
	case LinkPPP:
		return lPPP
	case LinkPPPSerial:
		return lPPPSerial
	case LinkFDDI:
		return lFDDI
	case LinkIEEE80211:
		return lWifi
	case LinkRadiotap:
		return lRadiotap
	}
	return lIP
}

func (p *Packet) macs(d []byte) {
	_ = d[11]
	p.DstMAC = [6]byte(d[:6])
	p.SrcMAC = [6]byte(d[6:12])
	p.HasMAC = true
}

// layers decodes Data[off:end] from layer l inwards until IP or the end of what
// we know. A header must leave at least one byte behind it, as in Zeek.
func (p *Packet) layers(l layer, off, end int) {
	for {
		var next layer
		switch l {
		case lNone:
			return
		case lIP:
			p.ip(off, end)
			return
		case lARP:
			p.arp(p.Data[off:end])
			return
		case lWifi:
			p.wifi(off, end)
			return
		default:
			next, off, end = p.step(l, off, end)
		}
		if next == lNone {
			return
		}
		if p.Depth == MaxDepth {
			p.weird("max_packet_analyzer_depth_exceeded", source[l])
			return
		}
		p.Depth++
		l = next
	}
}

// step skips the header of one layer and tells which comes next and where.
func (p *Packet) step(l layer, off, end int) (layer, int, int) {
	d := p.Data[off:end]
	short := func(n int, name string) bool {
		if len(d) > n {
			return false
		}
		p.weird(name, source[l])
		return true
	}
	switch l {
	case lEthernet:
		return p.ethernet(d, off, end)
	case lVLAN:
		return p.vlan(d, off, end)
	case lMPLS:
		for {
			if short(4, "truncated_link_header") {
				return lNone, 0, 0
			}
			bottom := d[2]&1 != 0
			off += 4
			d = d[4:]
			if bottom {
				return lIP, off, end
			}
		}
	case lPPPoE:
		if short(8, "truncated_pppoe_header") {
			return lNone, 0, 0
		}
		n := int(binary.BigEndian.Uint16(d[4:]))
		if n < len(d)-6 {
			p.weird("pppoe_extra_data_after_payload", source[l])
		} else if n > len(d)-6 {
			p.weird("pppoe_truncated_payload", source[l])
		}
		n = max(n-2, 0)
		return ppp(binary.BigEndian.Uint16(d[6:]), false), off + 8, off + 8 + min(n, len(d)-8)
	case lPPP:
		if short(2, "truncated_ppp_header") {
			return lNone, 0, 0
		}
		if d[0] == 0xff && d[1] == 0x03 {
			if short(4, "truncated_ppp_hdlc_header") {
				return lNone, 0, 0
			}
			return ppp(binary.BigEndian.Uint16(d[2:]), true), off + 4, end
		}
		return ppp(binary.BigEndian.Uint16(d), true), off + 2, end
	case lPPPSerial:
		if short(4, "truncated_ppp_serial_header") {
			return lNone, 0, 0
		}
		return ppp(binary.BigEndian.Uint16(d[2:]), true), off + 4, end
	case lSNAP:
		return p.snap(d, off, end)
	case lNFLOG:
		return p.nflog(d, off, end)
	case lNull:
		if short(4, "null_analyzer_failed") {
			return lNone, 0, 0
		}
		// The number is in the byte order of the host that captured.
		n := binary.LittleEndian.Uint32(d)
		if n > 0xffff {
			n = binary.BigEndian.Uint32(d)
		}
		return family(n), off + 4, end
	case lLoop:
		if short(4, "null_analyzer_failed") {
			return lNone, 0, 0
		}
		return family(binary.BigEndian.Uint32(d)), off + 4, end
	case lSLL:
		if short(16, "truncated_Linux_SLL_header") {
			return lNone, 0, 0
		}
		p.SrcMAC, p.HasMAC = [6]byte(d[6:12]), true
		p.EtherType = binary.BigEndian.Uint16(d[14:])
		return plain(p.EtherType), off + 16, end
	case lSLL2:
		if short(20, "truncated_Linux_SLL2_header") {
			return lNone, 0, 0
		}
		p.SrcMAC, p.HasMAC = [6]byte(d[12:18]), true
		p.EtherType = binary.BigEndian.Uint16(d)
		return plain(p.EtherType), off + 20, end
	case lRadiotap:
		if short(3, "truncated_radiotap_header") {
			return lNone, 0, 0
		}
		n := int(binary.LittleEndian.Uint16(d[2:]))
		if short(n, "truncated_radiotap_header") {
			return lNone, 0, 0
		}
		return lWifi, off + n, end
	case lFDDI:
		if short(21, "FDDI_analyzer_failed") {
			return lNone, 0, 0
		}
		return lIP, off + 21, end
	case lVNTag:
		if short(6, "truncated_vntag_header") {
			return lNone, 0, 0
		}
		switch binary.BigEndian.Uint16(d[4:]) {
		case 0x8100, 0x88a8, 0x9100:
			return lVLAN, off + 6, end
		}
	case lPBB:
		if short(18, "truncated_PBB_header") {
			return lNone, 0, 0
		}
		return lEthernet, off + 4, end
	}
	return lNone, 0, 0
}

// ethernet handles Ethernet II and 802.3 frames, behind FabricPath too.
func (p *Packet) ethernet(d []byte, off, end int) (layer, int, int) {
	if len(d) <= 16 {
		p.weird("truncated_ethernet_frame", source[lEthernet])
		return lNone, 0, 0
	}
	if d[12] == 0x89 && d[13] == 0x03 {
		if len(d) <= 16+14 {
			p.weird("truncated_link_header_cfp", source[lEthernet])
			return lNone, 0, 0
		}
		d = d[16:]
		off += 16
	}
	t := binary.BigEndian.Uint16(d[12:])
	p.EtherType = t
	p.macs(d)
	switch {
	case t >= 1536:
		switch t {
		case 0x88a8, 0x9100: // outer tags only
			return lVLAN, off + 14, end
		}
		return tagged(t), off + 14, end
	case t <= 1500:
		return p.ieee8023(lEthernet, "truncated_ethernet_frame", d[14:], int(t), off+14)
	}
	p.weird("undefined_ether_type", source[lEthernet])
	return lNone, 0, 0
}

// vlan handles one tag.
func (p *Packet) vlan(d []byte, off, end int) (layer, int, int) {
	if len(d) <= 4 {
		p.weird("truncated_VLAN_header", source[lVLAN])
		return lNone, 0, 0
	}
	id := binary.BigEndian.Uint16(d) & 0xfff
	switch {
	case p.NVLAN == 0:
		p.VLAN = id
	default:
		if p.NVLAN > 1 {
			p.note(Weird{Name: "triple_tagged_vlan_unsupported", Source: source[lVLAN], addl: addlInner})
		}
		p.InnerVLAN = id
	}
	p.NVLAN++
	t := binary.BigEndian.Uint16(d[2:])
	switch {
	case t >= 1536:
		p.EtherType = t
		return tagged(t), off + 4, end
	case t <= 1500:
		return p.ieee8023(lVLAN, "truncated_VLAN_header", d[4:], int(t), off+4)
	}
	p.weird("undefined_vlan_protocol", source[lVLAN])
	return lNone, 0, 0
}

// ieee8023 handles a frame with a length where the type could be. Of these only
// SNAP leads to IP; plain LLC and Novell's raw frames do not.
func (p *Packet) ieee8023(l layer, name string, d []byte, n, off int) (layer, int, int) {
	if len(d) < 2 {
		p.weird(name, source[l])
		return lNone, 0, 0
	}
	short := len(d) // the test of the first two bytes looks past the length, as Zeek's does
	if n < short {
		short = n
	}
	switch {
	case d[0] == 0xaa && d[1] == 0xaa:
		return lSNAP, off, off + short
	case d[0] == 0xff && d[1] == 0xff:
		return lNone, 0, 0
	}
	if short < 3 || (d[2]&3 != 3 && short < 4) {
		p.weird("truncated_llc_header", "LLC")
	}
	return lNone, 0, 0
}

func (p *Packet) snap(d []byte, off, end int) (layer, int, int) {
	if len(d) < 3 {
		p.weird("truncated_snap_llc_header", source[lSNAP])
		return lNone, 0, 0
	}
	n := 3
	if d[2]&3 != 3 {
		n = 4
	}
	if len(d) < n+5 {
		p.weird("truncated_snap_header", source[lSNAP])
		return lNone, 0, 0
	}
	t := binary.BigEndian.Uint16(d[n+3:])
	if d[n]|d[n+1]|d[n+2] != 0 { // the types of other organisations are their own
		return lNone, 0, 0
	}
	p.EtherType = t
	return plain(t), off + n + 5, end
}

// nflog walks the TLVs of a Linux netfilter log record to the packet.
func (p *Packet) nflog(d []byte, off, end int) (layer, int, int) {
	if len(d) <= 4 {
		p.weird("truncated_nflog_header", source[lNFLOG])
		return lNone, 0, 0
	}
	if d[1] != 0 {
		p.weird("unknown_nflog_version", source[lNFLOG])
		return lNone, 0, 0
	}
	af := d[0]
	for i := 4; ; {
		if len(d)-i <= 4 {
			p.weird("nflog_no_pcap_payload", source[lNFLOG])
			return lNone, 0, 0
		}
		n := int(binary.LittleEndian.Uint16(d[i:]))
		if binary.LittleEndian.Uint16(d[i+2:]) == 9 {
			if af == 2 || af == 10 {
				return lIP, off + i + 4, end
			}
			return lNone, 0, 0
		}
		if n < 4 {
			p.weird("nflog_bad_tlv_len", source[lNFLOG])
			return lNone, 0, 0
		}
		n = (n + 3) &^ 3
		if n > len(d)-i {
			p.note(Weird{Name: "nflog_bad_tlv_len", Source: source[lNFLOG], addl: addlMore, a: uint32(n), b: uint32(len(d) - i)})
			return lNone, 0, 0
		}
		i += n
	}
}

// tagged is what an EtherType means in Ethernet and behind a VLAN tag.
func tagged(t uint16) layer {
	switch t {
	case 0x0800, 0x86dd:
		return lIP
	case 0x0806, 0x8035:
		return lARP
	case 0x8100:
		return lVLAN
	case 0x8847:
		return lMPLS
	case 0x8864:
		return lPPPoE
	case 0x88e7:
		return lPBB
	case 0x8926:
		return lVNTag
	}
	return lNone
}

// plain is what an EtherType means where no tags follow.
func plain(t uint16) layer {
	switch t {
	case 0x0800, 0x86dd:
		return lIP
	case 0x0806, 0x8035:
		return lARP
	}
	return lNone
}

// ppp is what a PPP protocol number means; PPPoE carries no MPLS.
func ppp(t uint16, mpls bool) layer {
	switch {
	case t == 0x0021 || t == 0x0057:
		return lIP
	case t == 0x0281 && mpls:
		return lMPLS
	}
	return lNone
}

// family is what an address family of a BSD loopback capture means: AF_INET,
// and AF_INET6 of three systems.
func family(n uint32) layer {
	switch n {
	case 2, 24, 28, 30:
		return lIP
	}
	return lNone
}

// arp checks that an ARP packet is whole, which is all that its weird needs.
func (p *Packet) arp(d []byte) {
	if len(d) < 8 || len(d) < 8+2*int(d[4])+2*int(d[5]) {
		p.weird("truncated_ARP", source[lARP])
	}
}
