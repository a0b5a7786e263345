package supervisor

import (
	"slices"
)

// adopt takes over what an earlier supervisor left running. A node that is
// wanted just as it runs goes on undisturbed. One that is wanted otherwise, or
// not at all, is stopped first; it is named with the reason.
func (s *Supervisor) adopt(earlier State) {
	alive := 0
	for _, e := range earlier.Nodes {
		if e.Handle.PID == 0 {
			continue
		}
		p, err := s.deps.Engine.Adopt(e.Name, e.Handle)
		if err != nil {
			continue
		}
		alive++
		i := slices.IndexFunc(s.nodes, func(n *member) bool { return n.Name == e.Name })
		if i >= 0 && (s.cfg.StopFound || s.nodes[i].hash == e.Hash) {
			n := s.nodes[i]
			n.remember(e)
			n.proc, n.adopted = p, true
			n.phase = Starting // until its ledger says more
			s.event(n.Name, "adopted, pid %d", e.Handle.PID)
			continue
		}
		why := "it is not in the configuration any more"
		if i >= 0 {
			why = "its configuration has changed"
		}
		left := &member{Node: Node{}, phase: Ready, reason: why, proc: p, adopted: true}
		left.Name, left.Role = e.Name, e.Role
		s.left = append(s.left, left)
	}
	if alive == 0 {
		return
	}
	// The run goes on: what had finished in it does not begin again, and counts continue.
	for _, n := range s.nodes {
		if n.proc != nil {
			continue
		}
		for _, e := range earlier.Nodes {
			if e.Name != n.Name || e.Hash != n.hash && !s.cfg.StopFound {
				continue
			}
			n.remember(e)
			if n.Once && e.Phase == Done {
				n.phase, n.passed = Done, true
				continue
			}
			if e.Handle.PID != 0 && !s.cfg.StopFound {
				n.restarts++
				s.event(n.Name, "ended while no supervisor ran; starts again")
			}
		}
	}
}

// remember takes over what is counted over all lives.
func (n *member) remember(e NodeState) {
	n.life, n.restarts, n.fails = e.Life, e.Restarts, e.Fails
	n.started, n.lastExit, n.asked, n.stderr = e.Started, e.LastExit, e.Asked, e.Stderr
	n.since = e.Since
}
