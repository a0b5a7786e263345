package ntp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/ntp"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			to := func(s *record.Schema) Write {
				return func(row []value.Value) {
					if !rec.Quiet {
						rec.Eventf("%s%s", s.Path, show(s, row))
					}
				}
			}
			return wire.Factory(New(to(Schema()), to(ControlSchema()), to(PrivateSchema())).Handler)
		},
		State: 4 << 10,
	}
}

func show(s *record.Schema, row []value.Value) string {
	if len(row) != len(s.Fields) {
		panic("row and schema differ")
	}
	var b strings.Builder
	for i, f := range s.Fields {
		switch v := row[i]; {
		case !v.IsSet() || i == 0 || i == 1:
		case v.Kind() != f.Kind:
			panic("kind of " + f.Name)
		case v.Kind() == value.KindString:
			fmt.Fprintf(&b, " %s=%q", f.Name, v.Str())
		case v.Kind() == value.KindAddr:
			fmt.Fprintf(&b, " %s=%v", f.Name, v.Addr())
		case v.Kind() == value.KindTime, v.Kind() == value.KindInterval:
			fmt.Fprintf(&b, " %s=%.6f", f.Name, v.Float())
		default:
			fmt.Fprintf(&b, " %s=%d", f.Name, v.Count())
		}
	}
	return b.String()
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, harness()) }
