package packet

import "encoding/binary"

// EtherTypes that GRE gives a meaning to.
const (
	greEthernet = 0x6558 // transparent Ethernet bridging
	greERSPAN   = 0x88be // Cisco ERSPAN type I and II
	greERSPAN3  = 0x22eb // Cisco ERSPAN type III
	grePPTP     = 0x880b // PPP (RFC 2637)
)

// GREHeader is what a GRE header says.
type GREHeader struct {
	Cover
	Version uint8 // 1: PPTP
	IPv6    bool  // version 1: PPP says that IPv6 follows
}

// ParseGRE reads a GRE header (RFC 1701, 2784 and 2890; version 1: RFC 2637).
// Without a weird there is an inside; what that is tells the protocol number:
// Ethernet, 802.11 (Aruba), else IP, whatever the number.
func ParseGRE(b []byte) (g GREHeader) {
	if len(b) < 4 {
		g.weird(TunnelGRE, "truncated_GRE")
		return g
	}
	flags, proto := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	n := 4
	for _, bit := range [...]uint16{0x8000, 0x2000, 0x1000, 0x0080} { // checksum, key, sequence, acknowledgement
		if flags&bit != 0 {
			n += 4
		}
	}
	g.Version = uint8(flags & 7)
	g.Inside = InsideIP
	want := n // bytes that the headers need
	switch g.Version {
	case 0:
		if n, want = g.version0(b, flags, proto, n); want < 0 {
			g.fail("truncated_GRE")
			return g
		}
	case 1:
		if proto != grePPTP {
			g.fail("egre_protocol_type")
			g.Weird.addl, g.Weird.a = addlProto, uint32(proto)
			return g
		}
		n += 4 // PPP: address, control, protocol
		want = n
	default:
		g.fail("unknown_gre_version")
		g.Weird.addl, g.Weird.a = addlVersion, uint32(g.Version)
		return g
	}
	switch {
	case flags&0x4000 != 0: // RFC 1701 routing, which nobody uses
		g.fail("gre_routing")
	case flags&0x0078 != 0:
		g.fail("unknown_gre_flags")
	case len(b) < want:
		g.fail("truncated_GRE")
	default:
		if g.Version == 1 {
			switch binary.BigEndian.Uint16(b[n-2:]) {
			case 0x0021:
			case 0x0057:
				g.IPv6 = true
			default:
				g.fail("non_ip_packet_in_encap")
				return g
			}
		}
		g.Data = b[n:]
	}
	return g
}

func (g *GREHeader) fail(name string) {
	g.Inside = InsideNothing
	g.weird(TunnelGRE, name)
}

// version0 finds out what follows a header of n bytes. It returns the bytes in
// front of the inside, and how many bytes there must be (below 0: there are
// fewer).
func (g *GREHeader) version0(b []byte, flags, proto uint16, n int) (int, int) {
	const ether = 14
	switch {
	case proto == greEthernet, proto == greERSPAN:
		if len(b) <= n+ether {
			return n, -1
		}
		g.Inside = InsideEthernet
		if proto == greERSPAN && flags&0x1000 != 0 { // a sequence number tells type II, which has a header
			n += 8
			if len(b) < n+ether {
				return n, -1
			}
		}
		return n, n + ether
	case proto == greERSPAN3:
		if len(b) <= n+12+ether {
			return n, -1
		}
		g.Inside = InsideEthernet
		n += 12
		if b[n-1]&1 != 0 { // platform specific subheader
			n += 8
			if len(b) <= n+ether {
				return n, -1
			}
		}
		return n, n + ether
	case aruba(proto):
		if len(b) <= n {
			return n, -1
		}
		g.Inside = InsideWifi
	}
	return n, n
}

// aruba tells the numbers that wireless controllers of Aruba use for 802.11, as
// widely as Zeek does.
func aruba(proto uint16) bool {
	if proto == 0x9000 {
		return true
	}
	return proto&0xf == 0 && (proto&0x8200 == 0x8200 || proto&0x8300 == 0x8300 && proto <= 0x8370)
}
