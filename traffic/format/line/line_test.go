package line

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// notes writes down what a Splitter says.
type notes struct {
	s    *Splitter
	out  []string
	full []byte // plain bytes, joined
	do   func(n *notes, line string)
}

func (n *notes) flush() {
	if n.full != nil {
		n.out = append(n.out, fmt.Sprintf("plain %q", n.full))
		n.full = nil
	}
}

func (n *notes) Line(line []byte) {
	n.flush()
	n.out = append(n.out, fmt.Sprintf("%q", line))
	if n.do != nil {
		n.do(n, string(line))
	}
}
func (n *notes) Plain(data []byte) { n.full = append(n.full, data...) }
func (n *notes) Weird(name string) { n.flush(); n.out = append(n.out, name) }

// obey does what lines say: "plain 5", "size 3", "strict", "loose", "quiet", "skip".
func obey(n *notes, line string) {
	var num int64
	switch {
	case strings.HasPrefix(line, "plain "):
		fmt.Sscanf(line, "plain %d", &num)
		n.s.Plain(num)
	case strings.HasPrefix(line, "size "):
		fmt.Sscanf(line, "size %d", &num)
		n.s.Size(num)
	case line == "strict":
		n.s.Strict(true)
	case line == "loose":
		n.s.Strict(false)
	case line == "quiet":
		n.s.Quiet(true)
	case line == "skip":
		n.s.Skip()
	case line == "rest":
		n.out = append(n.out, fmt.Sprintf("rest %d", n.s.Rest()))
	case line == "the rest is plain":
		n.s.PlainRest()
	}
}

func run(in string, size int, set func(*Splitter)) []string {
	s := &Splitter{Once: &Once{}}
	if set != nil {
		set(s)
	}
	n := &notes{s: s, do: obey}
	for p := range slices.Chunk([]byte(in), size) {
		b := bytes.Clone(p)
		s.Feed(b, n)
		for i := range b {
			b[i] = 0xdb // nobody may keep a view
		}
	}
	s.Due(n)
	s.End(n)
	n.flush()
	return n.out
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name, in string
		set      func(*Splitter)
		want     []string
	}{
		{"crlf", "a\r\nbc\r\n\r\n", nil, []string{`"a"`, `"bc"`, `""`}},
		{"lf", "a\nb\n", nil, []string{`"a"`, `"b"`}},
		{"cr", "a\rb\rc", nil, []string{`"a"`, "line_terminated_with_single_CR", `"b"`, `"c"`}},
		{"cr cr", "a\r\rb\n", nil, []string{`"a"`, `""`, "line_terminated_with_single_CR", `"b"`}},
		{"lf cr", "a\n\rb\n", nil, []string{`"a"`, `""`, "line_terminated_with_single_CR", `"b"`}},
		{"no end", "a\nb", nil, []string{`"a"`, `"b"`}},
		{"plain", "plain 5\r\na\r\nbc\r\nd\n", nil, []string{`"plain 5"`, `plain "a\r\nbc"`, `""`, `"d"`}},
		{"plain behind a CR", "plain 3\rabcd\n", nil, []string{`"plain 3"`, `plain "abc"`, `"d"`}},
		{"size", "size 7\r\na\r\nbcde", nil, []string{`"size 7"`, `"a"`, "line_terminated_without_CRLF", `"bcde"`}},
		{"size behind a CR", "size 3\rbcd", nil, []string{`"size 3"`, "line_terminated_with_single_CR", "line_terminated_without_CRLF", `"bcd"`}},
		{"size too small", "size 2\r\nbcde", nil, []string{`"size 2"`, `"bcde"`}},
		{"size too large", "size 9\r\nbcde", nil, []string{`"size 9"`, `"bcde"`}},
		{"size at an end", "size 3\na\r\nb\r\n", nil, []string{`"size 3"`, `"a"`, `"b"`}},
		{"size 0", "size 0\nab\n", nil, []string{`"size 0"`, `"ab"`}},
		{"strict", "strict\r\na\nb\rc\r\nd\r\r\n", nil,
			[]string{`"strict"`, "line_terminated_with_single_LF", "line_terminated_with_single_CR", `"a\nb\rc"`, `"d\r"`}},
		{"strict and quiet", "quiet\nstrict\na\nb\rc\r\nd\r\n", nil, []string{`"quiet"`, `"strict"`, `"a\nb\rc"`, `"d"`}},
		{"strict behind a CR", "strict\r\na\r\n", nil, []string{`"strict"`, `"a"`}},
		{"strict loses what has no end", "strict\r\na", nil, []string{`"strict"`, "line_terminated_with_single_LF"}},
		{"skip", "a\nskip\nb\n", nil, []string{`"a"`, `"skip"`}},
		{"too long", "abcdefgh\nij\n", func(s *Splitter) { s.Max = 5 },
			[]string{"contentline_size_exceeded", `"abcd"`, `"gh"`, `"ij"`}},
		{"as long as can be", "abcd\nefghi", func(s *Splitter) { s.Max = 5 },
			[]string{`"abcd"`, "contentline_size_exceeded", `"efgh"`}},
		{"nul", "a\x00b\x00c\nd\x00\n", func(s *Splitter) { s.NUL = true },
			[]string{"NUL_in_line", `"ab\x00c"`, `"d\x00"`}},
	} {
		for _, size := range []int{1 << 20, 1, 2, 3, 5} {
			if got := run(c.in, size, c.set); !slices.Equal(got, c.want) {
				t.Errorf("%s, pieces of %d\ngot  %v\nwant %v", c.name, size, got, c.want)
			}
		}
	}
}

func TestRest(t *testing.T) {
	if got := run("rest\r\nabc", 100, nil); !slices.Equal(got, []string{`"rest"`, "rest 3", `"abc"`}) {
		t.Error(got)
	}
	if got := run("the rest is plain\r\nab\nc", 100, nil); !slices.Equal(got, []string{`"the rest is plain"`, `plain "ab\nc"`}) {
		t.Error(got)
	}
	if got := run("the rest is plain\r\nab\n", 19, nil); !slices.Equal(got, []string{`"the rest is plain"`, `"ab"`}) {
		t.Error(got)
	}
}

// slow splits byte by byte, as the rules say it.
func slow(in string, strict bool, max int) (out []string) {
	var buf []byte
	var last byte
	cr, lf := false, false
	for i := 0; i < len(in); i++ {
		c := in[i]
		if !strict && last == '\r' && c == '\n' {
			last = c
			continue
		}
		if len(buf) >= max {
			out = append(out, "contentline_size_exceeded", fmt.Sprintf("%q", buf[:len(buf)-1]))
			buf, last = nil, c
			continue
		}
		emit := false
		switch {
		case !strict && (c == '\r' || c == '\n'):
			emit = true
		case strict && c == '\n' && last == '\r' && len(buf) > 0:
			buf, emit = buf[:len(buf)-1], true
		case strict && c == '\n' && last != '\r' && !lf:
			lf = true
			out = append(out, "line_terminated_with_single_LF")
		}
		if !emit && last == '\r' && c != '\r' && !cr && !(strict && c == '\n') {
			cr = true
			out = append(out, "line_terminated_with_single_CR")
		}
		if emit {
			out = append(out, fmt.Sprintf("%q", buf))
			buf = nil
		} else {
			buf = append(buf, c)
		}
		last = c
	}
	return out
}

func TestAgainstSlow(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		var b strings.Builder
		for range rnd.IntN(40) {
			b.WriteByte("ab\r\n\r\n"[rnd.IntN(6)])
		}
		in := b.String()
		strict := rnd.IntN(2) == 0
		if strict {
			for strings.Contains(in, "\r\r") { // what they mean depends on what is in sight
				in = strings.ReplaceAll(in, "\r\r", "\r")
			}
		}
		limit := 3 + rnd.IntN(20)
		if strict {
			limit = 1000 // whether a CR counts depends on whether its LF is in sight
		}
		want := slow(in, strict, limit)
		for _, size := range []int{100, 1, 3} {
			s := &Splitter{Once: &Once{}, Max: limit, strict: strict}
			n := &notes{s: s}
			for p := range slices.Chunk([]byte(in), size) {
				s.Feed(p, n)
			}
			if w, g := sorted(want), sorted(n.out); !slices.Equal(w, g) {
				t.Fatalf("%q strict=%v max=%d pieces of %d\ngot  %q\nwant %q", in, strict, limit, size, n.out, want)
			}
		}
	}
}

// sorted drops where among the lines a weird was said: a strict line that lies
// in one piece is looked at as a whole.
func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

func TestBudget(t *testing.T) {
	b := &Budget{Limit: 100_000}
	n := &notes{}
	var all []*Splitter
	for range 50 {
		s := &Splitter{Once: &Once{}, Budget: b}
		all = append(all, s)
		for range 20 {
			s.Feed(bytes.Repeat([]byte("x"), 1000), n)
		}
		if b.Used > b.Limit {
			t.Fatalf("%d bytes are held", b.Used)
		}
	}
	if b.Shed == 0 {
		t.Error("nothing was shed")
	}
	for _, s := range all {
		s.Reset()
	}
	if b.Used != 0 {
		t.Errorf("%d bytes are left", b.Used)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("plain 3\r\nabc\r\nsize 4\nab\r\nstrict\r\nc\nd\r\n", uint8(7))
	f.Fuzz(func(t *testing.T, in string, size uint8) {
		set := func(s *Splitter) { s.Max = 64 }
		if strings.Contains(in, "rest") || strings.Contains(in, "strict") {
			run(in, int(size)+1, set)
			return
		}
		if one, many := run(in, 1<<20, set), run(in, int(size)+1, set); !slices.Equal(one, many) {
			t.Fatalf("%q\nwhole  %v\npieces %v", in, one, many)
		}
	})
}

type nothing struct{}

func (nothing) Line([]byte)  {}
func (nothing) Plain([]byte) {}
func (nothing) Weird(string) {}

func BenchmarkLines(b *testing.B) {
	data := bytes.Repeat([]byte("Header-Name: a value of common length\r\n"), 35)
	s := &Splitter{Once: &Once{}}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for range b.N {
		s.Feed(data, nothing{})
	}
}
