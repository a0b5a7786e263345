package snmp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/snmp"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return wire.Factory(New(Deps{
				Write: func(row []value.Value) {
					if !rec.Quiet {
						rec.Eventf("row%s", show(row))
					}
				},
				Weird: func(_ packet.Time, name, addl string) {
					if !rec.Quiet {
						rec.Eventf("odd %s %s", name, addl)
					}
				},
			}).Handler)
		},
		State: 4 << 10,
	}
}

func show(row []value.Value) string {
	schema := Schema()
	if len(row) != len(schema.Fields) {
		panic("row and schema differ")
	}
	var b strings.Builder
	for i, f := range schema.Fields {
		switch v := row[i]; {
		case !v.IsSet() || i < 6:
		case v.Kind() != f.Kind:
			panic("kind of " + f.Name)
		case v.Kind() == value.KindString:
			fmt.Fprintf(&b, " %s=%q", f.Name, v.Str())
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
