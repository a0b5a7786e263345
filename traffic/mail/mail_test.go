package mail

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/line"
)

// notes writes down what it is told; files are named by part.
type notes struct {
	out  []string
	part int
}

func (n *notes) Entity(_ analyzer.Conn, begins bool) {
	if begins {
		n.part++
		n.out = append(n.out, "begin")
		return
	}
	n.out = append(n.out, "end")
}

func (n *notes) Header(_ analyzer.Conn, h *Header) {
	n.out = append(n.out, fmt.Sprintf("%s=%s", h.Name, h.Value))
}

func (n *notes) FileHandle(_ analyzer.Conn, _ bool, dst []byte) []byte {
	return append(dst, byte(n.part), byte(n.part>>8))
}
func (n *notes) FileOver(analyzer.Conn, *files.File) {}
func (n *notes) New(f *files.File)                   { f.Attach("TEXT", &reader{n: n}) }
func (n *notes) Sniffed(*files.File)                 {}
func (n *notes) Removed(*files.File)                 {}

// reader notes what a file holds.
type reader struct {
	n    *notes
	text strings.Builder
}

func (r *reader) Data(_ *files.File, b []byte) bool { r.text.Write(b); return true }
func (r *reader) Gap(_ *files.File, n uint64) bool  { fmt.Fprintf(&r.text, "[%d]", n); return true }
func (r *reader) End(*files.File) {
	s := r.text.String()
	if len(s) > 40 {
		s = fmt.Sprintf("%d bytes", len(s))
	}
	r.n.out = append(r.n.out, fmt.Sprintf("%q", s))
}

func read(cfg Config, budget *line.Budget, text string) []string {
	n := &notes{}
	tab := files.New(files.Default(), n)
	c := &analyzertest.Recorder{Quiet: true}
	var m Mail
	m.Init(New(cfg, Deps{Files: tab, Budget: budget}), n, "TEST", n)
	m.Begin(c, true)
	for _, l := range strings.Split(text, "\n") {
		m.Line(c, []byte(l), true)
	}
	m.Flush(c)
	m.Gap(c, 3)
	m.End(c)
	return n.out
}

func TestMail(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"plain", "A: b\n c\n\ntext", []string{"begin", "A=b c", `"text\r\n[3]"`, "end"}},
		{"only a header", "A: b", []string{"begin", "A=b", `"[3]"`, "end"}},
		{"base64 in pieces", "Content-Transfer-Encoding: BASE64\n\nYW\nJj\nZA",
			[]string{"begin", "Content-Transfer-Encoding=BASE64", `"abc[3]d"`, "end"}},
		{"parts", "Content-Type: multipart/x; boundary=b\n\nno\n--b\n\n1\n\n--b\nC: d\n\n2\n--b--\nno",
			[]string{"begin", "Content-Type=multipart/x; boundary=b", "begin", `"1\r\n"`, "end", "begin", "C=d", `"2"`, "end", "end", `"[3]"`}},
		{"a mail in a mail", "Content-Type: message/rfc822\n\nA: b\n\nc",
			[]string{"begin", "Content-Type=message/rfc822", "begin", "A=b", `"c\r\n[3]"`, "end", "end"}},
		{"a long line", "\n" + strings.Repeat("x", 10_000), []string{"begin", `"10005 bytes"`, "end"}},
		{"long base64", "Content-Transfer-Encoding: base64\n\n" + strings.Repeat("YWJj", 5000),
			[]string{"begin", "Content-Transfer-Encoding=base64", `"15003 bytes"`, "end"}},
	} {
		got := read(Default(), nil, c.text)
		if c.name == "parts" { // what a gap behind the end brings is no part's
			got = slices.DeleteFunc(got, func(s string) bool { return s == `"[3]"` })
			c.want = c.want[:len(c.want)-1]
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}

// Many levels of parts, and fields beyond the budget: what is held is given back.
func TestLimits(t *testing.T) {
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, "Content-Type: multipart/x; boundary=\"b%03d\"\n%s\n\n--b%03d\n", i, "F: "+strings.Repeat("y", 5000), i)
	}
	budget := &line.Budget{Limit: 100_000}
	out := read(Default(), budget, b.String())
	if n := strings.Count(strings.Join(out, " "), "begin"); n != Default().MaxDepth+1 {
		t.Errorf("%d parts", n)
	}
	if budget.Used != 0 {
		t.Errorf("%d bytes are left", budget.Used)
	}
}

func FuzzMail(f *testing.F) {
	f.Add("Content-Type: multipart/x; boundary=b\n\n--b\nContent-Transfer-Encoding: quoted-printable\n\na=3D=\n--b--")
	f.Add("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n\nYWJj")
	f.Fuzz(func(t *testing.T, text string) {
		budget := &line.Budget{Limit: 10_000}
		read(Config{MaxDepth: 5, MaxHeader: 100, MaxField: 4000}, budget, text)
		if budget.Used != 0 {
			t.Fatalf("%d bytes are left", budget.Used)
		}
	})
}
