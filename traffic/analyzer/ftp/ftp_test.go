package ftp_test

import (
	"fmt"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/ftp"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/value"
)

// watcher writes down all that it is told.
type watcher struct{ rec *analyzertest.Recorder }

func (w watcher) Request(c analyzer.Conn, r *ftp.Request) {
	if w.rec.Quiet {
		return
	}
	w.rec.Eventf("> %s %q", r.Command, r.Arg)
	for name, parse := range map[string]func([]byte) (ftp.Address, bool){"PORT": ftp.ParsePort, "EPRT": ftp.ParseEprt} {
		if string(r.Command) == name {
			a, ok := parse(r.Arg)
			w.rec.Eventf("  %s %d %v", a.Host, a.Port, ok)
		}
	}
}

func (w watcher) Reply(c analyzer.Conn, r *ftp.Reply) {
	if !w.rec.Quiet {
		w.rec.Eventf("< %d %q %s", r.Code, r.Text, map[bool]string{true: "more", false: "."}[r.More])
	}
}

func (w watcher) End(analyzer.Conn) {
	if !w.rec.Quiet {
		w.rec.Eventf("over")
	}
}

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return ftp.Factory(ftp.Default(), func() ftp.Handler { return watcher{rec} })
		},
		Allocs: 12, // the kit's notes of children
		State:  8 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzFTP(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// owner names one file for each direction.
type owner struct{ rec *analyzertest.Recorder }

func (o owner) Begin(c analyzer.Conn) { o.rec.Eventf("begin") }
func (o owner) Looked(c analyzer.Conn, mime string) {
	if !o.rec.Quiet {
		o.rec.Eventf("looked %q", mime)
	}
}
func (o owner) End(c analyzer.Conn) { o.rec.Eventf("over") }
func (o owner) FileHandle(c analyzer.Conn, orig bool, dst []byte) []byte {
	if orig {
		return append(dst, "orig"...)
	}
	return append(dst, "resp"...)
}
func (o owner) FileOver(c analyzer.Conn, f *files.File) {}

func dataHarness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			table := analyzertest.Files(rec, func(f *files.File) string {
				return fmt.Sprintf("file %s orig=%v seen=%d missing=%d type=%s", f.ID, f.Orig, f.Seen, f.Missing, f.MIME)
			})
			return ftp.DataFactory(table, func() ftp.DataHandler { return owner{rec} })
		},
		Dir:    "testdata/data",
		Allocs: 4,
		State:  16 << 10,
	}
}

func TestDataKit(t *testing.T) { analyzertest.Run(t, dataHarness()) }

func FuzzData(f *testing.F) { analyzertest.Fuzz(f, dataHarness()) }

// TestAddresses has the forms that servers and clients use, and what hostile
// ones may send.
func TestAddresses(t *testing.T) {
	for _, x := range []struct {
		name  string
		parse func([]byte) (ftp.Address, bool)
		in    string
		want  string
	}{
		{"PORT", ftp.ParsePort, "10,0,0,1,4,31", "10.0.0.1 1055"},
		{"PORT", ftp.ParsePort, " 10, 0,+0,1,4,31 x", "10.0.0.1 1055"},
		{"PORT", ftp.ParsePort, "10,0,0,256,4,31", ""},
		{"PORT", ftp.ParsePort, "10,0,0,-1,4,31", ""},
		{"PORT", ftp.ParsePort, "10,0,0,1,4,", ""},
		{"PORT", ftp.ParsePort, "1,1,1,1,1", ""},
		{"PORT", ftp.ParsePort, "1,1,1,1,1,99999999999999999999999999", ""},
		{"PORT", ftp.ParsePort, "", ""},
		{"PASV", ftp.ParsePasv, "Entering Passive Mode (10,0,0,1,4,31).", "10.0.0.1 1055"},
		{"PASV", ftp.ParsePasv, "Entering Passive Mode 10,0,0,1,4,31", "10.0.0.1 1055"},
		{"PASV", ftp.ParsePasv, "PORT 10,0,0,1,4,31", "10.0.0.1 1055"},
		{"PASV", ftp.ParsePasv, "PORT", ""},
		{"PASV", ftp.ParsePasv, "10,0,0,1,4,31", "10.0.0.1 1055"},
		{"PASV", ftp.ParsePasv, ",,,,,,,,,,,,", ""},
		{"PASV", ftp.ParsePasv, "(", ""},
		{"PASV", ftp.ParsePasv, "no", ""},
		{"PASV", ftp.ParsePasv, "\x00(10,0,0,1,4,31)", ""},
		{"EPRT", ftp.ParseEprt, "|1|132.235.1.2|6275|", "132.235.1.2 6275"},
		{"EPRT", ftp.ParseEprt, "|2|1080::8:800:200C:417A|5282|", "1080::8:800:200c:417a 5282"},
		{"EPRT", ftp.ParseEprt, "  !1!10.0.0.1!80!", "10.0.0.1 80"},
		{"EPRT", ftp.ParseEprt, "|1|10.0.0.1|65536|", ""},
		{"EPRT", ftp.ParseEprt, "|1|10.0.0.1|-1|", ""},
		{"EPRT", ftp.ParseEprt, "|1|10.0.0.1|80", ""},
		{"EPRT", ftp.ParseEprt, "|1|fe80::1%lo|80|", ""},
		{"EPRT", ftp.ParseEprt, "|1|x|80|", ""},
		{"EPRT", ftp.ParseEprt, "|", ""},
		{"EPRT", ftp.ParseEprt, "", ""},
		{"EPSV", ftp.ParseEpsv, "Entering Extended Passive Mode (|||6446|)", "invalid IP 6446"},
		{"EPSV", ftp.ParseEpsv, "(|||6446)", ""},
		{"EPSV", ftp.ParseEpsv, "|||6446|", ""},
		{"EPSV", ftp.ParseEpsv, "(", ""},
	} {
		a, ok := x.parse([]byte(x.in))
		got := ""
		if ok {
			got = fmt.Sprintf("%s %d", a.Host, a.Port)
		}
		if got != x.want {
			t.Errorf("%s %q: %q, want %q", x.name, x.in, got, x.want)
		}
	}
}

// quiet takes everything and does nothing.
type quiet struct{}

func (quiet) Request(analyzer.Conn, *ftp.Request) {}
func (quiet) Reply(analyzer.Conn, *ftp.Reply)     {}
func (quiet) End(analyzer.Conn)                   {}

// longest notes the longest argument.
type longest struct {
	quiet
	n *int
}

func (l longest) Request(_ analyzer.Conn, r *ftp.Request) { *l.n = max(*l.n, len(r.Arg)) }

// TestLongLine has a line without end: it is cut, and nothing more is held.
func TestLongLine(t *testing.T) {
	n := 0
	f := ftp.Factory(ftp.Config{MaxLine: 1000}, func() ftp.Handler { return longest{n: &n} })
	a := f.New(value.ProtoTCP)
	rec := &analyzertest.Recorder{Quiet: true}
	a.Deliver(rec, true, []byte("SITE "))
	for range 100_000 {
		a.Deliver(rec, true, []byte("SITE a b c d"))
	}
	a.End(rec)
	if n < 900 || n > 1000 {
		t.Errorf("the longest argument has %d bytes, want nearly 1000", n)
	}
}

func BenchmarkCommand(b *testing.B) {
	f := ftp.Factory(ftp.Default(), func() ftp.Handler { return quiet{} })
	rec := &analyzertest.Recorder{Quiet: true}
	a := f.New(value.ProtoTCP)
	cmd, reply := []byte("RETR pub/some/file.txt\r\n"), []byte("226 Transfer complete.\r\n")
	b.ReportAllocs()
	for b.Loop() {
		a.Deliver(rec, true, cmd)
		a.Deliver(rec, false, reply)
	}
	a.End(rec)
}
