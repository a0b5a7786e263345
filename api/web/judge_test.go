package web

import (
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/ledger"
)

// Each case spoils a good cluster from its 30th second on, and says what is told
// of it, second by second later.
func TestJudge(t *testing.T) {
	type told struct {
		after  time.Duration // of the beginning of the trouble
		health string
		want   []string // LEVEL since+SECONDS TEXT
	}
	for name, c := range map[string]struct {
		odd   func(n *status.Node, late time.Duration)
		whole func(st *status.Status, late time.Duration)
		told  []told
	}{
		"nothing": {
			told: []told{{0, good, nil}, {time.Minute, good, nil}},
		},
		"one drops, and stops dropping": {
			odd: func(n *status.Node, late time.Duration) {
				if n.Name == "worker-2" && late > 0 {
					n.Dropped = uint64(1000 * min(late, 20*time.Second).Seconds())
				}
			},
			told: []told{
				{time.Second, bad, []string{"bad since+1 worker-2 drops 1,000 packets/s (10 %)"}},
				{20 * time.Second, bad, []string{"bad since+1 worker-2 drops 1,000 packets/s (10 %)"}},
				{40 * time.Second, warn, []string{"warn since+1 worker-2 has dropped packets: 20.0k in all"}},
				{11 * time.Minute, good, nil},
			},
		},
		"two drop": {
			odd: func(n *status.Node, late time.Duration) {
				if n.Role == "worker" && n.Name != "worker-1" && late > 0 {
					n.Dropped = uint64(500 * late.Seconds())
				}
			},
			told: []told{{2 * time.Second, bad, []string{"bad since+1 worker-2, worker-3 drop 1,000 packets/s"}}},
		},
		"one dies and comes again": {
			odd: func(n *status.Node, late time.Duration) {
				if n.Name != "worker-3" || late <= 0 {
					return
				}
				n.LastExit, n.Restarts = "killed by signal 9 (killed)", 1
				if n.State, n.PID = string(supervisor.Down), 0; late > 5*time.Second {
					n.State, n.PID, n.Uptime = string(supervisor.Ready), 99, (late - 5*time.Second).Seconds()
				}
			},
			told: []told{
				{2 * time.Second, bad, []string{"bad since+1 worker-3 is down: killed by signal 9 (killed)"}},
				{9 * time.Second, warn, []string{"warn since+5 worker-3 has restarted (once in all): killed by signal 9 (killed)"}},
				{11 * time.Minute, good, nil},
			},
		},
		"a restart that was asked for is none": {
			odd: func(n *status.Node, late time.Duration) {
				if n.Name == "worker-3" && late > 0 {
					n.LastExit, n.Restarts, n.Uptime = status.RestartAsked, 1, late.Seconds()
				}
			},
			told: []told{{2 * time.Second, good, nil}},
		},
		"one hangs": {
			odd: func(n *status.Node, late time.Duration) {
				if n.Name == "logger-1" && late > 0 {
					n.State, n.Beat = string(supervisor.Hangs), 10+late.Seconds()
				}
			},
			told: []told{{4 * time.Second, bad, []string{"bad since+1 logger-1 hangs: no heartbeat for 14 s"}}},
		},
		"batches wait": {
			odd: func(n *status.Node, late time.Duration) {
				if n.Name == "worker-1" && late > 0 {
					n.Queue = 200
				}
			},
			told: []told{{4 * time.Second, warn, []string{"warn since+1 200 batches wait at worker-1"}}},
		},
		"a logger cannot write": {
			odd: func(n *status.Node, late time.Duration) {
				if n.Name == "logger-2" && late > 0 {
					n.Counters[ledger.WriteErrors] = 7
				}
			},
			told: []told{{4 * time.Second, bad, []string{"bad since+1 logger-2 cannot write its logs: see its output"}}},
		},
		"uneven, after a while": {
			odd: func(n *status.Node, late time.Duration) {
				if n.Name == "worker-1" && late > 0 {
					n.Received += uint64(90000 * late.Seconds())
				}
			},
			told: []told{{2 * time.Second, good, nil}, {2 * time.Minute, warn, []string{"warn worker-1 has 2.5 times the mean load of eth0"}}},
		},
		"an interface falls silent": {
			odd: func(n *status.Node, late time.Duration) {
				if n.Role == "worker" && late > 0 {
					n.Received = 1000
				}
			},
			told: []told{{20 * time.Second, good, nil}, {40 * time.Second, warn, []string{"warn since+1 eth0 is silent: no packet comes in"}}},
		},
		"the supervisor dies": {
			whole: func(st *status.Status, late time.Duration) {
				if late > 0 {
					st.Phase, st.Supervisor.Alive = "orphaned", false
				}
			},
			told: []told{{2 * time.Second, bad, []string{"bad since+1 The supervisor has died: nodes work on, but a dead one is not started again. picket up takes them over."}}},
		},
		"records are dropped and lost, and a door is closed": {
			whole: func(st *status.Status, late time.Duration) {
				if late > 0 {
					l := &st.Accounting.Records[0]
					l.Dropped, l.Lost = map[string]uint64{"ship.full": 4}, []ledger.Lost{{Node: "worker-1", Count: 1}}
					st.Doors = []status.Door{{Kind: "websocket", Node: "manager", Trouble: "the port is taken"}}
				}
			},
			told: []told{{2 * time.Second, bad, []string{
				"bad since+1 4 records dropped before a log was written",
				"warn since+1 websocket of manager is closed: the port is taken",
				"warn since+1 1 record lost with a process that died",
			}}},
		},
		"a cluster that stops is not ill": {
			odd: func(n *status.Node, late time.Duration) {
				if late > 0 {
					n.State, n.PID = string(supervisor.Stopped), 0
				}
			},
			whole: func(st *status.Status, late time.Duration) {
				if late > 0 {
					st.Phase = supervisor.PhaseStopping
				}
			},
			told: []told{{2 * time.Second, good, nil}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMade(t, 3)
			m.begin = time.Unix(1_800_000_000, 0)
			trouble := m.begin.Add(30 * time.Second)
			m.odd = func(n *status.Node, at time.Time) {
				if n.Role == "worker" {
					n.Received = uint64(9000 * at.Sub(m.begin).Seconds()) // even
				}
				if c.odd != nil {
					c.odd(n, at.Sub(trouble))
				}
			}
			memo := newMemo()
			at := m.begin
			for _, want := range c.told {
				var f *Frame
				for ; !at.After(trouble.Add(want.after)); at = at.Add(time.Second) {
					st := m.at(at)
					if c.whole != nil {
						c.whole(st, at.Sub(trouble))
					}
					f = memo.view(st, m.sources())
				}
				if f.Health != want.health || len(f.Troubles) != len(want.want) {
					t.Fatalf("after %v: %s, want %s: %+v", want.after, f.Health, want.health, f.Troubles)
				}
				for i, x := range f.Troubles {
					level, text, _ := strings.Cut(want.want[i], " ")
					if since, rest, ok := strings.Cut(text, " "); ok && strings.HasPrefix(since, "since+") {
						text = rest
						if got := "since+" + number(x.Since-unix(trouble)); got != since {
							t.Errorf("after %v: %s: %s, want %s", want.after, x.Text, got, since)
						}
					}
					if x.Level != level || x.Text != text {
						t.Errorf("after %v: %s %s, want %s", want.after, x.Level, x.Text, want.want[i])
					}
				}
			}
		})
	}
}

// A new run begins from nothing: neither rates nor troubles come from the last.
func TestNewRun(t *testing.T) {
	m, memo := newMade(t, 2), newMemo()
	memo.view(m.at(m.begin.Add(time.Minute)), nil)
	st := m.at(m.begin.Add(61 * time.Second))
	st.Run = "another"
	if f := memo.view(st, nil); f.Totals.PPS != 0 || f.Logs[0].RPS != 0 {
		t.Errorf("%+v", f.Totals)
	}
}

func numbers() map[float64]string {
	return map[float64]string{
		0: "0", 0.04: "0", 0.44: "0.4", 9.94: "9.9", 9.96: "10", 12.4: "12", 999.4: "999", 999.6: "1,000", 1204: "1,204", 9999.4: "9,999",
		9999.6: "10.0k", 31_449: "31.4k", 999_949: "999.9k", 999_951: "1.00M", 2_100_000: "2.10M", 999_949_000: "999.95M", 1.2e9: "1.20G",
	}
}

func TestNumber(t *testing.T) {
	for v, want := range numbers() {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
