package ssh

import (
	"testing"

	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/ssh"
	"github.com/picket-nsm/picket/zeek/value"
)

const recorded = "../../../traffic/analyzer/ssh/testdata"

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return wire.Factory(wire.Default(), New(rowstest.Note(rec, Schema())).Handler)
		},
		Allocs: 8,
		State:  300 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// A login in whole pieces: a key that is refused, one that is taken.
func TestLogin(t *testing.T) {
	for _, c := range analyzertest.Load(t, recorded) {
		if c.Name != "curve" {
			continue
		}
		var got []value.Value
		log := New(func(row []value.Value) { got = append([]value.Value(nil), row...) })
		rec := &analyzertest.Recorder{Quiet: true}
		a := wire.Factory(wire.Default(), log.Handler).New(value.ProtoTCP)
		for i := range c.Turns {
			if tn := &c.Turns[i]; !tn.Close && got == nil {
				a.Deliver(rec, tn.Orig, tn.Data)
			}
		}
		if got == nil || !got[colAuthSuccess].Bool() || got[colAuthAttempts].Count() != 2 || got[colVersion].Count() != 2 {
			t.Errorf("row %v", got)
		}
	}
}
