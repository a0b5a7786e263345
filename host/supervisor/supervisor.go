// Package supervisor keeps the nodes of one machine as desired: it starts them
// in order by readiness, restarts what dies, stops in reverse order with drain,
// kills at a deadline and says whom, and finds the nodes of a supervisor that
// died before it.
//
// It stands between the configuration, as a list of nodes, and an engine that
// runs them. One goroutine owns everything that is known of a node; requests
// and exits come to it over channels, what it knows is saved after each change.
// It carries no payload, opens no network port, and never acts on what a node
// says about itself except that it is ready, alive or done.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/host/engine"
)

// Node is one node that shall run.
type Node struct {
	engine.Spec
	// Once: the node ends by itself when its work is done. When all such nodes
	// have ended, the supervisor stops the others and returns.
	Once bool
}

// Config is what shall run, and with how much patience.
type Config struct {
	Cluster string
	Run     string // id of this run of the cluster, kept over adoption
	Nodes   []Node

	RunStarted   time.Time     // when the run began
	StopFound    bool          // nodes of an earlier supervisor are adopted however they were configured, and stopped
	StartTimeout time.Duration // a node not ready by then is late: said, not waited for
	StopTimeout  time.Duration // a node that has not ended by then is killed
	HangAfter    time.Duration // a heartbeat older than this means that the node hangs
	Backoff      Backoff
	GiveUp       int // failures in a row after which a Once node is given up
}

// DefaultConfig has every setting but the nodes.
func DefaultConfig() Config {
	return Config{
		Cluster:      "picket",
		StartTimeout: 30 * time.Second,
		StopTimeout:  15 * time.Second,
		HangAfter:    10 * time.Second,
		Backoff:      Backoff{First: time.Second, Max: time.Minute, Healthy: time.Minute},
		GiveUp:       5,
	}
}

// Observation is what a node tells about itself, through its ledger.
type Observation struct {
	PID   int // whose ledger it is; 0: there is none yet
	Ready bool
	Ended bool // it drained and ended in order
	Beat  time.Time
}

// Deps is what the program passes in.
type Deps struct {
	Engine  engine.Engine
	Observe func(name string) Observation
	// Prepare may change a node's spec before a life of it begins; nil changes nothing.
	Prepare func(spec engine.Spec, life int) engine.Spec
	// Save keeps the state for the next supervisor and for status.
	Save func(State) error
	// Evidence returns the last lines of a node's stderr; nil: none.
	Evidence func(name string) []string
	// Stopping is called once, before the first node is asked to stop; may be nil.
	Stopping func()
	Self     engine.Handle // this process
	Log      *slog.Logger
}

// Supervisor is the machine. New makes it, Run works.
type Supervisor struct {
	cfg  Config
	deps Deps

	requests chan request
	exits    chan exited
	running  chan struct{} // closed when Run has returned
	last     atomic.Pointer[State]

	// Only Run's goroutine touches what follows.
	nodes    []*member // in start order
	left     []*member // of an earlier supervisor, to be stopped
	gate     int       // rank of the group that may start
	stopping bool
	killing  bool
	phase    string
	started  time.Time
	trimmed  time.Time
	events   []Event
	dirty    bool
	waiters  sync.WaitGroup
	waitCtx  context.Context
}

// exited is a process's end, as its waiter reports it.
type exited struct {
	n    *member
	proc engine.Process
	exit engine.Exit
}

// request is something another goroutine wants of Run's.
type request struct {
	op     string
	node   string
	answer chan error
}

// ErrNoNode says that there is no node of that name.
var ErrNoNode = errors.New("no such node")

// ErrNotRunning says that the supervisor has ended.
var ErrNotRunning = errors.New("the supervisor has ended")

// New makes a supervisor that starts nothing yet. earlier is what an earlier
// one saved: its running nodes are adopted where they are wanted just so, else
// stopped. The zero State means there was none.
func New(cfg Config, deps Deps, earlier State) *Supervisor {
	s := &Supervisor{
		cfg:      cfg,
		deps:     deps,
		requests: make(chan request),
		exits:    make(chan exited),
		running:  make(chan struct{}),
		phase:    PhaseStarting,
	}
	for _, p := range cfg.Nodes {
		s.nodes = append(s.nodes, newMember(p))
	}
	sortByRank(s.nodes)
	s.adopt(earlier)
	return s
}

// Run keeps the nodes as desired until ctx ends, Stop is called, or all Once
// nodes have ended; then it stops all in order and returns. An error names the
// nodes that were killed or given up.
func (s *Supervisor) Run(ctx context.Context) error {
	defer close(s.running)
	// Waiters end with their process; should one be unkillable, they end with this.
	waitCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer s.waiters.Wait()
	defer cancel()
	s.waitCtx = waitCtx
	s.started = time.Now()
	s.dirty = true
	for _, n := range append(append([]*member(nil), s.nodes...), s.left...) {
		if n.proc != nil {
			s.watch(n)
		}
	}
	if s.cfg.StopFound {
		s.stop("stopping what an earlier supervisor left")
	}
	done := ctx.Done()
	for {
		s.step(time.Now())
		s.trim(time.Now())
		s.save()
		if s.over() {
			return s.verdict()
		}
		t := time.NewTimer(s.pause())
		select {
		case <-t.C:
		case x := <-s.exits:
			s.exit(x, time.Now())
		case r := <-s.requests:
			r.answer <- s.serve(r)
		case <-done:
			done = nil
			s.stop("asked to stop")
		}
		t.Stop()
	}
}

// Stop has Run stop all nodes in order and return. Kill does so without drain.
func (s *Supervisor) Stop(ctx context.Context) error { return s.ask(ctx, request{op: "stop"}) }

// Kill ends all nodes at once.
func (s *Supervisor) Kill(ctx context.Context) error { return s.ask(ctx, request{op: "kill"}) }

// Restart stops one node with drain and starts it again.
func (s *Supervisor) Restart(ctx context.Context, name string) error {
	return s.ask(ctx, request{op: "restart", node: name})
}

// State is what was last saved.
func (s *Supervisor) State() State {
	if p := s.last.Load(); p != nil {
		return *p
	}
	return State{}
}

func (s *Supervisor) ask(ctx context.Context, r request) error {
	r.answer = make(chan error, 1)
	select {
	case s.requests <- r:
		return <-r.answer
	case <-s.running:
		return ErrNotRunning
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Supervisor) serve(r request) error {
	switch r.op {
	case "stop":
		s.stop("asked to stop")
	case "kill":
		s.stop("asked to stop at once")
		s.killing = true
	case "restart":
		for _, n := range s.nodes {
			if n.Name == r.node {
				return s.restart(n)
			}
		}
		return fmt.Errorf("restart %s: %w", r.node, ErrNoNode)
	default:
		return fmt.Errorf("unknown request %q", r.op)
	}
	return nil
}

func (s *Supervisor) stop(why string) {
	if s.stopping {
		return
	}
	s.stopping = true
	s.phase = PhaseStopping
	s.event("", "%s", why)
	if s.deps.Stopping != nil {
		s.deps.Stopping()
	}
}

// pause is how long nothing needs to be looked at: short while something is
// under way, for a cluster shall be up soon.
func (s *Supervisor) pause() time.Duration {
	for _, n := range s.nodes {
		if n.phase == Starting || n.phase == Stopping {
			return lookSoon
		}
	}
	if len(s.left) > 0 {
		return lookSoon
	}
	return 250 * time.Millisecond
}

// over says that the work is done and nothing runs.
func (s *Supervisor) over() bool {
	if !s.stopping {
		return false
	}
	for _, n := range append(append([]*member(nil), s.nodes...), s.left...) {
		if n.proc != nil {
			return false
		}
	}
	s.phase = PhaseStopped
	s.dirty = true
	s.save()
	return true
}

// verdict names what did not go as it should.
func (s *Supervisor) verdict() error {
	var errs []error
	for _, n := range s.nodes {
		switch {
		case n.killed && !s.killing:
			errs = append(errs, fmt.Errorf("%s did not end within %s and was killed", n.Name, s.cfg.StopTimeout))
		case n.phase == Failed:
			errs = append(errs, fmt.Errorf("%s failed %d times in a row, last: %v", n.Name, n.fails, n.lastExit))
		}
	}
	return errors.Join(errs...)
}

// trimEvery is how often output files are looked at.
const trimEvery = 10 * time.Second

// trim keeps the nodes' output within its bound, with an engine that can.
func (s *Supervisor) trim(now time.Time) {
	t, ok := s.deps.Engine.(engine.Trimmer)
	if !ok || now.Sub(s.trimmed) < trimEvery {
		return
	}
	s.trimmed = now
	for _, n := range s.nodes {
		if n.proc == nil {
			continue
		}
		if err := t.Trim(n.Name); err != nil && s.deps.Log != nil {
			s.deps.Log.Warn(err.Error(), "node", n.Name)
		}
	}
}

// event notes something a person wants to read in status and in the log.
func (s *Supervisor) event(node, text string, args ...any) {
	s.dirty = true
	text = fmt.Sprintf(text, args...)
	s.events = append(s.events, Event{Time: time.Now(), Node: node, Text: text})
	if over := len(s.events) - keptEvents; over > 0 {
		s.events = append([]Event(nil), s.events[over:]...)
	}
	if s.deps.Log != nil {
		if node != "" {
			s.deps.Log.Info(text, "node", node)
			return
		}
		s.deps.Log.Info(text)
	}
}

// save hands the state on if it has changed. A full disk must not stop
// supervision: the failure is logged once and tried again at the next change.
func (s *Supervisor) save() {
	if !s.dirty {
		return
	}
	s.dirty = false
	st := s.state()
	s.last.Store(&st)
	if s.deps.Save == nil {
		return
	}
	if err := s.deps.Save(st); err != nil && s.deps.Log != nil {
		s.deps.Log.Error("save state", "err", err)
	}
}
