package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/control/plan"
	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/traffic/capture/afpacket"
	"github.com/picket-nsm/picket/traffic/capture/filter"
)

// sockets are the capture sockets of all interfaces. They belong to this
// process, so that they outlive a worker: no flow moves when one dies, and its
// successor goes on with the same ring.
type sockets struct {
	groups []*afpacket.Group
	notes  []socketNote
}

// socketNote is what the next supervisor must know to take a group over.
type socketNote struct {
	Interface string        `json:"interface"`
	Workers   []string      `json:"workers"` // in the order of the group
	Filter    string        `json:"filter"`
	RingSize  config.Size   `json:"ring_size"`
	Ring      afpacket.Ring `json:"ring"`
}

const fileSockets = "capture.json"

// sameGroup says whether a noted group is just what is wanted now.
func (n socketNote) sameGroup(o socketNote) bool {
	return n.Interface == o.Interface && n.Filter == o.Filter && n.RingSize == o.RingSize && slices.Equal(n.Workers, o.Workers)
}

// wantedSockets lists the groups that a plan needs.
func wantedSockets(in plan.Input) []socketNote {
	var out []socketNote
	at := -1
	for _, w := range plan.Workers(in) {
		if w.Interface < 0 {
			continue
		}
		if w.Interface != at {
			at = w.Interface
			out = append(out, socketNote{
				Interface: config.Device(in.Config.Interfaces[at].Name), Filter: w.Filter, RingSize: in.Config.Capture.Ring,
			})
		}
		n := &out[len(out)-1]
		n.Workers = append(n.Workers, w.Name)
	}
	return out
}

// adoptSockets takes over the groups of an earlier supervisor from the workers
// that still run. nil with no error: there is nothing to take over. An error
// says why its workers cannot go on.
func adoptSockets(in plan.Input, spool string, survivors []supervisor.NodeState) (*sockets, error) {
	if !slices.ContainsFunc(survivors, func(n supervisor.NodeState) bool { return n.Role == "worker" }) {
		return nil, nil
	}
	wanted := wantedSockets(in)
	text, err := os.ReadFile(filepath.Join(spool, fileSockets))
	if errors.Is(err, os.ErrNotExist) && len(wanted) == 0 {
		return nil, nil // they read files, and shall
	}
	var noted []socketNote
	if err == nil {
		err = json.Unmarshal(text, &noted)
	}
	if err != nil {
		return nil, fmt.Errorf("what is known of their capture sockets: %w", err)
	}
	if !slices.EqualFunc(noted, wanted, socketNote.sameGroup) {
		return nil, errors.New("interfaces, workers, filter or ring have changed")
	}
	s := &sockets{notes: noted}
	for _, n := range noted {
		var holders []afpacket.Holder
		for _, w := range n.Workers {
			i := slices.IndexFunc(survivors, func(x supervisor.NodeState) bool { return x.Name == w })
			if i < 0 {
				s.Close()
				return nil, fmt.Errorf("the capture socket of %s was lost with it", w)
			}
			holders = append(holders, afpacket.Holder{PID: survivors[i].Handle.PID, FD: engine.FirstFile})
		}
		g, err := afpacket.Adopt(n.Ring, holders)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.groups = append(s.groups, g)
	}
	return s, nil
}

// openSockets makes new groups. From here on packets wait in the rings.
func openSockets(in plan.Input, spool string) (*sockets, error) {
	s := &sockets{notes: wantedSockets(in)}
	for i := range s.notes {
		n := &s.notes[i]
		g, err := openGroup(n)
		if err != nil {
			s.Close()
			return nil, err
		}
		n.Ring = g.Ring()
		s.groups = append(s.groups, g)
	}
	path := filepath.Join(spool, fileSockets)
	if len(s.notes) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("forget capture sockets: %w", err)
		}
		return s, nil
	}
	text, err := json.Marshal(s.notes)
	if err == nil {
		err = replaceFile(path, text)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("note capture sockets: %w", err)
	}
	return s, nil
}

// openGroup makes the sockets of one interface; the kernel runs the filter.
func openGroup(n *socketNote) (*afpacket.Group, error) {
	o := afpacket.Options{RingMiB: int(n.RingSize >> 20)}
	if n.Filter != "" {
		link, err := afpacket.Link(n.Interface)
		if err != nil {
			return nil, err
		}
		p, err := filter.Compile(n.Filter, uint16(link), 0)
		if err != nil {
			return nil, fmt.Errorf("filter of %s: %w", n.Interface, err)
		}
		if o.Filter, err = p.Kernel(); err != nil {
			return nil, fmt.Errorf("filter of %s: %w", n.Interface, err)
		}
	}
	return afpacket.OpenGroup(n.Interface, len(n.Workers), o)
}

// give hands each worker its socket.
func (s *sockets) give(nodes []supervisor.Node) {
	for i, g := range s.groups {
		for k, name := range s.notes[i].Workers {
			for j := range nodes {
				if n := &nodes[j]; n.Name == name {
					n.Files = []*os.File{g.Files()[k]}
					n.Node.Capture.SocketFD = engine.FirstFile
					n.Node.Capture.SocketRing = g.Ring()
				}
			}
		}
	}
}

// stop ends the capture for good: what is in the rings is still read.
func (s *sockets) stop() {
	for _, g := range s.groups {
		_ = g.Stop() // a socket that cannot be stopped ends with its worker
	}
}

// Close gives the sockets up; a worker that still runs keeps its own.
func (s *sockets) Close() {
	for _, g := range s.groups {
		_ = g.Close()
	}
}
