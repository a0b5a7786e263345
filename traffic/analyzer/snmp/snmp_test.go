package snmp_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/snmp"
	"github.com/picket-nsm/picket/zeek/value"
)

type watcher struct{ rec *analyzertest.Recorder }

func (w watcher) Message(_ analyzer.Conn, orig bool, m *snmp.Msg) {
	if w.rec.Quiet {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%v v%d orig=%v community=%q user=%q", m.Kind, m.Version, orig, m.Community, m.User)
	if m.Kind == snmp.Unknown || m.Kind == snmp.UnknownScoped {
		fmt.Fprintf(&b, " tag=%#x", m.Tag)
	}
	for i := range m.Bindings {
		v := &m.Bindings[i]
		fmt.Fprintf(&b, " %s", snmp.AppendOID(nil, v.Name))
		switch v.Type() {
		case snmp.None:
			fmt.Fprintf(&b, "=none(%#x)", v.Tag)
		case snmp.Name:
			fmt.Fprintf(&b, "=%s", snmp.AppendOID(nil, v.Value))
		case snmp.Signed, snmp.Number:
			fmt.Fprintf(&b, "=%d", snmp.Unsigned(v.Value))
		default:
			fmt.Fprintf(&b, "=%#x:%q", v.Tag, v.Value)
		}
	}
	w.rec.Eventf("%s", b.String())
}

func (w watcher) Odd(_ analyzer.Conn, name, addl string) {
	if !w.rec.Quiet {
		w.rec.Eventf("odd %s %s", name, addl)
	}
}

func (w watcher) End(analyzer.Conn) { w.rec.Eventf("end") }

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return snmp.Factory(func() snmp.Handler { return watcher{rec} })
		},
		State: 1 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzSNMP(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// The largest datagram of the smallest variables must not stay in memory.
func TestManyBindings(t *testing.T) {
	rec := &analyzertest.Recorder{}
	a := snmp.Factory(func() snmp.Handler { return watcher{rec} }).New(value.ProtoUDP)
	msg := append([]byte{0x30, 0, 2, 1, 1, 4, 0, 0xa0, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 0x30, 0},
		bytes.Repeat([]byte{0x30, 0, 6, 0, 5, 0}, 10_000)...)
	rec.Quiet = true
	a.Deliver(rec, true, msg)
	if n := testing.AllocsPerRun(10, func() { a.Deliver(rec, true, msg[:200]) }); n > 0 {
		t.Errorf("%.0f allocations behind a large message", n)
	}
}

func TestOID(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "\x2b\x06\x01": "1.3.6.1", "\x2b\x86\x8d\x1f": "1.3.99999", "\x81\x34\x03": "4.20.3", "\x2b\x80": "",
		"\x2b\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01": "1.3.1", "\x2b\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01": "",
	} {
		if got := string(snmp.AppendOID(nil, []byte(in))); got != want {
			t.Errorf("%x: %q, want %q", in, got, want)
		}
	}
}

func BenchmarkMessage(b *testing.B) {
	rec := &analyzertest.Recorder{Quiet: true}
	for _, c := range analyzertest.Load(b, "testdata") {
		if c.Name != "versions" {
			continue
		}
		a := snmp.Factory(func() snmp.Handler { return watcher{rec} }).New(value.ProtoUDP)
		b.ReportAllocs()
		for b.Loop() {
			a.Deliver(rec, false, c.Turns[0].Data)
		}
	}
}
