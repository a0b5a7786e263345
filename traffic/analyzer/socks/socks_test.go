package socks_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/socks"
	"github.com/picket-nsm/picket/zeek/value"
)

// watcher writes down all that it is told.
type watcher struct{ rec *analyzertest.Recorder }

func (w watcher) Login(_ analyzer.Conn, user, password []byte) {
	if !w.rec.Quiet {
		w.rec.Eventf("> login %q %q", user, password)
	}
}

func (w watcher) LoginReply(_ analyzer.Conn, code uint8) {
	if !w.rec.Quiet {
		w.rec.Eventf("< login %d", code)
	}
}

func (w watcher) Request(_ analyzer.Conn, r *socks.Request) {
	if !w.rec.Quiet {
		w.rec.Eventf("> %d command=%d to=%s:%d user=%q", r.Version, r.Command, show(&r.To), r.Port, r.User)
	}
}

func (w watcher) Reply(_ analyzer.Conn, r *socks.Reply) {
	if !w.rec.Quiet {
		w.rec.Eventf("< %d code=%d bound=%s:%d", r.Version, r.Code, show(&r.Bound), r.Port)
	}
}

func (w watcher) End(_ analyzer.Conn, confirmed bool) {
	if !w.rec.Quiet {
		w.rec.Eventf("over, confirmed=%v", confirmed)
	}
}

func show(a *socks.Address) (s string) {
	if a.HasHost {
		s = netip.AddrFrom16(a.Host).Unmap().String()
	}
	if a.HasName {
		s += fmt.Sprintf("%q", a.Name)
	}
	return s
}

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return socks.Factory(func() socks.Handler { return watcher{rec} })
		},
		Allocs: 8, // texts of violations, buffers larger than what is kept
		State:  20 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzSOCKS(f *testing.F) { analyzertest.Fuzz(f, harness()) }

func BenchmarkConnection(b *testing.B) {
	rec := &analyzertest.Recorder{Quiet: true}
	f := socks.Factory(func() socks.Handler { return watcher{rec} })
	steps := []struct {
		orig bool
		b    []byte
	}{
		{true, []byte("\x05\x01\x00")}, {false, []byte("\x05\x00")},
		{true, []byte("\x05\x01\x00\x03\x0bexample.org\x00\x50")}, {false, []byte("\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")},
	}
	b.ReportAllocs()
	for b.Loop() {
		a := f.New(value.ProtoTCP)
		for _, s := range steps {
			a.Deliver(rec, s.orig, s.b)
		}
		a.End(rec)
	}
}
