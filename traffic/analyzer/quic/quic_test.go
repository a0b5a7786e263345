package quic_test

import (
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/quic"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
	"github.com/picket-nsm/picket/zeek/value"
)

// watcher writes down all that it is told.
type watcher struct{ rec *analyzertest.Recorder }

var kinds = [...]string{"initial", "0-rtt", "handshake", "retry", "unknown version", "short", "discarded"}

func from(orig bool) string {
	if orig {
		return "originator"
	}
	return "responder"
}

func (w watcher) Packet(_ analyzer.Conn, p *quic.Packet) {
	if w.rec.Quiet {
		return
	}
	switch p.Kind {
	case quic.Short:
		w.rec.Eventf("%s short %d", from(p.Orig), p.Count)
	case quic.Discarded:
		w.rec.Eventf("%s discarded", from(p.Orig))
	default:
		w.rec.Eventf("%s %s version=%x dcid=%x scid=%x token=%d tag=%x", from(p.Orig), kinds[p.Kind], p.Version, p.DCID, p.SCID, len(p.Token), p.Tag)
	}
}

func (w watcher) Hello(_ analyzer.Conn, h *tlsmsg.Hello) {
	if !w.rec.Quiet {
		w.rec.Eventf("hello client=%v complete=%v names=%q protocols=%d versions=%x groups=%d", h.Client, h.Complete, h.Names, len(h.Protocols), h.Versions, len(h.Groups))
	}
}

func (w watcher) Close(_ analyzer.Conn, k *quic.Close) {
	if !w.rec.Quiet {
		w.rec.Eventf("%s close %d %q", from(k.Orig), k.Code, k.Reason)
	}
}

func (w watcher) End(analyzer.Conn) {
	if !w.rec.Quiet {
		w.rec.Eventf("end")
	}
}

type deaf struct{}

func (deaf) Deliver(analyzer.Conn, bool, []byte) {}
func (deaf) Gap(analyzer.Conn, bool, uint64)     {}
func (deaf) End(analyzer.Conn)                   {}

func factory(rec *analyzertest.Recorder) analyzer.Factory {
	f := quic.Factory(quic.Default(), func() quic.Handler { return watcher{rec} })
	// The fuzzer tries streams too, which QUIC never is.
	datagrams := f.New
	f.New = func(proto value.Proto) analyzer.Analyzer {
		if proto == value.ProtoTCP {
			return deaf{}
		}
		return datagrams(proto)
	}
	return f
}

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: factory,
		Allocs:  400, // keys, per connection
		State:   12 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzQUIC(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// TestShortIsFree says that packets behind the handshake cost no allocation.
func TestShortIsFree(t *testing.T) {
	rec := &analyzertest.Recorder{Quiet: true}
	a := factory(rec).New(value.ProtoUDP)
	for _, c := range analyzertest.Load(t, "testdata") {
		if c.Name == "quicgo-v1" {
			for i := range c.Turns {
				a.Deliver(rec, c.Turns[i].Orig, c.Turns[i].Data)
			}
		}
	}
	data := append([]byte{0x40}, make([]byte, 1200)...)
	if n := testing.AllocsPerRun(100, func() { a.Deliver(rec, false, data) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHandshake(b *testing.B) {
	for _, c := range analyzertest.Load(b, "testdata") {
		if c.Name != "quicgo-v1" && c.Name != "quicgo-many" {
			continue
		}
		b.Run(c.Name, func(b *testing.B) {
			rec := &analyzertest.Recorder{Quiet: true}
			f := factory(rec)
			b.ReportAllocs()
			for b.Loop() {
				a := f.New(value.ProtoUDP)
				for i := range c.Turns {
					a.Deliver(rec, c.Turns[i].Orig, c.Turns[i].Data)
				}
				a.End(rec)
			}
		})
	}
}

func BenchmarkShort(b *testing.B) {
	rec := &analyzertest.Recorder{Quiet: true}
	a := factory(rec).New(value.ProtoUDP)
	data := append([]byte{0x40}, make([]byte, 1200)...)
	for b.Loop() {
		a.Deliver(rec, false, data)
	}
}
