package flow

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/rx"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

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
		{name: "violation in the replay", say: []string{">violate", "<also x"}, want: []string{"ALSO open", "ALSO > violate", "ALSO < also x", "ALSO end", "row "}},
		{name: "violation, then found again", port: 7, say: []string{">HI confirm violate", "<200 violate"},
			want: []string{"PORT open", "PORT > HI confirm violate", "failed PORT: bad word", "PORT end",
				"HI open", "HI > HI confirm violate", "failed HI: bad word", "HI end",
				"SERVER open", "SERVER > HI confirm violate", "failed SERVER: bad word", "SERVER < 200 violate", "SERVER end", "row "}},
		{name: "violation in the packet that another signature of it finds", port: 8, say: []string{">x", "<TWO confirm violate", "<y"},
			want: []string{"TWO open", "TWO > x", "TWO < TWO confirm violate", "failed TWO: bad word", "TWO end", "row "}},
		{name: "violation, found again in a later packet", port: 8, say: []string{">TWO confirm violate", "<no", "<TWO"},
			want: []string{"TWO open", "TWO > TWO confirm violate", "failed TWO: bad word", "TWO end", "row "}},
		{name: "violation, found again by the first answer", port: 8, say: []string{">TWO confirm violate", "<TWO"},
			want: []string{"TWO open", "TWO > TWO confirm violate", "failed TWO: bad word", "TWO end",
				"TWO open", "TWO > TWO confirm violate", "TWO < TWO", "TWO end", "row "}},
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

// improvise plays a conversation made of words, and checks that what was opened was
// ended and nothing is left behind.
func improvise(t *testing.T, next func(n int) int) {
	words := []string{"HI ", "also", "ask", "answer", "200 ", "child ", "detect ", "confirm ", "violate ", "remove ", "drop child", "x", "12XY", "Z34"}
	d := newDialog(t, func(cfg *Config) { cfg.Limits.Analyzers = 8 })
	for range 1 + next(3) {
		d.start(next(3) == 0, []uint16{7, 9999}[next(2)])
		for range 1 + next(20) {
			text := string("><"[next(2)])
			for range 1 + next(4) {
				text += words[next(len(words))]
			}
			switch {
			case next(20) == 0:
				text += strings.Repeat("y", 500)
			case next(20) == 0 && !d.udp:
				d.segment(next(2), 0x11, nil)
			case next(20) == 0 && !d.udp:
				d.segment(next(2), 0x14, nil)
			}
			if d.say(text); !d.udp && next(10) == 0 {
				d.lose(next(2), 1+next(50))
			}
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
		t.Fatalf("%d opened, %d ended:\n%s", opened, ended, strings.Join(d.out, "\n"))
	}
	st := d.tb.Stats()
	if st.DetectBytes != 0 || len(d.tb.seen.free) != int(d.tb.seen.used) || len(d.tb.blocks.free) != int(d.tb.blocks.used) {
		t.Fatalf("left behind: %+v", st)
	}
}

func TestDetectRandom(t *testing.T) {
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		improvise(t, rng.IntN)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzDetect(f *testing.F) {
	f.Add([]byte{1, 0, 1, 5, 0, 0, 0, 5, 9, 1, 3, 2, 7, 8})
	f.Fuzz(func(t *testing.T, choices []byte) {
		improvise(t, func(n int) int {
			if len(choices) == 0 {
				return 1 % n
			}
			c := choices[0]
			choices = choices[1:]
			return int(c) % n
		})
	})
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
