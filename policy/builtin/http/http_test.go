package http

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/http"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/mime"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// shelf notes files as they end, one line each.
type shelf struct{ rec *analyzertest.Recorder }

func (shelf) New(*files.File)     {}
func (shelf) Sniffed(*files.File) {}
func (s shelf) Removed(f *files.File) {
	if !s.rec.Quiet {
		s.rec.Eventf("file %s %q seen=%d missing=%d type=%s", f.ID, f.Name, f.Seen, f.Missing, f.MIME)
	}
}

// ending finishes what files are left when a connection ends, so that
// conversations do not touch each other.
type ending struct {
	wire.Handler
	files *files.Table
}

func (e ending) End(c analyzer.Conn) {
	e.Handler.End(c)
	e.files.Finish(c.Now())
}

// harness writes each row as one line of name=value, unset columns left out.
func harness() analyzertest.Harness {
	schema := Schema()
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			cfg := Default()
			cfg.Passwords = true
			log := New(cfg, func(row []value.Value) {
				if !rec.Quiet {
					rec.Eventf("row %s", show(schema, row))
				}
			}, func(c analyzer.Conn) { rec.Eventf("tunnel") })
			tab := files.New(files.Default(), shelf{rec})
			return wire.Factory(wire.Default(), wire.Deps{Files: tab, NewHandler: func() wire.Handler {
				return ending{log.Handler(), tab}
			}})
		},
		Allocs: 100, // names of files, proxies, ids of many rows
		State:  400 << 10,
	}
}

func show(s *record.Schema, row []value.Value) string {
	var b strings.Builder
	for i, v := range row {
		f := &s.Fields[i]
		if i > 0 && i < rows.Columns || !v.IsSet() || f.Name == "tags" {
			continue
		}
		fmt.Fprintf(&b, "%s=%s ", f.Name, plain(v))
	}
	return strings.TrimSpace(b.String())
}

func plain(v value.Value) string {
	switch v.Kind() {
	case value.KindTime:
		return fmt.Sprintf("%.1f", v.Float()-1e9)
	case value.KindString:
		return fmt.Sprintf("%q", v.Str())
	case value.KindVector, value.KindSet:
		var all []string
		for _, e := range v.Elems() {
			all = append(all, plain(e))
		}
		return "[" + strings.Join(all, " ") + "]"
	}
	return fmt.Sprint(v.Count())
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// The header is the one that real Zeek sends, column by column.
func TestRecordedHeader(t *testing.T) {
	for _, frames := range testenv.Frames(t, testenv.Shared(t, "golden", "log-batches", "http_get", "batches.jsonl")) {
		c, err := record.Open(frames[3])
		if err != nil {
			t.Fatal(err)
		}
		if want := c.Schema(); want.Stream == "HTTP::LOG" {
			if got := Schema(); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			return
		}
	}
	t.Fatal("no http batch recorded")
}

// The conversations of the analyzer's own tests end well here too.
func TestAnalyzersConversations(t *testing.T) {
	dir := filepath.Join(testenv.Root(t), "traffic", "analyzer", "http", "testdata")
	rec := &analyzertest.Recorder{}
	h := harness()
	for _, c := range analyzertest.Load(t, dir) {
		a := h.Factory(rec).New(value.ProtoTCP)
		for _, turn := range c.Turns {
			if len(turn.Data) > 0 {
				a.Deliver(rec, turn.Orig, turn.Data)
			}
		}
		a.End(rec)
	}
}

// A connection whose rows hold too much text has the rest cut.
func TestHeld(t *testing.T) {
	log := New(Default(), func([]value.Value) {}, nil)
	tab := files.New(files.Default(), shelf{&analyzertest.Recorder{Quiet: true}})
	rec := &analyzertest.Recorder{Quiet: true}
	a := wire.Factory(wire.Default(), wire.Deps{Files: tab, NewHandler: log.Handler}).New(value.ProtoTCP)
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
	tab := files.New(files.Default(), shelf{rec})
	a := wire.Factory(wire.Default(), wire.Deps{Files: tab, NewHandler: log.Handler}).New(value.ProtoTCP)
	request := []byte("GET /index.html HTTP/1.1\r\nHost: www.example.net\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\nAccept-Language: en\r\nConnection: keep-alive\r\nCookie: a=b; c=d\r\n\r\n")
	reply := []byte("HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\nContent-Type: text/html\r\nContent-Length: 600\r\nConnection: keep-alive\r\nETag: \"1234\"\r\n\r\n" + strings.Repeat("<p>hello</p>", 50))
	b.ReportAllocs()
	for range b.N {
		a.Deliver(rec, true, request)
		a.Deliver(rec, false, reply)
	}
}
