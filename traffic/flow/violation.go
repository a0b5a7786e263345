package flow

import (
	"slices"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Failure is an analyzer that was taken off a connection although its protocol
// had been confirmed; or, with Packet set, a tunnel whose header was wrong for the
// first time, confirmed or not.
type Failure struct {
	Time     packet.Time // network time
	Packet   bool        // what Zeek calls a packet analyzer; its service stays
	Analyzer string      // the factory's name, or the tunnel's
	Reason   string
	Data     []byte // what was wrong; nil: not said
	ID       analyzer.ID
}

// FailureHandler is an extra ability of a Handler, asked for once. f is
// borrowed.
type FailureHandler interface{ AnalyzerFailed(f *Failure) }

// maxViolations is how many violations of one analyzer count; the next is a
// weird, the others are nothing.
const maxViolations = 1000

// Violation takes the analyzer being called off the connection, and its name out
// of the service column, unless the connection has gone on for long or is not
// whole.
func (c *Conn) Violation(service, reason string, data []byte) {
	if c.c.tcp != 0 {
		if tc := c.t.tcps.get(c.c.tcp); tc.partial || tc.end[0].gapped || tc.end[1].gapped {
			return // parsing what is not whole is too unreliable
		}
	}
	if c.c.side == 0 || c.running == 0 {
		return
	}
	s := c.t.sides.get(c.c.side)
	a := &s.analyzers[c.running-1]
	if a.a == nil {
		return
	}
	name := c.t.choices.list[a.factory].Name
	if a.violations++; a.violations > maxViolations {
		if a.violations == maxViolations+1 {
			c.t.connWeird(c.slot, c.c, "too_many_analyzer_violations", "", name)
		}
		return
	}
	d := &c.t.cfg.Detection
	if orig, resp := c.Bytes(); d.ViolationsUntil > 0 && orig+resp > d.ViolationsUntil || slices.Contains(d.IgnoreViolations, name) {
		return
	}
	a.failed = true
	i := slices.Index(s.services, service)
	if i < 0 {
		return // nobody had said that it is there
	}
	s.services = slices.Delete(s.services, i, i+1)
	if slices.Contains(s.failures, name) {
		return
	}
	s.failures = append(s.failures, name)
	if c.t.failures != nil {
		c.t.failures.AnalyzerFailed(&Failure{Time: c.t.now, Analyzer: name, Reason: reason, Data: data, ID: c.ID()})
	}
}
