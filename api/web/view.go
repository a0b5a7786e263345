package web

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/picket-nsm/picket/host/hub"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/ledger"
)

// Frame is one line of the feed: a status, with what changed per second since
// the one before. Times are seconds since 1970.
type Frame struct {
	Time       float64     `json:"time"`
	Cluster    string      `json:"cluster"`
	Run        string      `json:"run"`
	Phase      string      `json:"phase"`
	Started    float64     `json:"started"`
	Supervisor bool        `json:"supervisor"` // lives
	Health     string      `json:"health"`     // good, warn, bad
	Troubles   []Trouble   `json:"troubles"`
	Totals     Totals      `json:"totals"`
	Nodes      []Node      `json:"nodes"`
	Logs       []Log       `json:"logs"`
	Doors      []Door      `json:"doors"`
	Events     []EventLine `json:"events"` // the last ones, oldest first
	Problems   []string    `json:"problems"`
	Operate    bool        `json:"operate"` // somebody with the right token may restart nodes
	Took       float64     `json:"took"`    // seconds that the look took
	// RSS says that memory is RSS, for all nodes: pages that processes share count in
	// each. Else it is PSS, which some kernels and users keep from us.
	RSS bool `json:"rss"`
}

// Totals are sums over all nodes.
type Totals struct {
	Nodes    int     `json:"nodes"`
	Ready    int     `json:"ready"`
	Restarts int     `json:"restarts"`
	Memory   int64   `json:"memory"` // bytes
	CPU      float64 `json:"cpu"`    // per cent of one CPU
	Received uint64  `json:"received"`
	Analyzed uint64  `json:"analyzed"`
	Dropped  uint64  `json:"dropped"`
	Produced uint64  `json:"produced"`
	Written  uint64  `json:"written"`
	RecDrop  uint64  `json:"rec_dropped"`
	RecLost  uint64  `json:"rec_lost"`
	Queue    uint64  `json:"queue"`
	Rates
}

// Rates are per second, since the look before.
type Rates struct {
	PPS float64 `json:"pps"` // packets received
	DPS float64 `json:"dps"` // packets dropped
	RPS float64 `json:"rps"` // records produced
	WPS float64 `json:"wps"` // records written
}

// Node is one process.
type Node struct {
	Name     string  `json:"name"`
	Role     string  `json:"role"`
	Source   string  `json:"source,omitempty"`
	Live     bool    `json:"live,omitempty"` // the source is an interface
	PID      int     `json:"pid"`
	State    string  `json:"state"`
	Since    float64 `json:"since"`  // of the state
	Uptime   float64 `json:"uptime"` // seconds
	Restarts int     `json:"restarts"`
	Exit     string  `json:"exit,omitempty"`
	Beat     float64 `json:"beat"`
	Memory   int64   `json:"memory"`
	CPU      float64 `json:"cpu"`
	Received uint64  `json:"received"`
	Dropped  uint64  `json:"dropped"`
	Produced uint64  `json:"produced"`
	Written  uint64  `json:"written"`
	Queue    uint64  `json:"queue"`
	Load     float64 `json:"load"`           // packets per second over half a minute, over the mean of its source's workers
	Drops    float64 `json:"drops,omitzero"` // when it last dropped a packet
	Bus      float64 `json:"bus,omitzero"`   // of a hub: messages per second
	Rates
}

// Log is one log path, over all nodes.
type Log struct {
	Path     string  `json:"path"`
	Produced uint64  `json:"produced"`
	Written  uint64  `json:"written"`
	Dropped  uint64  `json:"dropped"`
	Lost     uint64  `json:"lost"`
	Open     int64   `json:"open"`
	RPS      float64 `json:"rps"` // records produced
}

// Door is a way in.
type Door struct {
	Kind    string `json:"kind"`
	Node    string `json:"node"`
	URL     string `json:"url"`
	Trouble string `json:"trouble,omitempty"`
	Clients int    `json:"clients"`
}

// EventLine is something that happened.
type EventLine struct {
	Time float64 `json:"time"`
	Node string  `json:"node"`
	Text string  `json:"text"`
}

const shownEvents = 40

// memo is what the feed knows of earlier looks.
type memo struct {
	last  *status.Status
	logs  map[string]uint64 // produced, at the last look
	nodes map[string]*nodeMemo
	since map[string]time.Time // of troubles, by their key
	there map[string]bool      // of this look
}

type nodeMemo struct {
	state    string
	since    time.Time
	mean     float64   // packets per second, weighted over half a minute
	drops    time.Time // last seen
	dropping time.Time // since when, without a pause
	errors   uint64    // of writes
	failing  time.Time // last new one
}

func newMemo() *memo {
	return &memo{logs: map[string]uint64{}, nodes: map[string]*nodeMemo{}, since: map[string]time.Time{}, there: map[string]bool{}}
}

// halfMinute is the time over which the load of workers is weighed.
const halfMinute = 30.0

// view makes a frame of a look, and remembers it.
func (m *memo) view(st *status.Status, sources map[string]Source) *Frame {
	if m.last != nil && m.last.Run != st.Run {
		*m = *newMemo()
	}
	f := &Frame{
		Time: unix(st.Time), Cluster: st.Cluster, Run: st.Run, Phase: st.Phase, Started: unix(st.Started), Supervisor: st.Supervisor.Alive,
		Troubles: []Trouble{}, Nodes: []Node{}, Logs: []Log{}, Doors: []Door{}, Events: []EventLine{}, Problems: append([]string{}, st.Problems...),
	}
	t := &f.Totals
	t.Nodes, t.Ready, t.Restarts = st.Totals.Nodes, st.Totals.Ready, st.Totals.Restarts
	rss, memory, sum := st.Memory()
	f.RSS, t.Memory = rss, sum
	t.Received, t.Analyzed, t.Dropped = st.Totals.Received, st.Totals.Analyzed, st.Totals.Dropped
	t.Produced, t.Written, t.Queue = st.Totals.Produced, st.Totals.Written, st.Totals.Queue
	before, dt := map[string]*status.Node{}, 0.0
	if m.last != nil {
		dt = st.Time.Sub(m.last.Time).Seconds()
		for i := range m.last.Nodes {
			before[m.last.Nodes[i].Name] = &m.last.Nodes[i]
		}
	}
	for i := range st.Nodes {
		n := m.node(&st.Nodes[i], before[st.Nodes[i].Name], dt, st.Time)
		n.Memory = memory(st.Nodes[i])
		src := sources[n.Name]
		n.Source, n.Live = src.Name, src.Live
		t.CPU += n.CPU
		t.PPS += n.PPS
		t.DPS += n.DPS
		t.RPS += n.RPS
		t.WPS += n.WPS
		f.Nodes = append(f.Nodes, n)
	}
	m.loads(f.Nodes)
	m.paths(f, st.Accounting, dt)
	for _, d := range st.Doors {
		f.Doors = append(f.Doors, Door{d.Kind, d.Node, d.URL, d.Trouble, d.Clients})
	}
	for _, e := range st.Events[max(0, len(st.Events)-shownEvents):] {
		f.Events = append(f.Events, EventLine{unix(e.Time), e.Node, e.Text})
	}
	m.last = st
	m.judge(f, st)
	return f
}

func (m *memo) node(n, before *status.Node, dt float64, now time.Time) Node {
	out := Node{
		Name: n.Name, Role: n.Role, PID: n.PID, State: n.State, Uptime: n.Uptime, Restarts: n.Restarts, Exit: n.LastExit, Beat: n.Beat,
		CPU: n.CPU, Received: n.Received, Dropped: n.Dropped, Produced: n.Produced, Written: n.Written, Queue: n.Queue,
	}
	k := m.nodes[n.Name]
	if k == nil {
		// What happened before the first look is told by the supervisor's clock.
		k = &nodeMemo{state: n.State, since: now, errors: n.Counters[ledger.WriteErrors]}
		if n.PID != 0 && n.State == string(supervisor.Ready) {
			k.since = now.Add(-time.Duration(n.Uptime * float64(time.Second)))
		}
		m.nodes[n.Name] = k
	}
	if k.state != n.State {
		k.state, k.since = n.State, now
	}
	out.Since = unix(k.since)
	if e := n.Counters[ledger.WriteErrors]; e > k.errors {
		k.errors, k.failing = e, now
	}
	if before != nil && dt > 0 {
		out.PPS, out.DPS = rate(n.Received, before.Received, dt), rate(n.Dropped, before.Dropped, dt)
		out.RPS, out.WPS = rate(n.Produced, before.Produced, dt), rate(n.Written, before.Written, dt)
		out.Bus = rate(n.Counters[hub.MessagesIn], before.Counters[hub.MessagesIn], dt)
		w := min(1, dt/halfMinute)
		k.mean += w * (out.PPS - k.mean)
	}
	if out.DPS > 0 {
		if now.Sub(k.drops) > dropPause {
			k.dropping = now
		}
		k.drops = now
	}
	if !k.drops.IsZero() {
		out.Drops = unix(k.drops)
	}
	return out
}

// rate of a counter that may have gone back, as one does whose ledger is gone.
func rate(now, before uint64, dt float64) float64 {
	if now <= before {
		return 0
	}
	return float64(now-before) / dt
}

// loads compares workers of one source that do their work.
func (m *memo) loads(nodes []Node) {
	sum, count := map[string]float64{}, map[string]int{}
	works := func(n *Node) bool { return n.Role == "worker" && n.State == string(supervisor.Ready) }
	for i := range nodes {
		if n := &nodes[i]; works(n) {
			sum[n.Source] += m.nodes[n.Name].mean
			count[n.Source]++
		}
	}
	for i := range nodes {
		if n := &nodes[i]; works(n) && sum[n.Source] > 0 {
			n.Load = m.nodes[n.Name].mean * float64(count[n.Source]) / sum[n.Source]
		}
	}
}

// paths sums the settled accounts by log.
func (m *memo) paths(f *Frame, r *ledger.Report, dt float64) {
	if r == nil {
		return
	}
	by := map[string]*Log{}
	for i := range r.Records {
		l := &r.Records[i]
		x := by[l.Path]
		if x == nil {
			x = &Log{Path: l.Path}
			by[l.Path] = x
		}
		x.Produced += l.Produced
		x.Written += l.Written
		x.Open += l.Open
		for _, n := range l.Dropped {
			x.Dropped += n
		}
		for _, lost := range l.Lost {
			x.Lost += lost.Count
		}
	}
	now := map[string]uint64{}
	for _, path := range slices.Sorted(maps.Keys(by)) {
		x := by[path]
		now[path] = x.Produced
		if x.Produced == 0 {
			continue // A log that had nothing to say.
		}
		if dt > 0 {
			x.RPS = rate(x.Produced, m.logs[path], dt)
		}
		f.Totals.RecDrop += x.Dropped
		f.Totals.RecLost += x.Lost
		f.Logs = append(f.Logs, *x)
	}
	m.logs = now
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// list names some of many.
func list(names []string) string {
	const few = 4
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:few-1], ", ") + " and " + number(float64(len(names)-few+1)) + " more"
}
