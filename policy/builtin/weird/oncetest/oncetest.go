// Package oncetest has what tests of weird.Once need: a kit that every driver
// passes, and a driver that answers when the test says so, as often as it says.
package oncetest

import (
	"fmt"
	"testing"

	"github.com/picket-nsm/picket/policy/builtin/weird"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Double is a Once that keeps its claims until the test answers them: late, in
// any order, twice, or never. One goroutine.
type Double struct {
	Asked []Asked
}

// Asked is a claim and the way to answer it.
type Asked struct {
	Claim  weird.Claim
	Answer func(granted bool)
}

// Claim implements weird.Once.
func (d *Double) Claim(c weird.Claim, answer func(bool)) {
	d.Asked = append(d.Asked, Asked{c, answer})
}

// Two are two workers of one cluster.
type Two struct {
	A, B weird.Once
	// Settle waits until all claims so far are answered, and lets the answers run;
	// nil where they come at once.
	Settle func()
}

// Run runs the kit: two workers that claim. open starts a new cluster with an
// empty memory; all TTLs in the kit are ttl seconds.
func Run(t *testing.T, ttl float64, open func(t *testing.T) Two) {
	const start packet.Time = 1_000_000_000
	type step struct {
		b    bool // the second worker asks
		seq  uint64
		key  string
		at   float64 // seconds after start
		want bool
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"first come", []step{{false, 1, "k", 0, true}, {true, 1, "k", 1, false}, {false, 2, "k", 2, false}}},
		{"other keys", []step{{false, 1, "k", 0, true}, {true, 1, "l", 0, true}, {true, 2, "", 0, true}}},
		{"the same claim again", []step{{false, 1, "k", 0, true}, {false, 1, "k", 0, true}, {true, 1, "k", 0, false}, {false, 1, "k", 0, true}}},
		{"refused again", []step{{false, 1, "k", 0, true}, {true, 1, "k", 0, false}, {true, 1, "k", 0, false}}},
		{"when time is over", []step{{false, 1, "k", 0, true}, {true, 1, "k", ttl - 1, false}, {true, 2, "k", ttl + 60, true}, {false, 2, "k", ttl + 61, false}}},
		{"any bytes", []step{{false, 1, "a\x00b/\xff", 0, true}, {true, 1, "a\x00b", 0, true}, {true, 2, "a\x00b/\xff", 0, false}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			two := open(t)
			for i, s := range c.steps {
				once, producer := two.A, "worker-1"
				if s.b {
					once, producer = two.B, "worker-2"
				}
				answers := []bool{}
				once.Claim(weird.Claim{Producer: producer, Start: 7, Seq: s.seq, Key: s.key, TTL: ttl, Now: start + packet.Time(s.at)},
					func(granted bool) { answers = append(answers, granted) })
				if two.Settle != nil {
					two.Settle()
				}
				if len(answers) == 0 {
					t.Fatalf("claim %d: no answer", i+1)
				}
				if answers[0] != s.want {
					t.Fatalf("claim %d (%s, %d, %q): granted %v, want %v", i+1, producer, s.seq, s.key, answers[0], s.want)
				}
			}
		})
	}
	t.Run("many", func(t *testing.T) {
		two := open(t)
		granted := map[string]int{}
		for n := range 200 {
			key := fmt.Sprint("key ", n/2)
			once, producer := two.A, "worker-1"
			if n%2 == 1 {
				once, producer = two.B, "worker-2"
			}
			once.Claim(weird.Claim{Producer: producer, Start: 7, Seq: uint64(n/2 + 1), Key: key, TTL: ttl, Now: start}, func(ok bool) {
				if ok {
					granted[key]++
				}
			})
		}
		if two.Settle != nil {
			two.Settle()
		}
		for n := range 100 {
			if key := fmt.Sprint("key ", n); granted[key] != 1 {
				t.Errorf("%s: granted %d times, want once", key, granted[key])
			}
		}
	})
}
