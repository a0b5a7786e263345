package logger

import (
	"fmt"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
)

// TestDeaths: processes die at every kind of instant; all of it settles, no
// row is twice in a file and none is torn.
func TestDeaths(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 30
	}
	deaths, lost, moved := 0, uint64(0), uint64(0)
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, uint64(seed), 1+seed%2)
			if seed%3 == 0 {
				w.swallow = func(mail) bool { return w.rng.IntN(10) == 0 }
			}
			for range 300 {
				if w.rng.IntN(6) == 0 {
					w.count = 1 + w.rng.IntN(40)
				}
				w.act()
				w.count = 0
			}
			deaths += len(w.over)
			w.swallow = nil
			r := w.end()
			for _, l := range r.RecordTotal.Lost {
				lost += l.Count
			}
			for _, l := range w.all {
				moved += mustRead(t, l.Path).Counters[ledger.BatchesMoved]
			}
			w.check(r)
		})
	}
	t.Logf("%d deaths, %d records lost by name, %d batches moved", deaths, lost, moved)
	if deaths < seeds || lost == 0 || moved == 0 {
		t.Error("the test does not test")
	}
}

// TestEveryInstant: one batch on its way, death at the first, second, third ...
// store of each party, until it no longer dies. Nothing is left to chance.
func TestEveryInstant(t *testing.T) {
	for _, who := range []string{"write", "send", "logger", "answer", "rotate", "restart"} {
		t.Run(who, func(t *testing.T) {
			for n := 1; ; n++ {
				w := newWorld(t, uint64(n), 1)
				w.startLogger(w.logs[0])
				w.startProducer()
				for range 4 {
					w.writeRow(w.prod.streams[0])
				}
				at := func(stage string, f func()) {
					if who == stage {
						w.count = n
					}
					f()
				}
				lived := false
				at("write", func() { lived = !w.writeRow(w.prod.streams[0]) && who == "write" })
				if w.prod != nil {
					at("send", func() {
						if d := w.dies(func() { w.prod.ship.Step(w.now) }); d {
							w.killProducer()
						} else {
							lived = lived || who == "send"
						}
					})
				}
				at("logger", func() { w.deliver(); lived = lived || who == "logger" && w.logs[0].l != nil })
				at("answer", func() { w.answer(); lived = lived || who == "answer" && w.prod != nil })
				if w.logs[0].l != nil {
					w.now = w.now.Add(2 * time.Minute)
					at("rotate", func() {
						if w.dies(func() { w.logs[0].l.Tick(w.now) }) {
							w.killLogger(w.logs[0])
						} else {
							lived = lived || who == "rotate"
						}
					})
				}
				if who == "restart" { // Dies while it takes over from a life that died in a write.
					if w.prod != nil {
						for range 5 {
							w.writeRow(w.prod.streams[0])
						}
						w.prod.ship.Step(w.now)
						w.count = 25
						w.deliver()
					}
					w.count = 0
					if w.logs[0].l != nil {
						w.killLogger(w.logs[0])
					}
					w.count = 40 * n // A takeover makes thousands of stores.
					w.startLogger(w.logs[0])
					lived = w.logs[0].l != nil
				}
				w.count = 0
				w.check(w.end())
				if lived {
					t.Logf("%d instants", n-1)
					if n < 3 {
						t.Error("nothing died")
					}
					return
				}
				if t.Failed() {
					t.Fatalf("at instant %d", n)
				}
			}
		})
	}
}

// TestSwallowed: a carrier that answers for a batch it never brought leaves a
// remainder; one that swallows without an answer is named at the deadline.
func TestSwallowed(t *testing.T) {
	for _, lie := range []bool{true, false} {
		w := newWorld(t, 1, 1)
		w.startLogger(w.logs[0])
		w.startProducer()
		for range 50 {
			w.writeRow(w.prod.streams[0])
			w.prod.ship.Step(w.now)
			if lie {
				w.lie = func(m mail) bool { return m.b.Seq == 3 }
			} else {
				w.swallow = func(m mail) bool { return m.b.Seq == 3 }
			}
			w.deliver()
			w.answer()
		}
		r := w.end()
		if lie && (r.Remainder() != 5 || r.Settled) {
			t.Errorf("a batch swallowed with a lie: remainder %d", r.Remainder())
		}
		if !lie && (r.Remainder() != 0 || r.RecordTotal.Dropped["ship.deadline"] != 5 || r.RecordTotal.Written != 45) {
			t.Errorf("a batch swallowed in silence: %+v", r.RecordTotal)
		}
	}
}
