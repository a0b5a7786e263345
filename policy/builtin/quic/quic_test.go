package quic

import (
	"fmt"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/quic"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
	"github.com/picket-nsm/picket/zeek/value"
)

// play shows steps, a word each, to a handler and returns the rows.
//
//	I i Z z H h   packets with long headers of originator and responder
//	R r U u       Retry, unknown version
//	O o X x       short headers, discarded packets
//	C c S s       close, hello
func play(cfg Config, steps string) (rows, weirds []string) {
	schema := Schema()
	log := New(cfg, func(row []value.Value) {
		var b strings.Builder
		for i, v := range row {
			if f := schema.Fields[i].Name; v.IsSet() && v.Kind() == value.KindString && f != "uid" {
				fmt.Fprintf(&b, "%s=%s ", f, v.Str())
			}
		}
		rows = append(rows, strings.TrimSpace(b.String()))
	})
	rec := &watch{Recorder: &analyzertest.Recorder{Quiet: true}, weirds: &weirds}
	h := log.Handler()
	kinds := map[byte]wire.Kind{'i': wire.Initial, 'z': wire.ZeroRTT, 'h': wire.Handshake, 'r': wire.Retry, 'u': wire.UnknownVersion,
		'o': wire.Short, 'x': wire.Discarded}
	for i := range len(steps) {
		lower := steps[i] | 0x20
		orig := steps[i] != lower
		switch kind, ok := kinds[lower]; {
		case ok && lower >= 'o' && lower != 'r' && lower != 'u' && lower != 'z':
			h.Packet(rec, &wire.Packet{Kind: kind, Orig: orig, Count: 1})
		case ok && orig:
			h.Packet(rec, &wire.Packet{Kind: kind, Orig: orig, Version: 1, DCID: []byte{byte(i)}, SCID: []byte{}})
		case ok:
			h.Packet(rec, &wire.Packet{Kind: kind, Version: 1, SCID: []byte{0xaa, byte(i)}})
		case lower == 'c':
			h.Close(rec, &wire.Close{Orig: orig})
		default:
			hello := &tlsmsg.Hello{Client: orig, Complete: true, Version: tlsmsg.TLS12}
			if orig {
				hello.Names, hello.Protocols = [][]byte{[]byte("example.org")}, [][]byte{[]byte("h3"), []byte("h2")}
			}
			h.Hello(rec, hello)
		}
	}
	h.End(rec)
	return rows, weirds
}

type watch struct {
	*analyzertest.Recorder
	weirds *[]string
}

func (w *watch) Weird(name, addl, _ string) { *w.weirds = append(*w.weirds, name+" "+addl) }

func TestRows(t *testing.T) {
	const hello = "server_name=example.org client_protocol=h3 "
	for _, c := range []struct{ steps, rows, weirds string }{
		{"", "", ""},
		{"I", "version=1 client_initial_dcid=00 client_scid= history=I", ""},
		{"IISishhoIHOOo", "version=1 client_initial_dcid=00 client_scid= server_scid=aa06 " + hello + "history=IISishhoIHOOo", "QUIC_many_protocols [h3, h2]"},
		{"i", "version=1 server_scid=aa00 history=i", ""},
		{"ZI", "version=1 client_initial_dcid=00 client_scid= history=ZI", ""},
		{"IrI", "version=1 client_initial_dcid=00 client_scid= history=Ir\nversion=1 client_initial_dcid=02 client_scid= history=I", ""},
		{"rI", "version=1 server_scid=aa00 history=r\nversion=1 client_initial_dcid=01 client_scid= history=I", ""},
		{"Iu", "version=1 client_initial_dcid=00 client_scid= history=Iu", ""},
		{"U", "version=1 client_initial_dcid=00 client_scid= history=U", ""},
		{"Iic", "version=1 client_initial_dcid=00 client_scid= server_scid=aa01 history=Iic", ""},
		{"C", "", ""},
		{"S", "", ""},
		{"IcO", "version=1 client_initial_dcid=00 client_scid= history=Ic", "QUIC_spurious_short_header_packet_threshold_crossed 1"},
		{"Icx", "version=1 client_initial_dcid=00 client_scid= history=Ic", "QUIC_spurious_discarded_packet "},
		{"IXxoO", "version=1 client_initial_dcid=00 client_scid= history=IXxoO", ""},
	} {
		rows, weirds := play(Default(), c.steps)
		if got := strings.Join(rows, "\n"); got != c.rows {
			t.Errorf("%s:\ngot  %s\nwant %s", c.steps, got, c.rows)
		}
		if got := strings.Join(weirds, "\n"); got != c.weirds {
			t.Errorf("%s: weirds %q, want %q", c.steps, got, c.weirds)
		}
	}
}

// TestHistory goes on until the history is full, which is told once.
func TestHistory(t *testing.T) {
	rows, weirds := play(Config{History: 5}, "Iiiihhhhh")
	if len(rows) != 1 || !strings.HasSuffix(rows[0], "history=Iiiih") || len(weirds) != 1 || weirds[0] != "QUIC_max_history_length_reached " {
		t.Errorf("%q, %q", rows, weirds)
	}
}

func TestVersionNames(t *testing.T) {
	for v, want := range map[uint32]string{
		1: "1", 0x6b3343cf: "quicv2", 0xff00001d: "draft-29", 0xff00001e: "draft-30", 0xff00001f: "draft-30", 0xff000022: "draft-34",
		0xff000023: "unknown-ff000023", 0xfaceb002: "mvfst (faceb002)", 0: "unknown-0", 0x1a2a3a4a: "unknown-1a2a3a4a",
	} {
		if got := versionName(v); got != want {
			t.Errorf("%x: %s, want %s", v, got, want)
		}
	}
}

// TestSteady says that rows cost no allocation of their own.
func TestSteady(t *testing.T) {
	log := New(Default(), func([]value.Value) {})
	h := log.Handler()
	rec := &analyzertest.Recorder{Quiet: true}
	hello := &tlsmsg.Hello{Client: true, Complete: true, Version: tlsmsg.TLS12, Names: [][]byte{[]byte("example.org")}, Protocols: [][]byte{[]byte("h3")}}
	packet := &wire.Packet{Kind: wire.Initial, Orig: true, Version: 1, DCID: []byte("12345678"), SCID: []byte{}}
	if n := testing.AllocsPerRun(100, func() {
		h.Packet(rec, packet)
		h.Hello(rec, hello)
		h.End(rec)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
