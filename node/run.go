package node

import "context"

// Run is a node's life: it opens its ledger, becomes ready, works until ctx
// ends, drains and returns.
func Run(ctx context.Context, spec Spec) error {
	<-ctx.Done()
	return nil
}
