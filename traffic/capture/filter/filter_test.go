package filter

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/capture/capturetest"
	"github.com/picket-nsm/picket/traffic/packet"
	. "github.com/picket-nsm/picket/traffic/packet/packettest"
)

// errorCases are mistakes with the exact message.
var errorCases = []struct{ expr, want string }{
	{"tcp prt 80", `compile filter "tcp prt 80": column 5: "prt" is not expected here: say host, net, port, portrange or proto before it`},
	{"prt 80", `compile filter "prt 80": column 1: "prt" is not expected here: unknown word; hosts and ports are given by number`},
	{"port http", `compile filter "port http": column 6: "http" is no port: names are not looked up: give its number`},
	{"host example.com", `compile filter "host example.com": column 6: "example.com" is no address: names are not looked up: give the address`},
	{"port 70000", `compile filter "port 70000": column 6: the port 70000 does not exist: ports are numbers up to 65535`},
	{"port 1-5", `compile filter "port 1-5": column 6: "1-5" is no port: write portrange`},
	{"portrange 5", ""},
	{"portrange a-b", `compile filter "portrange a-b": column 11: "a-b" is no range of ports: as in portrange 6000-6008`},
	{"10.0.0.1", `compile filter "10.0.0.1": column 1: "10.0.0.1" is not expected here: say what it is: host, net, port ...`},
	{"tcp and 10.0.0.1", `compile filter "tcp and 10.0.0.1": column 9: "10.0.0.1" is not expected here: say what it is: host, net, port ...`},
	{"(port 80) or 443", `compile filter "(port 80) or 443": column 14: "443" is not expected here: say what it is: host, net, port ...`},
	{"host 10.0.0.0/8", `compile filter "host 10.0.0.0/8": column 14: a mask is for nets only: write net for host`},
	{"net 10.1.2.3/8", `compile filter "net 10.1.2.3/8": column 5: the net 10.1.2.3 has bits behind its mask: set them to 0`},
	{"net 10/8", `compile filter "net 10/8": column 7: a mask behind a single number: write the net with dots: 10.0.0.0/8`},
	{"net 10.0.0.0/33", `compile filter "net 10.0.0.0/33": column 14: "33" is no mask length: as in 10.0.0.0/8`},
	{"net 2001:db8::1/32", `compile filter "net 2001:db8::1/32": column 5: the net 2001:db8::1 has bits behind its mask: set them to 0`},
	{"host 300.1.1.1", `compile filter "host 300.1.1.1": column 6: "300.1.1.1" is no IPv4 address: four numbers up to 255`},
	{"host 1:2:3", `compile filter "host 1:2:3": column 6: "1:2:3" is no address: an IPv6 address is like 2001:db8::1, an Ethernet address like 00:11:22:aa:bb:cc`},
	{"ip6 host 10.0.0.1", `compile filter "ip6 host 10.0.0.1": column 10: 10.0.0.1 is no IPv6 address: write ip`},
	{"tcp host 10.0.0.1", `compile filter "tcp host 10.0.0.1": column 10: "tcp" has no host or net: join them with and: tcp and host ...`},
	{"icmp port 5", `compile filter "icmp port 5": column 11: "icmp" has no ports: ports go with tcp, udp and sctp; join others with and`},
	{"host 00:11:22:33:44:55", `compile filter "host 00:11:22:33:44:55": column 6: an Ethernet address without ether: write ether host`},
	{"tcp[13", `compile filter "tcp[13": column 7: "the end" is not expected within brackets: as in tcp[4:2]`},
	{"tcp[13]", `compile filter "tcp[13]": column 8: a comparison is missing before "the end": as in tcp[13] & 2 != 0`},
	{"tcp[13:3] = 1", `compile filter "tcp[13:3] = 1": column 8: "3" is no size of a field: 1, 2 or 4 bytes`},
	{"len-20 > 5", `compile filter "len-20 > 5": column 1: "len-20" is not expected here: unknown word; hosts and ports are given by number`},
	{"6 * len % 4 = 2", `compile filter "6 * len % 4 = 2": column 9: "%" beside another operator: use parentheses: (a % b) + c`},
	{"len / 0 = 1", `compile filter "len / 0 = 1": column 5: a division by 0`},
	{"len << 40 = 1", `compile filter "len << 40 = 1": column 5: a shift by 40: numbers have 32 bits`},
	{"(tcp or udp", `compile filter "(tcp or udp": column 12: "the end" is not expected here: close the parenthesis of column 1`},
	{"tcp)", `compile filter "tcp)": column 4: ")" is not expected here: join terms with and, or`},
	{"tcp udp", `compile filter "tcp udp": column 5: "udp" is not expected here: join terms with and, or`},
	{"tcp and", `compile filter "tcp and": column 8: the expression ends too soon`},
	{"not", `compile filter "not": column 4: the expression ends too soon`},
	{"src or 5", `compile filter "src or 5": column 5: "or" is no value`},
	{"src src host 1.2.3.4", `compile filter "src src host 1.2.3.4": column 5: "src" is no value`},
	{"gateway x", `compile filter "gateway x": column 1: "gateway" is not supported: it needs host names and Ethernet addresses: write ether host ... and not host ...`},
	{"inbound", `compile filter "inbound": column 1: "inbound" is not supported`},
	{"ip broadcast", `compile filter "ip broadcast": column 4: "broadcast" is not supported behind "ip": ether broadcast, ether multicast, ip multicast and ip6 multicast are`},
	{"ip proto tcp", `compile filter "ip proto tcp": column 10: "tcp" is no protocol number: write \tcp: without the backslash it is a keyword`},
	{"ip proto 300", `compile filter "ip proto 300": column 10: the protocol 300 does not exist: protocols are numbers up to 255`},
	{"ether proto 5", `compile filter "ether proto 5": column 13: ether proto 5 is not supported: EtherTypes from 1501 to 65535 are`},
	{"vlan 5000", `compile filter "vlan 5000": column 6: the VLAN 5000 does not exist: ids are numbers up to 4095`},
	{"tcp @ 5", `compile filter "tcp @ 5": column 5: "@" has no meaning here`},
	{"ip[0-1] = 1", `compile filter "ip[0-1] = 1": column 4: "0-1" is no number: put blanks around operators`},
	{"ip[0 - 1] = 1", `compile filter "ip[0 - 1] = 1": column 1: byte -1 of a packet`},
	{"mpls and arp", `compile filter "mpls and arp": column 10: "arp" is not supported behind mpls: only ip and ip6 can be told behind mpls`},
	{strings.Repeat("(", 101) + "ip" + strings.Repeat(")", 101), "more than 100 levels"},
	{"ip" + strings.Repeat(" or ip", 20000), "the filter has more than 65536 bytes"},
	{"ip" + strings.Repeat(" or port 5", 2000), "the filter needs more than 4096 instructions"},
}

func TestErrors(t *testing.T) {
	for _, c := range errorCases {
		p, err := Compile(c.expr, 1, 0)
		if c.want == "" {
			if err != nil {
				t.Errorf("%.50s: %v", c.expr, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%.50s: compiles to %d instructions", c.expr, len(p.Raw))
			continue
		}
		if s := err.Error(); s != c.want && (len(c.expr) < 100 || !strings.Contains(s, c.want)) {
			t.Errorf("%.50s:\n got %s\nwant %s", c.expr, s, c.want)
		}
	}
	for link, expr := range map[uint16]string{113: "vlan", 276: "broadcast", 101: "mpls", 105: "ip", 239: "ip"} {
		var e *Error
		if _, err := Compile(expr, link, 0); !errors.As(err, &e) {
			t.Errorf("%q for link type %d: %v", expr, link, err)
		}
	}
}

func TestKernel(t *testing.T) {
	p, err := Compile("ip and vlan 5 and ip", 1, 96)
	if err != nil {
		t.Fatal(err)
	}
	var e *Error
	if _, err := p.Kernel(); !errors.As(err, &e) || e.Col != 8 {
		t.Errorf("vlan in the kernel: %v", err)
	}
	p, _ = Compile("tcp port 80", 1, 96)
	raw, err := p.Kernel()
	if err != nil || raw[len(raw)-2].K != 96 {
		t.Errorf("%v, %v", raw, err)
	}
}

// TestSource filters a source and counts what it keeps back.
func TestSource(t *testing.T) {
	sample := capturetest.Sample(1000, true)
	src, err := Source(capturetest.Poison(capturetest.Packets(sample, 40)), "net 192.0.2.0/25 and not host 192.0.2.3", 1, 101)
	if err != nil {
		t.Fatal(err)
	}
	n, last := 0, uint64(0)
	for {
		fr, err := src.Next(t.Context())
		if err != nil {
			break
		}
		for i := range fr {
			if fr[i].Seq <= last {
				t.Fatal("order")
			}
			last = fr[i].Seq
			n++
		}
	}
	st := src.Stats()
	if n == 0 || n == 1000 || st.Received != uint64(n) || st.Filtered != uint64(1000-n) || st.Link != 1000 {
		t.Errorf("%d packets, %+v", n, st)
	}
	if _, err := Source(nil, "tcp prt"); err == nil {
		t.Error("a mistake does not show at once")
	}
	src, _ = Source(capturetest.Packets([]capture.Frame{{Link: 105, Data: make([]byte, 50), WireLen: 50}}, 0), "ip")
	if _, err := src.Next(t.Context()); err == nil {
		t.Error("a link type without filters passes")
	}
}

// TestWireLen: len is about the wire, not about what was captured.
func TestWireLen(t *testing.T) {
	p, err := Compile("len > 1000 and greater 1000 and not less 1000", 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d := make([]byte, 60); !p.Match(d, 1500) || p.Match(d, 60) {
		t.Error("the captured length counts")
	}
}

// TestFarJumps: filters of more than 255 instructions reach their ends.
func TestFarJumps(t *testing.T) {
	var hosts []string
	for i := range 400 {
		hosts = append(hosts, "ip src host 10.9."+string(rune('0'+i/100))+"."+string(rune('0'+i/10%10))+string(rune('0'+i%10)))
	}
	for i, h := range hosts {
		hosts[i] = strings.Replace(strings.Replace(h, ".0", ".", 1), "..", ".0.", 1)
	}
	expr := "not (ip src host 10.1.1.1 or ip src host 10.9.1.1" + strings.Repeat(" or ip src host 10.2.2.2", 300) + " or ip src host 10.3.3.3) and udp"
	p, err := Compile(expr, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	vm := machine(t, p.Raw)
	for src, want := range map[string]bool{"10.1.1.1": false, "10.2.2.2": false, "10.3.3.3": false, "10.4.4.4": true} {
		d := Ether(0x0800, IPv4(IP{Src: src, Dst: "10.0.0.1", Proto: 17}, UDP(1, 2, nil)))
		if n, _ := vm.Run(d); (n > 0) != want || p.Match(d, len(d)) != want {
			t.Errorf("%s: %v", src, n > 0)
		}
	}
}

func machine(t testing.TB, raw []bpf.RawInstruction) *bpf.VM {
	t.Helper()
	ins, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatalf("instructions that x/net/bpf does not know: %v", raw)
	}
	vm, err := bpf.NewVM(ins)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// packets are what filters are tried on: of Ethernet, or bare, or cooked.
func packets(link uint16, cut bool) [][]byte {
	var ip4, ip6, other [][]byte
	for i, h := range []IP{
		{Src: "10.0.0.1", Dst: "10.0.0.2"}, {Src: "10.1.2.3", Dst: "192.168.1.1"}, {Src: "224.0.0.5", Dst: "10.1.2.3"},
		{Src: "0.0.0.10", Dst: "239.1.1.1", Options: []byte{1, 1, 1, 1}}, {Src: "10.0.0.2", Dst: "10.0.0.1", Frag: 0x2000}, {Src: "10.0.0.2", Dst: "10.1.2.3", Frag: 0x0010},
		{Src: "172.16.0.1", Dst: "172.16.0.2", Frag: 0x4000},
	} {
		for k, s := range [][2]uint16{{80, 5000}, {5000, 443}, {53, 53}, {6000, 6008}} {
			h.Proto = packet.TCP
			ip4 = append(ip4, IPv4(h, Segment(TCP{Src: s[0], Dst: s[1], Flags: uint8(i*4 + k), Window: 512}, make([]byte, i*50))))
			h.Proto = packet.UDP
			ip4 = append(ip4, IPv4(h, UDP(s[0], s[1], make([]byte, k*3))))
			h.Proto = 132
			ip4 = append(ip4, IPv4(h, Segment(TCP{Src: s[0], Dst: s[1]}, nil)))
		}
		h.Proto = packet.ICMP
		ip4 = append(ip4, IPv4(h, ICMP(uint8(i*4), 1, nil)))
		for _, p := range []uint8{2, 9, 47, 50, 51, 89, 103, 112} {
			h.Proto = p
			ip4 = append(ip4, IPv4(h, make([]byte, 12)))
		}
	}
	for _, h := range []IP{{Src: "2001:db8::1", Dst: "2001:db8::2"}, {Src: "2001:db8:1::7", Dst: "ff02::1"}, {Src: "::1", Dst: "2001:db8::1"}} {
		for _, s := range [][2]uint16{{80, 5000}, {5000, 443}, {53, 6004}} {
			h.Proto = packet.TCP
			ip6 = append(ip6, IPv6(h, Segment(TCP{Src: s[0], Dst: s[1], Flags: 18}, nil)))
			h.Proto = packet.UDP
			ip6 = append(ip6, IPv6(h, UDP(s[0], s[1], make([]byte, 40))))
		}
		h.Proto = packet.ICMPv6
		ip6 = append(ip6, IPv6(h, ICMP(128, 0, nil)))
		h.Proto = packet.Fragment
		ip6 = append(ip6, IPv6(h, Frag6(packet.TCP, 1, 0, true, Segment(TCP{Src: 80}, nil))), IPv6(h, Frag6(packet.ICMPv6, 1, 0, true, ICMP(1, 2, nil))))
		h.Proto = 47
		ip6 = append(ip6, IPv6(h, make([]byte, 9)))
	}
	arp := func(src, dst string) []byte {
		b := append([]byte{0, 1, 8, 0, 6, 4, 0, 1}, make([]byte, 20)...)
		x := IPv4(IP{Src: src, Dst: dst}, nil)
		copy(b[14:], x[12:16])
		copy(b[24:], x[16:20])
		return b
	}
	arps := [][]byte{arp("10.0.0.1", "10.0.0.2"), arp("10.1.2.3", "10.0.0.1")}
	var out [][]byte
	typed := func(typ uint16, p []byte) []byte {
		switch link {
		case packet.LinkLinuxSLL:
			return slices.Concat(make([]byte, 14), []byte{byte(typ >> 8), byte(typ)}, p)
		case packet.LinkLinuxSLL2:
			return slices.Concat([]byte{byte(typ >> 8), byte(typ)}, make([]byte, 18), p)
		}
		return Ether(typ, p)
	}
	if link == packet.LinkRaw {
		out = slices.Concat(ip4, ip6)
	} else {
		for _, p := range ip4 {
			out = append(out, typed(0x0800, p))
		}
		for _, p := range ip6 {
			out = append(out, typed(0x86dd, p))
		}
		for _, p := range arps {
			out = append(out, typed(0x0806, p), typed(0x8035, p))
		}
	}
	if link == packet.LinkEthernet {
		for i, p := range slices.Concat(ip4[:30], ip6) {
			typ := uint16(0x0800)
			if i >= 30 {
				typ = 0x86dd
			}
			other = append(other, Ether(0x8100, VLAN(uint16(i%7), typ, p)),
				Ether(0x88a8, VLAN(5, 0x8100, VLAN(uint16(0x2000+i%7), typ, p))),
				Ether(0x8847, MPLS(uint32(i%3+100), true, p)),
				Ether(0x8847, MPLS(100, false, MPLS(uint32(i%3+100), true, p))),
				Ether(0x8100, VLAN(3, 0x8847, MPLS(100, true, p))))
		}
		for i, p := range ip4[:8] {
			d := Ether(0x0800, p)
			copy(d, [][]byte{{255, 255, 255, 255, 255, 255}, {1, 0, 0x5e, 0, 0, 1}, {0, 0x11, 0x22, 0xaa, 0xbb, 0xcc}}[i%3])
			copy(d[6:], [][]byte{{0, 0x11, 0x22, 0xaa, 0xbb, 0xcc}, {2, 0, 0, 0, 0, 9}}[i%2])
			other = append(other, d)
		}
		other = append(other, Ether(38, make([]byte, 46)), Ether(0x88cc, make([]byte, 46)))
		out = append(out, other...)
	}
	for i := 0; cut && i < len(out) && len(out) < 3000; i += 5 {
		for _, n := range []int{1, 13, 15, 20, 24, 30, 36, 40, 50, 55} {
			if n < len(out[i]) && i%3 == n%3 {
				out = append(out, out[i][:n])
			}
		}
	}
	return out
}

func BenchmarkMatch(b *testing.B) {
	p, err := Compile("tcp port 80 or net 10.0.0.0/8", 1, 0)
	if err != nil {
		b.Fatal(err)
	}
	d := Ether(0x0800, IPv4(IP{Src: "192.0.2.1", Dst: "10.1.1.1", Proto: 17}, UDP(1, 2, make([]byte, 100))))
	b.ReportAllocs()
	for b.Loop() {
		p.Match(d, len(d))
	}
}

func FuzzCompile(f *testing.F) {
	for _, c := range errorCases {
		f.Add(c.expr, uint16(1), []byte("packet"))
	}
	for _, e := range expressions {
		f.Add(e, uint16(1), []byte("packet"))
	}
	f.Fuzz(func(t *testing.T, expr string, link uint16, data []byte) {
		p, err := Compile(expr, link, 0)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Col < 1 || e.Col > len(expr)+1 {
				t.Fatalf("%v", err)
			}
			return
		}
		// What the kernel or x/net/bpf would refuse must not come out.
		n, err := machine(t, p.Raw).Run(data)
		if err != nil {
			t.Fatal(err)
		}
		if (n > 0) != p.Match(data, len(data)) {
			t.Fatalf("%q: the machines differ", expr)
		}
	})
}
