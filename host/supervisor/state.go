package supervisor

import (
	"time"

	"github.com/picket-nsm/picket/host/engine"
)

// The phases of a cluster.
const (
	PhaseStarting = "starting"
	PhaseUp       = "up"
	PhaseStopping = "stopping"
	PhaseStopped  = "stopped"
)

const keptEvents = 100

// State is what a supervisor knows, as it is kept in the spool: for status,
// which must work when the supervisor does not, and for the next supervisor.
type State struct {
	Version    int           `json:"version"`
	Cluster    string        `json:"cluster"`
	Run        string        `json:"run"`
	Phase      string        `json:"phase"`
	Supervisor engine.Handle `json:"supervisor"`
	Started    time.Time     `json:"started"`     // of this supervisor
	RunStarted time.Time     `json:"run_started"` // of the run, kept over adoption
	Nodes      []NodeState   `json:"nodes"`
	Events     []Event       `json:"events"`
}

// NodeState is one node of it.
type NodeState struct {
	Name     string        `json:"name"`
	Role     string        `json:"role"`
	Desired  string        `json:"desired"` // run, stop
	Phase    Phase         `json:"phase"`
	Late     bool          `json:"late,omitempty"` // not ready in time
	Since    time.Time     `json:"since"`          // of the phase
	Started  time.Time     `json:"started"`        // of this life
	Life     int           `json:"life"`
	Handle   engine.Handle `json:"handle"` // zero: does not run
	Adopted  bool          `json:"adopted,omitempty"`
	Restarts int           `json:"restarts"`
	Fails    int           `json:"fails"` // in a row
	Next     time.Time     `json:"next"`  // when it starts again, in phase backoff
	LastExit *engine.Exit  `json:"last_exit,omitempty"`
	Asked    bool          `json:"asked,omitempty"`  // the last restart was asked for
	Stderr   []string      `json:"stderr,omitempty"` // last lines of the life that failed
	Killed   bool          `json:"killed,omitempty"` // at the stop deadline
	Hash     string        `json:"hash"`
}

// Event is something that happened.
type Event struct {
	Time time.Time `json:"time"`
	Node string    `json:"node,omitempty"`
	Text string    `json:"text"`
}

const stateVersion = 1

// state is a copy of all that is known.
func (s *Supervisor) state() State {
	st := State{
		Version: stateVersion, Cluster: s.cfg.Cluster, Run: s.cfg.Run, Phase: s.phase,
		Supervisor: s.deps.Self, Started: s.started, RunStarted: s.cfg.RunStarted,
		Events: append([]Event(nil), s.events...),
	}
	for _, n := range s.nodes {
		st.Nodes = append(st.Nodes, n.state(s.stopping))
	}
	// What is still ending must be found again should we die meanwhile.
	for _, n := range s.left {
		if n.proc != nil {
			st.Nodes = append(st.Nodes, n.state(true))
		}
	}
	return st
}

func (n *member) state(stop bool) NodeState {
	st := NodeState{
		Name: n.Name, Role: n.Role, Desired: "run", Phase: n.phase, Late: n.late, Since: n.since,
		Started: n.started, Life: n.life, Adopted: n.adopted, Restarts: n.restarts, Fails: n.fails,
		LastExit: n.lastExit, Asked: n.asked, Stderr: n.stderr, Killed: n.killed, Hash: n.hash,
	}
	if stop || n.over() {
		st.Desired = "stop"
	}
	if n.proc != nil {
		st.Handle = n.proc.Handle()
	}
	if n.phase == Down {
		st.Next = n.next
	}
	return st
}
