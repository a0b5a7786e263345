package socks

import (
	"testing"

	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/socks"
	"github.com/picket-nsm/picket/zeek/value"
)

func harness(cfg Config) analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			log := New(cfg, rowstest.Note(rec, Schema()), func(analyzer.Conn) { rec.Eventf("tunnel") })
			return wire.Factory(log.Handler)
		},
		Allocs: 12,
		State:  20 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness(Default())) }

func FuzzSOCKSLog(f *testing.F) { analyzertest.Fuzz(f, harness(Default())) }

// TestPasswords shows the password only to who wants it.
func TestPasswords(t *testing.T) {
	var got []string
	log := New(Config{Passwords: true}, func(row []value.Value) { got = append(got, row[colPassword].Str()) }, func(analyzer.Conn) {})
	f := wire.Factory(log.Handler)
	for _, c := range analyzertest.Load(t, "testdata") {
		if c.Name != "login" {
			continue
		}
		a, rec := f.New(value.ProtoTCP), &analyzertest.Recorder{Quiet: true}
		for _, turn := range c.Turns {
			a.Deliver(rec, turn.Orig, turn.Data)
		}
		a.End(rec)
	}
	if len(got) != 1 || got[0] != "hide" {
		t.Errorf("passwords: %q, want one, hide", got)
	}
}
