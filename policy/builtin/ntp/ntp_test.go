package ntp

import (
	"testing"

	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/ntp"
	"github.com/picket-nsm/picket/zeek/record"
)

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			to := func(s *record.Schema) Write { return rowstest.Note(rec, s) }
			return wire.Factory(New(to(Schema()), to(ControlSchema()), to(PrivateSchema())).Handler)
		},
		State: 4 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, harness()) }
