package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
)

// heartbeat is how often a node notes that it is alive.
const heartbeat = time.Second

// Run is a node's life: it opens its ledger, becomes ready, works until ctx
// ends, drains and returns.
func Run(ctx context.Context, spec Spec) (err error) {
	l, err := ledger.Create(spec.Dir, spec.Name, spec.Role, uint64(time.Now().UnixNano()))
	if err != nil {
		return fmt.Errorf("run %s: %w", spec.Name, err)
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	l.SetState(ledger.Ready, time.Now())
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			l.Heartbeat(now)
		case <-ctx.Done():
			l.SetState(ledger.Draining, time.Now())
			l.SetState(ledger.Stopped, time.Now())
			return nil
		}
	}
}
