package http_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/http"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/value"
)

// watcher writes down all that it is told, and names files by message and part.
type watcher struct {
	rec  *analyzertest.Recorder
	n    [2]int // messages
	part [2]int
}

func side(orig bool) int {
	if orig {
		return 0
	}
	return 1
}

func arrow(orig bool) string { return "><"[side(orig) : side(orig)+1] }

func (w *watcher) Message(c analyzer.Conn, m *http.Message) {
	w.n[side(m.Orig)]++
	w.part[side(m.Orig)] = 0
	if w.rec.Quiet {
		return
	}
	if m.Orig {
		w.rec.Eventf("> %s %q %d.%d", m.Method, m.URI, m.Version.Major, m.Version.Minor)
	} else {
		w.rec.Eventf("< %d %q %d.%d", m.Code, m.Reason, m.Version.Major, m.Version.Minor)
	}
}

func (w *watcher) Header(c analyzer.Conn, h *http.Header) {
	if !w.rec.Quiet {
		w.rec.Eventf("%s   %s: %q", arrow(h.Orig), h.Name, h.Value)
	}
}

func (w *watcher) Entity(c analyzer.Conn, orig, begins bool) {
	if begins {
		w.part[side(orig)]++
	}
	if !w.rec.Quiet {
		w.rec.Eventf("%s %s", arrow(orig), map[bool]string{true: "begin", false: "end"}[begins])
	}
}

func (w *watcher) Done(c analyzer.Conn, d *http.Done) {
	if w.rec.Quiet {
		return
	}
	how := ""
	if d.Interrupted {
		how = " interrupted"
	}
	w.rec.Eventf("%s done body=%d%s", arrow(d.Orig), d.Body, how)
}

func (w *watcher) End(c analyzer.Conn) {
	*w = watcher{rec: w.rec}
	if !w.rec.Quiet {
		w.rec.Eventf("over")
	}
}

func (w *watcher) FileHandle(c analyzer.Conn, orig bool, dst []byte) []byte {
	n := side(orig)
	return append(dst, byte('0'+n), byte(w.n[n]), byte(w.n[n]>>8), byte(w.part[n]), byte(w.part[n]>>8))
}

func (w *watcher) FileOver(c analyzer.Conn, f *files.File) {}

func contents(rec *analyzertest.Recorder) *files.Table {
	return analyzertest.Contents(rec, func(f *files.File, content string) string {
		total := "-"
		if f.HasTotal {
			total = fmt.Sprint(f.Total)
		}
		return fmt.Sprintf("%s file seen=%d missing=%d total=%s type=%s %s", arrow(f.Orig), f.Seen, f.Missing, total, f.MIME, content)
	})
}

func config() http.Config {
	cfg := http.Default()
	cfg.MaxDepth, cfg.MaxHeader, cfg.Salvage = 4, 256, true
	return cfg
}

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			tab := contents(rec)
			return http.Factory(config(), http.Deps{Files: tab, NewHandler: func() http.Handler {
				return &watcher{rec: rec}
			}})
		},
		Allocs: 40,
		// Zeek looks whether bytes of the next protocol come in the same packet as the
		// reply that begins it.
		Loose: func(line string) string {
			if strings.HasPrefix(line, "weird protocol_data_with_HTTP_") {
				return ""
			}
			return line
		},
		State: 160 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzHTTP(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// talk gives bytes to a fresh analyzer.
type talk struct {
	rec   *analyzertest.Recorder
	a     analyzer.Analyzer
	s     *http.Shared
	files *files.Table
}

func newTalk(cfg http.Config) *talk {
	k := &talk{rec: &analyzertest.Recorder{Quiet: true}}
	k.files = contents(k.rec)
	k.s = http.New(cfg, http.Deps{Files: k.files, NewHandler: func() http.Handler { return &watcher{rec: k.rec} }})
	k.a = k.s.Factory().New(value.ProtoTCP)
	return k
}

func (k *talk) say(orig bool, text string) { k.a.Deliver(k.rec, orig, []byte(text)) }

// A small body that unpacks to very much is given up, and counted.
func TestBomb(t *testing.T) {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, 9)
	zeros := make([]byte, 1<<20)
	for range 64 {
		z.Write(zeros)
	}
	z.Close()
	cfg := http.Default()
	cfg.MaxInflate = 4 << 20
	k := newTalk(cfg)
	k.say(true, "GET / HTTP/1.1\r\n\r\n")
	k.say(false, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", b.Len()))
	k.a.Deliver(k.rec, false, b.Bytes())
	if got := k.s.Stats().ShedBombs; got != 1 {
		t.Errorf("%d bombs, want 1", got)
	}
	if n := k.files.Stats().Active; n != 0 {
		t.Errorf("%d files are left", n)
	}
	k.a.End(k.rec)
}

// Bodies beyond the limit of those being unpacked are not unpacked.
func TestInflaters(t *testing.T) {
	cfg := http.Default()
	cfg.Inflaters = 3
	k := newTalk(cfg)
	var all []analyzer.Analyzer
	for range 5 {
		k.a = k.s.Factory().New(value.ProtoTCP)
		all = append(all, k.a)
		k.say(false, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08")
	}
	if got := k.s.Stats().ShedInflate; got != 2 {
		t.Errorf("%d shed, want 2", got)
	}
	for _, a := range all {
		a.End(k.rec)
	}
	k.a = k.s.Factory().New(value.ProtoTCP)
	k.say(false, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08")
	if got := k.s.Stats().ShedInflate; got != 2 {
		t.Error("unpackers were not given back")
	}
}

// Headers and lines that never end stay within the limit of all connections, and
// what is cut is counted.
func TestEndlessHeaders(t *testing.T) {
	cfg := http.Default()
	cfg.Lines = 1 << 20
	piece := strings.Repeat("x", 1400)
	for name, next := range map[string]string{"one line": piece, "fields": "X: " + piece + "\r\n", "folded": " " + piece + "\r\n"} {
		k := newTalk(cfg)
		var all []analyzer.Analyzer
		for range 20 {
			k.a = k.s.Factory().New(value.ProtoTCP)
			all = append(all, k.a)
			k.say(true, "GET / HTTP/1.1\r\nX: y")
			if name != "one line" {
				k.say(true, "\r\n")
			}
		}
		for range 100 {
			for _, k.a = range all {
				k.say(true, next)
			}
		}
		if used := k.s.Held(); used > cfg.Lines {
			t.Errorf("%s: %d bytes are held", name, used)
		}
		if name == "one line" && k.s.Stats().ShedLines == 0 {
			t.Errorf("%s: nothing was shed", name)
		}
		for _, a := range all {
			a.End(k.rec)
		}
		if used := k.s.Held(); used != 0 {
			t.Errorf("%s: %d bytes are left", name, used)
		}
	}
}

// Requests without replies are remembered in little room.
func TestManyRequests(t *testing.T) {
	k := newTalk(http.Default())
	for range 5000 {
		k.say(true, "GET / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\n")
	}
	if k.s.Stats().ShedRequests == 0 {
		t.Error("nothing was forgotten")
	}
	k.a.End(k.rec)
}

func BenchmarkBody(b *testing.B) {
	body := strings.Repeat("0123456789abcdef", 91) // a segment
	for _, c := range []struct{ name, head, foot string }{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", ""},
		{"close", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			k := newTalk(http.Default())
			head, data := c.head, []byte(body)
			if strings.Contains(head, "%d") {
				head = fmt.Sprintf(head, 1<<40)
			}
			k.say(true, "GET / HTTP/1.1\r\n\r\n")
			k.say(false, head)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for range b.N {
				k.a.Deliver(k.rec, false, data)
			}
		})
	}
}

func BenchmarkTransaction(b *testing.B) {
	k := newTalk(http.Default())
	request := []byte("GET /index.html HTTP/1.1\r\nHost: www.example.net\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\nAccept-Language: en\r\nConnection: keep-alive\r\nCookie: a=b; c=d\r\n\r\n")
	reply := []byte("HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\nContent-Type: text/html\r\nContent-Length: 600\r\nConnection: keep-alive\r\nETag: \"1234\"\r\n\r\n" + strings.Repeat("<p>hello</p>", 50))
	b.ReportAllocs()
	for range b.N {
		k.a.Deliver(k.rec, true, request)
		k.a.Deliver(k.rec, false, reply)
	}
}
