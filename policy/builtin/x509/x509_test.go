package x509

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	fileslog "github.com/picket-nsm/picket/policy/builtin/files"
	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	format "github.com/picket-nsm/picket/traffic/format/x509"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// certificates are those that the reader of certificates is tested with.
func certificates(t testing.TB) map[string][]byte {
	t.Helper()
	paths, _ := filepath.Glob("../../../traffic/format/x509/testdata/*.txt")
	all := map[string][]byte{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(b), "-- der --\n")
		text, _, _ := strings.Cut(rest, "-- fields --\n")
		der, err := hex.DecodeString(strings.ReplaceAll(text, "\n", ""))
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(p), ".txt")] = der
	}
	if len(all) < 10 {
		t.Fatalf("only %d certificates", len(all))
	}
	return all
}

// rig sends certificates as files of a connection.
type rig struct {
	log   *Log
	table *files.Table
	now   packet.Time
	n     int
	rows  []string
	odd   []string
	seen  []string // what the receiver was told
}

func newRig(once Once) *rig {
	r := &rig{now: 1e9}
	r.log = New(Default(), Deps{
		Write: func(row []value.Value) {
			kind := ""
			if row[colHost].Bool() {
				kind += " host"
			}
			if row[colClient].Bool() {
				kind += " client"
			}
			r.rows = append(r.rows, fmt.Sprintf("%.0f %.8s %s%s", row[colTS].Float(), row[colFingerprint].Str(), row[colSubject].Str(), kind))
		},
		Weird: func(_ packet.Time, name, addl string) { r.odd = append(r.odd, name+" "+addl[:1]) },
		Once:  once,
	})
	fl := fileslog.New(fileslog.Default(), func([]value.Value) { r.rows = append(r.rows, "files") })
	fl.Use(fileslog.Driver{Name: Name, Types: Types(), New: r.log.Analyzer})
	r.table = files.New(files.Default(), fl)
	return r
}

func (r *rig) send(der []byte, host, client bool) {
	mime := "application/x-x509-ca-cert"
	if host {
		mime = typeHost
	}
	r.n++
	r.table.Whole(r, &files.Side{Source: "SSL", Owner: r, Orig: client}, mime, der)
}

func (r *rig) FileHandle(_ analyzer.Conn, _ bool, dst []byte) []byte { return fmt.Append(dst, r.n) }
func (r *rig) FileOver(_ analyzer.Conn, f *files.File)               { f.Watcher = r }
func (r *rig) FileSniffed(*files.File)                               {}
func (r *rig) FileCertificate(c *format.Certificate, fp string)      { r.seen = append(r.seen, fp[:8]) }

func (r *rig) ID() analyzer.ID                  { return analyzer.ID{UID: "C1", Proto: value.ProtoTCP} }
func (r *rig) Now() packet.Time                 { return r.now }
func (r *rig) Weird(string, string, string)     {}
func (r *rig) Confirm(string)                   {}
func (r *rig) Violation(string, string, []byte) {}

func TestOnceADay(t *testing.T) {
	all := certificates(t)
	r := newRig(nil)
	r.send(all["p256"], true, false)
	r.send(all["p256"], true, false) // known
	r.send(all["p256"], false, false)
	r.send(all["p256"], true, true)
	r.now += 86400 - 1
	r.send(all["p256"], true, false) // known
	r.now += 2
	r.send(all["p256"], true, false)
	want := []string{
		"1000000000 3ab3ae1d CN=prime256v1", "1000000000 3ab3ae1d CN=prime256v1", "1000000000 3ab3ae1d CN=prime256v1", "1000086401 3ab3ae1d CN=prime256v1",
	}
	var got []string
	for _, row := range r.rows {
		f := strings.Fields(row)
		got = append(got, f[0]+" host/client "+strings.Join(f[3:], " "))
	}
	if len(r.rows) != len(want) || !strings.HasSuffix(r.rows[0], " host") || strings.HasSuffix(r.rows[1], "host") || !strings.HasSuffix(r.rows[2], " host client") ||
		!strings.HasPrefix(r.rows[3], "1000086401") {
		t.Errorf("got %q", got)
	}
	if s := r.log.Stats(); s.Certificates != 6 || s.Parsed != 1 || s.Rows != 4 || len(r.seen) != 6 {
		t.Errorf("%+v, %d told", s, len(r.seen))
	}
}

// TestSettings logs hosts' certificates only, for an hour, or each time.
func TestSettings(t *testing.T) {
	all := certificates(t)
	for _, c := range []struct {
		cfg  Config
		want int
	}{{Default(), 4}, {Config{Again: 86400, HostsOnly: true}, 2}, {Config{Again: 3600}, 6}, {Config{}, 6}, {Config{HostsOnly: true}, 3}} {
		for _, once := range []Once{nil, refuse{}} {
			r := newRig(once)
			r.log.cfg = c.cfg
			r.log.Forget()
			r.send(all["p256"], true, false)
			r.send(all["p256"], true, true)
			r.send(all["p256"], false, false)
			r.send(all["p256"], false, true)
			r.now += 3601
			r.send(all["p256"], true, false)
			r.send(all["p256"], false, false)
			want := c.want
			if once != nil && c.cfg.Again > 0 {
				want = 0 // the cluster has them all
			}
			if len(r.rows) != want || len(r.seen) != 6 {
				t.Errorf("%+v, asked %v: %d rows, want %d", c.cfg, once != nil, len(r.rows), want)
			}
		}
	}
}

// refuse is a cluster that has logged everything.
type refuse struct{}

func (refuse) Ask(_ string, _ float64, _ packet.Time, answer func(bool)) { answer(false) }

func TestBad(t *testing.T) {
	all := certificates(t)
	r := newRig(nil)
	r.send([]byte("no certificate"), true, false)
	r.send(all["p256"][:100], true, false)
	r.send(make([]byte, maxSize+1), true, false)
	r.send(append([]byte{}, all["p256"]...), true, false)
	r.send(append(append([]byte{}, all["p256"]...), "more"...), true, false) // the same certificate
	if len(r.rows) != 1 || len(r.seen) != 2 || r.seen[0] != r.seen[1] || fmt.Sprint(r.odd) != "[x509_cert_parse_error F x509_cert_parse_error F]" {
		t.Errorf("rows %q, odd %q, seen %q", r.rows, r.odd, r.seen)
	}
}

// later answers when asked to.
type later struct {
	keys    []string
	answers []func(bool)
}

func (l *later) Ask(key string, ttl float64, _ packet.Time, answer func(bool)) {
	l.keys = append(l.keys, fmt.Sprint(key[:len(key)-56], " ", ttl))
	l.answers = append(l.answers, answer)
}

// Answers come late, out of order, and after the certificate is no longer known.
func TestAsk(t *testing.T) {
	all := certificates(t)
	l := &later{}
	r := newRig(l)
	r.send(all["p256"], true, false)
	r.send(all["p256"], true, true)
	r.send(all["dsa"], false, false)
	r.send(all["ed448"], false, true)
	r.log.Forget()
	if len(r.rows) != 0 || len(l.keys) != 4 || !strings.HasPrefix(l.keys[0], "x509/host/") || !strings.HasPrefix(l.keys[1], "x509/host/client/") ||
		!strings.HasPrefix(l.keys[3], "x509/client/") || !strings.HasSuffix(l.keys[0], " 86400") {
		t.Fatalf("%d rows, asked %q", len(r.rows), l.keys)
	}
	l.answers[3](true)
	l.answers[0](true)
	l.answers[1](false)
	l.answers[2](true)
	if len(r.rows) != 3 || !strings.Contains(r.rows[0], "CN=ed448 client") || !strings.Contains(r.rows[1], "CN=prime256v1 host") || !strings.Contains(r.rows[2], "CN=dsa") {
		t.Errorf("%q", r.rows)
	}
}

// TestBounded sends more different certificates than are kept.
func TestBounded(t *testing.T) {
	der := append([]byte{}, certificates(t)["rsa-san"]...)
	at := strings.Index(string(der), "Acme")
	r := newRig(nil)
	r.log.deps.Write = func([]value.Value) {}
	for i := range 20_000 {
		copy(der[at:], fmt.Sprintf("%04x", i))
		r.send(der, true, false)
	}
	c := &r.log.cache
	if c.bytes > maxCache || len(c.m) > maxCache/512 || len(c.order)-c.head != len(c.m) {
		t.Errorf("%d bytes, %d entries, %d in order", c.bytes, len(c.m), len(c.order)-c.head)
	}
	if s := r.log.Stats(); s.Rows != 20_000 {
		t.Errorf("%+v", s)
	}
	k := newKnown(86400)
	for i := range maxKnown + 1000 {
		k.add(knownKey{[32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, 0}, 1e9)
	}
	if len(k.m) != maxKnown || k.shed != 1000 {
		t.Errorf("%d known, %d shed", len(k.m), k.shed)
	}
}

// The header is the one that real Zeek sends, column by column.
func TestRecordedHeader(t *testing.T) { rowstest.SameHeader(t, Schema(), "tls_tls1.2") }

func BenchmarkKnown(b *testing.B) {
	der := certificates(b)["rsa-san"]
	r := newRig(nil)
	b.ReportAllocs()
	for b.Loop() {
		r.send(der, true, false)
		r.seen = r.seen[:0]
	}
}
