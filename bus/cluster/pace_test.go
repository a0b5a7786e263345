package cluster

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/picket-nsm/picket/bus/backend/mem"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/topic"
	"github.com/picket-nsm/picket/zeek/value"
)

func TestTurns(t *testing.T) {
	for _, c := range []struct{ nodes, want int }{{0, 1}, {1, 1}, {16, 1}, {17, 2}, {32, 2}, {33, 4}, {65, 8}, {128, 8}, {129, 16}, {10 * maxNodes, maxTurns}, {maxNodes, maxTurns}} {
		if got := Turns(c.nodes); got != c.want {
			t.Errorf("%d nodes: %d turns, want %d", c.nodes, got, c.want)
		}
	}
}

// TestPace: a node never breaks a promise, keeps the rate, and many spread.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		name  string
		turns func(turn int) int
	}{
		{"few", func(int) int { return 1 }},
		{"many", func(int) int { return 8 }},
		{"growing", func(turn int) int { return 1 + turn/20 }},
		{"shrinking", func(turn int) int { return max(1, 16-turn/20) }},
		{"wobbling", func(turn int) int { return 8 + turn%2 }},
		{"a jump", func(turn int) int { return 1 + turn/100*40 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			const nodes, all = 160, 400
			each := make([]int, all+1)
			for i := range nodes {
				var p Pace
				id, last, promised := fmt.Sprintf("worker-%d", i), 0, 1
				p.Said(1)
				for turn := 1; turn <= all; turn++ {
					n := c.turns(turn)
					if !p.Due(id, n) {
						if turn-last >= promised {
							t.Fatalf("%s: nothing in turn %d, after %d turns; %d were promised", id, turn, turn-last, promised)
						}
						continue
					}
					last, promised = turn, n
					p.Said(n)
					each[turn]++
				}
			}
			if c.name == "many" { // 20 in each turn if they spread evenly
				for turn, n := range each[20:] {
					if n == 0 || n > 40 {
						t.Errorf("%d announcements in turn %d", n, turn+20)
					}
				}
			}
		})
	}
}

// TestBound: however many nodes there are, one hears so much and no more, and what
// happens is known as soon as with few of them.
func TestBound(t *testing.T) {
	for _, size := range []int{8, 32, 128} {
		if size > 32 && testing.Short() {
			continue // minutes with the race detector
		}
		t.Run(fmt.Sprint(size), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { bound(t, size) }) })
	}
}

func bound(t *testing.T, size int) {
	bus := mem.NewBus(mem.Config{Poison: true})
	up := func(name, id string, role layout.Role) *sim { return start(t, bus.Endpoint(id), name, id, role) }
	wait := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
	var wants []string
	m := startWith(t, bus.Endpoint("m"), Config{Name: "manager", ID: "m", Role: layout.Manager}, func(d *Deps) {
		d.Wants = func(n Node, prefixes []string) { wants = append(wants, n.Name+" "+strings.Join(prefixes, ",")) }
	})
	l := up("logger-1", "l", layout.Logger)
	var w []*sim
	for i := range size {
		w = append(w, up(fmt.Sprintf("worker-%d", i+1), fmt.Sprintf("w%d", i+1), layout.Worker))
	}
	wait(16 * time.Second)
	all := append([]*sim{m, l}, w...)
	before := make([]uint64, len(all))
	for i, n := range all {
		if got := len(n.Live(layout.None)); got != size+1 {
			t.Fatalf("%s sees %d others of %d", n.cfg.Name, got, size+1)
		}
		n.seen()
		before[i] = n.Metrics().Delivered
	}
	wait(24 * time.Second)
	most := 0.0
	for i, n := range all {
		most = max(most, float64(n.Metrics().Delivered-before[i])/24)
		n.want(t) // nobody came or went
	}
	t.Logf("%d nodes: one hears at most %.1f messages/s", len(all), most)
	if most > heardPerTurn+2+1 {
		t.Errorf("%d nodes: %.1f messages/s at one node", len(all), most)
	}

	// Subscriptions, a start and an end are known at once.
	wants = nil
	if err := w[0].Subscribe("my.topic", "", nil); err != nil {
		t.Fatal(err)
	}
	wait(100 * time.Millisecond)
	if len(wants) != 1 || !strings.HasPrefix(wants[0], "worker-1 my.topic,") {
		t.Errorf("told %q", wants)
	}
	p := up("proxy-1", "p", layout.Proxy)
	wait(100 * time.Millisecond)
	if got := len(p.Live(layout.None)); got != size+2 {
		t.Errorf("the newcomer sees %d others", got)
	}
	m.want(t, "up proxy-1 p proxy")
	w[0].stop()
	wait(10 * time.Millisecond)
	m.want(t, "down worker-1 w1 worker")

	// Who is alone in its role is missed as soon as ever, others after three of their turns.
	p.kill()
	wait(5 * time.Second)
	m.want(t, "down proxy-1 p proxy")
	turns := time.Duration(Turns(size)) * time.Second
	w[1].kill()
	wait(turns)
	m.want(t)
	wait(2*turns + 2*time.Second)
	m.want(t, "down worker-2 w2 worker")

	// Back with the next turn: whose connection ended, and who was said to have left.
	m.Gone("w3")
	wait(10 * time.Millisecond)
	m.want(t, "down worker-3 w3 worker")
	wait(2 * time.Second)
	m.want(t, "up worker-3 w3 worker")

	// Numbers are settled by the next announcement.
	var got uint64
	if err := w[3].Subscribe(topic.Worker, "E", func(Event) { got++ }); err != nil {
		t.Fatal(err)
	}
	send := func(n int) {
		for range n {
			if err := w[4].Publish(topic.Worker, event.New("E")); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(10)
	w[4].driver.swallow = func(t string) bool { return t == topic.Worker }
	send(7)
	wait(turns + time.Second)
	if lost := w[3].Metrics().Lost; got != 10 || lost != 7 {
		t.Errorf("%d arrived, %d lost", got, lost)
	}
}

// TestPromises: nobody has us wait for ever.
func TestPromises(t *testing.T) {
	c := New(Config{Name: "a", ID: "a"}, Deps{Events: mem.NewBus(mem.Config{}).Endpoint("a"), Codec: brokerbin.New()})
	longest := maxTurns * time.Second
	for _, x := range []struct {
		said value.Value
		want time.Duration
	}{
		{value.Interval(8), 8 * time.Second}, {value.Interval(0), 0}, {value.Interval(-1), 0}, {value.Interval(math.NaN()), 0},
		{value.Interval(math.Inf(1)), longest}, {value.Interval(1e300), longest}, {value.Count(8), 0}, {value.String("8"), 0},
	} {
		if got := c.promised(x.said); got != x.want {
			t.Errorf("%v: %s, want %s", x.said, got, x.want)
		}
	}
}
