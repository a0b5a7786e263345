package freelist_test

import (
	"fmt"
	"testing"

	"github.com/picket-nsm/picket/internal/freelist"
)

type conn struct {
	id  int
	buf []byte
}

func TestLastKeptIsFirstTaken(t *testing.T) {
	l := freelist.New[*conn](4)
	if c := l.Take(); c != nil {
		t.Fatalf("a new list hands out %v", c)
	}
	a, b := &conn{id: 1}, &conn{id: 2}
	l.Keep(a)
	l.Keep(b)
	for i, want := range []*conn{b, a, nil, nil} {
		if got := l.Take(); got != want {
			t.Errorf("take %d: %v, want %v", i, got, want)
		}
	}
}

func TestKeepsNoMoreThanItsBound(t *testing.T) {
	for _, bound := range []int{-1, 0, 1, 3, 8} {
		t.Run(fmt.Sprint(bound), func(t *testing.T) {
			l := freelist.New[*conn](bound)
			for i := range 5 {
				if kept := l.Keep(&conn{id: i}); kept != (i < bound) {
					t.Errorf("number %d: %t", i, kept)
				}
			}
			n := 0
			for c := l.Take(); c != nil; c = l.Take() {
				if n++; c.id >= bound {
					t.Errorf("kept number %d", c.id)
				}
			}
			if want := max(0, min(5, bound)); n != want {
				t.Errorf("kept %d, want %d", n, want)
			}
		})
	}
}

func TestZeroListKeepsNothing(t *testing.T) {
	var l freelist.List[*conn]
	l.Keep(&conn{})
	if c := l.Take(); c != nil {
		t.Errorf("it kept %v", c)
	}
}

func TestBuffers(t *testing.T) {
	l := freelist.New[[]byte](2)
	if b := l.Take(); b != nil {
		t.Fatalf("a new list hands out %q", b)
	}
	l.Keep(make([]byte, 0, 64))
	if b := l.Take(); len(b) != 0 || cap(b) != 64 {
		t.Errorf("length %d, capacity %d", len(b), cap(b))
	}
}

func TestNothingIsAllocatedInSteadyState(t *testing.T) {
	const n = 16
	l := freelist.New[*conn](n)
	made := 0
	var out [n]*conn
	round := func() {
		for i := range out {
			c := l.Take()
			if c == nil {
				made++
				c = &conn{buf: make([]byte, 0, 32)}
			}
			c.buf = append(c.buf, "some bytes"...)
			out[i] = c
		}
		for i, c := range out {
			*c = conn{buf: c.buf[:0]}
			l.Keep(c)
			out[i] = nil
		}
	}
	round()
	if got := testing.AllocsPerRun(100, round); got != 0 {
		t.Errorf("%v allocations a round", got)
	}
	if made != n {
		t.Errorf("made %d, want %d", made, n)
	}
}

func BenchmarkTakeKeep(b *testing.B) {
	l := freelist.New[*conn](8)
	l.Keep(&conn{})
	b.ReportAllocs()
	for b.Loop() {
		l.Keep(l.Take())
	}
}
