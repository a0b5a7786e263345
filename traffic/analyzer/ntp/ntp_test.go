package ntp_test

import (
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/ntp"
	"github.com/picket-nsm/picket/zeek/value"
)

type watcher struct{ rec *analyzertest.Recorder }

func (w watcher) Message(_ analyzer.Conn, m *ntp.Msg) {
	if w.rec.Quiet {
		return
	}
	switch {
	case m.IsStandard():
		w.rec.Eventf("standard v%d mode=%d %+v", m.Version, m.Mode, m.Standard)
	case m.Mode == ntp.ModeControl:
		w.rec.Eventf("control v%d %+v", m.Version, m.Control)
	case m.Mode == ntp.ModePrivate:
		w.rec.Eventf("private v%d %+v", m.Version, m.Private)
	default:
		w.rec.Eventf("other v%d mode=%d", m.Version, m.Mode)
	}
}

func (w watcher) End(analyzer.Conn) { w.rec.Eventf("end") }

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return ntp.Factory(func() ntp.Handler { return watcher{rec} })
		},
		State: 1 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzNTP(f *testing.F) { analyzertest.Fuzz(f, harness()) }

func BenchmarkMessage(b *testing.B) {
	rec := &analyzertest.Recorder{Quiet: true}
	for _, c := range analyzertest.Load(b, "testdata") {
		if c.Name != "sync" {
			continue
		}
		a := ntp.Factory(func() ntp.Handler { return watcher{rec} }).New(value.ProtoUDP)
		b.ReportAllocs()
		for b.Loop() {
			a.Deliver(rec, true, c.Turns[0].Data)
		}
	}
}
