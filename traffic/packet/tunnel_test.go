package packet_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/picket-nsm/picket/traffic/packet"
	. "github.com/picket-nsm/picket/traffic/packet/packettest"
)

var (
	ether4 = Ether(0x0800, ip4)
	bubble = IPv6(with(v6, packet.NoNext), nil)
)

func gre(b []byte) packet.Cover           { return packet.ParseGRE(b).Cover }
func gtp(b []byte) packet.Cover           { return packet.ParseGTP(b, false) }
func gtpInGTP(b []byte) packet.Cover      { return packet.ParseGTP(b, true) }
func set(b []byte, at int, v byte) []byte { b = slices.Clone(b); b[at] = v; return b }

// covers are tunnel headers with what must come of them: "inside bytes", V
// where it confirms the protocol, the violation, the weird.
var covers = []struct {
	name  string
	parse func([]byte) packet.Cover
	data  []byte
	want  string
}{
	{"gre ipv4", gre, GRE(0, 0x0800, ip4), "ip 32"},
	{"gre all fields", gre, GRE(GREChecksum|GREKey|GRESequence, 0x86dd, ip6), "ip 52"},
	{"gre unknown type", gre, GRE(0, 0x1234, ip4), "ip 32"},
	{"gre empty", gre, GRE(0, 0x0800, nil), "ip 0"},
	{"gre ethernet", gre, GRE(GREKey, 0x6558, ether4), "ethernet 46"},
	{"gre ethernet short", gre, GRE(GREKey, 0x6558, ether4[:14]), "flow truncated_GRE GRE"},
	{"erspan 1", gre, GRE(0, 0x88be, ether4), "ethernet 46"},
	{"erspan 2", gre, GRE(GRESequence, 0x88be, append(make([]byte, 8), ether4...)), "ethernet 46"},
	{"erspan 2 short", gre, GRE(GRESequence, 0x88be, make([]byte, 21)), "flow truncated_GRE GRE"},
	{"erspan 3", gre, GRE(GRESequence, 0x22eb, append(make([]byte, 12), ether4...)), "ethernet 46"},
	{"erspan 3 subheader", gre, GRE(GRESequence, 0x22eb, append(set(make([]byte, 20), 11, 1), ether4...)), "ethernet 46"},
	{"erspan 3 short", gre, GRE(GRESequence, 0x22eb, make([]byte, 26)), "flow truncated_GRE GRE"},
	{"aruba", gre, GRE(0, 0x8200, wifi(nil, SNAP(0x0800, ip4))), "wifi 64"},
	{"aruba 9000", gre, GRE(0, 0x9000, []byte{1}), "wifi 1"},
	{"aruba empty", gre, GRE(0, 0x8370, nil), "flow truncated_GRE GRE"},
	{"pptp", gre, GRE(GREKey|GRESequence|GREAck|GREPPTP, 0x880b, PPP(0x21, ip4)), "ip 32"},
	{"pptp ipv6", gre, GRE(GREKey|GREPPTP, 0x880b, PPP(0x57, ip6)), "ip 52"},
	{"pptp lcp", gre, GRE(GREKey|GREPPTP, 0x880b, PPP(0xc021, ip4)), "flow non_ip_packet_in_encap GRE"},
	{"pptp without ppp", gre, GRE(GREKey|GREPPTP, 0x880b, []byte{0xff, 3, 0}), "flow truncated_GRE GRE"},
	{"pptp other type", gre, GRE(GREKey|GREPPTP, 0x0800, ip4), "flow egre_protocol_type GRE (proto=2048)"},
	{"gre version 2", gre, GRE(2, 0x0800, ip4), "flow unknown_gre_version GRE (version=2)"},
	{"gre routing", gre, GRE(0x4000, 0x0800, ip4), "flow gre_routing GRE"},
	{"gre flags", gre, GRE(0x0008, 0x0800, ip4), "flow unknown_gre_flags GRE"},
	{"gre short", gre, GRE(0, 0x0800, nil)[:3], "flow truncated_GRE GRE"},

	{"vxlan", packet.ParseVXLAN, VXLAN(7, ether4), "ethernet 46 V"},
	{"vxlan short", packet.ParseVXLAN, VXLAN(7, nil)[:7], "violation: VXLAN header truncation"},
	{"vxlan flag", packet.ParseVXLAN, set(VXLAN(7, ether4), 0, 0), "violation: VXLAN 'I' flag not set"},
	{"vxlan empty", packet.ParseVXLAN, VXLAN(7, nil), "V flow vxlan_empty_packet VXLAN"},

	{"geneve", packet.ParseGeneve, Geneve(7, 0x6558, nil, ether4), "ethernet 46 V"},
	{"geneve options", packet.ParseGeneve, Geneve(7, 0x6558, make([]byte, 252), ether4), "ethernet 46 V"},
	{"geneve ipv4", packet.ParseGeneve, Geneve(7, 0x0800, nil, ip4), "ip 32 V"},
	{"geneve ipv6", packet.ParseGeneve, Geneve(7, 0x86dd, nil, ip6), "ip 52 V"},
	{"geneve arp", packet.ParseGeneve, Geneve(7, 0x0806, nil, make([]byte, 28)), "arp 28 V"},
	{"geneve other", packet.ParseGeneve, Geneve(7, 0x8847, nil, make([]byte, 28)), "V"},
	{"geneve short", packet.ParseGeneve, Geneve(7, 0x0800, nil, nil)[:7], "violation: Geneve header truncation"},
	{"geneve options short", packet.ParseGeneve, Geneve(7, 0x0800, make([]byte, 8), nil)[:15], "violation: Geneve option header truncation"},
	{"geneve version", packet.ParseGeneve, set(Geneve(7, 0x0800, nil, ip4), 0, 0x40), "flow geneve_invalid_version GENEVE (1)"},
	{"geneve empty", packet.ParseGeneve, Geneve(7, 0x0800, make([]byte, 4), nil), "V flow geneve_empty_packet GENEVE"},

	{"ayiya", packet.ParseAYIYA, AYIYA(1, 41, ip6), "ip 52 V"},
	{"ayiya ipv4", packet.ParseAYIYA, AYIYA(1, 4, ip4), "ip 32 V"},
	{"ayiya other", packet.ParseAYIYA, AYIYA(1, 6, ip4), "V"},
	{"ayiya noop", packet.ParseAYIYA, AYIYA(0, 59, nil), ""},
	{"ayiya empty", packet.ParseAYIYA, AYIYA(1, 41, nil), "V flow ayiya_empty_packet AYIYA"},
	{"ayiya short", packet.ParseAYIYA, AYIYA(1, 41, nil)[:43], "violation: Truncated AYIYA"},
	{"ayiya shorter", packet.ParseAYIYA, []byte{0, 0, 1}, "violation: Truncated AYIYA"},

	{"teredo", packet.ParseTeredo, ip6, "ip 52 V"},
	{"teredo bubble", packet.ParseTeredo, bubble, "ip 40 V"},
	{"teredo bubble with payload", packet.ParseTeredo, append(slices.Clone(bubble), 1), "ip 41 V conn Teredo_bubble_with_payload TEREDO"},
	{"teredo origin", packet.ParseTeredo, TeredoOrigin(ip6), "ip 52 V"},
	{"teredo both", packet.ParseTeredo, TeredoAuth("me", "secret", TeredoOrigin(ip6)), "ip 52 V"},
	{"teredo wrong order", packet.ParseTeredo, TeredoOrigin(TeredoAuth("", "", ip6)), "violation: Bad Teredo encapsulation"},
	{"teredo two origins", packet.ParseTeredo, TeredoOrigin(TeredoOrigin(ip6)), "violation: Bad Teredo encapsulation"},
	{"teredo auth short", packet.ParseTeredo, TeredoAuth("me", "secret", nil)[:20], "violation: Bad Teredo encapsulation conn truncated_Teredo_authentication TEREDO"},
	{"teredo origin short", packet.ParseTeredo, TeredoOrigin(nil)[:7], "violation: Bad Teredo encapsulation conn truncated_Teredo_origin_indication TEREDO"},
	{"teredo nothing", packet.ParseTeredo, TeredoOrigin(nil), "violation: Bad Teredo encapsulation conn truncated_Teredo TEREDO"},
	{"teredo ipv6 short", packet.ParseTeredo, ip6[:39], "violation: Bad Teredo encapsulation conn truncated_IPv6_in_Teredo TEREDO"},
	{"teredo payload short", packet.ParseTeredo, ip6[:50], "violation: Truncated Teredo or invalid inner IP version"},
	{"teredo payload long", packet.ParseTeredo, append(slices.Clone(ip6), 0), "violation: Teredo payload length"},
	{"teredo other", packet.ParseTeredo, ip4, "violation: Bad Teredo encapsulation"},

	{"gtp", gtp, GTP(255, nil, ip4), "ip 32 V"},
	{"gtp ipv6", gtp, GTP(255, nil, ip6), "ip 52 V"},
	{"gtp extension", gtp, GTP(255, []byte{1, 9, 9, 0}, ip4), "ip 32 V"},
	{"gtp two extensions", gtp, GTP(255, []byte{1, 9, 9, 0x85, 2, 1, 2, 3, 4, 5, 6, 0}, ip4), "ip 32 V"},
	{"gtp sequence", gtp, slices.Concat([]byte{0x32}, GTP(255, nil, nil)[1:], make([]byte, 4), ip4), "ip 32 V"},
	{"gtp extension of no length", gtp, GTP(255, []byte{0, 0}, ip4), "violation: Binpac exception: binpac exception: out_of_bound: GTPv1_Header"},
	{"gtp echo", gtp, GTP(1, nil, nil), ""},
	{"gtp prime", gtp, set(GTP(255, nil, ip4), 0, 0x20), ""},
	{"gtp version", gtp, set(GTP(255, nil, ip4), 0, 0x50), "violation: GTPv1 bad Version"},
	{"gtp in gtp", gtpInGTP, GTP(255, nil, ip4), "violation: GTP-in-GTP"},
	{"gtp other", gtp, GTP(255, nil, set(ip4, 0, 0x55)), "violation: non-IP packet in GTPv1"},
	{"gtp tiny", gtp, GTP(255, nil, ip4[:19]), "violation: Truncated GTPv1"},
	{"gtp short", gtp, GTP(255, nil, ip6[:51]), "violation: Truncated GTPv1"},
	{"gtp long", gtp, GTP(255, nil, append(slices.Clone(ip4), 0)), "violation: GTPv1 payload length"},
	{"gtp header short", gtp, GTP(1, nil, nil)[:7], "violation: Binpac exception: binpac exception: out_of_bound: GTPv1_Header"},
}

func showCover(c packet.Cover) string {
	var s []string
	if c.Inside != packet.InsideNothing {
		s = append(s, fmt.Sprintf("%s %d", [...]string{"", "ip", "ethernet", "wifi", "arp"}[c.Inside], len(c.Data)))
	}
	if c.Valid {
		s = append(s, "V")
	}
	if c.Violation != "" {
		s = append(s, "violation: "+c.Violation)
	}
	if w := c.Weird; w.Name != "" {
		scope := "conn "
		if w.Flow {
			scope = "flow "
		}
		s = append(s, scope+w.Name+" "+w.Source)
		if a := w.Addl(); a != "" {
			s = append(s, "("+a+")")
		}
	}
	return fmt.Sprint(s)[1 : len(fmt.Sprint(s))-1]
}

func TestCovers(t *testing.T) {
	for _, c := range covers {
		if got := showCover(c.parse(c.data)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// A header that is cut anywhere gives something, and nothing outside of it.
func TestCoversCut(t *testing.T) {
	for _, c := range covers {
		for n := range c.data {
			b := cut(c.data, n)
			k := c.parse(b)
			if len(k.Data) > n || (k.Inside == packet.InsideNothing && k.Data != nil) {
				t.Errorf("%s cut to %d: %d bytes inside", c.name, n, len(k.Data))
			}
			if k.Violation != "" && (k.Valid || k.Inside != packet.InsideNothing) {
				t.Errorf("%s cut to %d: %+v", c.name, n, k)
			}
			packet.DetectTunnel(b)
		}
	}
}

func TestDetectTunnel(t *testing.T) {
	teredo := IPv6(IP{Src: "2001:0:1::1", Dst: "2001:db8::2", Proto: packet.NoNext}, nil)
	for _, c := range []struct {
		name string
		data []byte
		want packet.Tunnel
	}{
		{"ayiya", AYIYA(1, 41, nil), packet.TunnelAYIYA},
		{"ayiya noop", AYIYA(0, 41, nil), packet.TunnelNone},
		{"teredo source", teredo, packet.TunnelTeredo},
		{"teredo destination", IPv6(IP{Src: "2001:db8::2", Dst: "2001:0:1::1", Proto: packet.NoNext}, nil), packet.TunnelTeredo},
		{"other ipv6", ip6, packet.TunnelNone},
		{"origin", TeredoOrigin(ip6), packet.TunnelTeredo},
		{"auth and origin", TeredoAuth("me", "x", TeredoOrigin(ip6)), packet.TunnelTeredo},
		{"auth alone", TeredoAuth("me", "x", ip6), packet.TunnelNone},
		{"origin cut", TeredoOrigin(ip6[:39]), packet.TunnelNone},
		{"teredo cut", teredo[:39], packet.TunnelNone},
		{"dns", udp[8:], packet.TunnelNone},
		{"nothing", nil, packet.TunnelNone},
	} {
		if got := packet.DetectTunnel(c.data); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestFitIP(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
		v6   bool
		want packet.Fit
	}{
		{"ipv4", ip4, false, packet.FitOK},
		{"ipv6", ip6, true, packet.FitOK},
		{"ipv4 as ipv6", append(slices.Clone(ip4), make([]byte, 20)...), true, packet.FitVersion},
		{"ipv6 as ipv4", ip6, false, packet.FitVersion},
		{"ipv4 header cut", ip4[:19], false, packet.FitVersion},
		{"ipv6 header cut", ip6[:39], true, packet.FitShort},
		{"ipv4 cut", ip4[:31], false, packet.FitShort},
		{"ipv4 and more", append(slices.Clone(ip4), 0), false, packet.FitLong},
		{"nothing", nil, true, packet.FitShort},
	} {
		if got, _, _ := packet.FitIP(c.data, c.v6); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	hop := IPv6(with(v6, 0), Ext(packet.NoNext, []byte{1, 4, 0, 0, 0, 0}, nil))
	if f, next, n := packet.FitIP(hop, true); f != packet.FitOK || next != packet.NoNext || n != 0 {
		t.Error(f, next, n)
	}
}

// What is inside is decoded like a packet of its own, but it remembers how deep
// it is.
func TestDecodeInside(t *testing.T) {
	outer := packet.Packet{Time: 3, Seq: 9, NoChecksum: true}
	packet.Decode(&outer, packet.LinkEthernet, Ether(0x0800, IPv4(v4, UDP(1, 4789, VXLAN(1, ether4)))), 200)
	var p packet.Packet
	packet.Decode(&p, packet.LinkEthernet, Ether(0x8100, VLAN(5, 0x0800, ip4[:5])), 9) // leftovers
	for _, c := range []struct {
		in   packet.Inside
		data []byte
		want string
	}{
		{packet.InsideEthernet, ether4, "10.0.0.1 > 10.0.0.2 17 12"},
		{packet.InsideIP, ip6, "2001:db8::1 > 2001:db8::2 17 12"},
		{packet.InsideWifi, wifi(nil, SNAP(0x0800, ip4)), "10.0.0.1 > 10.0.0.2 17 12"},
		{packet.InsideARP, make([]byte, 28), ""},
		{packet.InsideIP, nil, ""},
	} {
		packet.DecodeInside(&p, &outer, c.in, c.data, len(c.data), 2)
		if got := show(&p); got != c.want || p.Time != 3 || p.Seq != 9 || !p.NoChecksum || p.Depth < 5 {
			t.Errorf("%v: got %q, depth %d", c.in, got, p.Depth)
		}
	}
}

func FuzzCovers(f *testing.F) {
	for _, c := range covers {
		f.Add(c.data)
	}
	outer := packet.Packet{Depth: 2}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = cut(b, len(b)) // what lies behind is not ours
		var p packet.Packet
		for _, parse := range []func([]byte) packet.Cover{gre, packet.ParseVXLAN, packet.ParseGeneve, packet.ParseAYIYA,
			packet.ParseTeredo, gtp, gtpInGTP} {
			c := parse(b)
			if len(c.Data) > len(b) || c.Violation != "" && c.Inside != packet.InsideNothing {
				t.Fatalf("%+v of %d bytes", c, len(b))
			}
			if c.Inside == packet.InsideNothing {
				continue
			}
			packet.DecodeInside(&p, &outer, c.Inside, c.Data, len(c.Data), 2)
			for p.Next() {
			}
		}
		packet.DetectTunnel(b)
	})
}
