package sip_test

import (
	"bytes"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/sip"
	"github.com/picket-nsm/picket/zeek/value"
)

type watcher struct{ rec *analyzertest.Recorder }

func (w watcher) say(format string, args ...any) { w.rec.Eventf(format, args...) }

func (w watcher) Request(_ analyzer.Conn, method, uri, version []byte) {
	if !w.rec.Quiet {
		w.say("request %q %q %s", method, uri, version)
	}
}

func (w watcher) Reply(_ analyzer.Conn, version []byte, code int, reason []byte) {
	if !w.rec.Quiet {
		w.say("reply %s %d %q", version, code, reason)
	}
}

func (w watcher) Header(_ analyzer.Conn, request bool, name, value []byte) {
	if !w.rec.Quiet {
		w.say("header request=%v %q %q", request, name, value)
	}
}

func (w watcher) Done(_ analyzer.Conn, request bool) {
	if !w.rec.Quiet {
		w.say("done request=%v", request)
	}
}

func (w watcher) End(analyzer.Conn) { w.rec.Eventf("end") }

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return sip.Factory(func() sip.Handler { return watcher{rec} })
		},
		Allocs: 2, // the text of a weird
		State:  2 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzSIP(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// A line without an end is not kept for ever, a body is not kept at all.
func TestEndless(t *testing.T) {
	rec := &analyzertest.Recorder{Quiet: true}
	for _, start := range []string{"INVITE sip:", "INVITE sip:x SIP/2.0\r\nContent-Length: 9999999\r\n\r\n"} {
		a := sip.Factory(func() sip.Handler { return watcher{rec} }).New(value.ProtoUDP)
		a.Deliver(rec, true, []byte(start))
		more := bytes.Repeat([]byte("a"), 60_000)
		a.Deliver(rec, true, more)
		a.Deliver(rec, true, more)
		if n := testing.AllocsPerRun(100, func() { a.Deliver(rec, true, more) }); n > 1 {
			t.Errorf("%.0f allocations a datagram", n)
		}
	}
}

func BenchmarkMessage(b *testing.B) {
	rec := &analyzertest.Recorder{Quiet: true}
	for _, c := range analyzertest.Load(b, "testdata") {
		if c.Name != "sipp" {
			continue
		}
		a := sip.Factory(func() sip.Handler { return watcher{rec} }).New(value.ProtoUDP)
		b.ReportAllocs()
		b.SetBytes(int64(len(c.Turns[0].Data)))
		for b.Loop() {
			a.Deliver(rec, true, c.Turns[0].Data)
		}
	}
}
