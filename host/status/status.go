// Package status says how a cluster on this machine is, from outside: from the
// supervisor's state file, the nodes' ledgers and what the system tells of their
// processes. So it works while a node or the supervisor hangs or is dead.
//
// It only reads, answers within a bound, and keeps nothing between two looks
// but what the caller hands back in.
package status

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/procinfo"
)

// Status is a cluster as it is at one moment.
type Status struct {
	Time       time.Time          `json:"time"`
	Cluster    string             `json:"cluster"`
	Run        string             `json:"run"`
	Spool      string             `json:"spool"`
	Phase      string             `json:"phase"` // starting, up, stopping, stopped; orphaned: nodes without a supervisor
	Started    time.Time          `json:"started"`
	Supervisor Supervisor         `json:"supervisor"`
	Nodes      []Node             `json:"nodes"`
	Doors      []Door             `json:"doors,omitempty"`
	Links      []Link             `json:"links,omitempty"` // to real Zeek processes
	Totals     Totals             `json:"totals"`
	Accounting *ledger.Report     `json:"accounting,omitempty"`
	Events     []supervisor.Event `json:"events"`
	Problems   []string           `json:"problems,omitempty"` // what could not be read, and who should not be there
}

// Supervisor is the process that keeps the nodes.
type Supervisor struct {
	PID   int  `json:"pid"`
	Alive bool `json:"alive"`
}

// Node is one process. Counters are summed over its lives in this run.
type Node struct {
	Name     string  `json:"name"`
	Role     string  `json:"role"`
	PID      int     `json:"pid"` // 0: does not run
	State    string  `json:"state"`
	Uptime   float64 `json:"uptime"` // seconds, of this life
	Restarts int     `json:"restarts"`
	LastExit string  `json:"last_exit,omitempty"`
	Beat     float64 `json:"heartbeat_age"` // seconds
	PSS      int64   `json:"pss"`           // bytes
	RSS      int64   `json:"rss"`           // bytes
	CPU      float64 `json:"cpu"`           // per cent of one CPU, since the last look or since its start

	Received uint64            `json:"packets_received"`
	Dropped  uint64            `json:"packets_dropped"`
	Produced uint64            `json:"records_produced"`
	Written  uint64            `json:"records_written"`
	Queue    uint64            `json:"queue"` // batches that wait: for a logger, or to be written
	Counters map[string]uint64 `json:"counters,omitempty"`
	Stderr   []string          `json:"stderr,omitempty"` // last lines of the life that failed

	Life  map[string]uint64 `json:"-"` // counters of this life alone: gauges make no sum
	Usage procinfo.Usage    `json:"-"` // as the system told

	cpu  time.Duration
	took time.Time
}

// Totals are sums over all nodes.
type Totals struct {
	Nodes    int    `json:"nodes"`
	Ready    int    `json:"ready"`
	Restarts int    `json:"restarts"`
	PSS      int64  `json:"pss"`
	Received uint64 `json:"packets_received"`
	Analyzed uint64 `json:"packets_analyzed"`
	Dropped  uint64 `json:"packets_dropped"`
	Produced uint64 `json:"records_produced"`
	Written  uint64 `json:"records_written"`
	Queue    uint64 `json:"queue"`
}

// ErrNothing says that no cluster has ever run in the spool.
var ErrNothing = errors.New("no cluster has run here")

// patience is how long the system may take to tell of all processes.
const patience = 400 * time.Millisecond

// Collect looks at the cluster of a spool. earlier is the last look, for CPU
// per cent since then; nil: since the nodes' start.
func Collect(spool string, earlier *Status) (*Status, error) {
	st, err := supervisor.LoadState(spool)
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("%w; only the owner of the spool may look into it", err)
	}
	if errors.Is(err, supervisor.ErrDamaged) {
		return nil, fmt.Errorf("%w; picket stop ends what still runs, picket up does that too and starts anew", err)
	}
	if err != nil {
		return nil, err
	}
	if st.Version == 0 {
		return nil, fmt.Errorf("status of %s: %w; start one with picket up, or name its folder with --spool", spool, ErrNothing)
	}
	s := &Status{
		Time: time.Now(), Cluster: st.Cluster, Run: st.Run, Spool: spool, Phase: st.Phase, Started: st.Started,
		Events: st.Events,
	}
	s.Supervisor.PID = st.Supervisor.PID
	s.Supervisor.Alive = alive(st.Supervisor)
	usage := usages(st.Nodes)
	books := newBooks(spool, st)
	for _, n := range st.Nodes {
		s.Nodes = append(s.Nodes, s.node(n, usage[n.Name], books, earlier))
		s.doors(spool, s.Nodes[len(s.Nodes)-1], books)
	}
	s.links()
	s.Problems = append(s.Problems, books.problems...)
	s.Problems = append(s.Problems, strangers(spool, st)...)
	if !s.Supervisor.Alive && s.Phase != supervisor.PhaseStopped {
		s.Phase = "orphaned"
		if !slices.ContainsFunc(s.Nodes, func(n Node) bool { return n.PID != 0 }) {
			s.Phase = supervisor.PhaseStopped
		}
		s.Problems = append(s.Problems, fmt.Sprintf("the supervisor, pid %d, has died; picket up takes its nodes over, picket stop ends them", st.Supervisor.PID))
	}
	for i := range s.Nodes {
		s.Totals.Add(&s.Nodes[i])
	}
	if s.Accounting, err = ledger.Settle(books.all, ledger.Options{}); err != nil {
		s.Problems = append(s.Problems, err.Error())
	}
	return s, nil
}

func alive(h engine.Handle) bool {
	id, err := procinfo.Identity(h.PID)
	return err == nil && id == h.Start
}

// node puts together what the supervisor, the system and the ledger say.
func (s *Status) node(n supervisor.NodeState, u answer, b *books, earlier *Status) Node {
	out := Node{
		Name: n.Name, Role: n.Role, State: string(n.Phase), Restarts: n.Restarts, Stderr: n.Stderr,
	}
	if n.LastExit != nil && n.Restarts > 0 {
		out.LastExit = n.LastExit.String()
		if n.Asked {
			out.LastExit, out.Stderr = RestartAsked, nil
		}
	}
	if n.Late && n.Phase == supervisor.Starting {
		out.State = "late"
	}
	if n.Handle.PID != 0 && alive(n.Handle) {
		out.PID = n.Handle.PID
		out.Uptime = s.Time.Sub(n.Started).Seconds()
	} else if n.Handle.PID != 0 {
		out.State = "gone" // died, and nobody has taken note yet
	}
	if l := b.last[n.Name]; l != nil && out.PID == l.Pid {
		out.Beat = max(0, s.Time.Sub(l.Heartbeat).Seconds())
		// A supervisor that died may not have noted that the node became ready.
		if n.Phase == supervisor.Starting && l.State == ledger.Ready {
			out.State = string(supervisor.Ready)
		}
		if n.Phase == supervisor.Ready && l.State != ledger.Ready {
			out.State = l.State.String()
		}
		out.Life = l.Counters
		out.Queue = l.Counters[ledger.QueueShip] + l.Counters[ledger.QueueLogger]
		// The supervisor may hang itself: judge by the ledger too.
		if out.State == string(supervisor.Ready) && out.Beat > hangAfter {
			out.State = string(supervisor.Hangs)
		}
	}
	out.Counters = b.counters[n.Name]
	for name, v := range out.Counters {
		if len(name) > len(ledger.PacketsDropped("")) && name[:len(ledger.PacketsDropped(""))] == ledger.PacketsDropped("") {
			out.Dropped += v
		}
	}
	out.Received = out.Counters[ledger.PacketsReceived]
	out.Produced = out.Counters[ledger.RecordsProduced]
	out.Written = out.Counters[ledger.RecordsWritten]
	out.usage(u, n, earlier)
	return out
}

// RestartAsked is the cause of a restart that somebody wanted.
const RestartAsked = "restart asked for"

// hangAfter is when a silent heart is shown even if the supervisor says nothing.
const hangAfter = 10.0

func (n *Node) usage(u answer, st supervisor.NodeState, earlier *Status) {
	if n.PID == 0 {
		return
	}
	if u.at.IsZero() { // no answer in time: what it was before is nearer than nothing
		if e := earlier.named(n.Name); e != nil && e.PID == n.PID {
			n.Usage, n.PSS, n.RSS, n.CPU, n.cpu, n.took = e.Usage, e.PSS, e.RSS, e.CPU, e.cpu, e.took
		}
		return
	}
	n.Usage = u.Usage
	n.PSS, n.RSS, n.cpu, n.took = u.PSS, u.RSS, u.CPU, u.at
	if u.State == "T" {
		n.State = "hangs" // stopped by a signal
	}
	since, cpu := st.Started, time.Duration(0)
	if e := earlier.named(n.Name); e != nil && e.PID == n.PID && !e.took.IsZero() {
		since, cpu = e.took, e.cpu
	}
	if d := u.at.Sub(since); d > 0 {
		n.CPU = 100 * float64(u.CPU-cpu) / float64(d)
	}
}

// named is a node of a look, or nil; of no look, too.
func (s *Status) named(name string) *Node {
	if s == nil {
		return nil
	}
	if i := slices.IndexFunc(s.Nodes, func(n Node) bool { return n.Name == name }); i >= 0 {
		return &s.Nodes[i]
	}
	return nil
}

// Add counts a node.
func (t *Totals) Add(n *Node) {
	t.Nodes++
	if n.State == string(supervisor.Ready) || n.State == string(supervisor.Done) {
		t.Ready++
	}
	t.Restarts += n.Restarts
	t.PSS += n.PSS
	t.Received += n.Received
	t.Dropped += n.Dropped
	t.Produced += n.Produced
	t.Written += n.Written
	t.Queue += n.Queue
	t.Analyzed += n.Counters[ledger.PacketsAnalyzed]
}

// answer is what the system said of a process, and when.
type answer struct {
	procinfo.Usage
	at time.Time
}

// usages asks the system of all processes at once. A process whose memory map
// is locked would keep us waiting: what has not come in time is left out.
func usages(nodes []supervisor.NodeState) map[string]answer {
	type named struct {
		name string
		answer
	}
	out := map[string]answer{}
	ch := make(chan named, len(nodes)) // room for all: nobody is left hanging on it
	asked := 0
	for _, n := range nodes {
		if n.Handle.PID == 0 {
			continue
		}
		asked++
		go func() {
			u, err := procinfo.Of(n.Handle.PID)
			a := answer{Usage: u, at: time.Now()}
			if err != nil {
				a.at = time.Time{}
			}
			ch <- named{n.Name, a}
		}()
	}
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for range asked {
		select {
		case a := <-ch:
			out[a.name] = a.answer
		case <-limit.C:
			return out
		}
	}
	return out
}

// books are the ledgers of a run.
type books struct {
	all      []*ledger.Snapshot
	last     map[string]*ledger.Snapshot
	counters map[string]map[string]uint64
	problems []string
}

// newBooks reads the ledgers of all nodes, producers before loggers, so that
// what a producer has handed over a logger has not less.
func newBooks(spool string, st supervisor.State) *books {
	b := &books{last: map[string]*ledger.Snapshot{}, counters: map[string]map[string]uint64{}}
	nodes := slices.Clone(st.Nodes)
	sort.SliceStable(nodes, func(i, k int) bool { return nodes[i].Role != "logger" && nodes[k].Role == "logger" })
	for _, n := range nodes {
		snaps, err := Lives(filepath.Join(spool, n.Name), st.RunStarted)
		if err != nil {
			b.problems = append(b.problems, err.Error())
		}
		sum := map[string]uint64{}
		for _, s := range snaps {
			for name, v := range s.Counters {
				sum[name] += v
			}
			b.last[n.Name] = s
			b.all = append(b.all, s)
		}
		b.counters[n.Name] = sum
	}
	return b
}

// Lives reads the ledgers of a node's lives that began after a time.
func Lives(dir string, since time.Time) ([]*ledger.Snapshot, error) {
	snaps, err := ledger.ReadAll(dir)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return slices.DeleteFunc(snaps, func(s *ledger.Snapshot) bool { return s.Start < uint64(since.UnixNano()) }), err
}

// strangers names live processes with a ledger in the spool that the state does
// not know.
func strangers(spool string, st supervisor.State) []string {
	var out []string
	for _, n := range supervisor.Strays(spool, st) {
		out = append(out, fmt.Sprintf("%s runs with pid %d and no supervisor knows of it; picket stop ends it", n.Name, n.Handle.PID))
	}
	return out
}
