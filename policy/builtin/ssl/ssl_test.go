package ssl

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
	fileslog "github.com/picket-nsm/picket/policy/builtin/files"
	ocsplog "github.com/picket-nsm/picket/policy/builtin/ocsp"
	x509log "github.com/picket-nsm/picket/policy/builtin/x509"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/tls"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// harness writes each row of ssl.log and x509.log as one line of name=value;
// unset columns and false ones are left out. files.log has only OCSP responses.
func harness(cfg Config, dtls int, dir string) analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			out := func(name string, s *record.Schema) func([]value.Value) {
				return func(row []value.Value) {
					if !rec.Quiet {
						rec.Eventf("%s %s", name, show(s, row))
					}
				}
			}
			weird := func(_ packet.Time, name, addl string) {
				if !rec.Quiet {
					rec.Eventf("file weird %s %s", name, addl)
				}
			}
			filesLog := fileslog.New(fileslog.Default(), out("files", fileslog.Schema()))
			table := files.New(files.Default(), filesLog)
			certs := x509log.New(x509log.Default(), x509log.Deps{Write: out("x509", x509log.Schema()), Weird: weird, Once: always{}})
			filesLog.Use(fileslog.Driver{Name: x509log.Name, Types: x509log.Types(), New: certs.Analyzer})
			responses := ocsplog.New(out("ocsp", ocsplog.Schema()), weird)
			filesLog.Use(fileslog.Driver{Name: ocsplog.Name, Types: []string{ocsplog.Type}, New: responses.Analyzer})
			log := New(cfg, out("ssl", Schema(cfg)), table)
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

func show(s *record.Schema, row []value.Value) string {
	var b strings.Builder
	for i, v := range row {
		f := &s.Fields[i]
		if !v.IsSet() || strings.HasPrefix(f.Name, "id.") || f.Name == "uid" || f.Kind == value.KindBool && !v.Bool() && f.Name != "sni_matches_cert" {
			continue
		}
		fmt.Fprintf(&b, "%s=%s ", f.Name, cell(v))
	}
	return strings.TrimSpace(b.String())
}

func cell(v value.Value) string {
	switch v.Kind() {
	case value.KindBool:
		if v.Bool() {
			return "T"
		}
		return "F"
	case value.KindInterval, value.KindTime:
		return fmt.Sprintf("%.2f", v.Float())
	case value.KindString:
		if s := v.Str(); len(s) == 64 {
			return s[:8]
		}
		return fmt.Sprintf("%q", v.Str())
	case value.KindAddr:
		return netip.AddrFrom16(v.Addr16()).Unmap().String()
	case value.KindVector, value.KindSet:
		var all []string
		for _, e := range v.Elems() {
			all = append(all, cell(e))
		}
		return "[" + strings.Join(all, " ") + "]"
	case value.KindEnum:
		return v.Str()
	}
	return fmt.Sprint(v.Count())
}

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
		found := false
		for _, frames := range testenv.Frames(t, testenv.Shared(t, "golden", "log-batches", name, "batches.jsonl")) {
			c, err := record.Open(frames[3])
			if err != nil {
				t.Fatal(err)
			}
			if want := c.Schema(); want.Stream == "SSL::LOG" {
				found = true
				want.Fields = want.Fields[:len(want.Fields)-1]
				if got := Schema(Default()); !reflect.DeepEqual(got, want) {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			}
		}
		if !found {
			t.Errorf("no ssl batch recorded in %s", name)
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
