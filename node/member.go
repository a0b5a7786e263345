package node

import (
	"context"
	"fmt"

	"github.com/picket-nsm/picket/policy/builtin/weird"
)

// join waits until the node is on the bus and tells the lines which loggers
// there are.
func (n *node) join(ctx context.Context, lines ...*line) error {
	if err := n.bus.Flush(ctx); err != nil {
		return fmt.Errorf("join the bus: %w", err)
	}
	var loggers []string
	for _, l := range n.layout.Loggers() {
		loggers = append(loggers, l.Name)
	}
	for _, l := range lines {
		l.ship.Loggers(loggers)
	}
	return nil
}

// claims asks the proxies for what the cluster reports once.
func (n *node) claims() (weird.Once, error) { return nil, nil }

// runManager coordinates until ctx ends.
func (n *node) runManager(ctx context.Context) error {
	if err := n.join(ctx); err != nil {
		return err
	}
	n.ready()
	<-ctx.Done()
	return nil
}

// runProxy holds shared state until ctx ends.
func (n *node) runProxy(ctx context.Context) error {
	if err := n.join(ctx); err != nil {
		return err
	}
	n.ready()
	<-ctx.Done()
	return nil
}
