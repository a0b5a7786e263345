// Package rx matches regular expressions on bytes: many at once, in one pass,
// over streams that come in pieces. The syntax is Zeek's.
//
// Flow uses it to find protocols by their first bytes; scripts will use it for
// patterns. A Set is patterns compiled into one automaton; it never changes and
// may be shared. A Matcher runs a Set: it makes the states of a deterministic
// automaton as input calls for them, keeps them within a limit, and belongs to
// one goroutine. A Stream is where the matching of one stream stands: eight
// bytes, owned by the caller. Nothing here backtracks: a byte costs one table
// look-up, or the making of one state. It never allocates for input once the
// states are made, and captures nothing but which patterns matched.
//
// # Syntax
//
// It is flex's, as in Zeek (src/re-scan.l, src/re-parse.y):
//
//	x  \x41 \101 \n \"     a byte, in hexadecimal, octal, by C's escapes
//	.                      any byte but newline
//	[a-z] [^\n] [[:alpha:]] classes; ASCII alone is in the named ones
//	"a.b"                  exactly these bytes
//	ab  a|b  (a)           one after the other, either, group
//	a* a+ a? a{3} a{3,} a{3,5}
//	^ $                    the beginning and the end of all input, not of a line
//	(?i:a)                 letters in either case, but not those in quotes or escapes
//	(?s:.)                 dots that take newlines too
//
// An alternative after | must not be empty. Zeek drops digits that follow an
// octal escape of three digits, and ends (?i:) with the first group of its kind
// that ends inside it; we do neither. It takes bytes above 0x7f only as escapes;
// we take them as they are, too.
package rx

import (
	"errors"
	"fmt"
)

// Mode says where a pattern must match.
type Mode uint8

const (
	// Prefix matches from the first byte on; what follows is not looked at.
	Prefix Mode = iota
	// Exact matches all of the input.
	Exact
	// Anywhere matches somewhere in the input.
	Anywhere
)

// Options are those of a Set.
type Options struct {
	Mode       Mode
	DotNewline bool // a dot takes newlines too, as in Zeek's signatures
	// MaxInsts bounds the size of the compiled patterns; 0: 20,000, and never more
	// than 65,535.
	MaxInsts int
}

const defaultInsts = 20_000

// ErrTooLarge is what an error of Compile wraps when a pattern is well formed,
// but larger than allowed.
var ErrTooLarge = errors.New("pattern too large")

// Set is compiled patterns. It is never changed and may be shared.
type Set struct {
	insts   []inst
	start   uint16
	n       int
	mode    Mode
	classes [256]uint8
	nclass  int
	sets    []byteSet // of classes
}

// Len is the number of patterns.
func (s *Set) Len() int { return s.n }

// Compile compiles patterns. The error names the pattern by its place and says
// at which byte it is wrong.
func Compile(patterns []string, o Options) (*Set, error) {
	if o.MaxInsts <= 0 {
		o.MaxInsts = defaultInsts
	}
	c := compiler{max: min(o.MaxInsts, 1<<16-1)}
	if len(patterns) >= c.max {
		return nil, fmt.Errorf("compile %d patterns: %w", len(patterns), ErrTooLarge)
	}
	for range patterns {
		c.emit(inst{kind: iAccept}) // the number of the instruction is that of the pattern
	}
	start := c.emit(inst{kind: iFail})
	for i := len(patterns) - 1; i >= 0; i-- {
		tree, err := parse(patterns[i], o.DotNewline)
		if err != nil {
			return nil, fmt.Errorf("compile pattern %d %q: %w", i, patterns[i], err)
		}
		p := c.whole(tree, o.Mode, uint16(i))
		start = c.emit(inst{kind: iSplit, x: p, y: start})
		if c.failed {
			return nil, fmt.Errorf("compile pattern %d: %w: it needs more than %d steps; smaller repetitions need less",
				i, ErrTooLarge, c.max)
		}
	}
	s := &Set{insts: c.insts, start: start, n: len(patterns), mode: o.Mode}
	s.divide(c.sets)
	return s, nil
}

// Regexp is a pattern as scripts use it. One goroutine.
type Regexp struct {
	exact, anywhere *Matcher
}

// cacheSize is the limit of a Regexp's two caches, in bytes.
const cacheSize = 1 << 20

// New compiles one pattern.
func New(pattern string) (*Regexp, error) {
	r := &Regexp{}
	for _, m := range []struct {
		to   **Matcher
		mode Mode
	}{{&r.exact, Exact}, {&r.anywhere, Anywhere}} {
		s, err := Compile([]string{pattern}, Options{Mode: m.mode})
		if err != nil {
			return nil, err
		}
		*m.to = s.Matcher(cacheSize)
	}
	return r, nil
}

// MatchExactly reports whether the pattern matches all of b (Zeek's p == b).
func (r *Regexp) MatchExactly(b []byte) bool {
	var hits [1]uint64
	r.exact.Match(b, hits[:])
	return hits[0] != 0
}

// MatchAnywhere reports whether the pattern matches somewhere in b (Zeek's
// p in b).
func (r *Regexp) MatchAnywhere(b []byte) bool {
	var hits [1]uint64
	r.anywhere.Match(b, hits[:])
	return hits[0] != 0
}
