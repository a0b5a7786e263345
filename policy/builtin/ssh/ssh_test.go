package ssh

import (
	"fmt"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/ssh"
	"github.com/picket-nsm/picket/zeek/value"
)

const recorded = "../../../traffic/analyzer/ssh/testdata"

// harness writes each row as one line of name=value.
func harness(rec *analyzertest.Recorder) analyzer.Factory {
	schema := Schema()
	log := New(func(row []value.Value) {
		if rec.Quiet {
			return
		}
		var b strings.Builder
		for i := colVersion; i < numColumns; i++ {
			switch v := row[i]; {
			case !v.IsSet():
			case v.Kind() == value.KindString, v.Kind() == value.KindEnum:
				fmt.Fprintf(&b, " %s=%q", schema.Fields[i].Name, v.Str())
			default:
				fmt.Fprintf(&b, " %s=%d", schema.Fields[i].Name, v.Count())
			}
		}
		rec.Eventf("row%s", b.String())
	})
	return wire.Factory(wire.Default(), log.Handler)
}

func TestKit(t *testing.T) { analyzertest.Run(t, kit()) }

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, kit()) }

func kit() analyzertest.Harness {
	return analyzertest.Harness{Factory: harness, Allocs: 8, State: 300 << 10}
}

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
