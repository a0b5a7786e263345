package rx

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func TestSyntax(t *testing.T) {
	for _, tc := range []struct {
		pattern, in     string
		exact, anywhere bool
	}{
		{`abc`, "abc", true, true},
		{`abc`, "xabcx", false, true},
		{`a|b|cd`, "cd", true, true},
		{`(|a)b`, "b", true, true},
		{`(|a)b`, "ab", true, true},
		{`()`, "", true, true},
		{``, "", true, true},
		{``, "x", false, true},
		{`.`, "\n", false, false},
		{`(?s:.)`, "\n", true, true},
		{`(?s:.).`, "\nx", true, true},
		{`(?s:.).`, "\n\n", false, false},
		{`a{3}`, "aaa", true, true},
		{`a{3}`, "aa", false, false},
		{`a{2,}`, "aaaaa", true, true},
		{`a{2,}`, "a", false, false},
		{`a{1,3}b`, "aaab", true, true},
		{`a{1,3}b`, "aaaab", false, true},
		{`^a{1,3}b`, "aaaab", false, false},
		{`a{0}b`, "b", true, true},
		{`a{0,0}b`, "ab", false, true},
		{`(ab){2}{2}`, "abababab", true, true},
		{`a**b`, "aab", true, true},
		{`(a*)*b`, "aab", true, true},
		{`(a*)+`, "", true, true},
		{`\x41\101\n\t\"\/\.`, "AA\n\t\"/.", true, true},
		{`\1012`, "A2", true, true},
		{`\q`, "q", true, true},
		{`[a-c]+`, "abcab", true, true},
		{`[^a-c]`, "\n", true, true},
		{`[^a-c]`, "\xff", true, true},
		{`[]a]+`, "]a]", true, true},
		{`[^]a]`, "b", true, true},
		{`[^]a]`, "]", false, false},
		{`[a-]+`, "-a", true, true},
		{`[-a]+`, "-a", true, true},
		{`[\]\-]+`, "]-", true, true},
		{`[+--]+`, "+,-", true, true},
		{`[\x00-\xff]`, "\x80", true, true},
		{`[[:alpha:]_]+`, "aZ_", true, true},
		{`[[:digit:][:space:]]+`, "1 \t\v2", true, true},
		{`[[:xdigit:]]+`, "0fF", true, true},
		{`[[:punct:]]`, "~", true, true},
		{`[[:print:]]`, "\xe9", false, false},
		{`[[:x]`, ":", true, true},
		{`(?i:ab[c-e])F`, "aBDF", true, true},
		{`(?i:ab[c-e])F`, "aBDf", false, false},
		{`(?i:"a"b)`, "aB", true, true},
		{`(?i:"a"b)`, "AB", false, false},
		{`(?i:\x41)`, "a", false, false},
		{`(?i:[\x41])`, "a", true, true},
		{`(?i:(?i:a)b)`, "AB", true, true},
		{`(?i:[[:lower:]])`, "Q", true, true},
		{`"a.b*"c`, "a.b*c", true, true},
		{`"ab"*`, "abab", true, true},
		{`"\"x"`, `"x`, true, true},
		{`^abc$`, "abc", true, true},
		{`^abc$`, "xabc", false, false},
		{`^abc`, "abcx", false, true},
		{`abc$`, "xabc", false, true},
		{`abc$`, "abcx", false, false},
		{`a^b`, "ab", false, false},
		{`a$b`, "ab", false, false},
		{`(^a|b)c`, "bc", true, true},
		{`x(^a|b)c`, "xac", false, false},
		{`a|b$`, "ba", false, true},
		{`$`, "abc", false, true},
		{`\xff\xfe`, "\xff\xfe", true, true},
		{"é", "é", true, true},
		{`a:b%,;=-/`, "a:b%,;=-/", true, true},
		{`a]`, "a]", true, true},
	} {
		r, err := New(tc.pattern)
		if err != nil {
			t.Errorf("%s: %v", tc.pattern, err)
			continue
		}
		if got := r.MatchExactly([]byte(tc.in)); got != tc.exact {
			t.Errorf("/%s/ == %q: %v", tc.pattern, tc.in, got)
		}
		if got := r.MatchAnywhere([]byte(tc.in)); got != tc.anywhere {
			t.Errorf("/%s/ in %q: %v", tc.pattern, tc.in, got)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, tc := range []struct{ pattern, want string }{
		{`a|`, "nothing after |"},
		{`a||b`, "nothing after |"},
		{`(a`, "missing )"},
		{`a)`, `unexpected ')'`},
		{`*a`, "nothing to repeat"},
		{`(+)`, "nothing to repeat"},
		{`[a`, "missing ]"},
		{`[]`, "missing ]"},
		{`[b-a]`, "back"},
		{`[a-c-e]`, "no beginning"},
		{`[[:foo:]]`, "unknown class"},
		{`(?i:[A-z])`, "not clear"},
		{`"abc`, "missing quotation"},
		{`a{`, "want a number"},
		{`a{x}`, "want a number"},
		{`a{2,1}`, "bad repetition"},
		{`a{2`, "want }"},
		{`a{99999999999999999999}`, "too large"},
		{`{NAME}`, "unexpected"},
		{`}`, "unexpected"},
		{`\`, "backslash"},
		{`\x4`, "hexadecimal"},
		{`\777`, "no byte"},
		{"a\nb", "unexpected"},
		{"a\x00b", "unexpected"},
		{strings.Repeat("(", 1000), "too large"},
		{"a" + strings.Repeat("*", 1000), "too many"},
		{`((a{1000}){1000}){1000}`, "too large"},
		{`((){60000}){60000}`, "too large"},
		{`(((a|b){0,99}){0,99}){0,99}`, "too large"},
	} {
		_, err := New(tc.pattern)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("/%.40s/: error %v, want %s", tc.pattern, err, tc.want)
		}
	}
	if _, err := New(`a{60000}`); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a{60000}: %v", err)
	}
}

func TestSet(t *testing.T) {
	s, err := Compile([]string{`^GET `, `.*bc`, `a.c`, `x`, `abcd$`, ``}, Options{DotNewline: true})
	if err != nil {
		t.Fatal(err)
	}
	m := s.Matcher(1 << 20)
	for _, tc := range []struct {
		in   string
		want uint64
	}{
		{"", 1 << 5}, {"GET /", 1<<0 | 1<<5}, {"abc", 1<<1 | 1<<2 | 1<<5}, {"a\nc", 1<<2 | 1<<5},
		{"abcd", 1<<1 | 1<<2 | 1<<4 | 1<<5}, {"xbc", 1<<3 | 1<<1 | 1<<5},
	} {
		var hits [1]uint64
		m.Match([]byte(tc.in), hits[:])
		if hits[0] != tc.want {
			t.Errorf("%q: %b, want %b", tc.in, hits[0], tc.want)
		}
	}
}

func TestDiesEarly(t *testing.T) {
	s, err := Compile([]string{`^GET `, `SSH-`}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := s.Matcher(1 << 20)
	var st Stream
	var hits [1]uint64
	if got := m.Feed(&st, []byte("GE"), hits[:]); got != Live {
		t.Error("dead before its time")
	}
	if got := m.Feed(&st, []byte("T "), hits[:]); got != Dead || hits[0] != 1 || !st.Dead() {
		t.Errorf("after the match: %v, hits %b", got, hits)
	}
	if got := m.Feed(&st, []byte("GET "), hits[:]); got != Dead {
		t.Error("alive again")
	}
}

// TestPieces matches inputs whole and in pieces of all sizes, within a cache so
// small that states are thrown away all the time; a stale stream starts again.
func TestPieces(t *testing.T) {
	patterns := []string{`^GET .*HTTP`, `.*[ab]{3}c.{4}d`, `(a|b)*abb$`, `.{5}x`, `^[^\n]*\n[^\n]*\n`}
	s, err := Compile(patterns, Options{DotNewline: true})
	if err != nil {
		t.Fatal(err)
	}
	big, small := s.Matcher(1<<20), s.Matcher(1)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		in := make([]byte, rng.IntN(40))
		for i := range in {
			in[i] = "abcdxGET HP\n"[rng.IntN(12)]
		}
		var want [1]uint64
		big.Match(in, want[:])
		for size := 1; size <= len(in); size++ {
			for _, m := range []*Matcher{big, small} {
				var st Stream
				var hits [1]uint64
				for at := 0; at < len(in); at += size {
					end := min(at+size, len(in))
					if m.Feed(&st, in[at:end], hits[:]) == Stale {
						st = Stream{}
						m.Feed(&st, in[:end], hits[:])
					}
					var other Stream
					m.Feed(&other, in[at:], []uint64{0}) // makes the first one stale
				}
				if m.End(&st, hits[:]) == Stale {
					hits = [1]uint64{}
					m.Match(in, hits[:])
				}
				if hits != want {
					t.Fatalf("%q in pieces of %d: %b, want %b", in, size, hits, want)
				}
			}
		}
	}
	if _, _, flushed := big.Stats(); flushed != 0 {
		t.Errorf("the large cache was flushed %d times", flushed)
	}
	if states, _, flushed := small.Stats(); flushed == 0 || states > 3 {
		t.Errorf("the small cache has %d states, flushed %d times", states, flushed)
	}
}

func TestStates(t *testing.T) {
	for pattern, want := range map[string]int{`abc`: 4, `.*a.{3}b`: 24, `x|yz`: 3} {
		s, err := Compile([]string{pattern}, Options{DotNewline: true})
		if err != nil {
			t.Fatal(err)
		}
		if n := s.States(1000); n != want {
			t.Errorf("/%s/ has %d states, want %d", pattern, n, want)
		}
		if n := s.States(3); n != 3 {
			t.Errorf("/%s/: counted %d states, at most 3 were asked for", pattern, n)
		}
	}
}

// TestLimit feeds a pattern that has 2^16 states.
func TestLimit(t *testing.T) {
	s, err := Compile([]string{`.*a.{16}b`}, Options{DotNewline: true})
	if err != nil {
		t.Fatal(err)
	}
	const limit = 64 << 10
	m := s.Matcher(limit)
	rng := rand.New(rand.NewPCG(1, 2))
	var st Stream
	var hits [1]uint64
	in := make([]byte, 1)
	for range 100_000 {
		in[0] = "ac"[rng.IntN(2)]
		m.Feed(&st, in, hits[:])
		if m.size > limit || cap(m.next)*4+cap(m.lists)*2 > 4*limit {
			t.Fatalf("%d bytes counted, %d and %d held", m.size, cap(m.next)*4, cap(m.lists)*2)
		}
	}
	if _, _, flushed := m.Stats(); flushed == 0 {
		t.Error("never flushed")
	}
}

// generate writes a random pattern in Zeek's syntax and Go's.
func generate(next func(n int) int, depth int) (zeek, std string) {
	pick := next(10)
	if depth <= 0 {
		pick %= 4
	}
	switch pick {
	case 0, 1:
		c := string("abcAB\n/-:"[next(9)])
		if c == "\n" {
			return `\n`, `\n`
		}
		return c, c
	case 2:
		return `.`, `.`
	case 3:
		c := []string{`[a-b]`, `[^a]`, `[[:upper:]\n]`, `[-c]`, `\x61`}[next(5)]
		if c[0] == '\\' {
			return c, "(?-i:" + c + ")" // an escape keeps its case
		}
		return c, c
	case 4, 5:
		za, sa := generate(next, depth-1)
		zb, sb := generate(next, depth-1)
		return za + zb, sa + sb
	case 6:
		za, sa := generate(next, depth-1)
		zb, sb := generate(next, depth-1)
		return "(" + za + "|" + zb + ")", "(?:" + sa + "|" + sb + ")"
	case 7:
		z, s := generate(next, depth-1)
		return "(?i:" + z + ")", "(?i:" + s + ")"
	case 8:
		z, s := generate(next, depth-1)
		return "(?s:" + z + ")", "(?s:" + s + ")"
	}
	z, s := generate(next, depth-1)
	r := []string{"*", "+", "?", "{0,2}", "{2}", "{1,}"}[next(6)]
	return "(" + z + ")" + r, "(?:" + s + ")" + r
}

// agree compares with Go's regexp, which is another implementation altogether.
func agree(t *testing.T, zeek, std string, in []byte) {
	r, err := New(zeek)
	if err != nil {
		t.Fatalf("/%s/: %v", zeek, err)
	}
	exact := regexp.MustCompile(`\A(?:` + std + `)\z`)
	anywhere := regexp.MustCompile(std)
	if got, want := r.MatchExactly(in), exact.Match(in); got != want {
		t.Fatalf("/%s/ == %q: %v, regexp says %v", zeek, in, got, want)
	}
	if got, want := r.MatchAnywhere(in), anywhere.Match(in); got != want {
		t.Fatalf("/%s/ in %q: %v, regexp says %v", zeek, in, got, want)
	}
}

func TestAgainstStd(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		zeek, std := generate(rng.IntN, 5)
		for range 5 {
			in := make([]byte, rng.IntN(8))
			for i := range in {
				in[i] = "abcAB\n/-:"[rng.IntN(9)]
			}
			agree(t, zeek, std, in)
		}
	}
}

func FuzzAgainstStd(f *testing.F) {
	f.Add([]byte{4, 0, 9, 6, 0, 1, 2, 2}, "ab\nA")
	f.Fuzz(func(t *testing.T, choices []byte, in string) {
		next := func(n int) int {
			if len(choices) == 0 {
				return 0
			}
			c := choices[0]
			choices = choices[1:]
			return int(c) % n
		}
		for _, b := range []byte(in) {
			if b >= 0x80 {
				t.Skip() // Go sees runes there
			}
		}
		zeek, std := generate(next, 6)
		agree(t, zeek, std, []byte(in))
	})
}

// FuzzCompile takes any pattern: an error or a bounded automaton, and the same
// answer whether the input is whole or in single bytes.
func FuzzCompile(f *testing.F) {
	for _, p := range append(first, `((a{9}){9}){9}`, `(?i:[a-z]"x"\x41)$|^`, `[[:alpha:]-]`) {
		f.Add(p, []byte("GET / HTTP/1.1\r\n"))
	}
	f.Fuzz(func(t *testing.T, pattern string, in []byte) {
		s, err := Compile([]string{pattern, `a.*b`}, Options{DotNewline: true, MaxInsts: 500})
		if err != nil {
			return
		}
		m := s.Matcher(32 << 10)
		var whole, single [1]uint64
		m.Match(in, whole[:])
		m = s.Matcher(1 << 20)
		var st Stream
		m.Feed(&st, nil, single[:])
		for i := range in {
			if m.Feed(&st, in[i:i+1], single[:]) == Stale {
				return
			}
		}
		if m.End(&st, single[:]) == Stale {
			return
		}
		if whole != single {
			t.Errorf("/%s/ on %q: %b whole, %b in single bytes", pattern, in, whole, single)
		}
	})
}

// first are patterns like those that find protocols; the benchmark fills them up
// to 54.
var first = []string{
	`^[[:space:]]*(GET|HEAD|POST|PUT|DELETE|OPTIONS|CONNECT|PATCH|TRACE)[[:space:]]`,
	`^[hH][tT][tT][pP]\/[0-9]`,
	`^\x16\x03[\x00-\x03]..\x01...\x03`,
	`^(\x15\x03[\x00-\x03]....)?\x16\x03[\x00-\x03]..\x02...\x03`,
	`^[sS][sS][hH]-[12]\.`,
	`(|.*[\r\n])[[:space:]]*([hH][eE][lL][oO]|[eE][hH][lL][oO])`,
	`^[[:space:]]*220[[:space:]-]`,
	`(|.*[\r\n]) *[uU][sS][eE][rR] `,
	`^RFB`,
	`^....[\xfe\xff]SMB`,
	`\x05[\x00\x01][\x00-\x13]`,
	`.{4}(\x6a|\x6c).{1,4}\x30.{1,4}\xa1\x03\x02\x01\x05`,
	`.*(Cookie: mstshash=|Duca.*(rdpdr|rdpsnd))`,
	`^\x04[\x01\x02].{0,32}\x00`,
	`.* SIP\/[0-9]\.[0-9]\r\n`,
	`^.{236}\x63\x82\x53\x63`,
	`^.{4,7}MQ`,
	`^(<\?xml[^?>]*\?>)?[\n\r ]*<stream:stream [^>]*xmlns='jabber:`,
}

func BenchmarkSet54(b *testing.B) {
	patterns := append([]string(nil), first...)
	for i := 0; len(patterns) < 54; i++ {
		patterns = append(patterns, fmt.Sprintf(`^[%c-%c]P%d-(HELLO|BYE) .{0,%d}x`, 'A'+i%20, 'A'+i%20+2, i, i))
	}
	s, err := Compile(patterns, Options{DotNewline: true})
	if err != nil {
		b.Fatal(err)
	}
	http := []byte("GET /index.html HTTP/1.1\r\nHost: www.example.org\r\n" + strings.Repeat("X-Header: some value of it\r\n", 50) + "\r\n")[:1422]
	binary := make([]byte, 1460)
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range binary {
		binary[i] = byte(rng.Uint32())
	}
	for _, in := range []struct {
		name string
		data []byte
	}{{"http", http}, {"binary", binary}} {
		b.Run(in.name, func(b *testing.B) {
			m := s.Matcher(4 << 20)
			b.ReportAllocs()
			b.SetBytes(int64(len(in.data)))
			for b.Loop() {
				var hits [1]uint64
				var st Stream
				m.Feed(&st, in.data, hits[:])
			}
			states, _, flushed := m.Stats()
			b.ReportMetric(float64(states), "states")
			b.ReportMetric(float64(flushed), "flushes")
		})
	}
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			if _, err := Compile(patterns, Options{DotNewline: true}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
