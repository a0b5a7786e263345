package ssl

import (
	"reflect"
	"strings"
	"testing"

	fileslog "github.com/picket-nsm/picket/policy/builtin/files"
	ocsplog "github.com/picket-nsm/picket/policy/builtin/ocsp"
	x509log "github.com/picket-nsm/picket/policy/builtin/x509"
	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/tls"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// harness writes the rows of ssl.log and x509.log, and those of files.log and ocsp.log
// for OCSP responses.
func harness(cfg Config, dtls int, dir string) analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			out := func(s *record.Schema) func([]value.Value) { return rowstest.Note(rec, s) }
			weird := rowstest.NoteWeird(rec)
			filesLog := fileslog.New(fileslog.Default(), out(fileslog.Schema()))
			table := files.New(files.Default(), filesLog)
			certs := x509log.New(x509log.Default(), x509log.Deps{Write: out(x509log.Schema()), Weird: weird, Once: always{}})
			filesLog.Use(fileslog.Driver{Name: x509log.Name, Types: x509log.Types(), New: certs.Analyzer})
			responses := ocsplog.New(out(ocsplog.Schema()), weird)
			filesLog.Use(fileslog.Driver{Name: ocsplog.Name, Types: []string{ocsplog.Type}, New: responses.Analyzer})
			log := New(cfg, out(Schema(cfg)), table)
			f := wire.Factories(log.Handler)[dtls]
			if dtls == 1 {
				datagrams := f.New
				f.New = func(proto value.Proto) analyzer.Analyzer {
					if proto == value.ProtoTCP {
						return deaf{}
					}
					return datagrams(proto)
				}
			}
			// Certificates are logged once a day: forget them for each connection.
			open := f.New
			f.New = func(p value.Proto) analyzer.Analyzer {
				certs.Forget()
				return open(p)
			}
			return f
		},
		Dir:    dir,
		Allocs: 600, // certificates that are read
		State:  24 << 10,
	}
}

// always is a cluster's memory that has none.
type always struct{}

func (always) Ask(_ string, _ float64, _ packet.Time, answer func(bool)) { answer(true) }

type deaf struct{}

func (deaf) Deliver(analyzer.Conn, bool, []byte) {}
func (deaf) Gap(analyzer.Conn, bool, uint64)     {}
func (deaf) End(analyzer.Conn)                   {}

func TestKit(t *testing.T) { analyzertest.Run(t, harness(Default(), 0, "testdata")) }

func TestKitDTLS(t *testing.T) { analyzertest.Run(t, harness(Default(), 1, "testdata/dtls")) }

func TestKitFingerprints(t *testing.T) {
	analyzertest.Run(t, harness(Config{Fingerprints: true}, 0, "testdata/extra"))
}

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, harness(Config{Fingerprints: true}, 0, "testdata")) }

func FuzzRowsDTLS(f *testing.F) { analyzertest.Fuzz(f, harness(Default(), 1, "testdata/dtls")) }

// The header is the one that real Zeek sends, column by column. The recordings
// were made with a policy script that adds a column.
func TestRecordedHeader(t *testing.T) {
	for _, name := range []string{"tls_tls1.2", "tls_ecdsa-cert"} {
		want := rowstest.Schema(t, name, "SSL::LOG")
		want.Fields = want.Fields[:len(want.Fields)-1]
		if got := Schema(Default()); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

// TestHistory goes on until the history is full.
func TestHistory(t *testing.T) {
	var rows []string
	cfg := Default()
	log := New(cfg, func(row []value.Value) { rows = append(rows, row[colHistory].Str()) }, files.New(files.Default(), fileslog.New(fileslog.Default(), func([]value.Value) {})))
	h := log.Handler()
	rec := &analyzertest.Recorder{Quiet: true}
	for range 300 {
		h.Message(rec, &wire.Message{Kind: tlsmsg.ServerHelloDone})
	}
	for range 10_000 {
		h.Event(rec, wire.Event{Kind: wire.Flipped})
	}
	h.End(rec)
	if len(rows) != 1 || !strings.HasPrefix(rows[0], strings.Repeat("n", 100)+"^") || len(rows[0]) > 4097 {
		t.Errorf("%d rows of %d letters", len(rows), len(rows[0]))
	}
	h.End(rec)
	if len(rows) != 1 {
		t.Error("a row without a handshake")
	}
}

// over is a connection of another transport.
type over struct {
	*analyzertest.Recorder
	proto value.Proto
}

func (o over) ID() analyzer.ID { return analyzer.ID{UID: "C1", Proto: o.proto} }

// TestTransport says which transport JA4 shows: what carries TLS over UDP is
// QUIC, unless it is DTLS.
func TestTransport(t *testing.T) {
	for _, c := range []struct {
		proto   value.Proto
		version uint16
		want    string
	}{{value.ProtoTCP, tlsmsg.TLS12, "t"}, {value.ProtoUDP, tlsmsg.TLS12, "q"}, {value.ProtoUDP, tlsmsg.DTLS12, "d"}, {value.ProtoUDP, tlsmsg.DTLS10, "d"}} {
		var got string
		log := New(Config{Fingerprints: true}, func(row []value.Value) { got = row[colJA4].Str() }, nil)
		h := log.Handler()
		h.Hello(over{&analyzertest.Recorder{Quiet: true}, c.proto}, &tlsmsg.Hello{Client: true, Complete: true, Version: c.version})
		h.End(nil)
		if len(got) == 0 || got[:1] != c.want {
			t.Errorf("%v %x: %q, want %s", c.proto, c.version, got, c.want)
		}
	}
}

// BenchmarkConnection is what a handshake costs from its bytes to its rows.
func BenchmarkConnection(b *testing.B) {
	for _, c := range analyzertest.Load(b, "testdata") {
		if c.Name != "tls12-chain" && c.Name != "tls13" {
			continue
		}
		b.Run(c.Name, func(b *testing.B) {
			rec := &analyzertest.Recorder{Quiet: true}
			filesLog := fileslog.New(fileslog.Default(), func([]value.Value) {})
			table := files.New(files.Default(), filesLog)
			certs := x509log.New(x509log.Default(), x509log.Deps{Write: func([]value.Value) {}})
			filesLog.Use(fileslog.Driver{Name: x509log.Name, Types: x509log.Types(), New: certs.Analyzer})
			f := wire.Factories(New(Default(), func([]value.Value) {}, table).Handler)[0]
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
