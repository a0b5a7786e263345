package syslog

import (
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/syslog"
	"github.com/picket-nsm/picket/zeek/value"
)

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return wire.Factory(New(func(row []value.Value) {
				if !rec.Quiet {
					rec.Eventf("row %s %s %s %q", row[6].Str(), row[7].Str(), row[8].Str(), row[9].Str())
				}
			}).Handler)
		},
		Allocs: 4, // the name of a facility that has none
		State:  1 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, harness()) }
