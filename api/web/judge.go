package web

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
)

// Trouble is one thing that is wrong: what, where, since when.
type Trouble struct {
	Level string   `json:"level"` // bad: work is lost or not done; warn: look at it
	Kind  string   `json:"kind"`
	Nodes []string `json:"nodes"`
	Text  string   `json:"text"`
	Since float64  `json:"since"`
}

// The levels, as health has them.
const (
	good = "good"
	warn = "warn"
	bad  = "bad"
)

// What counts as trouble.
const (
	dropPause    = 10 * time.Second // drops this far apart are one trouble
	remember     = 10 * time.Minute // how long what is over is told of
	queueLong    = 64               // batches that wait at one node
	unevenFactor = 2.0              // a worker above this many times the mean of its source
	unevenLeast  = 100.0            // ... where the mean is this many packets per second
	unevenFor    = 15 * time.Second // ... this long
	silentFor    = 30 * time.Second // of an interface that has had packets
)

// finding is one node's part in a trouble.
type finding struct {
	level, kind, node string
	text              string // of one node
	since             time.Time
	n                 float64 // what is summed over nodes
}

// judge finds what is wrong and says how the whole is.
func (m *memo) judge(f *Frame, st *status.Status) {
	var all []finding
	now := st.Time
	add := func(level, kind, node, text string, since time.Time, n float64) {
		all = append(all, finding{level, kind, node, text, since, n})
	}
	if f.Phase == "orphaned" {
		add(bad, "supervisor", "", "The supervisor has died: nodes work on, but a dead one is not started again. picket up takes them over.", m.lasting("supervisor", now), 0)
	}
	for i := range f.Nodes {
		m.judgeNode(&f.Nodes[i], f.Phase, now, add)
	}
	m.silent(f.Nodes, now, add)
	for _, d := range f.Doors {
		if d.URL == "" || d.Trouble != "" {
			text := d.Kind + " of " + d.Node + ": " + d.Trouble
			if d.URL == "" {
				text = d.Kind + " of " + d.Node + " is closed: " + d.Trouble
			}
			add(warn, "door", d.Node, text, m.lasting("door "+d.Kind, now), 0)
		}
	}
	if f.Totals.RecDrop > 0 {
		add(bad, "records", "", count(float64(f.Totals.RecDrop), "record")+" dropped before a log was written", m.lasting("records", now), 0)
	}
	if f.Totals.RecLost > 0 {
		add(warn, "lost", "", count(float64(f.Totals.RecLost), "record")+" lost with a process that died", m.lasting("lost", now), 0)
	}
	m.forget()
	f.Troubles = group(all)
	f.Health = good
	for _, t := range f.Troubles {
		if t.Level == bad {
			f.Health = bad
		} else if f.Health == good {
			f.Health = warn
		}
	}
}

type adder func(level, kind, node, text string, since time.Time, n float64)

func (m *memo) judgeNode(n *Node, phase string, now time.Time, add adder) {
	k := m.nodes[n.Name]
	running := phase == supervisor.PhaseUp || phase == "orphaned"
	why := ""
	if n.Exit != "" {
		why = ": " + n.Exit
	}
	switch supervisor.Phase(n.State) {
	case supervisor.Hangs:
		add(bad, "hangs", n.Name, fmt.Sprintf("%s hangs: no heartbeat for %s s", n.Name, number(n.Beat)), k.since, 0)
	case "gone", supervisor.Down, supervisor.Failed:
		if phase != supervisor.PhaseStopping && phase != supervisor.PhaseStopped {
			add(bad, "down", n.Name, n.Name+" is down"+why, k.since, 0)
		}
	case "late":
		add(bad, "late", n.Name, n.Name+" is not ready in time", k.since, 0)
	case supervisor.Starting, supervisor.Waiting:
		if running {
			add(warn, "starting", n.Name, n.Name+" is starting"+why, k.since, 0)
		}
	case supervisor.Ready:
		if n.Restarts > 0 && n.Exit != "" && n.Exit != status.RestartAsked && n.Uptime < remember.Seconds() {
			since := now.Add(-time.Duration(n.Uptime * float64(time.Second)))
			add(warn, "restarted", n.Name, fmt.Sprintf("%s has restarted (%s in all)%s", n.Name, times(n.Restarts), why), since, 0)
		}
	}
	if !k.drops.IsZero() && now.Sub(k.drops) <= remember {
		if now.Sub(k.drops) <= dropPause {
			share := ""
			if sum := n.PPS + n.DPS; n.DPS > 0 && sum > 0 {
				share = fmt.Sprintf(" (%.2g %%)", 100*n.DPS/sum)
			}
			add(bad, "drops", n.Name, n.Name+" drops "+number(n.DPS)+" packets/s"+share, k.dropping, n.DPS)
		} else {
			add(warn, "dropped", n.Name, n.Name+" has dropped packets: "+number(float64(n.Dropped))+" in all", k.dropping, float64(n.Dropped))
		}
	}
	if n.Queue >= queueLong {
		add(warn, "queue", n.Name, count(float64(n.Queue), "batch")+" wait at "+n.Name, m.lasting("queue "+n.Name, now), float64(n.Queue))
	}
	if !k.failing.IsZero() && now.Sub(k.failing) <= remember {
		add(bad, "write", n.Name, n.Name+" cannot write its logs: see its output", m.lasting("write "+n.Name, now), 0)
	}
	if n.Load >= unevenFactor && k.mean >= unevenFactor*unevenLeast {
		if since := m.lasting("uneven "+n.Name, now); now.Sub(since) >= unevenFor {
			add(warn, "uneven", n.Name, fmt.Sprintf("%s has %.1f times the mean load of %s", n.Name, n.Load, n.Source), since, 0)
		}
	}
}

// silent finds interfaces that had packets and have none, though a worker is ready.
func (m *memo) silent(nodes []Node, now time.Time, add adder) {
	type source struct {
		pps, received float64
		ready         bool
	}
	by := map[string]*source{}
	var names []string
	for i := range nodes {
		n := &nodes[i]
		if !n.Live {
			continue
		}
		s := by[n.Source]
		if s == nil {
			s = &source{}
			by[n.Source] = s
			names = append(names, n.Source)
		}
		s.pps += n.PPS
		s.received += float64(n.Received)
		s.ready = s.ready || n.State == string(supervisor.Ready)
	}
	for _, name := range names {
		s := by[name]
		if s.pps > 0 || s.received == 0 || !s.ready {
			continue
		}
		if since := m.lasting("silent "+name, now); now.Sub(since) >= silentFor {
			add(warn, "silent", "", name+" is silent: no packet comes in", since, 0)
		}
	}
}

// lasting is since when a trouble is there, now included.
func (m *memo) lasting(key string, now time.Time) time.Time {
	m.there[key] = true
	if _, ok := m.since[key]; !ok {
		m.since[key] = now
	}
	return m.since[key]
}

// forget drops the times of troubles that are over.
func (m *memo) forget() {
	maps.DeleteFunc(m.since, func(key string, _ time.Time) bool { return !m.there[key] })
	clear(m.there)
}

// group joins the same trouble of several nodes into one line. Worst and newest first.
func group(all []finding) []Trouble {
	out := []Trouble{}
	by := map[string]int{}
	sums := map[string]float64{}
	for _, f := range all {
		sums[f.kind] += f.n
		i, ok := by[f.kind]
		if !ok || f.node == "" || f.kind == "door" {
			by[f.kind] = len(out)
			t := Trouble{Level: f.level, Kind: f.kind, Nodes: []string{}, Text: f.text, Since: unix(f.since)}
			if f.node != "" {
				t.Nodes = append(t.Nodes, f.node)
			}
			out = append(out, t)
			continue
		}
		out[i].Nodes = append(out[i].Nodes, f.node)
		out[i].Since = min(out[i].Since, unix(f.since))
	}
	for i := range out {
		if t := &out[i]; len(t.Nodes) > 1 {
			t.Text = together(t, sums[t.Kind])
		}
	}
	slices.SortStableFunc(out, func(a, b Trouble) int {
		if a.Level != b.Level {
			if a.Level == bad {
				return -1
			}
			return 1
		}
		return 0
	})
	return out
}

// together is the text of a trouble that several nodes have.
func together(t *Trouble, sum float64) string {
	who := list(t.Nodes)
	switch t.Kind {
	case "hangs":
		return who + " hang"
	case "down":
		return who + " are down"
	case "late":
		return who + " are not ready in time"
	case "starting":
		return who + " are starting"
	case "restarted":
		return who + " have restarted"
	case "drops":
		return who + " drop " + number(sum) + " packets/s"
	case "dropped":
		return who + " have dropped packets: " + number(sum) + " in all"
	case "queue":
		return count(sum, "batch") + " wait at " + who
	case "write":
		return who + " cannot write their logs: see their output"
	case "uneven":
		return who + " have more than " + number(unevenFactor) + " times the mean load"
	}
	return t.Text
}

// number is how people like it: 0.4, 12, 1,204, 31.4k, 2.10M.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a != 0 && a < 9.95:
		return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
	case a < 999.5:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a < 9999.5:
		n := int64(math.Round(v))
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	case a < 999_950:
		return strconv.FormatFloat(v/1e3, 'f', 1, 64) + "k"
	case a < 999_950_000:
		return strconv.FormatFloat(v/1e6, 'f', 2, 64) + "M"
	default:
		return strconv.FormatFloat(v/1e9, 'f', 2, 64) + "G"
	}
}

func count(n float64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if what == "batch" {
		return number(n) + " batches"
	}
	return number(n) + " " + what + "s"
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
