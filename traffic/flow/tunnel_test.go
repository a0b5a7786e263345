package flow

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	. "github.com/picket-nsm/picket/traffic/packet/packettest"
	"github.com/picket-nsm/picket/zeek/value"
)

// tale writes down what a Table tells, with letters for UIDs in the order in
// which they turn up.
type tale struct {
	out   []string
	names map[string]string
}

func (s *tale) name(uid string) string {
	if s.names == nil {
		s.names = map[string]string{}
	}
	n, ok := s.names[uid]
	if !ok {
		n = string(rune('A' + len(s.names)))
		s.names[strings.Clone(uid)] = n
	}
	return n
}

func ends(id analyzer.ID) string {
	a := func(a packet.Addr) netip.Addr { return netip.AddrFrom16(a).Unmap() }
	return fmt.Sprintf("%s:%d > %s:%d %s", a(id.Orig), id.OrigP, a(id.Resp), id.RespP, id.Proto)
}

func (s *tale) Tunnel(tn Tunnel) {
	s.out = append(s.out, fmt.Sprintf("%s %s %s %d", tn.Kind, s.name(tn.ID.UID), ends(tn.ID), tn.IPProto))
}

func (s *tale) ConnRemoved(c *Conn) {
	id := c.ID()
	o, r := c.Packets()
	line := fmt.Sprintf("row %s %s %s %d,%d", s.name(id.UID), ends(id), c.History(), o, r)
	if v := c.Service(); v != "" {
		line += " " + v
	}
	if p := c.TunnelParents(); len(p) > 0 {
		line += " in"
		for _, uid := range p {
			line += " " + s.name(uid)
		}
	}
	s.out = append(s.out, line)
}

func (s *tale) Weird(w Weird) {
	line := "weird " + w.Name
	if w.Addl != "" {
		line += " (" + w.Addl + ")"
	}
	if w.Source != "" {
		line += " " + w.Source
	}
	s.out = append(s.out, line+[...]string{WeirdConn: " conn", WeirdFlow: " flow", WeirdNet: " net"}[w.Scope])
}

func (s *tale) AnalyzerFailed(f *Failure) {
	s.out = append(s.out, fmt.Sprintf("failed %s %v: %s %q", f.Analyzer, f.Packet, f.Reason, f.Data))
}

func tell(tb *Table, packets [][]byte) {
	var p packet.Packet
	for i, ip := range packets {
		ip = slices.Clone(ip)
		packet.DecodeIP(&p, ip, len(ip))
		p.Time, p.Seq = packet.Time(i+1), uint64(i+1)
		tb.Packet(&p)
		for i := range ip {
			ip[i] = 0xdb // nobody may keep a view
		}
	}
}

func TestTunnels(t *testing.T) {
	for _, c := range tunnelCases {
		s := &tale{}
		tb := New(testConfig(), s, nil)
		tell(tb, c.packets)
		tb.Finish()
		want := strings.ReplaceAll(strings.TrimSpace(c.want), "\t", "")
		if got := strings.Join(s.out, "\n"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, want)
		}
		if st := tb.Stats(); st.Active != 0 || st.TunnelPairs != 0 || st.FragBytes != 0 || tb.path != (path{}) {
			t.Errorf("%s: left behind: %+v", c.name, st)
		}
		if n := len(tb.insides.free); uint32(n) != tb.insides.used {
			t.Errorf("%s: %d of %d insides given back", c.name, n, tb.insides.used)
		}
	}
}

// Packets in tunnels may be cut anywhere.
func TestTunnelsCut(t *testing.T) {
	var p packet.Packet
	for _, c := range tunnelCases {
		s := &tale{}
		tb := New(testConfig(), s, nil)
		for i, ip := range c.packets {
			for n := range ip {
				for _, b := range [][]byte{ip, ip[:n:n], ip} {
					packet.DecodeIP(&p, b, len(ip)) // the wire had all of it
					p.Time, p.Seq = 1, 1
					tb.Packet(&p)
					packet.DecodeIP(&p, b, len(b))
					tb.Packet(&p)
				}
				tb.Finish()
				if st := tb.Stats(); st.Active != 0 || st.TunnelPairs != 0 || tb.path != (path{}) {
					t.Fatalf("%s, packet %d cut to %d: %+v", c.name, i, n, st)
				}
				*s = tale{}
			}
		}
	}
}

// Hosts that were silent for a day get another UID; others keep theirs.
func TestTunnelPairs(t *testing.T) {
	s := &tale{}
	tb := New(testConfig(), s, nil)
	at := func(time packet.Time, ip []byte) {
		var p packet.Packet
		packet.DecodeIP(&p, ip, len(ip))
		p.Time, p.Seq = time, uint64(time)
		tb.Packet(&p)
	}
	at(1, ipip(1, inner4))
	at(50_000, ipip(1, inner4))
	at(100_000, ipip(1, inner4))
	tb.Advance(200_000)
	if n := tb.Stats().TunnelPairs; n != 0 {
		t.Fatal(n, "pairs")
	}
	at(200_001, ipip(1, inner4))
	tb.Finish()
	var uids []string
	for _, l := range s.out {
		if f := strings.Fields(l); strings.HasPrefix(l, "Tunnel") {
			uids = append(uids, f[1])
		}
	}
	if !slices.Equal(uids, []string{"A", "A", "A", "E"}) {
		t.Error(uids, s.out)
	}
}

// However many hosts have tunnels, a bounded number is remembered.
func TestTunnelFlood(t *testing.T) {
	cfg := testConfig()
	cfg.Limits.TunnelPairs, cfg.Limits.Conns = 100, 50
	tb := New(cfg, &sink{}, nil)
	var p packet.Packet
	for i := range 5000 {
		ip := ipip(1, ipip(2, vxlan4(3, inner4)))
		ip[14], ip[15] = byte(i>>8), byte(i)
		ip[34], ip[35] = byte(i), byte(i>>8)
		packet.DecodeIP(&p, ip, len(ip))
		p.Time, p.Seq, p.NoChecksum = packet.Time(i), uint64(i), true
		tb.Packet(&p)
	}
	st := tb.Stats()
	if st.TunnelPairs > 100 || st.Active > 50 || st.ShedTunnels == 0 || st.Timers > 20_000 {
		t.Errorf("%+v", st)
	}
	tb.Finish()
	if len(tb.pairs.byHosts) != 0 {
		t.Error(len(tb.pairs.byHosts))
	}
}

// With room for one connection each of a nested pair throws the other out.
func TestTunnelsWithoutRoom(t *testing.T) {
	cfg := testConfig()
	cfg.Limits.Conns, cfg.Limits.TunnelPairs = 1, 1
	for _, c := range tunnelCases {
		s := &sink{}
		tb := New(cfg, s, nil)
		tell(tb, c.packets)
		tb.Finish()
		if st := tb.Stats(); st.Active != 0 || st.Conns != st.Removed {
			t.Errorf("%s: %+v", c.name, st)
		}
	}
}

// Rows, UIDs of tunnels included, do not depend on the number of workers, if all
// packets of a connection come in one outer pair.
func TestTunnelSharesAgree(t *testing.T) {
	var packets [][]byte
	for round := range 3 {
		for i := range 40 {
			in := func(net int) []byte {
				return IPv4(IP{Src: fmt.Sprintf("10.%d.%d.1", net, i), Dst: "10.0.0.2", Proto: packet.UDP}, UDP(uint16(1000+round), 2000, []byte("hi")))
			}
			packets = append(packets, vxlan4(i, in(0)), ipip(i, in(0)), ipip(i+50, vxlan4(i+100, in(1))), in(2))
		}
	}
	run := func(n int) []string {
		var all []string
		for me := range n {
			s := &tale{names: map[string]string{}}
			tb := New(testConfig(), uids{s}, nil)
			var p packet.Packet
			for i, ip := range packets {
				packet.DecodeIP(&p, ip, len(ip))
				p.Time, p.Seq = packet.Time(i), uint64(i+1)
				if p.Share(n) == me {
					tb.Packet(&p)
				} else {
					tb.Advance(p.Time)
				}
			}
			tb.Finish()
			all = append(all, s.out...)
		}
		slices.Sort(all)
		return all
	}
	want := run(1)
	if len(want) < 500 {
		t.Fatal("too few rows to mean anything:", len(want))
	}
	for _, n := range []int{2, 4} {
		if got := run(n); !slices.Equal(got, want) {
			t.Errorf("%d workers tell something else", n)
		}
	}
}

// uids is a tale with real UIDs.
type uids struct{ *tale }

func (s uids) Tunnel(tn Tunnel) {
	s.out = append(s.out, fmt.Sprint(tn.Time, tn.Kind, tn.ID.UID, ends(tn.ID)))
}

func (s uids) ConnRemoved(c *Conn) {
	id := c.ID()
	s.out = append(s.out, fmt.Sprint(c.Service(), " ", id.UID, " ", ends(id), c.TunnelParents(), c.History(), c.Now()))
}

// Packets in tunnels of known connections allocate nothing.
func TestTunnelsNoAllocs(t *testing.T) {
	tb := New(testConfig(), &sink{}, []analyzer.Factory{{Name: "X", Ports: []analyzer.Port{{Num: 2000, Proto: value.ProtoUDP}},
		New: func(value.Proto) analyzer.Analyzer { return quiet{} }}})
	for _, ip := range [][]byte{ipip(1, inner4), nest(4, ipip, inner4), nest(3, vxlan4, inner4), over(1, 6081, Geneve(1, 0x86dd, nil, inner6)),
		IPv4(host4(1, packet.GRE), GRE(0, 0x8200, aruba(inner4, inner4b))), over(1, 3544, TeredoOrigin(inner6)), over(1, 2152, GTP(255, nil, inner4))} {
		var p packet.Packet
		packet.DecodeIP(&p, ip, len(ip))
		p.Time, p.Seq = 1, 1
		tb.Packet(&p)
		if n := testing.AllocsPerRun(100, func() { tb.Packet(&p) }); n != 0 {
			t.Errorf("%x: %v allocations", ip[:24], n)
		}
	}
}

func BenchmarkTunnel(b *testing.B) {
	for _, c := range []struct {
		name string
		ip   []byte
	}{{"plain", inner4}, {"ipip", ipip(1, inner4)}, {"gre", IPv4(host4(1, packet.GRE), GRE(0, 0x0800, inner4))}, {"vxlan", vxlan4(1, inner4)},
		{"vxlan3", nest(3, vxlan4, inner4)}, {"teredo", over(1, 3544, inner6)}, {"gtp", over(1, 2152, GTP(255, nil, inner4))}} {
		b.Run(c.name, func(b *testing.B) {
			tb := New(testConfig(), &sink{}, nil)
			var p packet.Packet
			packet.DecodeIP(&p, c.ip, len(c.ip))
			p.Time = 1
			b.ReportAllocs()
			for b.Loop() {
				tb.Packet(&p)
			}
		})
	}
}

// FuzzTunnels feeds any bytes as what a tunnel carries.
func FuzzTunnels(f *testing.F) {
	for _, c := range tunnelCases {
		for _, ip := range c.packets {
			f.Add(uint16(4789), ip)
			if len(ip) > 28 && ip[9] == packet.UDP {
				f.Add(uint16(ip[22])<<8|uint16(ip[23]), ip[28:])
			}
		}
	}
	f.Fuzz(func(t *testing.T, port uint16, b []byte) {
		cfg := testConfig()
		cfg.NoChecksums = true
		cfg.Limits.Conns, cfg.Limits.TunnelPairs = 5, 3
		tb := New(cfg, &tale{}, nil)
		var p packet.Packet
		for i, ip := range [][]byte{b, over(1, port, b), IPv4(host4(1, packet.GRE), b), IPv6(host6(1, packet.IP6IP), b), IPv4(host4(1, packet.IPIP), b)} {
			packet.DecodeIP(&p, ip, len(ip)+i%3)
			p.Time, p.Seq = packet.Time(i), uint64(i)
			tb.Packet(&p)
		}
		if tb.path != (path{}) {
			t.Error("path left behind")
		}
		tb.Finish()
		if st := tb.Stats(); st.Active != 0 || st.Conns != st.Removed || st.TunnelPairs != 0 || uint32(len(tb.insides.free)) != tb.insides.used {
			t.Errorf("left behind: %+v", st)
		}
	})
}
