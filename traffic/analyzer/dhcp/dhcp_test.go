package dhcp_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/dhcp"
	"github.com/picket-nsm/picket/zeek/value"
)

type watcher struct{ rec *analyzertest.Recorder }

func (w watcher) Message(_ analyzer.Conn, orig bool, m *dhcp.Msg) {
	if w.rec.Quiet {
		return
	}
	var b strings.Builder
	ip := func(a [4]byte) string { return netip.AddrFrom4(a).String() }
	fmt.Fprintf(&b, "message orig=%v op=%d type=%d xid=%#x secs=%d flags=%#x client=%s yours=%s server=%s relay=%s mac=%s name=%q file=%q",
		orig, m.Op, m.Type, m.XID, m.Secs, m.Flags, ip(m.Client), ip(m.Yours), ip(m.Server), ip(m.Relay),
		dhcp.AppendMAC(nil, m.Hardware), dhcp.Filled(m.ServerName), dhcp.Filled(m.File))
	for _, o := range m.Options {
		fmt.Fprintf(&b, " %d=%q", o.Code, o.Value)
	}
	w.rec.Eventf("%s", b.String())
}

func (w watcher) End(analyzer.Conn) { w.rec.Eventf("end") }

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return dhcp.Factory(func() dhcp.Handler { return watcher{rec} })
		},
		State: 1 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzDHCP(f *testing.F) { analyzertest.Fuzz(f, harness()) }

func TestMAC(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "\x01\x02\x03\x04": "", "\x01\x02\x03\x04\x05\xff": "01:02:03:04:05:ff", "\x01\x02\x03\x04\x05\x06\x07": "",
		"\x01\x02\x03\x04\x05\x06\x00\x00": "01:02:03:04:05:06", "\x01\x02\x03\x04\x05\x06\x00\x08\x09": "01:02:03:04:05:06:00:08",
	} {
		if got := string(dhcp.AppendMAC(nil, []byte(in))); got != want {
			t.Errorf("%x: %q, want %q", in, got, want)
		}
	}
}

// A datagram full of the smallest options must not stay in memory.
func TestManyOptions(t *testing.T) {
	rec := &analyzertest.Recorder{Quiet: true}
	a := dhcp.Factory(func() dhcp.Handler { return watcher{rec} }).New(value.ProtoUDP)
	msg := append(make([]byte, 236), 0x63, 0x82, 0x53, 0x63, 53, 1, 1)
	msg = append(append(msg, bytes.Repeat([]byte{0}, 60_000)...), 255)
	a.Deliver(rec, true, msg)
	if n := testing.AllocsPerRun(10, func() { a.Deliver(rec, true, append(msg[:243:243], 255)) }); n > 3 {
		t.Errorf("%.0f allocations behind a large message", n)
	}
}

func BenchmarkMessage(b *testing.B) {
	rec := &analyzertest.Recorder{Quiet: true}
	for _, c := range analyzertest.Load(b, "testdata") {
		if c.Name != "options" {
			continue
		}
		a := dhcp.Factory(func() dhcp.Handler { return watcher{rec} }).New(value.ProtoUDP)
		b.ReportAllocs()
		for b.Loop() {
			a.Deliver(rec, false, c.Turns[1].Data)
		}
	}
}
