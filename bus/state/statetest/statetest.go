// Package statetest is the kit that every driver of state.Once passes: two
// workers of one cluster claim, and the answers must not depend on the driver.
package statetest

import (
	"fmt"
	"testing"

	"github.com/picket-nsm/picket/bus/state"
)

// Two are two workers of one cluster.
type Two struct {
	A, B state.Once
	// Settle waits until all claims so far are answered, and lets the answers run;
	// nil where they come at once.
	Settle func()
}

type step struct {
	b     bool // the second worker asks
	start uint64
	seq   uint64
	key   string
	at    float64 // seconds
	want  bool
}

const ttl = 86400

var cases = []struct {
	name  string
	steps []step
}{
	{"first come", []step{{false, 1, 1, "k", 0, true}, {true, 1, 1, "k", 1, false}, {false, 1, 2, "k", 2, false}}},
	{"other keys", []step{{false, 1, 1, "k", 0, true}, {true, 1, 1, "l", 0, true}, {true, 1, 2, "", 0, true}}},
	{"asked again", []step{{false, 1, 1, "k", 0, true}, {false, 1, 1, "k", 0, true}, {true, 1, 1, "k", 0, false}, {true, 1, 1, "k", 0, false}, {false, 1, 1, "k", 0, true}}},
	{"another life", []step{{false, 1, 1, "k", 0, true}, {false, 2, 1, "k", 0, false}, {false, 2, 2, "l", 0, true}}},
	{"time is over", []step{{false, 1, 1, "k", 0, true}, {true, 1, 1, "k", ttl - 1, false}, {true, 1, 2, "k", ttl, true}, {false, 1, 2, "k", ttl + 1, false}}},
	{"answers stay as they were", []step{
		{false, 1, 1, "k", 0, true}, {true, 1, 1, "k", 5, false}, {true, 1, 2, "k", ttl + 60, true},
		{true, 1, 1, "k", 5, false}, {false, 1, 1, "k", 0, true}, {true, 1, 2, "k", ttl + 60, true},
	}},
	{"clocks differ", []step{{false, 1, 1, "k", 100, true}, {true, 1, 1, "k", 50, false}, {true, 1, 2, "k", 100 + ttl - 60, false}, {true, 1, 3, "k", 100 + ttl + 60, true}}},
	{"any bytes", []step{{false, 1, 1, "a\x00b/\xff", 0, true}, {true, 1, 1, "a\x00b", 0, true}, {true, 1, 2, "a\x00b/\xff", 0, false}}},
}

// Run runs the kit. open starts a new cluster with an empty memory.
func Run(t *testing.T, open func(t *testing.T) Two) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			two := open(t)
			for i, s := range c.steps {
				once, producer := two.A, "worker-1"
				if s.b {
					once, producer = two.B, "worker-2"
				}
				var got []bool
				claim := state.Claim{Producer: producer, Start: s.start, Seq: s.seq, Key: s.key, TTL: ttl, Now: 1e9 + s.at}
				once.Claim(claim, func(granted bool) { got = append(got, granted) })
				if two.Settle != nil {
					two.Settle()
				}
				if len(got) != 1 || got[0] != s.want {
					t.Fatalf("claim %d %+v: answers %v, want %v", i+1, s, got, s.want)
				}
			}
		})
	}
	t.Run("many", func(t *testing.T) {
		const keys = 500
		two, granted, answers := open(t), map[string]int{}, 0
		for n := range 2 * keys {
			key, once, producer := fmt.Sprint("key ", n/2), two.A, "worker-1"
			if n%2 == 1 {
				once, producer = two.B, "worker-2"
			}
			once.Claim(state.Claim{Producer: producer, Start: 7, Seq: uint64(n), Key: key, TTL: ttl, Now: 1e9}, func(ok bool) {
				answers++
				if ok {
					granted[key]++
				}
			})
		}
		if two.Settle != nil {
			two.Settle()
		}
		if answers != 2*keys || len(granted) != keys {
			t.Errorf("%d answers, %d keys granted", answers, len(granted))
		}
		for key, n := range granted {
			if n != 1 {
				t.Errorf("%s: granted %d times", key, n)
			}
		}
	})
}
