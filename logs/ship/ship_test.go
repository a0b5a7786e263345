package ship

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/zeek/record"
)

// wire is a Carrier that notes what is sent.
type wire struct {
	mu   sync.Mutex
	sent []string // logger:seq
	fail error
}

func (w *wire) Send(logger string, b *record.Batch) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return w.fail
	}
	w.sent = append(w.sent, fmt.Sprintf("%s:%d", logger, b.Seq))
	return nil
}

func (w *wire) Limit() int { return 100 }

func (w *wire) take() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out, w.sent = w.sent, nil
	return out
}

// kit is a ship with a clock by hand and no goroutine.
type kit struct {
	t    testing.TB
	w    *wire
	led  *ledger.Ledger
	s    *Ship
	now  time.Time
	know func(logger string, b *record.Batch) (bool, bool)
}

func newKit(t testing.TB, change func(*Config)) *kit {
	k := &kit{t: t, w: &wire{}, now: time.Unix(1000, 0)}
	k.led, _ = ledger.New("worker-1", "worker", 7)
	cfg := Default()
	cfg.Credit, cfg.Queue = 2, 3
	if change != nil {
		change(&cfg)
	}
	k.s = New(cfg, Deps{Ledger: k.led, Carrier: k.w, Now: func() time.Time { return k.now },
		Written: func(l string, b *record.Batch) (bool, bool) {
			if k.know == nil {
				return false, false
			}
			return k.know(l, b)
		}})
	return k
}

func (k *kit) offer(n int) {
	for range n {
		k.s.Offer(&record.Batch{Path: "conn", Records: 10, Payload: make([]byte, 50)})
	}
}

func (k *kit) run() {
	k.s.Tick(k.now)
	for k.s.Step(k.now) {
	}
}

func (k *kit) pass(d time.Duration) {
	k.now = k.now.Add(d)
	k.run()
}

func (k *kit) sent(want ...string) {
	k.t.Helper()
	if got := k.w.take(); !slices.Equal(got, want) {
		k.t.Errorf("sent %v, want %v", got, want)
	}
}

func (k *kit) count(name string, want uint64) {
	k.t.Helper()
	s, err := k.led.Snapshot()
	if err != nil {
		k.t.Fatal(err)
	}
	if got := s.Counters[name]; got != want {
		k.t.Errorf("%s is %d, want %d", name, got, want)
	}
}

func TestRoundRobinAndCredit(t *testing.T) {
	k := newKit(t, nil)
	k.offer(1)
	k.run()
	k.sent() // Nobody there yet.
	k.s.Loggers([]string{"b", "a"})
	k.offer(2)
	k.run()
	k.sent("a:1", "b:2", "a:3")
	k.offer(3)
	k.run()
	k.sent("b:4") // No more credit.
	k.s.Acked("a", 7, 1, "")
	k.run()
	k.sent("a:5")
	k.s.Acked("a", 7, 1, "")      // Again: ignored.
	k.s.Acked("a", 6, 3, "")      // Another life: ignored.
	k.s.Acked("b", 7, 3, "")      // Not asked: ignored.
	k.s.Acked("nobody", 7, 3, "") // Unknown: ignored.
	k.offer(3)                    // 6 waits already: two more have room.
	k.count(ledger.BatchesMade, 8)
	k.count("records.dropped.ship.full", 10)
	k.s.Acked("b", 7, 2, "cannot")
	k.count("records.dropped.logger.refused", 10)
	k.count(ledger.RecordsAcked, 10)
	k.run()
	k.sent("b:6")
	k.count(ledger.QueueShip, 2)
}

func TestAgain(t *testing.T) {
	k := newKit(t, nil)
	k.s.Loggers([]string{"a"})
	k.offer(2)
	k.run()
	k.sent("a:1", "a:2")
	k.s.Loggers(nil) // It dies and comes back: the same again, in order, to it alone.
	k.pass(time.Second)
	k.sent()
	k.s.Loggers([]string{"a", "b"})
	k.run()
	k.sent("a:1", "a:2")
	k.s.Reconnected()
	k.run()
	k.sent("a:1", "a:2")
	k.s.Acked("a", 7, 1, "")
	k.pass(6 * time.Second) // Late: once, then later and later.
	k.sent("a:2")
	k.pass(6 * time.Second)
	k.sent()
	k.pass(5 * time.Second)
	k.sent("a:2")
	k.count(ledger.BatchesResent, 6)
	if all, queued := k.s.Pending(); all != 1 || queued != 0 {
		t.Error(all, queued)
	}
}

func TestMoveNeedsProof(t *testing.T) {
	k := newKit(t, nil)
	k.s.Loggers([]string{"a"})
	k.offer(2)
	k.run()
	k.sent("a:1", "a:2")
	k.s.Loggers([]string{"b"})
	k.pass(time.Hour)
	k.sent() // No proof, no move.
	k.know = func(logger string, b *record.Batch) (bool, bool) { return b.Seq == 1, logger == "a" }
	k.offer(1)
	k.pass(time.Second)
	k.sent("b:2", "b:3") // 1 was written; 2 was not.
	k.count(ledger.RecordsAcked, 10)
	k.count(ledger.BatchesMoved, 1)
	k.s.Acked("a", 7, 2, "") // What it says of a batch it no longer has does not count.
	k.count(ledger.RecordsAcked, 10)
	k.s.Acked("b", 7, 2, "")
	k.count(ledger.RecordsAcked, 20)
}

func TestMissed(t *testing.T) {
	k := newKit(t, nil)
	k.s.Loggers([]string{"a", "b"})
	k.offer(1)
	k.run()
	k.sent("a:1")
	k.s.Missed("a", 7, 1) // The only sending reached nobody: free.
	k.run()
	k.sent("b:1")
	k.s.Reconnected()
	k.run()
	k.sent("b:1")
	k.s.Missed("b", 7, 1) // One of two: the other may have arrived. It stays with b.
	for range 3 {
		k.run()
		k.sent()
		k.pass(time.Second)
		k.sent("b:1")
		k.s.Missed("b", 7, 1)
	}
}

// TestPassed: a real Zeek's logger gives no answer; what has left is not sent again.
func TestPassed(t *testing.T) {
	k := newKit(t, nil)
	k.s.Loggers([]string{"zeek"})
	k.offer(3)
	k.run()
	k.sent("zeek:1", "zeek:2")
	k.s.Passed("zeek", 7, 1)
	k.s.Passed("zeek", 7, 1) // again is harmless
	k.run()
	k.sent("zeek:3")
	k.s.Passed("zeek", 7, 2)
	k.s.Passed("zeek", 7, 3)
	k.s.Reconnected()
	k.pass(time.Minute)
	k.sent()
	if all, _ := k.s.Pending(); all != 0 {
		t.Errorf("%d pending", all)
	}
	snap, err := k.led.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if n := snap.Counters[ledger.Handed("conn")]; n != 30 || snap.Counters[ledger.Acked("conn")] != 0 {
		t.Errorf("%d rows handed over, %d acknowledged", n, snap.Counters[ledger.Acked("conn")])
	}
}

// TestBackWithoutPresence: nobody tells that a logger died and came back; the
// bus's word that it does not listen and its first answer are enough.
func TestBackWithoutPresence(t *testing.T) {
	k := newKit(t, func(c *Config) { c.Credit = 3 })
	k.s.Loggers([]string{"a"})
	k.offer(3)
	k.run()
	k.sent("a:1", "a:2", "a:3") // It dies with these.
	k.pass(6 * time.Second)
	k.sent("a:1", "a:2", "a:3")
	for seq := range uint64(3) {
		k.s.Missed("a", 7, seq+1)
	}
	for range 3 {
		k.pass(600 * time.Millisecond)
		k.sent("a:1")
		k.s.Missed("a", 7, 1)
	}
	k.pass(600 * time.Millisecond)
	k.sent("a:1")
	k.s.Acked("a", 7, 1, "")
	k.run()
	k.sent("a:2", "a:3")
}

// TestOvertaken: an answer to a later batch shows that an earlier one is lost.
func TestOvertaken(t *testing.T) {
	k := newKit(t, func(c *Config) { c.Credit = 4 })
	k.s.Loggers([]string{"a"})
	k.offer(3)
	k.run()
	k.sent("a:1", "a:2", "a:3")
	k.s.Acked("a", 7, 2, "")
	k.run()
	k.sent("a:1")
	k.s.Acked("a", 7, 3, "") // Its answer says nothing of the second sending of 1.
	k.run()
	k.sent()
}

func TestErrors(t *testing.T) {
	k := newKit(t, nil)
	k.s.Loggers([]string{"a"})
	k.w.fail = errors.New("down")
	k.offer(2)
	k.run()
	s, _ := k.led.Snapshot()
	if len(s.Entries) != 2 || s.Entries[0].Fate != ledger.Made {
		t.Errorf("%+v", s.Entries)
	}
	k.w.fail = nil
	k.run()
	k.sent() // Pauses first.
	k.pass(time.Second)
	k.sent("a:1", "a:2")
	k.s.Offer(&record.Batch{Path: "conn", Records: 3, Payload: make([]byte, 101)})
	k.s.Acked("a", 7, 1, "")
	k.run()
	k.sent()
	k.count("records.dropped.ship.too_large", 3)
}

func TestDrainDeadline(t *testing.T) {
	k := newKit(t, nil)
	k.s.Loggers([]string{"a"})
	k.offer(2)
	k.run()
	k.offer(2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := k.s.Drain(ctx)
	want := "drain ship: 2 batches with 20 records had no logger\ndrain ship: a owes the answer for 2 batches: 1 (conn, 10 records), 2 (conn, 10 records)"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	s, _ := k.led.Snapshot()
	if len(s.Entries) != 2 || s.Entries[0].Fate != ledger.GaveUp || s.Entries[0].Logger != "a" {
		t.Errorf("%+v", s.Entries)
	}
	k.offer(1)
	k.count("records.dropped.ship.deadline", 30)
}

// TestRun: with goroutines and a clock that synctest owns: a slow logger makes
// Offer wait, everything arrives once and in order, Drain waits for it.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		led, _ := ledger.New("worker-1", "worker", 7)
		w := &wire{}
		cfg := Default()
		cfg.Block, cfg.Credit, cfg.Queue = true, 2, 2
		s := New(cfg, Deps{Ledger: led, Carrier: w})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		s.Loggers([]string{"a", "b"})
		var got []string
		wg.Go(func() { // The loggers: 10 ms a batch.
			for ctx.Err() == nil {
				time.Sleep(10 * time.Millisecond)
				for _, x := range w.take() {
					logger, n, _ := strings.Cut(x, ":")
					got = append(got, n)
					var seq uint64
					fmt.Sscan(n, &seq)
					s.Acked(logger, 7, seq, "")
				}
			}
		})
		for range 100 {
			s.Offer(&record.Batch{Path: "conn", Records: 10, Payload: make([]byte, 50)})
		}
		if err := s.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		cancel()
		wg.Wait()
		for i, n := range got {
			if n != fmt.Sprint(i+1) {
				t.Fatalf("order %v", got)
			}
		}
		if c := led.Counter(ledger.Acked("conn")).Load(); c != 1000 || len(got) != 100 {
			t.Errorf("%d records acked, %d sent", c, len(got))
		}
	})
}

// TestBlockedOfferEnds: a producer that waits for room is let go at the deadline.
func TestBlockedOfferEnds(t *testing.T) {
	k := newKit(t, func(c *Config) { c.Block = true })
	k.offer(3)
	done := make(chan struct{})
	go func() { k.offer(1); close(done) }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := k.s.Drain(ctx); err == nil {
		t.Error("no error")
	}
	<-done
	k.count("records.dropped.ship.deadline", 40)
}

// TestTakes: a logger gets only what it can write, and does not hold up the others.
func TestTakes(t *testing.T) {
	k := newKit(t, nil)
	asked := map[string]int{}
	k.s.deps.Takes = func(logger string, b *record.Batch) bool {
		key := fmt.Sprint(logger, b.Seq)
		if asked[key]++; asked[key] > 1 {
			t.Errorf("%s is asked again of batch %d", logger, b.Seq)
		}
		return logger == "ours" || b.Seq%2 == 0
	}
	k.s.Loggers([]string{"zeek"})
	k.offer(3)
	k.run()
	k.sent("zeek:2")
	k.s.Loggers([]string{"ours", "zeek"})
	k.run()
	k.sent("ours:1", "ours:3")
	k.offer(1)
	k.run()
	k.sent("zeek:4")
}
