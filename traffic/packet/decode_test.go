package packet_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/picket-nsm/picket/traffic/packet"
	. "github.com/picket-nsm/picket/traffic/packet/packettest"
)

var (
	v4  = IP{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: packet.UDP, ID: 7}
	v6  = IP{Src: "2001:db8::1", Dst: "2001:db8::2", Proto: packet.UDP}
	udp = UDP(5000, 53, []byte("abcd"))
	ip4 = IPv4(v4, udp)
	ip6 = IPv6(v6, udp)
)

func with(h IP, proto uint8) IP { h.Proto = proto; return h }

func radiotap(b []byte) []byte { return append([]byte{0, 0, 8, 0, 0, 0, 0, 0}, b...) }

// wifi is an 802.11 data frame to the distribution system; qos adds QoS control.
func wifi(qos []byte, payload []byte) []byte {
	b := make([]byte, 24)
	b[0], b[1] = 0x08, 0x01
	if qos != nil {
		b[0] = 0x88
	}
	return slices.Concat(b, qos, payload)
}

func subframe(pad int, payload []byte) []byte {
	b := make([]byte, 12)
	b = append(b, byte(len(payload)>>8), byte(len(payload)))
	return slices.Concat(b, payload, make([]byte, pad))
}

func cut(b []byte, n int) []byte { return b[:n:n] }

// cases are frames with what must come of them: "src > dst proto payload-length
// [remarks]" or nothing, and the weirds.
var cases = []struct {
	name   string
	link   uint16
	data   []byte
	want   string
	weirds string
}{
	{"ethernet", 1, Ether(0x0800, ip4), "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"padding", 1, append(Ether(0x0800, ip4), 0, 0, 0), "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"ipv6", 1, Ether(0x86dd, ip6), "2001:db8::1 > 2001:db8::2 17 12", "[]"},
	{"vlan", 1, Ether(0x8100, VLAN(5, 0x0800, ip4)), "10.0.0.1 > 10.0.0.2 17 12 vlan 5/0", "[]"},
	{"qinq", 1, Ether(0x88a8, VLAN(5, 0x8100, VLAN(0x2006, 0x86dd, ip6))), "2001:db8::1 > 2001:db8::2 17 12 vlan 5/6", "[]"},
	{"three tags", 1, Ether(0x9100, VLAN(5, 0x8100, VLAN(6, 0x8100, VLAN(7, 0x0800, ip4)))),
		"10.0.0.1 > 10.0.0.2 17 12 vlan 5/7", "[triple_tagged_vlan_unsupported VLAN (inner VLAN tag overwritten)]"},
	{"mpls", 1, Ether(0x8847, MPLS(16, false, MPLS(17, true, ip4))), "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"mpls without bottom", 1, Ether(0x8847, MPLS(16, false, MPLS(17, false, nil))), "", "[truncated_link_header MPLS]"},
	{"pppoe", 1, Ether(0x8864, PPPoE(0x21, ip4)), "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"pppoe in vlan, padded", 1, append(Ether(0x8100, VLAN(1, 0x8864, PPPoE(0x57, ip6))), 0),
		"2001:db8::1 > 2001:db8::2 17 12 vlan 1/0", "[pppoe_extra_data_after_payload PPPOE]"},
	{"pppoe lcp", 1, Ether(0x8864, PPPoE(0xc021, ip4)), "", "[]"},
	{"snap", 1, Ether(uint16(8+len(ip4)), SNAP(0x0800, ip4)), "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"snap in vlan", 1, Ether(0x8100, VLAN(9, uint16(8+len(ip4)), SNAP(0x0800, ip4))), "10.0.0.1 > 10.0.0.2 17 12 vlan 9/0", "[]"},
	{"llc stp", 1, Ether(38, append([]byte{0x42, 0x42, 3}, make([]byte, 43)...)), "", "[]"},
	{"novell", 1, Ether(38, append([]byte{0xff, 0xff}, make([]byte, 44)...)), "", "[]"},
	{"llc cut", 1, Ether(2, make([]byte, 46)), "", "[truncated_llc_header LLC]"},
	{"between length and type", 1, Ether(1501, ip4), "", "[undefined_ether_type ETHERNET]"},
	{"fabricpath", 1, append(Ether(0x8903, []byte{0, 1}), Ether(0x0800, ip4)...), "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"pbb", 1, Ether(0x88e7, append([]byte{0, 0, 0, 1}, Ether(0x0800, ip4)...)), "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"vntag", 1, Ether(0x8926, append([]byte{0, 0, 0, 0, 0x81, 0}, VLAN(3, 0x0800, ip4)...)), "10.0.0.1 > 10.0.0.2 17 12 vlan 3/0", "[]"},
	{"arp", 1, Ether(0x0806, append([]byte{0, 1, 8, 0, 6, 4, 0, 1}, make([]byte, 20)...)), "", "[]"},
	{"arp cut", 1, Ether(0x0806, append([]byte{0, 1, 8, 0, 6, 4, 0, 1}, make([]byte, 19)...)), "", "[truncated_ARP ARP]"},
	{"unknown type", 1, Ether(0x88cc, ip4), "", "[]"},
	{"short ethernet", 1, Ether(0x0800, []byte{1, 2}), "", "[truncated_ethernet_frame ETHERNET]"},
	{"empty", 1, nil, "", "[empty_pcap_header]"},

	{"raw", 101, ip4, "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"raw 6", 12, ip6, "2001:db8::1 > 2001:db8::2 17 12", "[]"},
	{"link ipv4", 228, ip4, "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"null", 0, append([]byte{2, 0, 0, 0}, ip4...), "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"null big", 0, append([]byte{0, 0, 0, 30}, ip6...), "2001:db8::1 > 2001:db8::2 17 12", "[]"},
	{"loop", 108, append([]byte{0, 0, 0, 24}, ip6...), "2001:db8::1 > 2001:db8::2 17 12", "[]"},
	{"null other", 0, append([]byte{7, 0, 0, 0}, ip4...), "", "[]"},
	{"sll", 113, slices.Concat(make([]byte, 14), []byte{8, 0}, ip4), "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"sll2", 276, slices.Concat([]byte{0x86, 0xdd}, make([]byte, 18), ip6), "2001:db8::1 > 2001:db8::2 17 12", "[]"},
	{"ppp", 9, append([]byte{0, 0x21}, ip4...), "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"ppp hdlc mpls", 9, append([]byte{0xff, 3, 2, 0x81}, MPLS(1, true, ip4)...), "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"ppp serial", 50, append([]byte{0xff, 3, 0, 0x57}, ip6...), "2001:db8::1 > 2001:db8::2 17 12", "[]"},
	{"fddi", 10, append(make([]byte, 21), ip4...), "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"nflog", 239, slices.Concat([]byte{2, 0, 0, 0, 5, 0, 1, 0, 9, 0, 0, 0}, []byte{byte(4 + len(ip4)), 0, 9, 0}, ip4), "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"nflog bad length", 239, []byte{2, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0}, "", "[nflog_bad_tlv_len NFLOG ((256 > 8))]"},
	{"nflog length 3", 239, []byte{2, 0, 0, 0, 3, 0, 1, 0, 0, 0, 0, 0}, "", "[nflog_bad_tlv_len NFLOG]"},
	{"wifi", 105, wifi(nil, SNAP(0x0800, ip4)), "10.0.0.1 > 10.0.0.2 17 12", "[]"},
	{"wifi qos radiotap", 127, radiotap(wifi([]byte{0, 0}, SNAP(0x86dd, ip6))), "2001:db8::1 > 2001:db8::2 17 12", "[]"},
	{"wifi beacon", 105, make([]byte, 80), "", "[]"},
	{"802.15.4", 195, []byte("\x01\x88 and so on until there is enough"), "", "[unknown_ip_version IP]"},

	{"version 5", 101, append([]byte{0x55}, ip4[1:]...), "", "[unknown_ip_version IP]"},
	{"header too long", 101, append([]byte{0x4f}, ip4[1:]...), "", "[invalid_IP_header_size IP]"},
	{"header too short", 101, append([]byte{0x44}, ip4[1:]...), "", "[IPv4_min_header_size IP]"},
	{"length too long", 101, slices.Concat(ip4[:2], []byte{1, 0}, ip4[4:]), "", "[truncated_IP_len IP]"},
	{"length zero", 101, slices.Concat(ip4[:2], []byte{0, 0}, ip4[4:]), "10.0.0.1 > 10.0.0.2 17 12 zero-length", "[ip_hdr_len_zero IP]"},
	{"options", 101, IPv4(IP{Src: "1.2.3.4", Dst: "5.6.7.8", Proto: 6, Options: make([]byte, 40)}, nil), "1.2.3.4 > 5.6.7.8 6 0", "[]"},
	{"first fragment", 101, IPv4(IP{Src: "1.2.3.4", Dst: "5.6.7.8", Proto: 17, Frag: 0x2000, ID: 3}, udp), "1.2.3.4 > 5.6.7.8 17 12 frag 3 0 true", "[]"},
	{"last fragment", 101, IPv4(IP{Src: "1.2.3.4", Dst: "5.6.7.8", Proto: 17, Frag: 0x4003, ID: 3}, udp), "1.2.3.4 > 5.6.7.8 17 12 frag 3 24 false", "[]"},
	{"ipip stays", 101, IPv4(with(v4, 4), ip4), "10.0.0.1 > 10.0.0.2 4 32", "[]"},

	{"hop-by-hop", 101, IPv6(with(v6, 0), Ext(17, []byte{1, 4, 0, 0, 0, 0}, udp)), "2001:db8::1 > 2001:db8::2 17 12", "[]"},
	{"fragment 6", 101, IPv6(with(v6, 44), Frag6(17, 99, 8, true, udp)), "2001:db8::1 > 2001:db8::2 17 12 frag 99 8 true", "[]"},
	{"atomic fragment", 101, IPv6(with(v6, 44), Frag6(17, 99, 0, false, udp)), "2001:db8::1 > 2001:db8::2 17 12 frag 99 0 false", "[]"},
	{"ah", 101, IPv6(with(v6, 51), append(append([]byte{17, 1}, make([]byte, 10)...), udp...)), "2001:db8::1 > 2001:db8::2 17 12", "[]"},
	{"esp", 101, IPv6(with(v6, 50), make([]byte, 16)), "2001:db8::1 > 2001:db8::2 59 8 esp", "[]"},
	{"mobility", 101, IPv6(with(v6, 135), Ext(59, make([]byte, 6), nil)), "2001:db8::1 > 2001:db8::2 59 0 mobility", "[]"},
	{"routing 0", 101, IPv6(with(v6, 43), Ext(17, append([]byte{0, 1, 0, 0, 0, 0}, netip.MustParseAddr("2001:db8::9").AsSlice()...), udp)),
		"2001:db8::1 > 2001:db8::9 17 12", "[routing0_hdr flow]"},
	{"routing 2", 101, IPv6(with(v6, 43), Ext(17, append([]byte{2, 1, 0, 0, 0, 0}, netip.MustParseAddr("2001:db8::9").AsSlice()...), udp)),
		"2001:db8::1 > 2001:db8::9 17 12", "[]"},
	{"routing 2 odd", 101, IPv6(with(v6, 43), Ext(17, []byte{2, 1, 0, 0, 0, 0}, udp)), "2001:db8::1 > 2001:db8::2 17 12", "[bad_routing2_len flow]"},
	{"routing 0 odd", 101, IPv6(with(v6, 43), Ext(17, append([]byte{0, 1}, make([]byte, 28)...), udp)), "2001:db8::1 > 2001:db8::2 17 12", "[odd_routing0_len flow routing0_hdr flow]"},
	{"routing 4", 101, IPv6(with(v6, 43), Ext(17, []byte{4, 0, 0, 0, 0, 0}, udp)), "2001:db8::1 > 2001:db8::2 17 12", "[unknown_routing_type flow (4)]"},
	{"two routing headers", 101, IPv6(with(v6, 43), Ext(43, append([]byte{2, 1, 0, 0, 0, 0}, netip.MustParseAddr("2001:db8::9").AsSlice()...),
		Ext(17, make([]byte, 6), udp))), "2001:db8::1 > 2001:db8::9 17 12", "[multiple_routing_headers flow]"},
	{"home address", 101, IPv6(with(v6, 60), Ext(17, append([]byte{1, 2, 0, 0, 201, 16}, netip.MustParseAddr("2001:db8::7").AsSlice()...), udp)),
		"2001:db8::7 > 2001:db8::2 17 12", "[]"},
	{"home address length", 101, IPv6(with(v6, 60), Ext(17, []byte{201, 4, 0, 0, 0, 0}, udp)), "2001:db8::1 > 2001:db8::2 17 12", "[bad_home_addr_len flow]"},
	{"option too long", 101, IPv6(with(v6, 60), Ext(17, []byte{5, 9, 0, 0, 0, 0}, udp)), "2001:db8::1 > 2001:db8::2 17 12", "[bad_ipv6_dest_opt_len flow]"},
	{"extension longer than the packet", 101, cut(IPv6(with(v6, 0), append([]byte{17, 9}, udp...)), 54), "2001:db8::1 > 2001:db8::2 0 14", "[]"},
}

// show is what a test wants to see of a packet.
func show(p *packet.Packet) string {
	if p.IP == nil {
		return ""
	}
	a := func(a packet.Addr) netip.Addr { return netip.AddrFrom16(a).Unmap() }
	s := fmt.Sprintf("%s > %s %d %d", a(p.Src), a(p.Dst), p.Proto, p.PayloadLen)
	if p.NVLAN > 0 {
		s += fmt.Sprintf(" vlan %d/%d", p.VLAN, p.InnerVLAN)
	}
	if p.IsFrag {
		s += fmt.Sprintf(" frag %d %d %v", p.FragID, p.FragOff, p.MoreFrags)
	}
	for name, on := range map[string]bool{"zero-length": p.ZeroLen, "esp": p.IsESP, "mobility": p.IsMobility} {
		if on {
			s += " " + name
		}
	}
	return s
}

func weirds(p *packet.Packet) string {
	out := []string{}
	for i := range p.Weirds[:p.NWeirds] {
		w := &p.Weirds[i]
		s := w.Name
		if w.Source != "" {
			s += " " + w.Source
		}
		if w.Flow {
			s += " flow"
		}
		if a := w.Addl(); a != "" {
			s += " (" + a + ")"
		}
		out = append(out, s)
	}
	return fmt.Sprint(out)
}

func TestDecode(t *testing.T) {
	p := dirty() // one Packet for all: nothing may be left of the one before
	for _, c := range cases {
		packet.Decode(p, c.link, c.data, len(c.data))
		if got := show(p); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if got := weirds(p); got != c.weirds {
			t.Errorf("%s: weirds %v, want %v", c.name, got, c.weirds)
		}
		check(t, c.name, p)
		if got := packet.ShareOf(new(packet.Packet), c.link, c.data, len(c.data), 1000); got != p.Share(1000) {
			t.Errorf("%s: share %d, without decoding %d", c.name, p.Share(1000), got)
		}
		var fresh packet.Packet
		packet.Decode(&fresh, c.link, c.data, len(c.data))
		if show(p) != show(&fresh) || weirds(p) != weirds(&fresh) || p.EtherType != fresh.EtherType || p.SrcMAC != fresh.SrcMAC {
			t.Errorf("%s: an old packet shows through", c.name)
		}
	}
}

// dirty is a packet with every field set.
func dirty() *packet.Packet {
	var p packet.Packet
	b := radiotap(wifi([]byte{0x80, 0}, slices.Concat(subframe(0, SNAP(0x0800, ip4)), subframe(0, SNAP(0x0800, ip4)))))
	packet.Decode(&p, packet.LinkRadiotap, b, len(b))
	p.IPv6, p.ZeroLen, p.IsFrag, p.MoreFrags, p.DF, p.IsESP, p.IsMobility = true, true, true, true, true, true, true
	p.NVLAN, p.VLAN, p.InnerVLAN, p.FragOff, p.FragID = 3, 3, 3, 3, 3
	return &p
}

// check is what must hold for every packet, whatever the bytes.
func check(t testing.TB, name string, p *packet.Packet) {
	t.Helper()
	if p.IP == nil {
		if p.Payload != nil || p.Proto != 0 || p.PayloadLen != 0 {
			t.Fatalf("%s: a payload without IP", name)
		}
		return
	}
	switch {
	case p.HdrLen < 20 || p.HdrLen > len(p.IP):
		t.Fatalf("%s: header of %d in %d bytes", name, p.HdrLen, len(p.IP))
	case len(p.Payload) != len(p.IP)-p.HdrLen:
		t.Fatalf("%s: payload of %d bytes", name, len(p.Payload))
	case p.PayloadLen < len(p.Payload):
		t.Fatalf("%s: payload length %d of %d bytes", name, p.PayloadLen, len(p.Payload))
	case !p.ZeroLen && p.PayloadLen != p.IPLen-p.HdrLen:
		t.Fatalf("%s: payload length %d, total %d, header %d", name, p.PayloadLen, p.IPLen, p.HdrLen)
	case p.Src.Is4() != !p.IPv6 && !p.IPv6:
		t.Fatalf("%s: address family", name)
	case p.Share(5) < 0 || p.Share(5) > 4 || p.Share(1) != 0:
		t.Fatalf("%s: share", name)
	}
	p.IPChecksumOK()
	p.MobilityChecksumOK()
	for _, n := range []int{-1, 0, len(p.Payload), len(p.Payload) + 1, p.PayloadLen} {
		p.TransportChecksumOK(n)
	}
}

// TestTruncated cuts every case at every byte, as a capture with a snap length
// does, and as a sender who lies does.
func TestTruncated(t *testing.T) {
	var p packet.Packet
	for _, c := range cases {
		for n := range c.data {
			d := cut(c.data, n)
			packet.Decode(&p, c.link, d, len(c.data))
			check(t, c.name, &p)
			for p.Next() {
				check(t, c.name, &p)
			}
			packet.Decode(&p, c.link, d, n)
			check(t, c.name, &p)
		}
	}
}

func TestCaptureCut(t *testing.T) {
	var p packet.Packet
	d := Ether(0x0800, ip4)
	packet.Decode(&p, packet.LinkEthernet, d[:40], len(d))
	if p.PayloadLen != 12 || len(p.Payload) != 6 || p.IPLen != 32 {
		t.Fatalf("payload %d of %d", len(p.Payload), p.PayloadLen)
	}
}

// TestSubframes: an 802.11 frame with several packets gives all of them.
func TestSubframes(t *testing.T) {
	body := slices.Concat(subframe(0, SNAP(0x0800, ip4)), subframe(0, SNAP(0x86dd, ip6)), subframe(0, SNAP(0x0800, ip4)))
	d := wifi([]byte{0x80, 0}, body)
	var p packet.Packet
	var got []string
	packet.Decode(&p, packet.LinkIEEE80211, d, len(d))
	for ok := true; ok; ok = p.Next() {
		got = append(got, show(&p))
	}
	want := []string{"10.0.0.1 > 10.0.0.2 17 12", "2001:db8::1 > 2001:db8::2 17 12", "10.0.0.1 > 10.0.0.2 17 12"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	// A bad one ends it, with a weird.
	d = wifi([]byte{0x80, 0}, slices.Concat(subframe(0, SNAP(0x88cc, ip4)), subframe(0, SNAP(0x0800, ip4))))
	packet.Decode(&p, packet.LinkIEEE80211, d, len(d))
	if !p.Next() || weirds(&p) != "[invalid_802_11_amsdu_inner_packet IEEE802_11]" || p.Next() {
		t.Errorf("weirds %v", weirds(&p))
	}
}

func TestChecksums(t *testing.T) {
	tcp := Segment(TCP{Src: 1, Dst: 2, Flags: 2}, []byte("odd"))
	mob := Ext(59, make([]byte, 6), nil)
	mip := IPv6(with(v6, 135), mob)
	for name, d := range map[string][]byte{
		"tcp":       Sum(IPv4(with(v4, 6), tcp), 6, len(tcp), 16),
		"tcp6":      Sum(IPv6(with(v6, 6), tcp), 6, len(tcp), 16),
		"udp":       Sum(IPv4(v4, udp), 17, len(udp), 6),
		"icmp":      IPv4(with(v4, 1), ICMP(8, 0, []byte("ping!"))),
		"mobility":  Sum(mip, 135, len(mob), 4),
		"long":      Sum(IPv4(v4, UDP(1, 2, make([]byte, 1001))), 17, 1009, 6),
		"no idea":   IPv4(with(v4, 132), tcp),
		"icmpv6 ok": Sum(IPv6(with(v6, 58), ICMP(128, 0, nil)), 58, 8, 2),
	} {
		var p packet.Packet
		packet.Decode(&p, packet.LinkRaw, d, len(d))
		if !p.IPChecksumOK() || !p.TransportChecksumOK(p.PayloadLen) || !p.MobilityChecksumOK() {
			t.Errorf("%s: a good checksum is called bad", name)
		}
		if name == "no idea" {
			continue
		}
		for i := p.HdrLen + 2; i < len(d); i++ {
			if name == "mobility" {
				i = len(d) - 2
			}
			d[i] ^= 0x40
			packet.Decode(&p, packet.LinkRaw, d, len(d))
			if p.TransportChecksumOK(p.PayloadLen) && p.MobilityChecksumOK() {
				t.Errorf("%s: byte %d changed, the checksum holds", name, i)
			}
			d[i] ^= 0x40
		}
	}
	var p packet.Packet
	bad := slices.Clone(ip4)
	bad[8]--
	packet.Decode(&p, packet.LinkRaw, bad, len(bad))
	if p.IPChecksumOK() {
		t.Error("bad IP checksum holds")
	}
}

// TestShare: both directions, fragments and either IP version fall to one
// share, and shares are about equal.
func TestShare(t *testing.T) {
	var a, b packet.Packet
	var n [7]int
	for i := range 7000 {
		h := IP{Src: fmt.Sprintf("10.%d.%d.1", i/256, i%256), Dst: "192.0.2.9", Proto: 17}
		d := IPv4(h, udp)
		packet.Decode(&a, packet.LinkRaw, d, len(d))
		h.Src, h.Dst, h.Frag = h.Dst, h.Src, 0x2000
		d = IPv4(h, udp)
		packet.Decode(&b, packet.LinkRaw, d, len(d))
		if a.Share(7) != b.Share(7) {
			t.Fatalf("%v: directions differ", h)
		}
		n[a.Share(7)]++
	}
	for i, c := range n {
		if c < 800 || c > 1200 {
			t.Errorf("share %d has %d of 7000", i, c)
		}
	}
}

func TestAllocs(t *testing.T) {
	var p packet.Packet
	if n := testing.AllocsPerRun(100, func() {
		for i := range cases {
			packet.Decode(&p, cases[i].link, cases[i].data, len(cases[i].data))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range cases {
		f.Add(c.link, c.data, uint16(len(c.data)))
	}
	f.Fuzz(func(t *testing.T, link uint16, data []byte, wire uint16) {
		var p packet.Packet
		packet.Decode(&p, link, data, int(wire))
		check(t, "fuzz", &p)
		if packet.ShareOf(new(packet.Packet), link, data, int(wire), 1000) != p.Share(1000) {
			t.Fatal("shares differ")
		}
		for range len(data) + 2 {
			if !p.Next() {
				return
			}
			check(t, "fuzz", &p)
		}
		t.Fatal("Next does not end")
	})
}

func BenchmarkDecode(b *testing.B) {
	for name, d := range map[string][]byte{
		"udp4": Ether(0x0800, ip4),
		"udp6": Ether(0x86dd, ip6),
		"vlan": Ether(0x8100, VLAN(5, 0x0800, ip4)),
	} {
		b.Run(name, func(b *testing.B) {
			var p packet.Packet
			b.ReportAllocs()
			for b.Loop() {
				packet.Decode(&p, packet.LinkEthernet, d, len(d))
			}
		})
	}
	b.Run("checksum1460", func(b *testing.B) {
		var p packet.Packet
		d := IPv4(with(v4, 6), Segment(TCP{}, make([]byte, 1460)))
		packet.Decode(&p, packet.LinkRaw, d, len(d))
		for b.Loop() {
			p.TransportChecksumOK(p.PayloadLen)
		}
	})
}
