package status

import (
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/procinfo"
)

// A process of which the system tells nothing in time uses what it did before; one
// that has taken its place does not.
func TestNoAnswerInTime(t *testing.T) {
	t0 := time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)
	asked := answer{Usage: procinfo.Usage{PSS: 7, RSS: 9, CPU: time.Second}, at: t0.Add(10 * time.Second)}
	one := Node{Name: "a", PID: 5}
	one.usage(asked, supervisor.NodeState{Started: t0}, nil)
	before := &Status{Nodes: []Node{one}}
	two := Node{Name: "a", PID: 5}
	two.usage(answer{}, supervisor.NodeState{Started: t0}, before)
	if two.PSS != 7 || two.RSS != 9 || two.CPU != 10 {
		t.Errorf("%+v", two)
	}
	// The next answer counts from the last one.
	three := Node{Name: "a", PID: 5}
	asked.at, asked.CPU = t0.Add(12*time.Second), 2*time.Second
	three.usage(asked, supervisor.NodeState{Started: t0}, &Status{Nodes: []Node{two}})
	if three.CPU != 50 {
		t.Errorf("CPU %v", three.CPU)
	}
	for what, n := range map[string]Node{"another process": {Name: "a", PID: 6}, "another node": {Name: "b", PID: 5}, "none": {Name: "a"}} {
		n.usage(answer{}, supervisor.NodeState{}, before)
		if n.PSS != 0 || n.RSS != 0 {
			t.Errorf("%s: %+v", what, n)
		}
	}
}
