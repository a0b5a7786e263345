package queue

import (
	"slices"
	"sync"
	"testing"
)

func TestOrderAndBounds(t *testing.T) {
	q := New[int](40)
	for i := range 45 {
		if got, want := q.Put(i, false), i >= 40; (got == Full) != want {
			t.Fatalf("put %d: %d", i, got)
		}
	}
	for i := range 40 {
		if v, ok := q.Take(); !ok || v != i {
			t.Fatalf("take: %d %v, want %d", v, ok, i)
		}
		q.Put(100+i, false) // wraps around
	}
	q.Close()
	if q.Put(1, true) != Closed {
		t.Error("put after close")
	}
	var got []int
	q.Drain(func(v int) { got = append(got, v) })
	if len(got) != 40 || got[0] != 100 || got[39] != 139 {
		t.Errorf("drained %v", got)
	}
	if _, ok := q.Take(); ok || q.Len() != 0 {
		t.Error("not empty after drain")
	}
}

func TestWeight(t *testing.T) {
	q := Weighed(10, 100, func(n int) int { return n })
	for _, c := range []struct {
		n    int
		want Result
	}{{1000, Done}, {1, Full}} {
		if got := q.Put(c.n, false); got != c.want {
			t.Errorf("put %d: %d", c.n, got)
		}
	}
	q.Take()
	for _, c := range []struct {
		n    int
		want Result
	}{{60, Done}, {50, Full}, {40, Done}, {1, Full}} {
		if got := q.Put(c.n, false); got != c.want {
			t.Errorf("put %d: %d", c.n, got)
		}
	}
}

func TestWaitingWriters(t *testing.T) {
	q := New[int](3)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 200 {
				if q.Put(w*1000+i, true) != Done {
					t.Error("refused")
				}
			}
		})
	}
	go func() { wg.Wait(); q.Close() }()
	last := []int{-1, -1, -1, -1}
	n := 0
	q.Drain(func(v int) {
		if v%1000 <= last[v/1000] {
			t.Errorf("out of order: %d after %d", v, last[v/1000])
		}
		last[v/1000] = v % 1000
		n++
	})
	if n != 800 || !slices.Equal(last, []int{199, 199, 199, 199}) {
		t.Errorf("drained %d, last %v", n, last)
	}
	full := New[int](1)
	full.Put(1, false)
	done := make(chan Result)
	go func() { done <- full.Put(2, true) }()
	full.Close()
	if r := <-done; r != Closed {
		t.Errorf("a waiting writer got %d", r)
	}
}
