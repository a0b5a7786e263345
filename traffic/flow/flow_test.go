package flow

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/traffic/packet/packettest"
	"github.com/picket-nsm/picket/zeek/value"
)

// sink counts, and keeps rows as text if asked to.
type sink struct {
	keep   bool
	rows   []string
	conns  int
	weirds map[string]int
}

func (s *sink) ConnRemoved(c *Conn) {
	s.conns++
	if !s.keep {
		return
	}
	id := c.ID()
	o, r := c.Bytes()
	op, rp := c.Packets()
	s.rows = append(s.rows, fmt.Sprint(id.Start, id.UID, id.Orig, id.OrigP, id.Resp, id.RespP, c.State(), c.History(),
		c.Duration(), o, r, op, rp, c.MissedBytes()))
}

func (s *sink) Weird(w Weird) {
	if s.weirds == nil {
		s.weirds = map[string]int{}
	}
	s.weirds[w.Name]++
}

// frame is a packet of a test, as bytes.
type frame struct {
	at packet.Time
	ip []byte
}

func tcp4(src, dst string, h packettest.TCP, data []byte) []byte {
	seg := packettest.Segment(h, data)
	ip := packettest.IPv4(packettest.IP{Src: src, Dst: dst, Proto: packet.TCP}, seg)
	return packettest.Sum(ip, packet.TCP, len(seg), 16)
}

func udp4(src, dst string, sp, dp uint16, data []byte) []byte {
	u := packettest.UDP(sp, dp, data)
	return packettest.IPv4(packettest.IP{Src: src, Dst: dst, Proto: packet.UDP}, u)
}

func feed(tb *Table, frames []frame) {
	var p packet.Packet
	for i, f := range frames {
		packet.DecodeIP(&p, f.ip, len(f.ip))
		p.Time, p.Seq = f.at, uint64(i+1)
		tb.Packet(&p)
	}
}

// A stream arrives whole however it was cut, shuffled, repeated or overlapped.
func TestAnyOrderSameBytes(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		want := make([]byte, 1+rng.IntN(3000))
		for i := range want {
			want[i] = byte('a' + rng.IntN(26))
		}
		start := rng.Uint32()
		if seed%3 == 0 {
			start = -uint32(rng.IntN(2000)) // wraps
		}
		var segs [][2]int
		for at := 0; at < len(want); {
			n := min(1+rng.IntN(300), len(want)-at)
			segs = append(segs, [2]int{at, at + n})
			for rng.IntN(4) == 0 { // and another one across borders
				lo := rng.IntN(len(want))
				segs = append(segs, [2]int{lo, min(lo+1+rng.IntN(500), len(want))})
			}
			at += n
		}
		rng.Shuffle(len(segs), func(i, j int) { segs[i], segs[j] = segs[j], segs[i] })
		s := newScript(t, testConfig())
		s.line(fmt.Sprintf("0 > S seq=%d ports=1025,7", start))
		s.line(fmt.Sprintf("0 < SA seq=500 ack=%d ports=1025,7", start+1))
		for _, g := range segs {
			s.line(fmt.Sprintf("1 > A seq=%d ack=501 data=%s ports=1025,7", start+1+uint32(g[0]), want[g[0]:g[1]]))
		}
		s.line(fmt.Sprintf("2 < A seq=501 ack=%d ports=1025,7", start+1+uint32(len(want))))
		s.tb.Finish()
		if got := fmt.Sprintf("got %q %q", want, ""); s.out[0] != got {
			t.Fatalf("seed %d: %s", seed, s.out)
		}
		if st := s.tb.Stats(); st.ReassemblyBytes != 0 {
			t.Fatalf("seed %d: %+v", seed, st)
		}
	}
}

// Bytes that never come are a gap of the right length, wherever they are missing.
func TestGapEverywhere(t *testing.T) {
	const text = "abcdefghijklmnop"
	for lo := range len(text) {
		for hi := lo + 1; hi <= len(text); hi++ {
			s := newScript(t, testConfig())
			s.line("0 > S seq=100 ports=1025,7")
			s.line("0 < SA seq=500 ack=101 ports=1025,7")
			if lo > 0 {
				s.line(fmt.Sprintf("1 > A seq=101 ack=501 data=%s ports=1025,7", text[:lo]))
			}
			if hi < len(text) {
				s.line(fmt.Sprintf("1 > A seq=%d ack=501 data=%s ports=1025,7", 101+hi, text[hi:]))
			}
			s.line(fmt.Sprintf("2 < A seq=501 ack=%d ports=1025,7", 101+len(text)))
			s.tb.Finish()
			want := fmt.Sprintf("got %q %q", fmt.Sprintf("%s[%d]%s", text[:lo], hi-lo, text[hi:]), "")
			if s.out[0] != want || !strings.Contains(s.out[1], fmt.Sprintf("missed=%d", hi-lo)) {
				t.Errorf("%d-%d: %v", lo, hi, s.out)
			}
		}
	}
}

// mixture is traffic of many hosts with all kinds of ends, over ten minutes.
func mixture(seed uint64, n int) []frame {
	rng := rand.New(rand.NewPCG(seed, 2))
	host := func() string { return fmt.Sprintf("10.%d.0.%d", rng.IntN(3), rng.IntN(12)) }
	var out []frame
	at := packet.Time(1000)
	for range n {
		at += packet.Time(rng.Float64() / 2)
		src, dst := host(), host()
		switch rng.IntN(8) {
		case 0:
			out = append(out, frame{at, udp4(src, dst, uint16(rng.IntN(20)), 53, make([]byte, rng.IntN(40)))})
		case 1:
			out = append(out, frame{at, packettest.IPv4(packettest.IP{Src: src, Dst: dst, Proto: packet.ICMP},
				packettest.ICMP(byte(rng.IntN(10)), byte(rng.IntN(3)), nil))})
		case 2:
			u := packettest.UDP(5, 6, make([]byte, 64))
			id := uint16(rng.IntN(4))
			h := packettest.IP{Src: src, Dst: dst, Proto: packet.UDP, ID: id, Frag: 0x2000}
			out = append(out, frame{at, packettest.IPv4(h, u[:48])})
			h.Frag = 6
			if rng.IntN(3) > 0 {
				out = append(out, frame{at, packettest.IPv4(h, u[48:])})
			}
		default:
			h := packettest.TCP{Src: uint16(1000 + rng.IntN(3)), Dst: uint16(79 + rng.IntN(3)), Window: uint16(rng.IntN(3)),
				Seq: uint32(rng.IntN(60)), Ack: uint32(rng.IntN(60)), Flags: uint8(rng.IntN(64))}
			if rng.IntN(2) == 0 {
				src, dst, h.Src, h.Dst = dst, src, h.Dst, h.Src
			}
			out = append(out, frame{at, tcp4(src, dst, h, make([]byte, rng.IntN(3)*7))})
		}
	}
	return out
}

// Rows, UIDs included, do not depend on how many workers share a capture.
func TestSharesAgree(t *testing.T) {
	frames := mixture(7, 6000)
	run := func(n int) []string {
		var all []string
		for me := range n {
			s := &sink{keep: true}
			tb := New(testConfig(), s, nil)
			var p packet.Packet
			for i, f := range frames {
				packet.DecodeIP(&p, f.ip, len(f.ip))
				p.Time, p.Seq = f.at, uint64(i+1)
				if p.Share(n) == me {
					tb.Packet(&p)
				} else {
					tb.Advance(f.at)
				}
			}
			tb.Finish()
			all = append(all, s.rows...)
		}
		slices.Sort(all)
		return all
	}
	want := run(1)
	if len(want) < 500 {
		t.Fatal("too few rows to mean anything:", len(want))
	}
	uids := map[string]bool{}
	for _, r := range want {
		uids[strings.Fields(r)[1]] = true
	}
	for _, n := range []int{2, 3, 4} {
		if got := run(n); !slices.Equal(got, want) {
			t.Errorf("%d workers: %d rows, 1 worker: %d rows", n, len(got), len(want))
		}
	}
}

// UIDs are those of Zeek's alphabet, differ by key, and repeat with it.
func TestUID(t *testing.T) {
	uid := func(key string, seq uint64, at packet.Time) string {
		c := conn{seq: seq, start: at}
		return string(appendUID(nil, newSipKey([]byte(key)), &c))
	}
	seen := map[string]bool{}
	for i := range uint64(1000) {
		u := uid("a key of 16 byte", i, 1)
		if seen[u] || u[0] != 'C' || len(u) > maxUID || strings.Trim(u, digits62) != "" {
			t.Fatal(u)
		}
		seen[u] = true
	}
	if uid("a key of 16 byte", 1, 1) != uid("a key of 16 byte", 1, 1) || uid("b key of 16 byte", 1, 1) == uid("a key of 16 byte", 1, 1) ||
		uid("a key of 16 byte", 1, 2) == uid("a key of 16 byte", 1, 1) {
		t.Error("UIDs must follow key and time")
	}
}

// SipHash-2-4 of its authors' test vector, the part that is whole words.
func TestSipHash(t *testing.T) {
	var k [16]byte
	for i := range k {
		k[i] = byte(i)
	}
	key := newSipKey(k[:])
	for n, want := range []uint64{0x726fdb47dd0e0e31, 0x93f5f5799a932462, 0x3f2acc7f57c29bdb} {
		words := []uint64{0x0706050403020100, 0x0f0e0d0c0b0a0908}[:n]
		if got := key.sum(words); got != want {
			t.Errorf("%d words: %x, want %x", n, got, want)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A flood of SYNs fills the table up to its limit and no further.
func TestSYNFlood(t *testing.T) {
	cfg := testConfig()
	cfg.Limits.Conns = 5000
	s := &sink{}
	tb := New(cfg, s, nil)
	var p packet.Packet
	before := heap()
	for i := range 200_000 {
		ip := tcp4(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), "10.9.9.9", packettest.TCP{Src: 1, Dst: 80, Flags: fSYN}, nil)
		packet.DecodeIP(&p, ip, len(ip))
		p.Time = packet.Time(i) / 100_000
		tb.Packet(&p)
	}
	st := tb.Stats()
	if st.Active > 5000 || st.MaxActive > 5000 || st.ShedConns != 195_000 || s.conns != 195_000 {
		t.Errorf("%+v", st)
	}
	if n := len(tb.clock.heap); n > 80_000 {
		t.Errorf("%d deadlines for 5000 connections", n)
	}
	if used := heap() - before; used > 20<<20 {
		t.Errorf("%d bytes for 5000 connections", used)
	}
	tb.Finish()
	if s.conns != 200_000 {
		t.Error(s.conns)
	}
}

// So does a flood of fragments that never make a datagram.
func TestFragmentFlood(t *testing.T) {
	cfg := testConfig()
	cfg.Limits.FragDatagrams, cfg.Limits.FragTotal = 1000, 1<<20
	tb := New(cfg, &sink{}, nil)
	var p packet.Packet
	before := heap()
	for i := range 100_000 {
		h := packettest.IP{Src: fmt.Sprintf("10.0.%d.%d", i>>8&255, i&255), Dst: "10.9.9.9", Proto: packet.UDP,
			ID: uint16(i >> 16), Frag: 0x2000 | uint16(i%3)*125}
		ip := packettest.IPv4(h, make([]byte, 1000))
		packet.DecodeIP(&p, ip, len(ip))
		p.Time = packet.Time(i) / 10_000
		tb.Packet(&p)
		if st := tb.Stats(); st.Frags > 1000 || st.FragBytes > 1<<20 {
			t.Fatalf("%+v", st)
		}
	}
	if st := tb.Stats(); st.ShedFragments == 0 {
		t.Errorf("%+v", st)
	}
	if used := heap() - before; used > 24<<20 {
		t.Errorf("%d bytes", used)
	}
	if n := len(tb.clock.heap); n > 20_000 {
		t.Errorf("%d deadlines for 1000 datagrams", n)
	}
	if n := len(tb.frags.queue); n > 4000 {
		t.Errorf("%d entries in the queue of 1000 datagrams", n)
	}
}

// Holes everywhere: pieces are bounded by number and by bytes.
func TestReassemblyBounds(t *testing.T) {
	for _, port := range []uint16{7, 8} { // with an analyzer and without
		cfg := testConfig()
		cfg.Limits.Segments, cfg.Limits.ReassemblyPerConn, cfg.Limits.ReassemblyTotal = 100, 20_000, 50_000
		cfg.Limits.AboveHole = 0
		s := newScript(t, cfg)
		for c := range 10 {
			src := uint16(3000 + c)
			s.line(fmt.Sprintf("0 > S seq=0 ports=%d,%d", src, port))
			s.line(fmt.Sprintf("0 < SA seq=0 ack=1 ports=%d,%d", src, port))
			for i := range 500 {
				s.line(fmt.Sprintf("1 > A seq=%d ack=1 len=100 ports=%d,%d", 1000+200*i, src, port))
				if st := s.tb.Stats(); st.ReassemblyBytes > 50_000 {
					t.Fatalf("%+v", st)
				}
			}
		}
		if st := s.tb.Stats(); st.ShedSegments == 0 {
			t.Errorf("%+v", st)
		}
		s.tb.Finish()
		if st := s.tb.Stats(); st.ReassemblyBytes != 0 {
			t.Errorf("left: %+v", st)
		}
	}
}

// History letters are bounded.
func TestHistoryBound(t *testing.T) {
	cfg := testConfig()
	cfg.Limits.History = 50
	s := newScript(t, cfg)
	for i := range 100 {
		s.line(fmt.Sprintf("0 > R seq=%d", 100+i))
	}
	s.tb.Finish()
	if !strings.Contains(s.out[len(s.out)-1], " "+strings.Repeat("R", 50)+" ") || s.tb.Stats().ShedHistory != 50 {
		t.Error(s.out)
	}
}

// Closed hash tables forget nothing while they grow and shrink.
func TestIndex(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var conns slab[conn]
	var x index
	x.init()
	secret := [4]uint64{1, 2, 3, 4}
	live := map[uint64]uint32{}
	for range 50_000 {
		k := key{x: uint64(rng.IntN(9000))}
		h := k.hash(&secret) & 0xff0 // many meet
		slot := x.find(&conns, &k, h)
		if slot != live[k.x] {
			t.Fatalf("%d: %d, want %d", k.x, slot, live[k.x])
		}
		if slot == 0 {
			slot = conns.alloc()
			conns.get(slot).key = k
			x.insert(h, slot)
			live[k.x] = slot
		} else if rng.IntN(8) > 0 {
			x.remove(h, slot)
			conns.release(slot)
			delete(live, k.x)
		}
	}
	if x.n != len(live) {
		t.Error(x.n, len(live))
	}
}

// Deadlines come in order of time, then of setting.
func TestClock(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var q clock
	for i := range 5000 {
		q.add(timer{at: packet.Time(rng.IntN(100)), slot: uint32(i)})
	}
	q.sweep(func(tm *timer) bool { return tm.slot%2 == 0 })
	var last timer
	for n := 2500; n > 0; n-- {
		tm := q.pop()
		if tm.at < last.at || tm.at == last.at && tm.slot < last.slot {
			t.Fatal(last, tm)
		}
		last = tm
	}
	if len(q.heap) != 0 {
		t.Error(len(q.heap))
	}
}

// Times that are none, or far away, stop nothing.
func TestWildTimes(t *testing.T) {
	zero := packet.Time(0)
	for _, bad := range []packet.Time{zero / zero, 1 / zero, -1 / zero, 1e300, -1e300, 1e12} {
		s := &sink{}
		tb := New(testConfig(), s, nil)
		feed(tb, []frame{
			{1, tcp4("10.0.0.1", "10.0.0.2", packettest.TCP{Src: 1, Dst: 2, Flags: fSYN}, nil)},
			{bad, tcp4("10.0.0.1", "10.0.0.3", packettest.TCP{Src: 1, Dst: 2, Flags: fSYN}, nil)},
			{3, tcp4("10.0.0.2", "10.0.0.1", packettest.TCP{Src: 2, Dst: 1, Flags: fSYN | fACK, Ack: 1}, nil)},
		})
		tb.Advance(bad)
		tb.Finish()
		if s.conns < 1 {
			t.Error(bad, s.conns)
		}
	}
}

// A configuration of zeros still ends.
func TestZeroTimeouts(t *testing.T) {
	cfg := Config{Key: []byte("a key of 16 byte")}
	s := &sink{}
	tb := New(cfg, s, nil)
	feed(tb, mixture(3, 500))
	tb.Finish()
	if st := tb.Stats(); s.conns == 0 || st.Active != 0 || st.Frags != 0 {
		t.Errorf("%+v", st)
	}
}

// warm sends packets of flows that the table knows already.
func warm(t testing.TB) (*Table, []packet.Packet) {
	cfg := testConfig()
	tb := New(cfg, &sink{}, []analyzer.Factory{{Name: "X", Ports: []analyzer.Port{{Num: 7, Proto: value.ProtoUDP}},
		New: func(value.Proto) analyzer.Analyzer { return quiet{} }}})
	var ps []packet.Packet
	add := func(ip []byte) {
		var p packet.Packet
		packet.DecodeIP(&p, ip, len(ip))
		p.Time = 1
		tb.Packet(&p)
		ps = append(ps, p)
	}
	data := bytes.Repeat([]byte("x"), 500)
	for i := range uint16(256) {
		a, b := "10.0.0.1", fmt.Sprintf("10.0.1.%d", i)
		add(tcp4(a, b, packettest.TCP{Src: 1000 + i, Dst: 80, Seq: 1, Flags: fSYN}, nil))
		add(tcp4(b, a, packettest.TCP{Src: 80, Dst: 1000 + i, Seq: 1, Ack: 2, Flags: fSYN | fACK}, nil))
		add(tcp4(a, b, packettest.TCP{Src: 1000 + i, Dst: 80, Seq: 2, Ack: 2, Flags: fACK, Window: 100}, data))
		add(tcp4(b, a, packettest.TCP{Src: 80, Dst: 1000 + i, Seq: 2, Ack: 502, Flags: fACK, Window: 100}, data))
		add(udp4(a, b, 2000+i, 7, data))
		add(packettest.IPv4(packettest.IP{Src: a, Dst: b, Proto: packet.ICMP}, packettest.ICMP(8, 0, data)))
	}
	return tb, ps
}

type quiet struct{}

func (quiet) Deliver(analyzer.Conn, bool, []byte) {}
func (quiet) Gap(analyzer.Conn, bool, uint64)     {}
func (quiet) End(analyzer.Conn)                   {}

// Packets of known flows allocate nothing.
func TestNoAllocs(t *testing.T) {
	tb, ps := warm(t)
	i := 0
	if n := testing.AllocsPerRun(10_000, func() {
		tb.Packet(&ps[i%len(ps)])
		i++
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkKnownFlow(b *testing.B) {
	tb, ps := warm(b)
	tb.cfg.NoChecksums = true // the sum of 500 bytes costs more than all else
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		tb.Packet(&ps[i%len(ps)])
		i++
	}
}

// New flows come and go: UDP, a second apart per thousand.
func BenchmarkNewFlow(b *testing.B) {
	tb := New(testConfig(), &sink{}, nil)
	ip := udp4("10.0.0.1", "10.0.0.2", 1, 2, nil)
	var p packet.Packet
	packet.DecodeIP(&p, ip, len(ip))
	b.ReportAllocs()
	n := uint32(0)
	for b.Loop() {
		n++
		p.Src[13], p.Src[14], p.Src[15] = byte(n>>16), byte(n>>8), byte(n)
		p.Time = packet.Time(n) / 1000
		tb.Packet(&p)
	}
}

// FuzzPackets feeds any bytes as packets; nothing may panic or stay behind.
func FuzzPackets(f *testing.F) {
	for seed := range uint64(4) {
		var b []byte
		for _, fr := range mixture(seed, 20) {
			b = append(b, byte(len(fr.ip)))
			b = append(b, fr.ip[:min(len(fr.ip), 255)]...)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzOne(t, data) })
}

func fuzzOne(t testing.TB, data []byte) {
	cfg := testConfig()
	cfg.NoChecksums = true
	cfg.Limits.Conns, cfg.Limits.Segments, cfg.Limits.FragDatagrams = 20, 10, 5
	s := newScript(t, cfg)
	var p packet.Packet
	for n := 1; len(data) > 1; n++ {
		k := min(int(data[0]), len(data)-1)
		packet.DecodeIP(&p, data[1:1+k], k+int(data[0])%3)
		p.Time, p.Seq = packet.Time(n)*packet.Time(data[0])/16, uint64(n)
		s.tb.Packet(&p)
		data = data[1+k:]
	}
	s.tb.Finish()
	if st := s.tb.Stats(); st.Active != 0 || st.ReassemblyBytes != 0 || st.FragBytes != 0 || st.Conns != st.Removed {
		t.Errorf("left behind: %+v", st)
	}
}
