package node

import (
	"context"
	"errors"
	"time"

	"github.com/picket-nsm/picket/bus/cluster"
	clusterlog "github.com/picket-nsm/picket/policy/builtin/cluster"
)

// change is a node that came or went, or another line for cluster.log.
type change struct {
	node cluster.Node
	up   bool
	at   time.Time
	text string
}

// runManager writes cluster.log through the loggers until ctx ends.
func (n *node) runManager(ctx context.Context) error {
	out, err := n.newLine(false)
	if err != nil {
		return err
	}
	log := clusterlog.New(out.open(clusterlog.Schema()), n.spec.Name)
	desk, err := n.leaseDesk(out)
	if err != nil {
		return err
	}
	if err := out.check(); err != nil {
		return err
	}
	// Bounded by what a cluster can have in changes at a time; a full queue holds
	// up the presence of this node alone, and nothing is dropped.
	changes := make(chan change, 1024)
	over := make(chan struct{})
	n.onChange = func(x cluster.Node, up bool) {
		if _, ok := n.layout.Node(x.Name); !ok {
			return // the hub, or a tool: not a node to Zeek
		}
		select {
		case changes <- change{node: x, up: up, at: n.deps.Now()}:
		case <-over:
		}
	}
	note := func(text string) {
		select {
		case changes <- change{text: text, at: n.deps.Now()}:
		case <-over:
		}
	}
	n.onStranger = note
	down, stop := context.WithCancel(context.Background())
	defer stop()
	var shipping group
	shipping.start(func() error { return out.ship.Run(down) })
	if err := n.join(ctx, out); err != nil {
		close(over)
		return errors.Join(err, stopAll(stop, &shipping))
	}
	n.ready()
	shut, closed := n.openDoors(note)
	defer shut()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	write := func(c change) {
		at := float64(c.at.UnixNano()) / 1e9
		if c.text != "" {
			log.Message(at, c.text)
		} else if c.up {
			log.NodeUp(at, c.node.Name, c.node.ID)
		} else {
			log.NodeDown(at, c.node.Name)
		}
	}
	for ctx.Err() == nil {
		select {
		case c := <-changes:
			write(c)
		case now := <-tick.C:
			desk.Tick(n.deps.Now())
			out.batcher.Tick(now)
		case <-ctx.Done():
		}
	}
	// The doors close first: they have something to say about it.
	shut()
	for open := true; open; {
		select {
		case c := <-changes:
			write(c)
		case <-closed:
			open = false
		}
	}
	close(over)
	n.settled()
	desk.Close(n.deps.Now())
	for len(changes) > 0 {
		write(<-changes)
	}
	return errors.Join(out.drain(n.spec.drain()), stopAll(stop, &shipping))
}
