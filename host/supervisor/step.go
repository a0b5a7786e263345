package supervisor

import (
	"time"

	"github.com/picket-nsm/picket/host/engine"
)

// step looks at every node once and moves each by at most one transition.
func (s *Supervisor) step(now time.Time) {
	s.stopLeft(now)
	for _, n := range s.nodes {
		s.look(n, now)
	}
	if s.stopping {
		s.stopGroup(now)
		for _, n := range s.nodes {
			if n.phase == Down && !now.Before(n.next) {
				s.start(n, now)
			}
		}
		return
	}
	if len(s.left) > 0 {
		return // never a second copy beside what is still ending
	}
	s.openGate(now)
	for _, n := range s.nodes {
		if n.proc == nil && rank(n.Role) <= s.gate && (n.phase == Waiting || n.phase == Down) && !now.Before(n.next) {
			s.start(n, now)
		}
	}
	s.finished()
}

// look compares a running node with what it tells about itself.
func (s *Supervisor) look(n *member, now time.Time) {
	if n.proc == nil {
		return
	}
	if n.phase == Stopping {
		s.enforce(n, now)
		return
	}
	if now.Before(n.look) {
		return
	}
	n.look = now.Add(s.lookEvery(n.phase))
	o := s.deps.Observe(n.Name)
	mine := o.PID == n.proc.Handle().PID
	switch n.phase {
	case Starting:
		if mine && (o.Ready || o.Ended) {
			n.passed = true
			n.late = false
			n.enter(Ready, now)
			s.dirty = true
			if !n.adopted {
				s.event(n.Name, "ready after %s", now.Sub(n.started).Round(time.Millisecond))
			}
		} else if !n.late && now.Sub(n.started) >= s.cfg.StartTimeout {
			n.late, n.passed = true, true
			s.event(n.Name, "not ready after %s; the others go on", s.cfg.StartTimeout)
		}
	case Ready:
		if mine && !o.Ended && now.Sub(o.Beat) > s.cfg.HangAfter {
			n.enter(Hangs, now)
			s.event(n.Name, "hangs: no heartbeat for %s", now.Sub(o.Beat).Round(time.Second))
		}
		if n.fails > 0 && now.Sub(n.since) >= s.cfg.Backoff.Healthy {
			n.fails = 0
			s.dirty = true
		}
	case Hangs:
		if mine && now.Sub(o.Beat) <= s.cfg.HangAfter {
			n.enter(Ready, now)
			s.event(n.Name, "has a heartbeat again")
		}
	}
}

// How often a ledger is looked at: of a node that is starting soon again, unless so
// many are that looking would take from them what they need.
const (
	lookSoon     = 20 * time.Millisecond
	lookLater    = time.Second // of one that is ready
	looksAtATime = 16          // each lookSoon
)

func (s *Supervisor) lookEvery(p Phase) time.Duration {
	if p != Starting {
		return min(lookLater, s.cfg.HangAfter/10)
	}
	starting := 0
	for _, n := range s.nodes {
		if n.phase == Starting {
			starting++
		}
	}
	return lookSoon * time.Duration(1+starting/looksAtATime)
}

// overdue says that a node has been tried for so long, over all its lives, that
// the others need not wait for it.
func (s *Supervisor) overdue(n *member, now time.Time) bool {
	if n.tried.IsZero() || now.Sub(n.tried) < s.cfg.StartTimeout {
		return false
	}
	n.passed = true
	if !n.late {
		n.late = true
		s.event(n.Name, "not ready after %s; the others go on", s.cfg.StartTimeout)
	}
	return true
}

// openGate lets the next group start when all before it are ready or late.
func (s *Supervisor) openGate(now time.Time) {
	for s.gate <= lastRank {
		for _, n := range s.nodes {
			if rank(n.Role) == s.gate && !n.passed && !n.over() && !s.overdue(n, now) {
				return
			}
		}
		s.gate++
	}
	if s.phase == PhaseStarting {
		s.phase = PhaseUp
		s.event("", "all nodes have started")
	}
}

func (s *Supervisor) start(n *member, now time.Time) {
	n.life++
	n.started = now
	if n.tried.IsZero() {
		n.tried = now
	}
	n.late, n.killed, n.adopted, n.again = false, false, false, false
	spec := n.Spec
	if s.deps.Prepare != nil {
		spec = s.deps.Prepare(spec, n.life)
	}
	p, err := s.deps.Engine.Start(spec)
	if err != nil {
		n.stderr = nil
		s.failed(n, engine.Exit{Code: -1, Time: now}, err.Error(), now)
		return
	}
	n.proc = p
	n.enter(Starting, now)
	s.dirty = true
	s.watch(n)
}

// watch reports the end of a node's process to Run.
func (s *Supervisor) watch(n *member) {
	p, ctx := n.proc, s.waitCtx
	s.waiters.Go(func() {
		x, err := p.Wait(ctx)
		if err != nil {
			return
		}
		select {
		case s.exits <- exited{n, p, x}:
		case <-ctx.Done():
		}
	})
}

// exit decides what the end of a process means.
func (s *Supervisor) exit(x exited, now time.Time) {
	n := x.n
	if n.proc != x.proc {
		return
	}
	n.proc = nil
	n.lastExit = &x.exit
	s.dirty = true
	ended := s.deps.Observe(n.Name)
	worked := x.exit.Code == 0 || x.exit.Unknown && ended.Ended && ended.PID == x.proc.Handle().PID
	switch {
	case n.phase == Stopping && n.again:
		n.again, n.asked = false, true
		n.restarts++
		n.next = now
		n.enter(Waiting, now)
	case n.phase != Stopping && n.Once && worked:
		n.passed = true
		n.enter(Done, now)
		s.event(n.Name, "done")
	case n.phase == Stopping:
		n.enter(Stopped, now)
		if !worked && !n.killed && !x.exit.Unknown {
			s.event(n.Name, "%s while stopping", x.exit)
		}
	default:
		if s.deps.Evidence != nil {
			n.stderr = s.deps.Evidence(n.Name)
		}
		s.failed(n, x.exit, x.exit.String(), now)
	}
}

// failed plans the next life of a node that died, or none.
func (s *Supervisor) failed(n *member, x engine.Exit, why string, now time.Time) {
	n.lastExit, n.asked = &x, false
	n.restarts++
	n.fails++
	if s.stopping && !s.needed(n) {
		n.enter(Stopped, now)
		s.event(n.Name, "%s while stopping", why)
		return
	}
	if n.Once && s.cfg.GiveUp > 0 && n.fails >= s.cfg.GiveUp {
		n.passed = true
		n.enter(Failed, now)
		s.event(n.Name, "%s; given up after %d failures in a row", why, n.fails)
		return
	}
	d := s.cfg.Backoff.Delay(n.fails)
	n.next = now.Add(d)
	n.enter(Down, now)
	if d == 0 {
		s.event(n.Name, "%s; starts again at once", why)
		return
	}
	s.event(n.Name, "%s; starts again in %s (failure %d in a row)", why, d, n.fails)
}

// needed says that others are still draining what this node must take.
func (s *Supervisor) needed(n *member) bool {
	if s.killing || s.cfg.StopFound || n.Role != "hub" && n.Role != "logger" {
		return false
	}
	for _, o := range s.nodes {
		if o.proc != nil && rank(o.Role) > rank(n.Role) {
			return true
		}
	}
	return false
}

// finished stops the cluster when all nodes that end by themselves have.
func (s *Supervisor) finished() {
	some := false
	for _, n := range s.nodes {
		if n.Once {
			some = true
			if !n.over() {
				return
			}
		}
	}
	if some {
		s.stop("all work is done")
	}
}

// restart stops a node and has it start again.
func (s *Supervisor) restart(n *member) error {
	now := time.Now()
	s.event(n.Name, "restart asked for")
	n.fails = 0
	switch {
	case n.proc == nil:
		n.next = now
		n.enter(Waiting, now)
	case n.phase == Stopping:
		n.again = !s.stopping
	default:
		n.again = true
		s.end(n, now)
	}
	return nil
}

// end asks a node to drain and end.
func (s *Supervisor) end(n *member, now time.Time) {
	n.stopAt = now
	n.enter(Stopping, now)
	s.dirty = true
	if err := n.proc.Stop(); err != nil {
		s.event(n.Name, "stop: %v", err)
	}
}

// enforce kills a node that does not end in time.
func (s *Supervisor) enforce(n *member, now time.Time) {
	if n.killed || !s.killing && now.Sub(n.stopAt) < s.cfg.StopTimeout {
		return
	}
	n.killed = true
	if s.killing {
		s.event(n.Name, "killed")
	} else {
		s.event(n.Name, "did not end within %s of being asked: killed", s.cfg.StopTimeout)
	}
	if err := n.proc.Kill(); err != nil {
		s.event(n.Name, "kill: %v", err)
	}
}

// stopGroup asks the last group that still runs to end; those before it wait,
// as what is in flight drains towards them.
func (s *Supervisor) stopGroup(now time.Time) {
	for _, n := range s.nodes {
		if n.proc == nil && !n.over() && !(n.phase == Down && s.needed(n)) {
			n.enter(Stopped, now)
		}
		n.again = false
	}
	last := -1
	for _, n := range s.nodes {
		if n.proc != nil {
			last = max(last, rank(n.Role))
		}
	}
	for _, n := range s.nodes {
		if n.proc != nil && n.phase != Stopping && (s.killing || rank(n.Role) == last) {
			s.end(n, now)
		}
	}
}

// stopLeft ends nodes of an earlier supervisor that are not wanted.
func (s *Supervisor) stopLeft(now time.Time) {
	last := -1
	kept := s.left[:0]
	for _, n := range s.left {
		if n.proc != nil {
			kept = append(kept, n)
			last = max(last, rank(n.Role))
		}
	}
	s.left = kept
	for _, n := range s.left {
		switch {
		case n.phase == Stopping:
			s.enforce(n, now)
		case rank(n.Role) == last:
			s.event(n.Name, "stopping the one with pid %d: %s", n.proc.Handle().PID, n.reason)
			s.end(n, now)
		}
	}
}
