package flow

import (
	"bufio"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/traffic/packet/packettest"
	"github.com/picket-nsm/picket/zeek/value"
)

var update = flag.Bool("update", false, "write what the machine says into testdata")

// script plays the packets of a test case. One line is one packet:
//
//	TIME > S seq=100 ...     TCP from a (10.0.0.1:1025) to b (10.0.0.2:80), flags S A F R P U or -
//	TIME < udp len=10        from b to a
//
// Settings: seq ack win len data=TEXT cap=N (captured payload) scale=N
// bad (checksum) type code proto off id more df ports=A,B v6. "TIME tick"
// moves the clock alone.
type script struct {
	t    testing.TB
	tb   *Table
	out  []string
	data map[string]*stream // what an analyzer on port 7 got
	seq  uint64
	now  packet.Time
}

// stream is an analyzer that notes what it gets.
type stream struct{ orig, resp strings.Builder }

func (s *stream) Deliver(c analyzer.Conn, orig bool, data []byte) { s.side(orig).Write(data) }
func (s *stream) Gap(c analyzer.Conn, orig bool, n uint64)        { fmt.Fprintf(s.side(orig), "[%d]", n) }
func (s *stream) End(c analyzer.Conn)                             {}
func (s *stream) side(orig bool) *strings.Builder {
	if orig {
		return &s.orig
	}
	return &s.resp
}

func testConfig() Config {
	cfg := Default()
	cfg.Key = []byte("a key of 16 byte")
	return cfg
}

func newScript(t testing.TB, cfg Config) *script {
	s := &script{t: t}
	s.tb = New(cfg, s, []analyzer.Factory{
		{Name: "STREAM", Ports: []analyzer.Port{{Num: 7, Proto: value.ProtoTCP}, {Num: 7, Proto: value.ProtoUDP}},
			New: func(value.Proto) analyzer.Analyzer { return &noted{s: s} }, SessionTimeout: 10},
	})
	return s
}

// noted is a stream that says at its end what it got.
type noted struct {
	stream
	s *script
}

func (n *noted) End(c analyzer.Conn) {
	n.s.out = append(n.s.out, fmt.Sprintf("got %q %q", n.orig.String(), n.resp.String()))
}

// SideEnded and Interrupted leave a mark where in the stream they came.
func (n *noted) SideEnded(c analyzer.Conn, orig bool) { n.side(orig).WriteString("$") }

func (n *noted) Interrupted(c analyzer.Conn) {
	n.orig.WriteString("!")
	n.resp.WriteString("!")
}

func (n *noted) Deliver(c analyzer.Conn, orig bool, data []byte) {
	n.stream.Deliver(c, orig, data)
	switch string(data) {
	case "confirm":
		c.Confirm("STREAM")
	case "violate":
		c.Violation("STREAM", "no", data)
	case "flip":
		c.(analyzer.Flipper).Flip()
	case "limit":
		c.(analyzer.Limiter).LimitReached()
	}
}

func (s *script) ConnRemoved(c *Conn) {
	id := c.ID()
	end := map[packet.Addr]string{}
	for _, n := range []string{"a", "b"} {
		for _, v6 := range []bool{false, true} {
			end[address(n, v6)] = n
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "row %s %s", end[id.Orig], c.State())
	h := c.History()
	if h == "" {
		h = "-"
	}
	fmt.Fprintf(&b, " %s", h)
	if d := c.Duration(); d > 0 {
		o, r := c.Bytes()
		fmt.Fprintf(&b, " %.6g %d %d", d, o, r)
	} else {
		b.WriteString(" - - -")
	}
	op, rp := c.Packets()
	fmt.Fprintf(&b, " pkts=%d,%d at=%g", op, rp, float64(s.now))
	if m := c.MissedBytes(); m > 0 {
		fmt.Fprintf(&b, " missed=%d", m)
	}
	if v := c.Service(); v != "" {
		fmt.Fprintf(&b, " service=%s", v)
	}
	s.out = append(s.out, b.String())
}

func (s *script) Weird(w Weird) {
	line := "weird " + w.Name
	if w.Addl != "" {
		line += " (" + w.Addl + ")"
	}
	if w.Source != "" {
		line += " " + w.Source
	}
	s.out = append(s.out, line)
}

func address(end string, v6 bool) packet.Addr {
	n := byte(1)
	if end == "b" {
		n = 2
	}
	if v6 {
		return packet.Addr{0: 0xfd, 15: n}
	}
	return packet.Addr{10: 0xff, 11: 0xff, 12: 10, 15: n}
}

func addrText(end string, v6 bool) string {
	n := "1"
	if end == "b" {
		n = "2"
	}
	if end == "c" {
		return "255.255.255.255"
	}
	if v6 {
		return "fd00::" + n
	}
	return "10.0.0." + n
}

func (s *script) line(text string) {
	f := strings.Fields(text)
	at, err := strconv.ParseFloat(f[0], 64)
	if err != nil || len(f) < 2 {
		s.t.Fatalf("bad line %q: %v", text, err)
	}
	s.now = max(s.now, packet.Time(at))
	if f[1] == "tick" {
		s.tb.Advance(packet.Time(at))
		return
	}
	ip, cut := s.build(f[1] == ">", f[2], f[3:])
	s.seq++
	var p packet.Packet
	packet.DecodeIP(&p, ip[:len(ip)-cut], len(ip))
	p.Time, p.Seq = packet.Time(at), s.seq
	s.tb.Packet(&p)
	for i := range ip {
		ip[i] = 0xdb // nobody may keep a view
	}
}

// build makes the packet of a line. cut is what the capture leaves out.
func (s *script) build(forth bool, what string, args []string) (ip []byte, cut int) {
	v := map[string]string{}
	for _, a := range args {
		k, x, _ := strings.Cut(a, "=")
		v[k] = x
	}
	num := func(k string, def int) int {
		x, ok := v[k]
		if !ok {
			return def
		}
		n, err := strconv.ParseUint(x, 0, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return int(n)
	}
	_, v6 := v["v6"]
	src, dst := "a", "b"
	pa, pb := 1025, 80
	if x, ok := v["ports"]; ok {
		fmt.Sscanf(x, "%d,%d", &pa, &pb)
	}
	if x, ok := v["dst"]; ok {
		dst = x
	}
	if !forth {
		src, dst, pa, pb = dst, src, pb, pa
	}
	data := []byte(v["data"])
	if n := num("len", 0); n > 0 {
		data = make([]byte, n)
	}
	h := packettest.IP{Src: addrText(src, v6), Dst: addrText(dst, v6), ID: uint16(num("id", 1))}
	var payload []byte
	sum := -1
	switch what {
	case "udp":
		h.Proto, sum = packet.UDP, 6
		payload = packettest.UDP(uint16(pa), uint16(pb), data)
		if n := num("ulen", -1); n >= 0 {
			payload[4], payload[5] = byte(n>>8), byte(n)
		}
	case "icmp":
		h.Proto = packet.ICMP
		payload = packettest.ICMP(byte(num("type", 8)), byte(num("code", 0)), data)
		if v6 {
			h.Proto, sum = packet.ICMPv6, 2
		}
	case "proto":
		h.Proto = byte(num("n", 132))
		payload = data
	case "frag":
		h.Proto = byte(num("n", packet.UDP))
		payload = data
		if x, ok := v["hex"]; ok {
			payload, _ = hex.DecodeString(x)
		}
	default:
		h.Proto, sum = packet.TCP, 16
		seg := packettest.TCP{Src: uint16(pa), Dst: uint16(pb), Seq: uint32(num("seq", 0)), Ack: uint32(num("ack", 0)),
			Window: uint16(num("win", 8192))}
		for _, c := range what {
			if i := strings.IndexRune("FSRPAU", c); i >= 0 {
				seg.Flags |= 1 << i
			}
		}
		if n := num("scale", -1); n >= 0 {
			seg.Options = []byte{1, 3, 3, byte(n)}
		}
		payload = packettest.Segment(seg, data)
	}
	if _, ok := v["more"]; ok {
		h.Frag |= 0x2000
	}
	if _, ok := v["df"]; ok {
		h.Frag |= 0x4000
	}
	h.Frag |= uint16(num("off", 0) / 8)
	switch {
	case v6 && what == "frag":
		more := h.Frag&0x2000 != 0
		off := num("off", 0)
		n := h.Proto
		h.Proto, h.Frag = packet.Fragment, 0
		ip = packettest.IPv6(h, packettest.Frag6(n, uint32(num("id", 1)), off, more, payload))
	case v6:
		ip = packettest.IPv6(h, payload)
	default:
		ip = packettest.IPv4(h, payload)
	}
	if sum >= 0 {
		packettest.Sum(ip, h.Proto, len(payload), sum)
	}
	if _, ok := v["bad"]; ok {
		ip[len(ip)-len(payload)+sum] ^= 0x55
	}
	if n := num("cap", -1); n >= 0 {
		cut = len(data) - n
	}
	return ip, cut
}

// play runs a case and returns what came out.
func play(t testing.TB, cfg Config, lines []string) []string {
	s := newScript(t, cfg)
	for _, l := range lines {
		s.line(l)
	}
	s.out = append(s.out, "end")
	s.tb.Finish()
	if s.out[len(s.out)-1] == "end" {
		s.out = s.out[:len(s.out)-1]
	}
	if st := s.tb.Stats(); st.Active != 0 || st.ReassemblyBytes != 0 || st.FragBytes != 0 {
		t.Errorf("left behind: %+v", st)
	}
	return s.out
}

// Each file in testdata holds cases: "case NAME", comments, packets, and behind
// "=" what must come out: weirds, what an analyzer on port 7 got, rows (state,
// history, duration, bytes of both sides, packets, time of removal). Rows behind
// "end" were written at the end of input.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		name := ""
		var packets, want []string
		inWant := false
		flush := func() {
			if name == "" {
				return
			}
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+name, func(t *testing.T) {
				got := play(t, testConfig(), packets)
				if !*update && !slices.Equal(got, want) {
					t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
				}
				out.WriteString("=\n")
				for _, l := range got {
					out.WriteString(l + "\n")
				}
				out.WriteString("\n")
			})
		}
		sc := bufio.NewScanner(strings.NewReader(string(text)))
		for sc.Scan() {
			l := strings.TrimSpace(sc.Text())
			if n, ok := strings.CutPrefix(l, "case "); ok {
				flush()
				name, packets, want, inWant = n, nil, nil, false
			} else if l == "=" {
				inWant = true
				continue
			} else if inWant {
				if l != "" {
					want = append(want, l)
				}
				continue
			} else if l != "" && l[0] != '#' && name != "" {
				packets = append(packets, l)
			}
			out.WriteString(sc.Text() + "\n")
		}
		flush()
		if *update {
			if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
