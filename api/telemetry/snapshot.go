package telemetry

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/procinfo"
)

// Snapshot is all nodes that an endpoint carries, as they were at one moment.
type Snapshot struct {
	Time    time.Time
	Took    time.Duration // how long looking took
	Cluster string
	Nodes   []Node
	Targets []string // live endpoints of nodes, else of the hub, HOST:PORT, for /services.json
	Lost    uint64   // records that died with a process, settled from the ledgers
	// Supervised says that a supervisor is part of the picture; Orphaned, that it has died.
	Supervised, Orphaned bool
}

// Node is one node of a snapshot.
type Node struct {
	Name, Role, State string
	Up                bool          // its process runs, and its heart beats
	Ready             bool          // does what it is for, or has done it
	Restarts          int           // of this run
	Beat              time.Duration // age of the heartbeat
	Start             time.Time     // of the process
	PSS               int64         // bytes
	Usage             procinfo.Usage

	Total map[string]uint64 // ledger counters, summed over the lives of this run
	Life  map[string]uint64 // of this life, for gauges
}

// silent is when a node that only runs and does not beat counts as down: well
// within the 10 seconds that a health check has, and 8 heartbeats.
const silent = 8 * time.Second

// Cluster looks at all nodes of the cluster whose spool this is.
func Cluster(spool string) (*Snapshot, error) {
	st, err := status.Collect(spool, nil)
	if err != nil {
		return nil, err
	}
	return fromStatus(st), nil
}

func fromStatus(st *status.Status) *Snapshot {
	s := &Snapshot{Time: st.Time, Cluster: st.Cluster, Supervised: true, Orphaned: !st.Supervisor.Alive}
	var all []string
	for i := range st.Nodes {
		n := &st.Nodes[i]
		x := Node{
			Name: n.Name, Role: n.Role, State: n.State, Restarts: n.Restarts, PSS: n.PSS, Usage: n.Usage,
			Beat: time.Duration(n.Beat * float64(time.Second)), Total: n.Counters, Life: n.Life,
		}
		if n.PID != 0 {
			x.Start = st.Time.Add(-time.Duration(n.Uptime * float64(time.Second)))
		}
		done := n.State == string(supervisor.Done)
		x.Up = done || n.PID != 0 && x.Beat < silent && n.State != string(supervisor.Hangs)
		x.Ready = x.Up && (done || n.State == string(supervisor.Ready))
		s.Nodes = append(s.Nodes, x)
		if n.PID == 0 {
			continue
		}
		if t := announced(st.Spool, KindNode, n.Name, n.PID); t != "" {
			s.Targets = append(s.Targets, t)
		}
		if t := announced(st.Spool, KindMachine, n.Name, n.PID); t != "" {
			all = append(all, t)
		}
	}
	// Whoever scrapes the nodes must not find them there twice.
	if len(s.Targets) == 0 {
		s.Targets = all
	}
	if st.Accounting != nil {
		for _, l := range st.Accounting.RecordTotal.Lost {
			s.Lost += l.Count
		}
	}
	return s
}

// Targets returns the live endpoints of the nodes whose folders are in a spool:
// those whose process is there.
func Targets(spool string) []string {
	files, err := filepath.Glob(status.DoorFile(filepath.Join(spool, "*"), KindNode))
	if err != nil {
		return nil
	}
	var out []string
	for _, f := range files {
		d, err := status.ReadDoor(filepath.Dir(f), KindNode)
		if err != nil || d.PID <= 0 {
			continue
		}
		if _, err := procinfo.Identity(d.PID); err != nil {
			continue
		}
		if u, err := url.Parse(d.URL); err == nil && u.Host != "" {
			out = append(out, u.Host)
		}
	}
	return out
}

// Self looks at this process alone, a node whose folder dir is.
func Self(dir string) (*Snapshot, error) {
	r, err := ledger.Open(dir)
	if err != nil {
		return nil, err
	}
	l, err := r.Snapshot()
	if err := r.Close(); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	if l.Pid != os.Getpid() {
		return nil, fmt.Errorf("look at node %s: it has not begun", l.Node)
	}
	now := time.Now()
	n := Node{
		Name: l.Node, Role: l.Role, State: l.State.String(), Beat: max(0, now.Sub(l.Heartbeat)), Start: time.Unix(0, int64(l.Start)),
		Total: l.Counters, Life: l.Counters,
	}
	n.Up = n.Beat < silent
	n.Ready = n.Up && l.State == ledger.Ready
	if n.Usage, err = procinfo.Of(os.Getpid()); err != nil {
		return nil, fmt.Errorf("look at node %s: %w", n.Name, err)
	}
	n.PSS = n.Usage.PSS
	return &Snapshot{Time: now, Nodes: []Node{n}}, nil
}

// down names the required roles, those that the cluster was started with, of
// which no node is up.
func (s *Snapshot) down() []string {
	up := map[string]bool{}
	for _, n := range s.Nodes {
		up[n.Role] = up[n.Role] || n.Up
	}
	var out []string
	for role, ok := range up {
		if !ok {
			out = append(out, role)
		}
	}
	slices.Sort(out)
	return out
}

// unready names the nodes that are not ready, each with its state.
func (s *Snapshot) unready() []string {
	var out []string
	for _, n := range s.Nodes {
		if !n.Ready {
			state := n.State
			if !n.Up && state == string(supervisor.Ready) {
				state = "silent for " + n.Beat.Round(time.Second).String()
			}
			out = append(out, n.Name+" is "+strings.TrimSpace(state))
		}
	}
	return out
}
