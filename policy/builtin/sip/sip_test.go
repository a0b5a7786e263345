package sip

import (
	"math"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/sip"
)

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return wire.Factory(New(rowstest.Note(rec, Schema())).Handler)
		},
		Allocs: 250, // stations of the way
		State:  1 << 20,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// What is kept of a row is bounded, whatever a request says.
func TestLongTexts(t *testing.T) {
	i := &info{}
	long := []byte(strings.Repeat("x", 60_000))
	rec := &analyzertest.Recorder{Quiet: true}
	for range 300 {
		for _, name := range []string{"VIA", "FROM", "CALL-ID", "SUBJECT", "TO"} {
			i.client(rec, []byte(name), long)
			i.server(rec, []byte(name), long)
		}
	}
	n := 0
	for _, x := range i.texts {
		n += len(x)
	}
	for _, p := range i.paths {
		for _, x := range p {
			n += len(x)
		}
	}
	if n > maxTexts || i.size != n {
		t.Errorf("%d bytes are kept, %d counted", n, i.size)
	}
}

func TestCount(t *testing.T) {
	for in, want := range map[string]uint64{"0": 0, "12": 12, " 7 ": 7, "+3": 3, " ": 0, "99999999999999999999": math.MaxUint64, "-1": math.MaxUint64} {
		if n, ok := count([]byte(in)); !ok || n != want {
			t.Errorf("%q: %d %v, want %d", in, n, ok, want)
		}
	}
	for _, in := range []string{"", "x", "1x", "- 1", "1 2", "0x10", "1\x00"} {
		if n, ok := count([]byte(in)); ok {
			t.Errorf("%q is %d", in, n)
		}
	}
}
