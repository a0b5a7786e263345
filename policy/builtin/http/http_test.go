package http

import (
	"fmt"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/http"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/mime"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// shelf makes a table of files that are noted as they end, one line each.
func shelf(rec *analyzertest.Recorder) *files.Table {
	return analyzertest.Files(rec, func(f *files.File) string {
		return fmt.Sprintf("file %s %q seen=%d missing=%d type=%s", f.ID, f.Name, f.Seen, f.Missing, f.MIME)
	})
}

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			cfg := Default()
			cfg.Passwords = true
			log := New(cfg, rowstest.Note(rec, Schema()), func(c analyzer.Conn) { rec.Eventf("tunnel") })
			return wire.Factory(wire.Default(), wire.Deps{Files: shelf(rec), NewHandler: log.Handler})
		},
		Allocs: 100, // names of files, proxies, ids of many rows
		State:  400 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// The header is the one that real Zeek sends, column by column.
func TestRecordedHeader(t *testing.T) { rowstest.SameHeader(t, Schema(), "http_get") }

// The conversations of the analyzer's own tests end well here too.
func TestAnalyzersConversations(t *testing.T) {
	analyzertest.EndsWell(t, harness(), "../../../traffic/analyzer/http/testdata")
}

// A connection whose rows hold too much text has the rest cut.
func TestHeld(t *testing.T) {
	log := New(Default(), func([]value.Value) {}, nil)
	rec := &analyzertest.Recorder{Quiet: true}
	a := wire.Factory(wire.Default(), wire.Deps{Files: shelf(rec), NewHandler: log.Handler}).New(value.ProtoTCP)
	request := []byte("GET /" + strings.Repeat("x", 100_000) + " HTTP/1.1\r\nHost: " + strings.Repeat("y", 100_000) + "\r\n\r\n")
	for range 50 {
		a.Deliver(rec, true, request)
	}
	if log.Cut() == 0 {
		t.Error("nothing was cut")
	}
	a.End(rec)
}

func TestFileName(t *testing.T) {
	for v, want := range map[string]string{
		`attachment; filename="a b.txt"`:           "a b.txt",
		`attachment; filename=a.txt`:               "a.txt",
		`attachment; filename = a.txt; size=3`:     "a.txt; size=3",
		`attachment; filename="open`:               "open",
		`attachment; filename*=UTF-8''n%c3%a9.txt`: "n\xc3\xa9.txt",
		`attachment; filename*=UTF-8'en'x'y.txt`:   "y.txt",
		`a; filename=1; filename="2"`:              "2",
		`x/y; name="n"`:                            "n",
		`no file at all`:                           "no file at all",
	} {
		if got := string(mime.AppendFileName(nil, []byte(v))); got != want {
			t.Errorf("%s: %q, want %q", v, got, want)
		}
	}
}

func BenchmarkRow(b *testing.B) {
	schema := Schema()
	var enc record.Encoder
	enc.Reset(schema)
	log := New(Default(), func(row []value.Value) {
		if enc.Append(row) != nil {
			b.Fatal("row")
		}
		if enc.Len() > 1<<18 {
			enc.Give(enc.Finish())
		}
	}, nil)
	rec := &analyzertest.Recorder{Quiet: true}
	a := wire.Factory(wire.Default(), wire.Deps{Files: shelf(rec), NewHandler: log.Handler}).New(value.ProtoTCP)
	request := []byte("GET /index.html HTTP/1.1\r\nHost: www.example.net\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\nAccept-Language: en\r\nConnection: keep-alive\r\nCookie: a=b; c=d\r\n\r\n")
	reply := []byte("HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\nContent-Type: text/html\r\nContent-Length: 600\r\nConnection: keep-alive\r\nETag: \"1234\"\r\n\r\n" + strings.Repeat("<p>hello</p>", 50))
	b.ReportAllocs()
	for range b.N {
		a.Deliver(rec, true, request)
		a.Deliver(rec, false, reply)
	}
}
