package status

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// cluster is a look at a cluster of n workers, sec seconds after it began;
// worker k gets k*100 packets per second, worker-3 drops.
func cluster(n int, sec int) *Status {
	at := time.Date(2026, 11, 22, 1, 2, 3, 0, time.Local)
	s := &Status{Cluster: "lab", Run: "r", Phase: "up", Started: at, Time: at.Add(time.Duration(sec) * time.Second), Supervisor: Supervisor{PID: 7, Alive: true}}
	s.Nodes = append(s.Nodes, Node{Name: "hub", Role: "hub", PID: 8, State: "ready", PSS: 9 << 20},
		Node{Name: "logger-1", Role: "logger", PID: 9, State: "ready", PSS: 10 << 20, Written: uint64(sec) * 700})
	for k := 1; k <= n; k++ {
		w := Node{Name: fmt.Sprintf("worker-%d", k), Role: "worker", PID: 10 + k, State: "ready", PSS: int64(k) << 20, CPU: float64(k),
			Received: uint64(sec * k * 100), Produced: uint64(sec * k * 10)}
		if k == 3 {
			w.Dropped, w.State, w.Restarts = uint64(sec*5), "hangs", 2
		}
		s.Nodes = append(s.Nodes, w)
	}
	s.Totals = Totals{Nodes: n + 2, Ready: n + 1, Restarts: 2, Queue: 4}
	return s
}

func shown(t *Top, n, w, h int) []string {
	text := string(t.Render(cluster(n, 2), cluster(n, 1), "", w, h))
	lines := strings.Split(text, "\r\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\x1b[K")
	}
	return lines
}

func TestRates(t *testing.T) {
	r, all := RatesOf(cluster(4, 3), cluster(4, 1))
	if r["worker-2"].Packets != 200 || r["worker-3"].Dropped != 5 || r["logger-1"].Records != 700 || all.Packets != 1000 || all.Records != 100 {
		t.Errorf("%+v %+v", r, all)
	}
	if l := r["worker-4"].Load; l < 1.59 || l > 1.61 {
		t.Errorf("load %v", l)
	}
	if r["hub"].Load != 0 {
		t.Error("a hub has no load")
	}
	other := cluster(4, 1)
	other.Run = "before"
	if r, _ := RatesOf(cluster(4, 3), other); len(r) != 0 {
		t.Errorf("rates over two runs: %v", r)
	}
	if r, _ := RatesOf(cluster(4, 1), cluster(4, 1)); len(r) != 0 {
		t.Errorf("rates of no time: %v", r)
	}
	// Counters that went back, as in a new life without its ledger, are no rate.
	back, was := cluster(1, 1), cluster(1, 9)
	was.Time = back.Time.Add(-time.Second)
	if r, _ := RatesOf(back, was); r["worker-1"].Packets != 0 {
		t.Errorf("%v", r)
	}
}

func TestTopPicture(t *testing.T) {
	lines := shown(&Top{}, 4, 80, 24)
	want := []string{
		"lab  up  up 2s  supervisor pid 7  5 of 6 nodes ready  -",
		"1000 packets/s  5 drops/s (0.5%)  100 records/s  queue 4  restarts 2",
		"NODE      STATE  PKT/S  DROP/S  REC/S  QUEUE  MEM  CPU  RST  LOAD  UP  PID",
		"hub       ready                                9M   0%    0        0s    8",
		"logger-1  ready                   700      0  10M   0%    0        0s    9",
		"worker-1  ready    100       0     10      0   1M   1%    0  0.4x  0s   11",
		"worker-2  ready    200       0     20      0   2M   2%    0  0.8x  0s   12",
		"worker-3  hangs    300       5     30      0   3M   3%    2  1.2x  0s   13",
		"worker-4  ready    400       0     40      0   4M   4%    0  1.6x  0s   14",
	}
	for i, l := range want {
		if lines[i] != l {
			t.Errorf("line %d:\n%q, want\n%q", i, lines[i], l)
		}
	}
	if last := lines[len(lines)-1]; last != "q quit  h help  sort: n s p d r u m c t l" || len(lines) != 24 {
		t.Errorf("%d lines, last %q", len(lines), last)
	}
	if lines := shown(&Top{}, 4, 200, 24); !strings.Contains(lines[2], "PACKETS  DROPPED  RECORDS") {
		t.Errorf("wide: %q", lines[2])
	}
	if l := shown(&Top{}, 8, 80, 24)[1]; !strings.HasSuffix(l, "restarts 2") {
		t.Errorf("%q", l)
	}
	s := cluster(2, 2)
	s.Nodes[3].Received = 100000
	if text := string((&Top{}).Render(s, cluster(2, 1), "gone", 100, 24)); !strings.Contains(text, "! uneven: worker-2 has 2.0 times the packets of the mean") || !strings.Contains(text, "! as of 01:02:05: gone") {
		t.Errorf("%q", text)
	}
}

func TestTopSortsAndScrolls(t *testing.T) {
	first := func(v *Top) string { return strings.Fields(shown(v, 128, 80, 25)[4])[0] }
	v := &Top{}
	first(v)
	for _, c := range []struct{ keys, first string }{
		{"", "hub"}, {"p", "worker-128"}, {"p", "hub"}, {"d", "worker-3"}, {"t", "worker-3"}, {"c", "worker-128"}, {"m", "worker-128"},
		{"n", "hub"}, {"n", "worker-128"}, {"s", "worker-3"}, {"o", "hub"}, {"j", "logger-1"}, {"jj", "worker-2"}, {"k", "worker-1"}, {"g", "hub"}, {" ", "worker-19"}, {"b", "hub"},
		{"G", "worker-109"}, {" ", "worker-109"}, {"r", "worker-128"}, {"i", "hub"}, {"l", "worker-128"}, {"xyz\x1b", "worker-128"},
		{string(KeyLeft), "worker-3"}, {string(KeyRight) + string(KeyDown), "worker-127"}, {string(KeyEnd), ""}, {string(KeyHome), "worker-128"},
	} {
		for _, k := range c.keys {
			if !v.Key(k) {
				t.Fatalf("%q ends it", k)
			}
		}
		if got := first(v); got != c.first && c.first != "" {
			t.Errorf("after %q: %s, want %s", c.keys, got, c.first)
		}
	}
	if last := shown(&Top{}, 128, 80, 24)[23]; !strings.HasPrefix(last, "1-19 of 130  q quit") {
		t.Errorf("%q", last)
	}
	for _, k := range "qQ\x03" {
		if v.Key(k) {
			t.Errorf("%q does not end it", k)
		}
	}
	if v.Key('h'); !strings.Contains(strings.Join(shown(v, 4, 80, 24), "\n"), "this text") {
		t.Error("no help")
	}
}

// On a screen of any size the picture fits, whatever nodes are called.
func TestTopFits(t *testing.T) {
	for _, size := range [][2]int{{120, 40}, {80, 24}, {40, 10}, {20, 3}, {5, 4}, {1, 1}, {0, 0}, {300, 100}} {
		for _, help := range []bool{false, true} {
			for _, colour := range []bool{false, true} {
				w, h := size[0], size[1]
				s := cluster(128, 2)
				s.Nodes[4].State, s.Problems = "od\x1b[2Jd", []string{"a\nb", "c", "d", "e"}
				v := &Top{Help: help, Colour: colour, First: 1000}
				lines := strings.Split(string(v.Render(s, cluster(128, 1), "x", w, h)), "\r\n")
				if len(lines) > max(h, 1) {
					t.Errorf("%dx%d: %d lines", w, h, len(lines))
				}
				for _, l := range lines {
					l = strings.TrimSuffix(l, "\x1b[K")
					if colour {
						l = strings.NewReplacer("\x1b[1m", "", "\x1b[31m", "", "\x1b[33m", "", "\x1b[90m", "", "\x1b[0m", "").Replace(l)
					}
					if utf8.RuneCountInString(l) > w || strings.ContainsAny(l, "\x1b\n") {
						t.Errorf("%dx%d: line %q", w, h, l)
					}
				}
			}
		}
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{-1: "0", 0: "0", 0.2: "<1", 1: "1", 9999: "9999", 12345: "12.3k", 1234567: "1.23M", 5e9: "5.00G", 3e12: "3T"} {
		if got := short(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func BenchmarkTop128(b *testing.B) {
	s, e := cluster(128, 2), cluster(128, 1)
	v := &Top{Sort: 'p', Colour: true}
	for b.Loop() {
		v.Render(s, e, "", 80, 24)
	}
}
