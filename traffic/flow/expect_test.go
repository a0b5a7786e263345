package flow

import (
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

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
	d.start(false, 9999).say(">TWO confirm violate").say("<TWO confirm violate").say("<x").wants(
		"HI open", "HI > HI child also confirm violate", "INNER open", "INNER > also confirm violate", "failed INNER: bad word", "INNER end",
		"ALSO open", "ALSO > HI child also confirm violate", "INNER open", "INNER > also confirm violate", "INNER end",
		"HI > x", "ALSO > x",
		"TWO open", "TWO > TWO confirm violate", "failed TWO: bad word", "TWO end",
		"TWO open", "TWO > TWO confirm violate", "TWO < TWO confirm violate", "TWO end",
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

// An expectation of another worker may come before the connection, within it or
// long after.
func TestLearn(t *testing.T) {
	b := address("b", false)
	inner := analyzer.Expectation{Resp: b, RespP: 7, Proto: value.ProtoTCP, Analyzer: "INNER", Timeout: 5}
	learn := func(d *dialog, ago packet.Time) { d.tb.Learn(inner, d.now-ago) }
	begin := func() *dialog {
		d := newDialog(t, nil)
		d.tb.Advance(d.now)
		return d
	}
	d := begin()
	learn(d, 0)
	d.start(false, 7).say(">x").wants("INNER open", "INNER > x", "INNER end", "row ")

	d = begin() // from a worker that is ahead
	learn(d, -3)
	d.start(false, 7).say(">x").wants("PORT open", "PORT > x", "PORT end", "row ")

	d = begin().start(false, 7) // behind the SYN: the port's analyzer is not there yet
	learn(d, 3)
	d.say(">x").wants("INNER open", "INNER > x", "INNER end", "row ")

	d = begin().start(false, 7) // the connection is older than the expectation
	learn(d, -1)
	d.say(">x").wants("PORT open", "PORT > x", "PORT end", "row ")

	inner.RespP = 9999
	d = begin().start(false, 9999).say(">see").say("<what") // behind the first bytes
	learn(d, 3)
	learn(d, 3)
	d.say(">x").wants("INNER open", "INNER > see", "INNER < what", "INNER > x", "INNER end", "row ")

	d = begin().start(false, 9999).say(">see")
	for range 120 { // signatures are no longer matched
		d.say(">more")
	}
	learn(d, 3)
	d.say(">x").wants("INNER open", "INNER gap 483", "INNER > x", "INNER end", "row ")
}

// The connection is found among those that began last, not among all.
func TestLearnBounded(t *testing.T) {
	d := newDialog(t, nil)
	d.tb.Advance(d.now)
	for i := range youngConns + 10 {
		d.start(false, uint16(10000+i))
	}
	for _, port := range []uint16{10000, 10000 + youngConns} {
		d.tb.Learn(analyzer.Expectation{Resp: address("b", false), RespP: port, Proto: value.ProtoTCP, Analyzer: "INNER", Timeout: 500}, 1)
	}
	if len(d.out) != 1 || d.out[0] != "INNER open" {
		t.Errorf("%q, want one that opens", d.out)
	}
}

// Once a worker has said that connections will be told of, what passes on those
// that nothing was found on is held for a moment.
func TestLearnHeld(t *testing.T) {
	b := address("b", false)
	inner := analyzer.Expectation{Resp: b, RespP: 9999, Proto: value.ProtoTCP, Analyzer: "INNER", Timeout: 5}
	long := strings.Repeat("x", 1200)
	begin := func(alert bool) *dialog {
		d := newDialog(t, nil)
		d.tb.Advance(d.now)
		if alert {
			d.tb.Learn(analyzer.Expectation{Timeout: 5}, d.now)
		}
		return d.start(false, 9999)
	}
	shown := "xxxxxxxxxxxxxxxxxxxx... (1200)"
	d := begin(true).say(">" + long)
	d.tb.Learn(inner, d.now-1)
	d.say("<y").wants("INNER open", "INNER > "+shown, "INNER < y", "INNER end", "row ")

	d = begin(false).say(">" + long) // nobody had said so
	d.tb.Learn(inner, d.now-1)
	d.say("<y").wants("INNER open", "INNER gap 1200", "INNER < y", "INNER end", "row ")

	d = begin(true).say(">" + long).say("<y").say("<z") // too late
	d.now += 1
	d.say("<z")
	d.tb.Learn(inner, d.now-2)
	d.say("<y").wants("INNER open", "INNER gap 1200", "INNER gap 3", "INNER < y", "INNER end", "row ")

	d = begin(true).say(">" + long + " also") // it was found
	d.tb.Learn(inner, d.now-1)
	d.say("<y").wants("ALSO open", "ALSO > xxxxxxxxxxxxxxxxxxxx... (1205)", "INNER open", "INNER gap 1205", "ALSO < y", "INNER < y",
		"ALSO end", "INNER end", "row ")
	d = begin(true).say(">" + long) // and nobody told: nothing is left behind
	d.wants("row ")
}
