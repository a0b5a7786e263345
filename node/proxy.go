package node

import (
	"context"

	"github.com/picket-nsm/picket/policy/builtin/weird"
)

// claims asks the proxies for what the cluster reports once.
func (n *node) claims() (weird.Once, error) { return nil, nil }

// runProxy holds shared state until ctx ends.
func (n *node) runProxy(ctx context.Context) error {
	if err := n.join(ctx); err != nil {
		return err
	}
	n.ready()
	<-ctx.Done()
	return nil
}
