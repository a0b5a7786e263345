package supervisor

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sort"
	"time"

	"github.com/picket-nsm/picket/host/engine"
)

// Phase is what the supervisor knows of a node.
type Phase string

// The phases of a node's life.
const (
	Waiting  Phase = "waiting"  // for nodes that start before it
	Starting Phase = "starting" // runs, not ready yet
	Ready    Phase = "ready"
	Hangs    Phase = "hangs"    // runs, but its heartbeat is old
	Stopping Phase = "stopping" // asked to drain and end
	Down     Phase = "backoff"  // died; starts again soon
	Stopped  Phase = "stopped"
	Done     Phase = "done"   // its work is done
	Failed   Phase = "failed" // given up
)

// member is all that the supervisor knows of one node.
type member struct {
	Node
	hash string

	phase    Phase
	since    time.Time // when the phase began
	proc     engine.Process
	adopted  bool
	life     int
	started  time.Time // of this life
	tried    time.Time // when the first life began
	passed   bool      // was ready once, is late, or is over: others need not wait for it
	late     bool
	restarts int
	fails    int // in a row
	next     time.Time
	lastExit *engine.Exit
	asked    bool // somebody wanted the last restart
	stderr   []string
	stopAt   time.Time // when it was asked to stop
	again    bool      // start it again when it has stopped
	killed   bool
	reason   string    // why an adopted node is being stopped
	look     time.Time // when its ledger is looked at again
}

func newMember(p Node) *member {
	return &member{Node: p, hash: hash(p), phase: Waiting}
}

// rank is the place of a role in the order of starting; stopping goes backwards.
func rank(role string) int {
	switch role {
	case "hub":
		return 0
	case "logger":
		return 1
	case "manager":
		return 2
	case "proxy":
		return 3
	default:
		return 4
	}
}

const lastRank = 4

func sortByRank(nodes []*member) {
	sort.SliceStable(nodes, func(i, k int) bool { return rank(nodes[i].Role) < rank(nodes[k].Role) })
}

// over says that the node has nothing left to do.
func (n *member) over() bool { return n.phase == Done || n.phase == Failed }

func (n *member) enter(p Phase, now time.Time) {
	if n.phase != p {
		n.phase, n.since, n.look = p, now, now
	}
}

// hash tells whether a node of an earlier supervisor is just what is wanted
// now. What changes from life to life is left out, and so are secrets.
func hash(p Node) string {
	s := p.Spec
	s.Files = nil
	s.Node.Bus.User, s.Node.Bus.Token = "", ""
	s.Node.Capture.SocketFD, s.Node.Capture.Resume, s.Node.Capture.ResumeDropped = 0, 0, 0
	text, err := json.Marshal(struct {
		Spec engine.Spec
		Once bool
	}{s, p.Once})
	if err != nil {
		return "" // never: the spec is plain data
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
