package tls_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/tls"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
	"github.com/picket-nsm/picket/zeek/value"
)

// watcher writes down all that it is told.
type watcher struct{ rec *analyzertest.Recorder }

func who(client bool) string {
	if client {
		return "client"
	}
	return "server"
}

func (w watcher) Hello(_ analyzer.Conn, h *tlsmsg.Hello) {
	if w.rec.Quiet {
		return
	}
	w.rec.Eventf("hello %s v2=%v complete=%v retry=%v version=%s random=%.4x session=%.4x(%d) cookie=%d compression=%x",
		who(h.Client), h.V2, h.Complete, h.Retry(), tlsmsg.VersionName(h.Version), h.Random, h.SessionID, len(h.SessionID), len(h.Cookie), h.Compression)
	w.rec.Eventf("  ciphers=%x extensions=%d", h.Ciphers, h.Extensions)
	w.rec.Eventf("  names=%q%v protocols=%q versions=%x groups=%d points=%x shares=%d signatures=%x ticket=%v psk=%v",
		h.Names, h.NameTypes, h.Protocols, h.Versions, h.Groups, h.PointFormats, h.KeyShares, h.Signatures, h.Ticket, h.PSK)
}

func (w watcher) Message(_ analyzer.Conn, m *tls.Message) {
	if w.rec.Quiet {
		return
	}
	var b strings.Builder
	for _, c := range m.Certificates {
		fmt.Fprintf(&b, " certificate %d bytes %.4x", len(c), c)
	}
	if m.Named {
		fmt.Fprintf(&b, " curve=%s", tlsmsg.GroupName(m.Curve))
	}
	if m.OCSP != nil {
		fmt.Fprintf(&b, " ocsp=%d", len(m.OCSP))
	}
	w.rec.Eventf("message %d %s len=%d v2=%v first=%v retry=%v%s", m.Kind, who(m.Client), m.Len, m.V2, m.First, m.Retry, b.String())
}

var kinds = [...]string{"ccs", "alert", "heartbeat", "plaintext", "flipped", "established", "failed"}

func (w watcher) Event(_ analyzer.Conn, e tls.Event) {
	if w.rec.Quiet {
		return
	}
	switch e.Kind {
	case tls.Alert:
		w.rec.Eventf("alert %s %d %s", who(e.Client), e.Level, tlsmsg.AlertName(e.Desc))
	case tls.Plaintext:
		w.rec.Eventf("plaintext %s %d", who(e.Client), e.Type)
	case tls.ChangeCipherSpec, tls.Heartbeat:
		w.rec.Eventf("%s %s", kinds[e.Kind], who(e.Client))
	default:
		w.rec.Eventf("%s", kinds[e.Kind])
	}
}

func (w watcher) End(analyzer.Conn) {
	if !w.rec.Quiet {
		w.rec.Eventf("end")
	}
}

func factory(rec *analyzertest.Recorder, dtls int) analyzer.Factory {
	f := tls.Factories(func() tls.Handler { return watcher{rec} })[dtls]
	if dtls == 1 {
		// The fuzzer tries streams too, which DTLS never is.
		datagrams := f.New
		f.New = func(proto value.Proto) analyzer.Analyzer {
			if proto == value.ProtoTCP {
				return deaf{}
			}
			return datagrams(proto)
		}
	}
	return f
}

type deaf struct{}

func (deaf) Deliver(analyzer.Conn, bool, []byte) {}
func (deaf) Gap(analyzer.Conn, bool, uint64)     {}
func (deaf) End(analyzer.Conn)                   {}

func harness(dtls int, dir string) analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory { return factory(rec, dtls) },
		Dir:     dir,
		Allocs:  6, // the reason of a violation
		State:   8 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness(0, "testdata")) }

func TestKitDTLS(t *testing.T) { analyzertest.Run(t, harness(1, "testdata/dtls")) }

func FuzzTLS(f *testing.F) { analyzertest.Fuzz(f, harness(0, "testdata")) }

func FuzzDTLS(f *testing.F) { analyzertest.Fuzz(f, harness(1, "testdata/dtls")) }

// record puts a record's header before its body.
func record(kind byte, body []byte) []byte {
	return append([]byte{kind, 3, 3, byte(len(body) >> 8), byte(len(body))}, body...)
}

// message puts a handshake message's header before its body.
func message(kind byte, body []byte) []byte {
	n := len(body)
	return append([]byte{kind, byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

// deliver sends handshake bytes in records of 16 KiB.
func deliver(a analyzer.Analyzer, c analyzer.Conn, orig bool, b []byte) {
	for len(b) > 0 {
		n := min(len(b), 1<<14)
		a.Deliver(c, orig, record(tlsmsg.Handshake, b[:n]))
		b = b[n:]
	}
}

type counter struct {
	tls.Handler
	messages []tls.Message
	failed   int
}

func (k *counter) Hello(analyzer.Conn, *tlsmsg.Hello) {}
func (k *counter) Message(_ analyzer.Conn, m *tls.Message) {
	k.messages = append(k.messages, tls.Message{Kind: m.Kind, Len: m.Len, Certificates: make([][]byte, len(m.Certificates))})
}
func (k *counter) Event(_ analyzer.Conn, e tls.Event) {
	if e.Kind == tls.Failed {
		k.failed++
	}
}
func (k *counter) End(analyzer.Conn) {}

// TestLong sends messages of sizes around the limit: one that is too long is
// counted by its kind, and what follows it is read.
func TestLong(t *testing.T) {
	for _, c := range []struct{ size, certs int }{{500 << 10, 1}, {513 << 10, 0}, {3 << 20, 0}} {
		k := &counter{}
		a := tls.Factories(func() tls.Handler { return k })[0].New(value.ProtoTCP)
		rec := &analyzertest.Recorder{Quiet: true}
		body := make([]byte, c.size)
		n := c.size - 6
		copy(body, []byte{byte((n + 3) >> 16), byte((n + 3) >> 8), byte(n + 3), byte(n >> 16), byte(n >> 8), byte(n)})
		deliver(a, rec, false, append(message(tlsmsg.Certificate, body), message(tlsmsg.ServerHelloDone, nil)...))
		if len(k.messages) != 2 || k.messages[0].Kind != tlsmsg.Certificate || k.messages[0].Len != c.size ||
			len(k.messages[0].Certificates) != c.certs || k.messages[1].Kind != tlsmsg.ServerHelloDone || k.failed > 0 {
			t.Errorf("%d bytes: %+v, %d failed", c.size, k.messages, k.failed)
		}
		a.End(rec)
	}
}

// TestHeld leaves many connections with messages half sent: what they keep is
// bounded, and a new one works on.
func TestHeld(t *testing.T) {
	k := &counter{}
	f := tls.Factories(func() tls.Handler { return k })[0]
	rec := &analyzertest.Recorder{Quiet: true}
	part := message(tlsmsg.Certificate, make([]byte, 500<<10))[:400<<10]
	var open []analyzer.Analyzer
	for range 400 { // 160 MB, more than is kept
		a := f.New(value.ProtoTCP)
		deliver(a, rec, false, part)
		open = append(open, a)
	}
	a := f.New(value.ProtoTCP)
	deliver(a, rec, false, message(tlsmsg.ServerHelloDone, nil))
	if len(k.messages) != 1 {
		t.Errorf("%d messages, want 1", len(k.messages))
	}
	for _, o := range open {
		o.End(rec)
	}
	a = f.New(value.ProtoTCP)
	deliver(a, rec, false, message(tlsmsg.Certificate, append([]byte{0, 1, 3, 0, 1, 0}, make([]byte, 256)...)))
	if n := len(k.messages); n != 2 || len(k.messages[1].Certificates) != 1 {
		t.Errorf("after all went: %+v", k.messages)
	}
}

// TestManyCertificates sends a chain of very many empty and tiny ones.
func TestManyCertificates(t *testing.T) {
	var list []byte
	for range 20_000 {
		list = append(list, 0, 0, 1, 'x')
	}
	body := append([]byte{byte(len(list) >> 16), byte(len(list) >> 8), byte(len(list))}, list...)
	k := &counter{}
	a := tls.Factories(func() tls.Handler { return k })[0].New(value.ProtoTCP)
	deliver(a, &analyzertest.Recorder{Quiet: true}, false, message(tlsmsg.Certificate, body))
	if len(k.messages) != 1 || len(k.messages[0].Certificates) != 256 {
		t.Errorf("%d messages", len(k.messages))
	}
}

// TestEstablishedIsFree says that encrypted data cost no allocation and are not
// looked at.
func TestEstablishedIsFree(t *testing.T) {
	rec := &analyzertest.Recorder{Quiet: true}
	a := factory(rec, 0).New(value.ProtoTCP)
	for _, c := range analyzertest.Load(t, "testdata") {
		if c.Name == "tls13" {
			for i := range c.Turns {
				a.Deliver(rec, c.Turns[i].Orig, c.Turns[i].Data)
			}
		}
	}
	data := bytes.Repeat(record(tlsmsg.ApplicationData, make([]byte, 1<<14)), 64)
	if n := testing.AllocsPerRun(10, func() { a.Deliver(rec, false, data) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHandshake(b *testing.B) {
	for _, c := range analyzertest.Load(b, "testdata") {
		if c.Name != "tls12-chain" && c.Name != "tls13" && c.Name != "go13" {
			continue
		}
		b.Run(c.Name, func(b *testing.B) {
			rec := &analyzertest.Recorder{Quiet: true}
			f := factory(rec, 0)
			b.ReportAllocs()
			for b.Loop() {
				a := f.New(value.ProtoTCP)
				for i := range c.Turns {
					a.Deliver(rec, c.Turns[i].Orig, c.Turns[i].Data)
				}
				a.End(rec)
			}
		})
	}
}

// BenchmarkBeforeEstablished reads encrypted records of a side while the other
// has not begun to encrypt: they are counted, not kept.
func BenchmarkBeforeEstablished(b *testing.B) {
	rec := &analyzertest.Recorder{Quiet: true}
	a := factory(rec, 0).New(value.ProtoTCP)
	body := make([]byte, 1<<14)
	binary.BigEndian.PutUint16(body, 1)
	data := record(tlsmsg.ApplicationData, body)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		a.Deliver(rec, false, data)
	}
}
