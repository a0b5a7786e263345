package imap_test

import (
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/imap"
)

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(*analyzertest.Recorder) analyzer.Factory { return imap.Factory() },
		Allocs:  12, // the kit's notes of children
		State:   2 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzIMAP(f *testing.F) { analyzertest.Fuzz(f, harness()) }
