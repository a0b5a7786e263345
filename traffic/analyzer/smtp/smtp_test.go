package smtp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/smtp"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/mail"
	"github.com/picket-nsm/picket/zeek/value"
)

// watcher writes down all that it is told, and names files by part.
type watcher struct {
	rec  *analyzertest.Recorder
	part int
}

func (w *watcher) Request(c analyzer.Conn, r *smtp.Request) {
	if !w.rec.Quiet {
		w.rec.Eventf("> %s %q", r.Command, r.Arg)
	}
}

func (w *watcher) Reply(c analyzer.Conn, r *smtp.Reply) {
	if w.rec.Quiet {
		return
	}
	more := ""
	if r.More {
		more = " more"
	}
	if r.TLS {
		more += " TLS"
	}
	w.rec.Eventf("< %d to %s %q%s", r.Code, r.Command, r.Text, more)
}

func (w *watcher) Header(c analyzer.Conn, h *mail.Header) {
	if !w.rec.Quiet {
		w.rec.Eventf("  %s: %q", h.Name, h.Value)
	}
}

func (w *watcher) Entity(c analyzer.Conn, begins bool) {
	if begins {
		w.part++
	}
	if !w.rec.Quiet {
		w.rec.Eventf("  %s", map[bool]string{true: "begin", false: "end"}[begins])
	}
}

func (w *watcher) End(c analyzer.Conn) {
	*w = watcher{rec: w.rec}
	if !w.rec.Quiet {
		w.rec.Eventf("over")
	}
}

func (w *watcher) FileHandle(c analyzer.Conn, orig bool, dst []byte) []byte {
	return append(dst, byte(w.part), byte(w.part>>8))
}

func (w *watcher) FileOver(c analyzer.Conn, f *files.File) {}

func contents(rec *analyzertest.Recorder) *files.Table {
	return analyzertest.Contents(rec, func(f *files.File, content string) string {
		return fmt.Sprintf("  file seen=%d missing=%d orig=%v type=%s %s", f.Seen, f.Missing, f.Orig, f.MIME, content)
	})
}

func config() smtp.Config {
	cfg := smtp.Default()
	cfg.Mail.MaxDepth, cfg.Mail.MaxHeader, cfg.BDATLine, cfg.Pending = 4, 256, 100, 8
	return cfg
}

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			tab := contents(rec)
			return smtp.Factory(config(), smtp.Deps{Files: tab, NewHandler: func() smtp.Handler {
				return &watcher{rec: rec}
			}})
		},
		Allocs: 40,
		Loose:  noLength,
		State:  64 << 10,
	}
}

// noLength leaves out how many bytes were there when a line became too long: Zeek
// counts those of its packet with them.
func noLength(line string) string {
	if strings.HasPrefix(line, "weird smtp_bdat_line_too_long") {
		return "weird smtp_bdat_line_too_long"
	}
	return line
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzSMTP(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// talk gives bytes to a fresh analyzer.
type talk struct {
	rec   *analyzertest.Recorder
	a     analyzer.Analyzer
	s     *smtp.Shared
	files *files.Table
}

func newTalk(cfg smtp.Config) *talk {
	k := &talk{rec: &analyzertest.Recorder{Quiet: true}}
	k.files = contents(k.rec)
	k.s = smtp.New(cfg, smtp.Deps{Files: k.files, NewHandler: func() smtp.Handler { return &watcher{rec: k.rec} }})
	k.a = k.s.Factory().New(value.ProtoTCP)
	return k
}

func (k *talk) say(orig bool, text string) { k.a.Deliver(k.rec, orig, []byte(text)) }

const begin = "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"

// Headers and lines that never end stay within the limit of all connections, and
// what is cut is counted.
func TestEndless(t *testing.T) {
	cfg := smtp.Default()
	cfg.Lines = 1 << 20
	piece := strings.Repeat("x", 1400)
	for name, next := range map[string]string{"one line": piece, "fields": "X: " + piece + "\r\n", "folded": " " + piece + "\r\n"} {
		k := newTalk(cfg)
		var all []analyzer.Analyzer
		for range 20 {
			k.a = k.s.Factory().New(value.ProtoTCP)
			all = append(all, k.a)
			k.say(true, begin+"X: y")
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

// A CR alone does not end a line of a chunk, also where a packet ends behind it.
func TestLonelyCR(t *testing.T) {
	rec := &analyzertest.Recorder{Quiet: true}
	var got []string
	h := &headers{watcher: watcher{rec: rec}, got: &got}
	a := smtp.Factory(smtp.Default(), smtp.Deps{Files: contents(rec), NewHandler: func() smtp.Handler { return h }}).New(value.ProtoTCP)
	a.Deliver(rec, true, []byte("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 16 LAST\r\nA: 1\r"))
	a.Deliver(rec, true, []byte("B: 2\rC\r\n\r\n"))
	a.End(rec)
	if s := strings.Join(got, " "); s != `A="1\rB: 2\rC"` {
		t.Error(s)
	}
}

type headers struct {
	watcher
	got *[]string
}

func (h *headers) Header(c analyzer.Conn, f *mail.Header) {
	*h.got = append(*h.got, fmt.Sprintf("%s=%q", f.Name, f.Value))
}

// Commands without reply are remembered in little room.
func TestManyCommands(t *testing.T) {
	k := newTalk(smtp.Default())
	for range 5000 {
		k.say(true, "NOOP\r\n")
	}
	k.a.End(k.rec)
}

func BenchmarkMail(b *testing.B) {
	k := newTalk(smtp.Default())
	head := []byte("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
	text := "Received: from mail.example.com (mail.example.com [192.0.2.1]) by mx.example.net; Sat, 21 Nov 2026 12:00:00 +0000\r\n" +
		"From: Alice <a@example.com>\r\nTo: Bob <b@example.net>\r\nSubject: hello\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n" +
		"Message-ID: <1@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"xyz\"\r\n\r\n" +
		"--xyz\r\nContent-Type: text/plain\r\n\r\nHello Bob.\r\n--xyz\r\nContent-Type: application/octet-stream\r\n" +
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.bin\r\n\r\n" +
		strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", 500) + "--xyz--\r\n.\r\n"
	data := []byte(text)
	k.say(true, "EHLO x\r\n")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for range b.N {
		k.a.Deliver(k.rec, true, head)
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1460)
			k.a.Deliver(k.rec, true, rest[:n])
			rest = rest[n:]
		}
		k.a.Deliver(k.rec, false, []byte("250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n"))
	}
}
