package syslog_test

import (
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/syslog"
	"github.com/picket-nsm/picket/zeek/value"
)

type watcher struct{ rec *analyzertest.Recorder }

func (w watcher) Message(_ analyzer.Conn, m *syslog.Msg) {
	if !w.rec.Quiet {
		w.rec.Eventf("message facility=%d severity=%d %q", m.Facility, m.Severity, m.Text)
	}
}

func (w watcher) End(analyzer.Conn) { w.rec.Eventf("end") }

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return syslog.Factory(func() syslog.Handler { return watcher{rec} })
		},
		State: 1 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzSyslog(f *testing.F) { analyzertest.Fuzz(f, harness()) }

func BenchmarkMessage(b *testing.B) {
	rec := &analyzertest.Recorder{Quiet: true}
	for _, c := range analyzertest.Load(b, "testdata") {
		if c.Name != "logger" {
			continue
		}
		a := syslog.Factory(func() syslog.Handler { return watcher{rec} }).New(value.ProtoUDP)
		b.ReportAllocs()
		for b.Loop() {
			a.Deliver(rec, true, c.Turns[0].Data)
		}
	}
}
