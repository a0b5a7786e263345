package flow

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/picket-nsm/picket/traffic/packet"
	. "github.com/picket-nsm/picket/traffic/packet/packettest"
)

func host4(n int, proto uint8) IP {
	return IP{Src: fmt.Sprintf("1.0.0.%d", n), Dst: fmt.Sprintf("2.0.0.%d", n), Proto: proto}
}
func host6(n int, proto uint8) IP {
	return IP{Src: fmt.Sprintf("2001:db8::1:%d", n), Dst: fmt.Sprintf("2001:db8::2:%d", n), Proto: proto}
}

func back(h IP) IP { h.Src, h.Dst = h.Dst, h.Src; return h }

// in UDP: from a high port to dst.
func over(n int, dst uint16, payload []byte) []byte {
	return IPv4(host4(n, packet.UDP), UDP(uint16(40000+n), dst, payload))
}

var (
	inner4  = IPv4(IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: packet.UDP}, UDP(1000, 2000, []byte("hi")))
	inner4b = IPv4(IP{Src: "10.0.0.2", Dst: "10.0.0.1", Proto: packet.UDP}, UDP(2000, 1000, []byte("ho")))
	inner6  = Sum(IPv6(IP{Src: "fd00::1", Dst: "fd00::2", Proto: packet.UDP}, UDP(1000, 2000, []byte("hi"))), packet.UDP, 10, 6)
	eth4    = Ether(0x0800, inner4)
	bubble  = IPv6(IP{Src: "2001::1", Dst: "fd00::2", Proto: packet.NoNext}, nil)
)

func nest(n int, wrap func(i int, b []byte) []byte, b []byte) []byte {
	for i := n; i > 0; i-- {
		b = wrap(i, b)
	}
	return b
}

func ipip(i int, b []byte) []byte {
	if b[0]>>4 == 6 {
		return IPv4(host4(i, packet.IP6IP), b)
	}
	return IPv4(host4(i, packet.IPIP), b)
}

func vxlan4(i int, b []byte) []byte { return over(i, 4789, VXLAN(1, Ether(0x0800, b))) }

// aruba is an 802.11 data frame with an IP packet, or an A-MSDU of several.
func aruba(ips ...[]byte) []byte {
	b := make([]byte, 24)
	b[0] = 0x08
	if len(ips) == 1 {
		return append(b, SNAP(0x0800, ips[0])...)
	}
	b[0] = 0x88
	b = append(b, 0x80, 0)
	for _, ip := range ips {
		s := SNAP(0x0800, ip)
		b = append(append(b, make([]byte, 12)...), byte(len(s)>>8), byte(len(s)))
		b = append(b, s...)
		b = append(b, make([]byte, len(s)%4)...)
	}
	return b
}

var tunnelCases = []struct {
	name    string
	packets [][]byte // bare IP
	want    string
}{
	{"4in4, both ways", [][]byte{ipip(1, inner4), IPv4(back(host4(1, packet.IPIP)), inner4b)}, `
		Tunnel::IP A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 4
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp Dd 1,1 in A`},
	{"6in4", [][]byte{IPv4(host4(1, packet.IP6IP), inner6)}, `
		Tunnel::IP A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 41
		row B fd00::1:1000 > fd00::2:2000 udp D 1,0 in A`},
	{"4in6", [][]byte{IPv6(host6(1, packet.IPIP), inner4)}, `
		Tunnel::IP A 2001:db8::1:1:0 > 2001:db8::2:1:0 unknown_transport 4
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in A`},
	{"6in6 behind a header", [][]byte{IPv6(host6(1, 0), Ext(packet.IP6IP, []byte{1, 4, 0, 0, 0, 0}, inner6))}, `
		Tunnel::IP A 2001:db8::1:1:0 > 2001:db8::2:1:0 unknown_transport 41
		row B fd00::1:1000 > fd00::2:2000 udp D 1,0 in A`},
	{"wrong version", [][]byte{IPv4(host4(1, packet.IPIP), inner6)}, `weird invalid_inner_IP_version IPTUNNEL flow`},
	{"inside cut", [][]byte{IPv4(host4(1, packet.IPIP), inner4[:29])}, `weird truncated_inner_IP IPTUNNEL flow`},
	{"inside padded", [][]byte{IPv4(host4(1, packet.IPIP), append(slices.Clone(inner4), 0))}, `weird inner_IP_payload_length_mismatch IPTUNNEL flow`},
	{"four deep", [][]byte{nest(4, ipip, inner4)}, `
		Tunnel::IP A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 4
		Tunnel::IP B 1.0.0.2:0 > 2.0.0.2:0 unknown_transport 4
		Tunnel::IP C 1.0.0.3:0 > 2.0.0.3:0 unknown_transport 4
		Tunnel::IP D 1.0.0.4:0 > 2.0.0.4:0 unknown_transport 4
		row E 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in D`},
	{"five deep", [][]byte{nest(5, ipip, inner4)}, `weird exceeded_tunnel_max_depth_in_tunnel IPTUNNEL flow`},
	{"inner checksum", [][]byte{ipip(1, flip(inner4, 10))}, `weird bad_IP_checksum_in_tunnel IP flow`},
	{"no next header", [][]byte{IPv4(host4(1, packet.IP6IP), bubble)}, `weird ipv6_no_next_in_tunnel IP flow`},
	{"header cut inside", [][]byte{ipip(1, IPv4(IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: packet.UDP}, []byte{1, 2, 3}))}, `weird truncated_header_in_tunnel UDP flow`},

	{"gre", [][]byte{IPv4(host4(1, packet.GRE), GRE(0, 0x0800, inner4)), IPv4(host4(1, packet.GRE), GRE(GREKey, 0x86dd, inner6))}, `
		Tunnel::GRE A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 47
		Tunnel::GRE A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 47
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in A
		row C fd00::1:1000 > fd00::2:2000 udp D 1,0 in A`},
	{"gre and IP in IP are one tunnel", [][]byte{IPv4(host4(1, packet.GRE), GRE(0, 0x0800, inner4)), IPv4(host4(1, packet.IP6IP), inner6)}, `
		Tunnel::GRE A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 47
		Tunnel::GRE A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 47
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in A
		row C fd00::1:1000 > fd00::2:2000 udp D 1,0 in A`},
	{"erspan", [][]byte{IPv4(host4(1, packet.GRE), GRE(0, 0x88be, eth4))}, `
		Tunnel::GRE A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 47
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in A`},
	{"pptp", [][]byte{IPv4(host4(1, packet.GRE), GRE(GREPPTP|GREKey, 0x880b, PPP(0x21, inner4)))}, `
		Tunnel::GRE A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 47
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in A`},
	{"pptp cut inside", [][]byte{IPv4(host4(1, packet.GRE), GRE(GREPPTP|GREKey, 0x880b, PPP(0x21, inner4[:25])))}, `weird truncated_inner_IP IPTUNNEL flow`},
	{"aruba", [][]byte{IPv4(host4(1, packet.GRE), GRE(0, 0x8200, aruba(inner4)))}, `
		Tunnel::GRE A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 47
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in A`},
	{"aruba, several in one", [][]byte{IPv4(host4(1, packet.GRE), GRE(0, 0x8200, aruba(inner4, inner4b, inner4)))}, `
		Tunnel::GRE A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 47
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp Dd 2,1 in A`},
	{"gre with what is no IP", [][]byte{IPv4(host4(1, packet.GRE), GRE(0, 0x8847, make([]byte, 30)))}, `weird unknown_ip_version_in_tunnel IP net`},
	{"gre version", [][]byte{IPv4(host4(1, packet.GRE), GRE(3, 0x0800, inner4))}, `weird unknown_gre_version (version=3) GRE flow`},
	{"gre cut in a tunnel", [][]byte{ipip(1, IPv4(host4(2, packet.GRE), []byte{0}))}, `weird truncated_GRE_in_tunnel GRE flow`},
	{"gre over udp", [][]byte{over(1, 4754, GRE(0, 0x0800, inner4))}, `
		Tunnel::GRE A 1.0.0.1:0 > 2.0.0.1:0 udp 17
		row B 1.0.0.1:40001 > 2.0.0.1:4754 udp D 1,0
		row C 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in A`},

	{"vxlan", [][]byte{vxlan4(1, inner4), vxlan4(1, inner4b)}, `
		Tunnel::VXLAN A 1.0.0.1:40001 > 2.0.0.1:4789 udp 17
		row A 1.0.0.1:40001 > 2.0.0.1:4789 udp D 2,0 vxlan
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp Dd 1,1 in A`},
	{"vxlan, back from the port", [][]byte{IPv4(host4(1, packet.UDP), UDP(4789, 40001, VXLAN(1, eth4)))}, `
		Tunnel::VXLAN A 2.0.0.1:40001 > 1.0.0.1:4789 udp 17
		row A 2.0.0.1:40001 > 1.0.0.1:4789 udp ^d 0,1 vxlan
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in A`},
	{"vxlan in vxlan in vxlan", [][]byte{nest(3, vxlan4, inner4)}, `
		Tunnel::VXLAN A 1.0.0.1:40001 > 2.0.0.1:4789 udp 17
		Tunnel::VXLAN A 1.0.0.1:40001 > 2.0.0.1:4789 udp 17
		Tunnel::VXLAN B 1.0.0.2:40002 > 2.0.0.2:4789 udp 17
		Tunnel::VXLAN A 1.0.0.1:40001 > 2.0.0.1:4789 udp 17
		Tunnel::VXLAN B 1.0.0.2:40002 > 2.0.0.2:4789 udp 17
		Tunnel::VXLAN C 1.0.0.3:40003 > 2.0.0.3:4789 udp 17
		row A 1.0.0.1:40001 > 2.0.0.1:4789 udp D 1,0 vxlan
		row B 1.0.0.2:40002 > 2.0.0.2:4789 udp D 1,0 vxlan in A
		row C 1.0.0.3:40003 > 2.0.0.3:4789 udp D 1,0 vxlan in B
		row D 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in C`},
	{"vxlan too deep", [][]byte{nest(4, ipip, vxlan4(9, inner4))}, `
		Tunnel::IP A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 4
		Tunnel::IP B 1.0.0.2:0 > 2.0.0.2:0 unknown_transport 4
		Tunnel::IP C 1.0.0.3:0 > 2.0.0.3:0 unknown_transport 4
		Tunnel::IP D 1.0.0.4:0 > 2.0.0.4:0 unknown_transport 4
		weird exceeded_tunnel_max_depth_in_tunnel VXLAN flow
		row E 1.0.0.9:40009 > 2.0.0.9:4789 udp DX 1,0 in D`},
	{"vxlan violated, then good", [][]byte{over(1, 4789, []byte("no")), vxlan4(1, inner4)}, `
		failed VXLAN true: VXLAN header truncation "no"
		row A 1.0.0.1:40001 > 2.0.0.1:4789 udp D 2,0`},
	{"vxlan good, then violated", [][]byte{vxlan4(1, inner4), over(1, 4789, []byte("no")), vxlan4(1, inner4)}, `
		Tunnel::VXLAN A 1.0.0.1:40001 > 2.0.0.1:4789 udp 17
		failed VXLAN true: VXLAN header truncation "no"
		row A 1.0.0.1:40001 > 2.0.0.1:4789 udp D 3,0 vxlan
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in A`},
	{"vxlan empty", [][]byte{over(1, 4789, VXLAN(1, nil))}, `
		weird vxlan_empty_packet VXLAN flow
		row A 1.0.0.1:40001 > 2.0.0.1:4789 udp D 1,0 vxlan`},
	{"short frame in vxlan", [][]byte{over(1, 4789, VXLAN(1, eth4[:12]))}, `
		weird truncated_ethernet_frame_in_tunnel ETHERNET net
		row A 1.0.0.1:40001 > 2.0.0.1:4789 udp D 1,0 vxlan`},
	{"geneve", [][]byte{over(1, 6081, Geneve(1, 0x86dd, make([]byte, 12), inner6))}, `
		Tunnel::GENEVE A 1.0.0.1:40001 > 2.0.0.1:6081 udp 17
		row A 1.0.0.1:40001 > 2.0.0.1:6081 udp D 1,0 geneve
		row B fd00::1:1000 > fd00::2:2000 udp D 1,0 in A`},
	{"geneve version", [][]byte{over(1, 6081, flip(Geneve(1, 0x86dd, nil, inner6), 0))}, `
		weird geneve_invalid_version (2) GENEVE flow
		row A 1.0.0.1:40001 > 2.0.0.1:6081 udp D 1,0`},
	{"ayiya on another port", [][]byte{over(1, 7777, AYIYA(1, 41, inner6)), over(1, 7777, AYIYA(0, 41, nil))}, `
		Tunnel::AYIYA A 1.0.0.1:40001 > 2.0.0.1:7777 udp 17
		row A 1.0.0.1:40001 > 2.0.0.1:7777 udp D 2,0 ayiya
		row B fd00::1:1000 > fd00::2:2000 udp D 1,0 in A`},
	{"teredo, one side", [][]byte{over(1, 3544, bubble), over(1, 3544, TeredoAuth("i", "a", inner6))}, `
		Tunnel::TEREDO A 1.0.0.1:40001 > 2.0.0.1:3544 udp 17
		row A 1.0.0.1:40001 > 2.0.0.1:3544 udp D 2,0
		row B fd00::1:1000 > fd00::2:2000 udp D 1,0 in A`},
	{"teredo, both sides, another port", [][]byte{over(1, 7777, bubble),
		IPv4(back(host4(1, packet.UDP)), UDP(7777, 40001, TeredoOrigin(append(slices.Clone(bubble), 1))))}, `
		weird Teredo_bubble_with_payload TEREDO conn
		row A 1.0.0.1:40001 > 2.0.0.1:7777 udp Dd 1,1 teredo`},
	{"teredo that is none", [][]byte{over(1, 3544, []byte{0, 0, 1})}, `
		failed TEREDO true: Bad Teredo encapsulation "\x00\x00\x01"
		row A 1.0.0.1:40001 > 2.0.0.1:3544 udp D 1,0`},
	{"teredo that stops to be", [][]byte{over(1, 3544, bubble), IPv4(back(host4(1, packet.UDP)), UDP(3544, 40001, bubble)),
		over(1, 3544, []byte{0, 0, 1}), over(1, 3544, inner6)}, `
		weird truncated_Teredo_origin_indication TEREDO conn
		failed TEREDO true: Bad Teredo encapsulation "\x00\x00\x01"
		row A 1.0.0.1:40001 > 2.0.0.1:3544 udp Dd 3,1 teredo`},
	{"gtp", [][]byte{over(1, 2152, GTP(255, nil, inner4)), over(1, 2152, GTP(1, nil, nil))}, `
		Tunnel::GTPv1 A 1.0.0.1:40001 > 2.0.0.1:2152 udp 17
		row A 1.0.0.1:40001 > 2.0.0.1:2152 udp D 2,0 gtpv1
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in A`},
	{"gtp violated, then good", [][]byte{over(1, 2152, GTP(255, nil, inner4[:25])), over(1, 2152, GTP(255, nil, inner4))}, `
		failed GTPV1 true: Truncated GTPv1 ""
		Tunnel::GTPv1 A 1.0.0.1:40001 > 2.0.0.1:2152 udp 17
		row A 1.0.0.1:40001 > 2.0.0.1:2152 udp D 2,0
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in A`},
	{"gtp in gtp is none", [][]byte{over(1, 2152, GTP(255, nil, over(2, 2152, GTP(255, nil, inner4))))}, `
		Tunnel::GTPv1 A 1.0.0.1:40001 > 2.0.0.1:2152 udp 17
		failed GTPV1 true: GTP-in-GTP ""
		row A 1.0.0.1:40001 > 2.0.0.1:2152 udp D 1,0 gtpv1
		row B 1.0.0.2:40002 > 2.0.0.2:2152 udp D 1,0 in A`},
	{"gtp too deep", [][]byte{nest(4, vxlan4, over(9, 2152, GTP(255, nil, inner4)))[:]}, `
		Tunnel::VXLAN A 1.0.0.1:40001 > 2.0.0.1:4789 udp 17
		Tunnel::VXLAN A 1.0.0.1:40001 > 2.0.0.1:4789 udp 17
		Tunnel::VXLAN B 1.0.0.2:40002 > 2.0.0.2:4789 udp 17
		Tunnel::VXLAN A 1.0.0.1:40001 > 2.0.0.1:4789 udp 17
		Tunnel::VXLAN B 1.0.0.2:40002 > 2.0.0.2:4789 udp 17
		Tunnel::VXLAN C 1.0.0.3:40003 > 2.0.0.3:4789 udp 17
		Tunnel::VXLAN A 1.0.0.1:40001 > 2.0.0.1:4789 udp 17
		Tunnel::VXLAN B 1.0.0.2:40002 > 2.0.0.2:4789 udp 17
		Tunnel::VXLAN C 1.0.0.3:40003 > 2.0.0.3:4789 udp 17
		Tunnel::VXLAN D 1.0.0.4:40004 > 2.0.0.4:4789 udp 17
		weird tunnel_depth GTPV1 net
		row A 1.0.0.1:40001 > 2.0.0.1:4789 udp D 1,0 vxlan
		row B 1.0.0.2:40002 > 2.0.0.2:4789 udp D 1,0 vxlan in A
		row C 1.0.0.3:40003 > 2.0.0.3:4789 udp D 1,0 vxlan in B
		row D 1.0.0.4:40004 > 2.0.0.4:4789 udp D 1,0 vxlan in C
		row E 1.0.0.9:40009 > 2.0.0.9:2152 udp D 1,0 in D`},

	{"in, out, and in another", [][]byte{ipip(1, inner4), inner4, ipip(2, inner4), ipip(1, inner4b)}, `
		Tunnel::IP A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 4
		Tunnel::IP B 1.0.0.2:0 > 2.0.0.2:0 unknown_transport 4
		Tunnel::IP A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 4
		row C 10.0.0.1:1000 > 10.0.0.2:2000 udp Dd 3,1 in A B`},
	{"in later", [][]byte{inner4, ipip(1, inner4)}, `
		Tunnel::IP A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 4
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp D 2,0 in A`},
	{"too many changes", [][]byte{ipip(1, inner4), ipip(2, inner4), ipip(3, inner4), ipip(4, inner4), ipip(5, inner4), ipip(6, inner4), ipip(7, inner4), ipip(7, inner4)}, `
		Tunnel::IP A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 4
		Tunnel::IP B 1.0.0.2:0 > 2.0.0.2:0 unknown_transport 4
		Tunnel::IP C 1.0.0.3:0 > 2.0.0.3:0 unknown_transport 4
		Tunnel::IP D 1.0.0.4:0 > 2.0.0.4:0 unknown_transport 4
		Tunnel::IP E 1.0.0.5:0 > 2.0.0.5:0 unknown_transport 4
		Tunnel::IP F 1.0.0.6:0 > 2.0.0.6:0 unknown_transport 4
		weird tunnel_max_changes_per_connection_exceeded (5) conn
		row G 10.0.0.1:1000 > 10.0.0.2:2000 udp DX 8,0 in A B C D E F`},
	{"fragments inside", fragmented(inner4big, 800, func(b []byte) []byte { return ipip(1, b) }), `
		Tunnel::IP A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 4
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in A`},
	{"fragments outside and inside", slices.Concat(
		fragmented(ipip(1, fragmented(inner4big, 800, nil)[0]), 400, nil),
		fragmented(ipip(1, fragmented(inner4big, 800, nil)[1]), 400, nil)), `
		Tunnel::IP A 1.0.0.1:0 > 2.0.0.1:0 unknown_transport 4
		row B 10.0.0.1:1000 > 10.0.0.2:2000 udp D 1,0 in A`},
}

var inner4big = IPv4(IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: packet.UDP, ID: 77}, UDP(1000, 2000, make([]byte, 1200)))

// fragmented cuts an IPv4 packet in two behind n payload bytes.
func fragmented(ip []byte, n int, wrap func([]byte) []byte) [][]byte {
	a := func(b []byte) string { return netip.AddrFrom4([4]byte(b)).String() }
	h := IP{Src: a(ip[12:]), Dst: a(ip[16:]), Proto: ip[9], ID: 77, Frag: 0x2000}
	first := IPv4(h, ip[20:20+n])
	h.Frag = uint16(n / 8)
	out := [][]byte{first, IPv4(h, ip[20+n:])}
	if wrap != nil {
		out[0], out[1] = wrap(out[0]), wrap(out[1])
	}
	return out
}

func flip(b []byte, at int) []byte { b = slices.Clone(b); b[at] ^= 0x80; return b }
