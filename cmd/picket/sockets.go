package main

import (
	"github.com/picket-nsm/picket/control/plan"
	"github.com/picket-nsm/picket/host/supervisor"
)

// sockets are the capture sockets of all interfaces. They belong to this
// process, so that they outlive a worker.
type sockets struct{ groups []interface{ Close() error } }

// Close gives them up; a worker that still runs keeps its own.
func (s *sockets) Close() {
	for _, g := range s.groups {
		_ = g.Close()
	}
}

func openSockets(in plan.Input, nodes []supervisor.Node) (*sockets, error) {
	return &sockets{}, nil
}
