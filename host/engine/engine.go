// Package engine is the contract for what a node is to the machine it runs on:
// an OS process (native), a goroutine (inproc, for tests), later a real Zeek.
//
// It stands between the supervisor, which decides, and the thing that runs. An
// engine starts, finds again, stops and kills; it owns the node's working
// folder, environment and output. It never decides to restart, never looks at
// what a node does, and keeps no state that a second engine could not find
// again from a Handle.
package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/picket-nsm/picket/node"
)

// EnvSpecFD is the variable that tells a node on which descriptor its spec
// waits, as JSON: neither ps nor the environment shows the bus's password.
const EnvSpecFD = "PICKET_SPEC_FD"

// FirstFile is the descriptor as which a node finds Spec.Files[0]; the next
// ones follow.
const FirstFile = 4

// ErrGone says that there is no such process any more.
var ErrGone = errors.New("process is gone")

// Spec is one node as an engine sees it.
type Spec struct {
	Name string
	Role string // hub, logger, manager, proxy or worker
	Args []string
	Env  []string // KEY=VALUE, added to the engine's own environment
	Node node.Spec
	// Files are inherited, as descriptors from FirstFile on. They stay the
	// caller's, who keeps them open for the node's next life.
	Files []*os.File
	Pin   []int // CPUs it may run on; none: all
	// Memory is a soft limit in bytes: the Go runtime collects harder near it. 0: none.
	Memory int64
}

// Handle names a process for good: a number that is reused does not match.
type Handle struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // start time as the system tells it, boot included
}

// Exit says how a process ended.
type Exit struct {
	Code    int       `json:"code"`              // exit code; -1 with a signal or when not known
	Signal  int       `json:"signal,omitempty"`  // signal that ended it
	Unknown bool      `json:"unknown,omitempty"` // not our child, so the system does not tell
	Time    time.Time `json:"time"`
}

// String is the cause in words.
func (e Exit) String() string {
	switch {
	case e.Unknown:
		return "ended (cause not known: it was adopted)"
	case e.Signal != 0:
		return fmt.Sprintf("killed by signal %d (%v)", e.Signal, syscall.Signal(e.Signal))
	case e.Code == 0:
		return "ended by itself"
	default:
		return fmt.Sprintf("exit code %d", e.Code)
	}
}

// Process is a node that runs or has run. Its methods may be called from any
// goroutine.
type Process interface {
	Handle() Handle
	// Stop asks politely: drain and end. It does not wait.
	Stop() error
	// Kill ends it at once. It does not wait.
	Kill() error
	// Wait returns when the process has ended, or with ctx's error when ctx has.
	// It may be called again and by several.
	Wait(ctx context.Context) (Exit, error)
}

// Engine runs nodes. Its methods are called from one goroutine.
type Engine interface {
	// Start runs a node. An error means that nothing runs.
	Start(Spec) (Process, error)
	// Adopt finds a node again that an earlier engine started. ErrGone: it ended.
	Adopt(name string, h Handle) (Process, error)
}

// Trimmer is an engine that can keep a node's output within its bound while
// the node runs. The supervisor asks now and then.
type Trimmer interface {
	Trim(name string) error
}
