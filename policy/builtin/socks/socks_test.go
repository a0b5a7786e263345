package socks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/socks"
	"github.com/picket-nsm/picket/zeek/value"
)

// harness writes each row as one line of name=value, unset columns left out.
func harness(cfg Config) analyzertest.Harness {
	schema := Schema()
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			log := New(cfg, func(row []value.Value) {
				if rec.Quiet {
					return
				}
				var b strings.Builder
				for i, v := range row {
					if i > 0 && i < rows.Columns || !v.IsSet() {
						continue
					}
					fmt.Fprintf(&b, " %s=%s", schema.Fields[i].Name, plain(v))
				}
				rec.Eventf("row%s", b.String())
			}, func(analyzer.Conn) { rec.Eventf("tunnel") })
			return wire.Factory(log.Handler)
		},
		Allocs: 12,
		State:  20 << 10,
	}
}

func plain(v value.Value) string {
	switch v.Kind() {
	case value.KindTime:
		return fmt.Sprintf("%.1f", v.Float()-1e9)
	case value.KindString:
		return fmt.Sprintf("%q", v.Str())
	case value.KindAddr:
		return v.Addr().String()
	case value.KindPort:
		p, _ := v.Port()
		return fmt.Sprint(p)
	}
	return fmt.Sprint(v.Count())
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
