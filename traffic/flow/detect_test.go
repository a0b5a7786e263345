package flow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/rx"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/traffic/packet/packettest"
	"github.com/picket-nsm/picket/zeek/value"
)

// dialog makes the packets of conversations and notes what the toys on them say.
type dialog struct {
	t     testing.TB
	tb    *Table
	out   []string
	now   packet.Time
	n     uint64
	udp   bool
	ports [2]uint16
	seq   [2]uint32
}

// toy is an analyzer that notes what it gets, and does what it is told in it.
type toy struct {
	d     *dialog
	name  string
	child analyzer.Child
}

func (a *toy) note(format string, args ...any) {
	a.d.out = append(a.d.out, a.name+" "+fmt.Sprintf(format, args...))
}

func (a *toy) Open(c analyzer.Conn) { a.note("open") }

func (a *toy) Deliver(c analyzer.Conn, orig bool, data []byte) {
	text := string(data)
	if len(text) > 40 {
		text = fmt.Sprintf("%s... (%d)", text[:20], len(text))
	}
	mark := "<"
	if orig {
		mark = ">"
	}
	a.note("%s %s", mark, text)
	p := c.(analyzer.Parent)
	if a.child != 0 {
		if string(data) == "drop child" {
			p.RemoveChild(a.child)
			a.child = 0
			return
		}
		p.Forward(a.child, orig, data)
		return
	}
	for word := range strings.FieldsSeq(string(data)) {
		switch word {
		case "confirm":
			c.Confirm(strings.ToLower(a.name))
		case "violate":
			c.Violation(strings.ToLower(a.name), "bad word", data)
		case "remove":
			c.(analyzer.Remover).Remove()
		case "detect":
			a.child = p.Detect(value.ProtoTCP)
		case "child":
			a.child = p.Child("INNER", value.ProtoTCP)
			_, rest, _ := strings.Cut(string(data), "child ")
			p.Forward(a.child, orig, []byte(rest))
			return
		}
	}
}

func (a *toy) Gap(c analyzer.Conn, orig bool, n uint64) {
	a.note("gap %d", n)
	c.(analyzer.Parent).ForwardGap(a.child, orig, n)
}
func (a *toy) Closed(c analyzer.Conn) { a.note("closed") }
func (a *toy) End(c analyzer.Conn) {
	a.note("end")
	// All of this must be refused: the connection, or the analyzer, is going.
	c.(analyzer.Parent).Forward(a.child, true, []byte("late"))
	if n := c.(analyzer.Parent).Child("INNER", value.ProtoTCP); n != 0 {
		a.note("got a child at its end")
	}
}

func (d *dialog) ConnRemoved(c *Conn) { d.out = append(d.out, "row "+c.Service()) }
func (d *dialog) Weird(w Weird)       { d.out = append(d.out, "weird "+w.Name+" "+w.Source) }
func (d *dialog) AnalyzerFailed(f *Failure) {
	d.out = append(d.out, "failed "+f.Analyzer+": "+f.Reason)
}

func (d *dialog) factory(name string, sigs ...analyzer.Signature) analyzer.Factory {
	return analyzer.Factory{Name: name, Signatures: sigs, New: func(value.Proto) analyzer.Analyzer { return &toy{d: d, name: name} }}
}

func sig(name string, from analyzer.Side, pattern string) analyzer.Signature {
	return analyzer.Signature{Name: name, Proto: value.ProtoTCP, From: from, Pattern: pattern}
}

func half(s analyzer.Signature) analyzer.Signature {
	s.Half = true
	return s
}

func with(s analyzer.Signature, reverse string) analyzer.Signature {
	s.Reverse = reverse
	return s
}

func overUDP(s analyzer.Signature) analyzer.Signature {
	s.Proto = value.ProtoUDP
	return s
}

func newDialog(t testing.TB, change func(cfg *Config)) *dialog {
	d := &dialog{t: t, now: 1, ports: [2]uint16{1025, 9999}}
	cfg := testConfig()
	if change != nil {
		change(&cfg)
	}
	sized := overUDP(sig("sized", analyzer.Either, `^Z`))
	sized.MinSize, sized.MaxSize = 3, 5
	port := d.factory("PORT")
	port.Ports = []analyzer.Port{{Num: 7, Proto: value.ProtoTCP}, {Num: 7, Proto: value.ProtoUDP}}
	d.tb = New(cfg, d, []analyzer.Factory{
		d.factory("HI", sig("hi-client", analyzer.FromOrig, `^HI `)),
		d.factory("ALSO", sig("also", analyzer.Either, `.*also`)),
		d.factory("PAIR", with(sig("pair-client", analyzer.FromOrig, `^ask`), "pair-server"), half(sig("pair-server", analyzer.FromResp, `.*answer`))),
		d.factory("SERVER", sig("server", analyzer.FromResp, `^200 `)),
		d.factory("INNER"),
		d.factory("DGRAM", overUDP(sig("dgram", analyzer.Either, `^.{2}XY`)), sized),
		port,
	})
	return d
}

// start opens a connection; over TCP with a handshake.
func (d *dialog) start(udp bool, resp uint16) *dialog {
	d.udp, d.ports[1] = udp, resp
	d.ports[0]++
	if !udp {
		d.seq = [2]uint32{100, 500}
		d.segment(0, 0x02, nil)
		d.segment(1, 0x12, nil)
		d.segment(0, 0x10, nil)
	}
	return d
}

func (d *dialog) packet(from int, proto uint8, payload []byte) {
	names := [2]string{"10.0.0.1", "10.0.0.2"}
	ip := packettest.IPv4(packettest.IP{Src: names[from], Dst: names[1-from], Proto: proto}, payload)
	if proto == packet.TCP {
		packettest.Sum(ip, proto, len(payload), 16)
	}
	var p packet.Packet
	packet.DecodeIP(&p, ip, len(ip))
	d.now += 0.01
	d.n++
	p.Time, p.Seq = d.now, d.n
	d.tb.Packet(&p)
	for i := range ip {
		ip[i] = 0xdb // nobody may keep a view
	}
}

func (d *dialog) segment(from int, flags uint8, data []byte) {
	h := packettest.TCP{Src: d.ports[from], Dst: d.ports[1-from], Seq: d.seq[from], Ack: d.seq[1-from], Flags: flags, Window: 8192}
	d.packet(from, packet.TCP, packettest.Segment(h, data))
	d.seq[from] += uint32(len(data))
	if flags&0x03 != 0 {
		d.seq[from]++
	}
}

// say sends text: of the originator behind >, else of the responder.
func (d *dialog) say(text string) *dialog {
	from := 0
	if text[0] == '<' {
		from = 1
	}
	if d.udp {
		d.packet(from, packet.UDP, packettest.UDP(d.ports[from], d.ports[1-from], []byte(text[1:])))
	} else {
		d.segment(from, 0x10, []byte(text[1:]))
	}
	return d
}

// lose loses n bytes, and has the other side acknowledge them.
func (d *dialog) lose(from int, n int) *dialog {
	d.seq[from] += uint32(n)
	d.segment(1-from, 0x10, nil)
	return d
}

func (d *dialog) wants(want ...string) {
	d.t.Helper()
	d.tb.Finish()
	if !slices.Equal(d.out, want) {
		d.t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(d.out, "\n\t"), strings.Join(want, "\n\t"))
	}
	st := d.tb.Stats()
	if st.DetectBytes != 0 || len(d.tb.seen.free) != int(d.tb.seen.used) || len(d.tb.blocks.free) != int(d.tb.blocks.used) {
		d.t.Errorf("left behind: %+v, %d of %d looks", st, len(d.tb.seen.free), d.tb.seen.used)
	}
	d.out = nil
}

func TestDetect(t *testing.T) {
	long := strings.Repeat("x", 1024)
	for _, tc := range []struct {
		name string
		udp  bool
		port uint16
		say  []string
		want []string
	}{
		{name: "nothing", say: []string{">x", "<y"}, want: []string{"row "}},
		{name: "one direction", say: []string{">HI you", ">more"}, want: []string{"HI open", "HI > HI you", "HI > more", "HI end", "row "}},
		{name: "in pieces", say: []string{">H", ">I", "<early", "> you", "<late"},
			want: []string{"HI open", "HI > H", "HI > I", "HI < early", "HI >  you", "HI < late", "HI end", "row "}},
		{name: "wrong direction", say: []string{"<HI you", ">x"}, want: []string{"row "}},
		{name: "either direction", say: []string{">x", "<see also"}, want: []string{"ALSO open", "ALSO > x", "ALSO < see also", "ALSO end", "row "}},
		{name: "two at once", say: []string{">HI also"}, want: []string{"HI open", "HI > HI also", "ALSO open", "ALSO > HI also", "HI end", "ALSO end", "row "}},
		{name: "pair", say: []string{">ask", "<the answer", ">bye"},
			want: []string{"PAIR open", "PAIR > ask", "PAIR < the answer", "PAIR > bye", "PAIR end", "row "}},
		{name: "pair, server first", say: []string{"<the answer", ">ask"}, want: []string{"PAIR open", "PAIR < the answer", "PAIR > ask", "PAIR end", "row "}},
		{name: "half a pair", say: []string{">ask", "<no"}, want: []string{"row "}},
		{name: "other half", say: []string{"<the answer", ">no"}, want: []string{"row "}},
		{name: "both have matched before", say: []string{">HI", "> also", ">also also"},
			want: []string{"HI open", "HI > HI", "HI >  also", "ALSO open", "ALSO > HI", "ALSO >  also", "HI > also also", "ALSO > also also", "HI end", "ALSO end", "row "}},
		{name: "in the piece that ends the look", say: []string{">" + long, "<200 also"},
			want: []string{"ALSO open", "ALSO > xxxxxxxxxxxxxxxxxxxx... (1024)", "ALSO < 200 also", "SERVER open", "SERVER > xxxxxxxxxxxxxxxxxxxx... (1024)", "SERVER < 200 also", "ALSO end", "SERVER end", "row "}},
		{name: "behind it", say: []string{">" + long, "<no", "<200 also", ">also"}, want: []string{"row "}},
		{name: "port", port: 7, say: []string{">x"}, want: []string{"PORT open", "PORT > x", "PORT end", "row "}},
		{name: "port and signature", port: 7, say: []string{">HI confirm", "<200 confirm"},
			want: []string{"PORT open", "PORT > HI confirm", "HI open", "HI > HI confirm", "PORT < 200 confirm", "HI < 200 confirm",
				"SERVER open", "SERVER > HI confirm", "SERVER < 200 confirm", "PORT end", "HI end", "SERVER end", "row port,hi,server"}},
		{name: "violation", say: []string{">HI violate", ">x"}, want: []string{"HI open", "HI > HI violate", "HI end", "row "}},
		{name: "violation after confirmation", say: []string{">HI confirm", "<x violate y", ">x"},
			want: []string{"HI open", "HI > HI confirm", "HI < x violate y", "failed HI: bad word", "HI end", "row "}},
		{name: "violation in the replay", say: []string{">violate", "<also x"}, want: []string{"ALSO open", "ALSO > violate", "ALSO end", "row "}},
		{name: "violation, then found again", port: 7, say: []string{">HI confirm violate", "<200 violate"},
			want: []string{"PORT open", "PORT > HI confirm violate", "failed PORT: bad word", "PORT end",
				"HI open", "HI > HI confirm violate", "failed HI: bad word", "HI end",
				"SERVER open", "SERVER > HI confirm violate", "failed SERVER: bad word", "SERVER end", "row "}},
		{name: "late violation", say: []string{">HI confirm", "<" + strings.Repeat("y", 10000), "<" + strings.Repeat("y", 300), ">violate"},
			want: []string{"HI open", "HI > HI confirm", "HI < yyyyyyyyyyyyyyyyyyyy... (10000)", "HI < yyyyyyyyyyyyyyyyyyyy... (300)", "HI > violate", "HI end", "row hi"}},
		{name: "removed", say: []string{">HI confirm remove", ">x"}, want: []string{"HI open", "HI > HI confirm remove", "HI end", "row hi"}},
		{name: "datagrams", udp: true, say: []string{">a", "<b", ">12XY", "<c"},
			want: []string{"DGRAM open", "DGRAM > a", "DGRAM < b", "DGRAM > 12XY", "DGRAM < c", "DGRAM end", "row "}},
		{name: "no stream of datagrams", udp: true, say: []string{">12", ">XY"}, want: []string{"row "}},
		{name: "size", udp: true, say: []string{">Z2", ">Z34567"}, want: []string{"row "}},
		{name: "size fits", udp: true, say: []string{">Z2", ">Z34567", ">Z34"},
			want: []string{"DGRAM open", "DGRAM > Z2", "DGRAM > Z34567", "DGRAM > Z34", "DGRAM end", "row "}},
		{name: "child", say: []string{">HI child first", "<then", ">violate", ">x"},
			want: []string{"HI open", "HI > HI child first", "INNER open", "INNER > first", "HI < then", "INNER < then",
				"HI > violate", "INNER > violate", "INNER end", "HI > x", "HI end", "row "}},
		{name: "child ends first", say: []string{">HI child confirm"},
			want: []string{"HI open", "HI > HI child confirm", "INNER open", "INNER > confirm", "INNER end", "HI end", "row inner"}},
		{name: "child dropped", say: []string{">HI child x", ">drop child", ">child y"},
			want: []string{"HI open", "HI > HI child x", "INNER open", "INNER > x", "HI > drop child", "INNER end",
				"HI > child y", "INNER open", "INNER > y", "INNER end", "HI end", "row "}},
		{name: "detect below", say: []string{"<start", ">HI detect", ">HI you", "<200 confirm", "<drop child", ">HI child z"},
			want: []string{"HI open", "HI < start", "HI > HI detect", "HI > HI you", "HI open", "HI > HI you",
				"HI < 200 confirm", "HI < 200 confirm", "SERVER open", "SERVER > HI you", "SERVER < 200 confirm",
				"HI < drop child", "HI end", "SERVER end", "HI > HI child z", "INNER open", "INNER > z", "INNER end", "HI end", "row hi,server"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDialog(t, nil)
			if tc.port == 0 {
				tc.port = 9999
			}
			d.start(tc.udp, tc.port)
			for _, s := range tc.say {
				d.say(s)
			}
			d.wants(tc.want...)
		})
	}
}

func TestDetectGap(t *testing.T) {
	d := newDialog(t, nil)
	d.start(false, 9999).say(">see ").lose(0, 20).say(">also").wants(
		"ALSO open", "ALSO > see ", "ALSO gap 20", "ALSO > also", "ALSO end", "row ")
}

// An analyzer of a child of a child hears of the end of a side.
func TestDetectClosed(t *testing.T) {
	d := newDialog(t, nil)
	d.start(false, 9999).say(">HI child x")
	d.segment(0, 0x11, nil)
	d.wants("HI open", "HI > HI child x", "INNER open", "INNER > x", "HI closed", "INNER closed", "INNER end", "HI end", "row ")
}

func TestDetectChunks(t *testing.T) {
	for n, found := range map[int]bool{100: true, 101: false} {
		d := newDialog(t, nil)
		d.start(false, 9999)
		for range n {
			d.say(">a")
		}
		d.say(">also")
		if d.tb.Finish(); (len(d.out) > 1) != found {
			t.Errorf("%d pieces before: found %v", n, !found)
		}
	}
}

func TestIgnorePorts(t *testing.T) {
	d := newDialog(t, func(cfg *Config) { cfg.Detection.IgnorePorts = true })
	d.start(false, 7).say(">x").wants("row ")
}

func TestIgnoreViolations(t *testing.T) {
	d := newDialog(t, func(cfg *Config) { cfg.Detection.IgnoreViolations = []string{"HI"} })
	d.start(false, 9999).say(">HI confirm violate").say(">x").wants(
		"HI open", "HI > HI confirm violate", "HI > x", "HI end", "row hi")
}

// The 1,001st violation of an analyzer is a weird, the others are nothing.
func TestManyViolations(t *testing.T) {
	d := newDialog(t, func(cfg *Config) { cfg.Detection.IgnoreViolations = []string{"HI"} })
	d.start(false, 9999).say(">HI x")
	for range 300 {
		d.say(">violate violate violate violate")
	}
	d.tb.Finish()
	n := 0
	for _, line := range d.out {
		if line == "weird too_many_analyzer_violations HI" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d weirds", n)
	}
}

// A name that was said to have failed is not said again, also if the analyzer
// is found once more.
func TestFailedOnce(t *testing.T) {
	d := newDialog(t, nil)
	d.start(false, 9999).say(">HI child also confirm violate").say(">x")
	d.start(false, 9999).say(">see also confirm").say("<also violate").say("<x").wants(
		"HI open", "HI > HI child also confirm violate", "INNER open", "INNER > also confirm violate", "failed INNER: bad word", "INNER end",
		"ALSO open", "ALSO > HI child also confirm violate", "INNER open", "INNER > also confirm violate", "INNER end",
		"HI > x", "ALSO > x",
		"ALSO open", "ALSO > see also confirm", "ALSO < also violate", "failed ALSO: bad word", "ALSO end",
		"ALSO open", "ALSO > see also confirm", "ALSO < also violate", "ALSO end",
		"HI end", "ALSO end", "row ", "row ")
}

func TestExpect(t *testing.T) {
	a, b, wild := address("a", false), address("b", false), packet.Addr{}
	for _, tc := range []struct {
		name  string
		e     analyzer.Expectation
		later float64
		found bool
	}{
		{"host", analyzer.Expectation{Orig: a, Resp: b, RespP: 7, Proto: value.ProtoTCP, Analyzer: "INNER", Timeout: 5}, 4, true},
		{"anybody", analyzer.Expectation{Orig: wild, Resp: b, RespP: 7, Proto: value.ProtoTCP, Analyzer: "INNER", Timeout: 5}, 4, true},
		{"late", analyzer.Expectation{Orig: wild, Resp: b, RespP: 7, Proto: value.ProtoTCP, Analyzer: "INNER", Timeout: 5}, 6, false},
		{"other host", analyzer.Expectation{Orig: b, Resp: b, RespP: 7, Proto: value.ProtoTCP, Analyzer: "INNER", Timeout: 5}, 0, false},
		{"other port", analyzer.Expectation{Orig: wild, Resp: b, RespP: 8, Proto: value.ProtoTCP, Analyzer: "INNER", Timeout: 5}, 0, false},
		{"other transport", analyzer.Expectation{Orig: wild, Resp: b, RespP: 7, Proto: value.ProtoUDP, Analyzer: "INNER", Timeout: 5}, 0, false},
		{"unknown analyzer", analyzer.Expectation{Orig: wild, Resp: b, RespP: 7, Proto: value.ProtoTCP, Analyzer: "NOBODY", Timeout: 5}, 0, false},
	} {
		d := newDialog(t, nil)
		d.tb.Advance(d.now)
		d.tb.Expect(tc.e)
		d.now += packet.Time(tc.later)
		d.start(false, 7).say(">x")
		if tc.found {
			d.wants("INNER open", "INNER > x", "INNER end", "row ")
		} else {
			d.wants("PORT open", "PORT > x", "PORT end", "row ")
		}
	}
	d := newDialog(t, func(cfg *Config) { cfg.Limits.Expected = 2000 })
	for i := range 5000 {
		d.tb.Advance(packet.Time(i))
		d.tb.Expect(analyzer.Expectation{Resp: b, RespP: uint16(i), Proto: value.ProtoTCP, Analyzer: "INNER", Timeout: 2900})
	}
	if st := d.tb.Stats(); d.tb.expected.n > 2000 || st.ShedExpected != 1000 {
		t.Errorf("%d are expected, %d were shed", d.tb.expected.n, st.ShedExpected)
	}
}

// A connection has room for so many analyzers and no more, and what the look at
// connections keeps is bounded.
func TestDetectLimits(t *testing.T) {
	d := newDialog(t, func(cfg *Config) { cfg.Limits.Analyzers = 2 })
	d.start(false, 9999).say(">HI child also").wants(
		"HI open", "HI > HI child also", "INNER open", "INNER > also", "INNER end", "HI end", "row ")
	if n := d.tb.Stats().ShedAnalyzers; n != 1 {
		t.Errorf("%d analyzers were shed", n)
	}
	const limit = 8 << 10
	d = newDialog(t, func(cfg *Config) { cfg.Limits.DetectTotal = limit })
	for range 100 {
		d.start(false, 9999).say(">" + strings.Repeat("x", 500))
		if st := d.tb.Stats(); st.DetectBytes > limit+256 {
			t.Fatalf("%d bytes are kept", st.DetectBytes)
		}
	}
	if n := d.tb.Stats().ShedDetections; n < 50 {
		t.Errorf("%d connections were shed", n)
	}
	d.tb.Finish()
	if st := d.tb.Stats(); st.DetectBytes != 0 {
		t.Errorf("left behind: %+v", st)
	}
}

// Flows on which nothing is found cost no allocation.
func TestDetectAllocates(t *testing.T) {
	for _, udp := range []bool{false, true} {
		d := newDialog(t, nil)
		text := "<" + strings.Repeat("y", 700)
		run := func() {
			d.start(udp, 9999)
			for range 3 {
				d.say(">some bytes").say(text)
			}
			d.now += 1000
			d.tb.Advance(d.now)
		}
		base := newDialog(t, nil)
		base.tb = New(testConfig(), base, nil)
		plain := func() {
			base.start(udp, 9999)
			for range 3 {
				base.say(">some bytes").say(text)
			}
			base.now += 1000
			base.tb.Advance(base.now)
		}
		run()
		plain()
		if a, b := testing.AllocsPerRun(50, run), testing.AllocsPerRun(50, plain); a > b {
			t.Errorf("udp %v: %.1f allocations with signatures, %.1f without", udp, a, b)
		}
	}
}

// Whatever the pieces, the same analyzers get the same bytes; also when the
// automaton forgets its states all the time.
func TestDetectAnyPieces(t *testing.T) {
	conversation := []string{">HI there, ask", "<200 the answer is also here", ">also", "<bye"}
	got := func(size int, tiny bool) map[string]string {
		d := newDialog(t, nil)
		if tiny {
			d.tb.tcpSigs.side[0].m = shrink(d, 0)
			d.tb.tcpSigs.side[1].m = shrink(d, 1)
		}
		d.start(false, 9999)
		for _, s := range conversation {
			for at := 1; at < len(s); at += size {
				d.say(s[:1] + s[at:min(at+size, len(s))])
				if tiny {
					other := d.ports
					keep := d.seq
					d.start(false, 9998).say(">ask xyz").say("<20")
					d.ports, d.seq = other, keep
				}
			}
		}
		d.tb.Finish()
		all := map[string]string{}
		for _, line := range d.out {
			if strings.HasPrefix(line, "weird ") {
				continue // the other connections are one
			}
			if f := strings.SplitN(line, " ", 3); len(f) == 3 {
				all[f[0]+f[1]] += f[2]
			}
		}
		return all
	}
	want := got(1000, false)
	if len(want) != 6 {
		t.Fatalf("%d: %v", len(want), want)
	}
	for size := 1; size < 30; size++ {
		for _, tiny := range []bool{false, true} {
			if have := got(size, tiny); fmt.Sprint(have) != fmt.Sprint(want) {
				t.Errorf("pieces of %d, tiny %v: %v, want %v", size, tiny, have, want)
			}
		}
	}
}

// A wrong table of signatures is found when a Table is made.
func TestBadSignatures(t *testing.T) {
	d := newDialog(t, nil)
	for name, sigs := range map[string][]analyzer.Signature{
		"pattern":   {sig("a", analyzer.Either, `(`)},
		"twice":     {sig("a", analyzer.Either, `a`), sig("a", analyzer.Either, `b`)},
		"reverse":   {with(sig("a", analyzer.FromOrig, `a`), "b")},
		"same side": {with(sig("a", analyzer.FromOrig, `a`), "b"), sig("b", analyzer.FromOrig, `b`)},
		"transport": {{Name: "a", Pattern: "a"}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			New(testConfig(), d, []analyzer.Factory{d.factory("X", sigs...)})
		}()
	}
}

// Children forwarding to each other in a chain as long as the limit, and bytes
// of every kind: nothing may break.
func TestDetectRandom(t *testing.T) {
	words := []string{"HI ", "also", "ask", "answer", "200 ", "child ", "detect ", "confirm ", "violate ", "remove ", "drop child", "x"}
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		d := newDialog(t, nil)
		d.start(seed%3 == 0, []uint16{7, 9999}[rng.IntN(2)])
		for range 1 + rng.IntN(20) {
			text := string("><"[rng.IntN(2)])
			for range 1 + rng.IntN(4) {
				text += words[rng.IntN(len(words))]
			}
			if d.say(text); !d.udp && rng.IntN(10) == 0 {
				d.lose(rng.IntN(2), 1+rng.IntN(50))
			}
		}
		opened, ended := 0, 0
		d.tb.Finish()
		for _, line := range d.out {
			if strings.HasSuffix(line, " open") {
				opened++
			}
			if strings.HasSuffix(line, " end") {
				ended++
			}
		}
		if opened != ended {
			t.Fatalf("seed %d: %d opened, %d ended:\n%s", seed, opened, ended, strings.Join(d.out, "\n"))
		}
		if st := d.tb.Stats(); st.DetectBytes != 0 || len(d.tb.seen.free) != int(d.tb.seen.used) {
			t.Fatalf("seed %d: left behind: %+v", seed, st)
		}
	}
}

// shrink returns a matcher for one side of the dialog's signatures that has room
// for two states.
func shrink(d *dialog, side int) *rx.Matcher {
	var patterns []string
	for _, f := range d.tb.choices.list {
		for _, s := range f.Signatures {
			if s.Proto == value.ProtoTCP && s.From != []analyzer.Side{analyzer.FromResp, analyzer.FromOrig}[side] {
				patterns = append(patterns, s.Pattern)
			}
		}
	}
	set, err := rx.Compile(patterns, rx.Options{DotNewline: true})
	if err != nil {
		d.t.Fatal(err)
	}
	return set.Matcher(1)
}
