package filter

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/picket-nsm/picket/internal/testenv"
)

// expressions are compiled by tcpdump too, and both programs run on many
// packets.
var expressions = []string{
	"", "ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "pim", "vrrp", "igrp", "ah", "esp",
	"host 10.0.0.1", "src host 10.0.0.1", "dst host 10.0.0.1", "src 10.0.0.1", "src or dst host 10.0.0.1", "src and dst host 10.0.0.1",
	"dst or src 10.1.2.3", "ip host 10.0.0.1", "arp host 10.0.0.1", "rarp src host 10.0.0.1", "arp net 10.0.0.0/24", "host 10.1", "host 10",
	"net 10", "net 10.1", "net 10.1.2", "src net 10.0.0.0/30", "net 10.0.0.0 mask 255.255.255.252", "net 0.0.0.0/1", "net 10.1.2.3", "dst net 224.0.0.0/4",
	"host 2001:db8::1", "ip6 src host 2001:db8::1", "net 2001:db8::/32", "dst net 2001:db8::/127", "src net ::/1", "ip6 net 2001:db8:1::/48",
	"port 80", "src port 80", "dst port 443", "tcp port 53", "udp port 53", "sctp dst port 443", "src and dst port 53", "udp src or dst port 53",
	"portrange 6000-6008", "tcp portrange 80-443", "dst portrange 443-5000", "portrange 443-80", "portrange 53",
	"port 80 or 443", "port 80 or 443 or 53", "tcp port 80 or not 443", "not port 80 and 443", "host 10.0.0.1 and 10.0.0.2", "host (10.0.0.1 or 10.1.2.3)",
	"port 80 and (443 or 5000)", "src port (80 or 53)", "tcp port (80 or not 443)", "port (80 or (443 and 5000))",
	"proto 47", "ip proto 47", "ip6 proto 47", `ip proto \tcp`, `ip6 proto \udp`, `proto \icmp`, "ip proto gre", "ip proto ospf", "ip proto (1 or 2)",
	"ip proto 1 or 2", "ip6 proto 44", "ip6 proto 58", "proto 59",
	"ip multicast", "ip6 multicast", "less 60", "greater 80", "len > 100", "len <= 60", "len = 60", "len != 60", "5 < len", "60 >= len",
	"tcp[13] & 2 != 0", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "tcp[tcpflags] == tcp-ack", "icmp[icmptype] = icmp-echo", "icmp[0] != 8 and icmp[1] == 1",
	"ip[0] & 0xf != 5", "ip[6:2] & 0x1fff != 0", "ip[8] < 65", "ip[12:4] = 0x0a000001", "udp[4:2] > 10", "ip[2:2] - 20 > 30", "tcp[0:2] = tcp[2:2]",
	"ip6[6] = 58", "ip6[40] = 128", "icmp6[0] = 128", "icmp6[icmp6type] == icmp6-echo", "arp[7] = 1", "sctp[0:2] = 80", "igmp[0] = 0",
	"(tcp[12] >> 2) & 0x3c > 20", "ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) != 0", "ip[ip[0] & 0xf] = 0", "tcp[(tcp[12] & 0xf0) >> 2] = 0",
	"-ip[8] > 5", "ip[8] * 2 = 128", "ip[8] / 2 = 32", "(ip[8] % 10) = 4", "(ip[8] ^ 1) = 65", "len % 7 = 3", "len ^ 3 > 60", "ip[8] << 2 = 256", "1 << ip[0] > 5",
	"len - 10 * 2 > 50", "len + ip[0] & 15 = 3", "len & 4 | 3 = 7", "2 + 3 * 4 = 14", "100 / ip[6] > 1", "ip[9] = 6 or ip[9] = 0x11 or ip[9] = 0204",
	"not ip", "not (tcp or udp)", "!tcp && !udp", "tcp || icmp and host 10.0.0.1", "not tcp and not udp or arp", "ip and not (src net 10 or dst port 53)",
	"(tcp and (port 80 or port 443)) or (udp and port 53)", "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
}

// ethernet are for Ethernet only.
var ethernet = []string{
	"ether host 00:11:22:aa:bb:cc", "ether src 00:11:22:aa:bb:cc", "ether dst host 00:11:22:aa:bb:cc", "ether host (0:11:22:aa:bb:cc or 2:0:0:0:0:9)",
	"broadcast", "ether broadcast", "multicast", "ether multicast", "ether[0] & 1 = 0", "ether[12:2] = 0x800", "ether[0:4] = 0xffffffff",
	`ether proto \ip`, `ether proto \arp`, "ether proto 0x88cc", `ether proto (\ip or \ip6)`, "ether proto 2048 or 0x86dd",
	"vlan", "vlan 5", "vlan 5 and ip", "vlan and vlan", "vlan and vlan 3 and tcp", "vlan and host 10.0.0.1", "vlan and port 80", "not vlan and tcp", "vlan and not ip6",
	"vlan and tcp[13] & 2 != 0", "vlan 3 and mpls", "vlan 3 and mpls and host 10.0.0.1", "tcp or vlan and tcp", "vlan and ip[8] = 64", "vlan and ether proto 0x86dd",
	"mpls", "mpls 101", "mpls and ip", "mpls and ip6", "mpls and host 10.0.0.1", "mpls and mpls", "mpls 100 and mpls 101 and tcp port 80", "mpls and tcp", "mpls and port 53",
	"mpls and net 2001:db8::/32", "tcp or mpls 101 or ip", "ether proto 0x8847",
}

// dlt are tcpdump's names.
var dlt = map[uint16]string{1: "EN10MB", 101: "RAW", 113: "LINUX_SLL", 276: "LINUX_SLL2"}

// oracle is what tcpdump makes of an expression; ok is false if it refuses.
func oracle(t *testing.T, tool, expr string, link uint16, flags ...string) (raw []bpf.RawInstruction, ok bool) {
	t.Helper()
	args := append([]string{"-y", dlt[link], "-ddd"}, flags...)
	out, err := exec.Command(tool, append(args, "--", expr)...).Output()
	if err != nil {
		return nil, false
	}
	lines := strings.Fields(string(out))
	for i := 1; i+3 < len(lines); i += 4 {
		var r bpf.RawInstruction
		if _, err := fmt.Sscan(strings.Join(lines[i:i+4], " "), &r.Op, &r.Jt, &r.Jf, &r.K); err != nil {
			t.Fatalf("%q: %v in %q", expr, err, out)
		}
		raw = append(raw, r)
	}
	return raw, true
}

// TestMachine: our machine runs tcpdump's programs as x/net/bpf's does.
func TestMachine(t *testing.T) {
	tool := testenv.NeedTool(t, "tcpdump")
	pkts := packets(1, true)
	for i, e := range expressions {
		raw, ok := oracle(t, tool, e, 1)
		if !ok || i%3 != 0 || strings.Contains(e, "-ip") {
			continue
		}
		vm, p := machine(t, raw), &Program{Raw: raw}
		for _, d := range pkts {
			if n, err := vm.Run(d); err != nil || (n > 0) != p.Match(d, len(d)) {
				t.Errorf("%q: % x: %d %v", e, d, n, err)
				break
			}
		}
	}
}

// differ runs our program and tcpdump's over packets.
func differ(t *testing.T, tool, expr string, link uint16, pkts [][]byte) bool {
	t.Helper()
	p, err := Compile(expr, link, 0)
	raw, ok := oracle(t, tool, expr, link)
	if err != nil {
		t.Errorf("%v (tcpdump: %v)", err, ok)
		return false
	}
	if !ok {
		t.Errorf("%q for %s: tcpdump refuses it", expr, dlt[link])
		return false
	}
	// For packets that were cut it matters which bytes are looked at first:
	// tcpdump's optimizer changes that, and either order will do.
	plain, _ := oracle(t, tool, expr, link, "-O")
	ours := machine(t, p.Raw)
	theirs, unopt := &Program{Raw: raw}, &Program{Raw: plain} // x/net/bpf cannot run all of theirs
	for i, d := range pkts {
		a, err := ours.Run(d)
		b, c := theirs.Match(d, len(d)), unopt.Match(d, len(d))
		if err != nil || (a > 0) != b && (a > 0) != c {
			t.Errorf("%q for %s: packet %d (% x): ours %d %v, tcpdump's %v", expr, dlt[link], i, d[:min(len(d), 60)], a, err, b)
			return false
		}
		if p.Match(d, len(d)) != (a > 0) {
			t.Errorf("%q for %s: packet %d: our machine and x/net/bpf's differ", expr, dlt[link], i)
			return false
		}
	}
	return true
}

// TestAsTcpdump compiles every expression with tcpdump too.
func TestAsTcpdump(t *testing.T) {
	tool := testenv.NeedTool(t, "tcpdump")
	for link := range dlt {
		pkts := packets(link, true)
		for i, e := range expressions {
			if link != 1 && i%2 == 0 {
				continue // it takes long
			}
			if _, ok := oracle(t, tool, e, link); !ok && link != 1 {
				continue // tcpdump has fewer for other link types
			}
			differ(t, tool, e, link, pkts)
		}
	}
	pkts := packets(1, true)
	for _, e := range ethernet {
		differ(t, tool, e, 1, pkts)
	}
}

// TestMixedAsTcpdump joins expressions by chance.
func TestMixedAsTcpdump(t *testing.T) {
	tool := testenv.NeedTool(t, "tcpdump")
	r := rand.New(rand.NewPCG(3, 4))
	var mix func(depth int) string
	mix = func(depth int) string {
		e := expressions[1+r.IntN(len(expressions)-1)]
		if depth == 0 {
			return e
		}
		switch r.IntN(5) {
		case 0:
			return "not (" + mix(depth-1) + ")"
		case 1:
			return e
		case 2:
			return mix(depth-1) + " and " + e
		case 3:
			return "(" + mix(depth-1) + ") or (" + mix(depth-1) + ")"
		}
		return "(" + mix(depth-1) + ") and not (" + mix(depth-1) + ")"
	}
	// Whole packets: which bytes are looked at first is not settled here.
	pkts := packets(1, false)
	for range 100 {
		e := mix(3)
		if _, ok := oracle(t, tool, e, 1); !ok {
			continue // "expression rejects all packets"
		}
		if !differ(t, tool, e, 1, pkts) && t.Failed() {
			return
		}
	}
}
