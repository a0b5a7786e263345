package postgresql_test

import (
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/postgresql"
)

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(*analyzertest.Recorder) analyzer.Factory { return postgresql.Factory() },
		Allocs:  12, // the kit's notes of children
		State:   2 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzPostgreSQL(f *testing.F) { analyzertest.Fuzz(f, harness()) }
