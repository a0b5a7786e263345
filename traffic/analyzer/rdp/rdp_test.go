package rdp_test

import (
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/rdp"
)

type watcher struct{ rec *analyzertest.Recorder }

func (w watcher) Certificate(_ analyzer.Conn, der []byte) {
	if !w.rec.Quiet {
		w.rec.Eventf("certificate %d bytes %.4x", len(der), der)
	}
}

func (w watcher) End(analyzer.Conn) { w.rec.Eventf("end") }

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return rdp.Factory(func() rdp.Handler { return watcher{rec} })
		},
		Allocs: 12, // the kit's notes of children
		State:  4 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzRDP(f *testing.F) { analyzertest.Fuzz(f, harness()) }
