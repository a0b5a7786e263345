// Package control is the operations on a cluster for those who are not on its
// machine, or not at a shell: status and state, restart of a node, stop, and what
// a node prints.
//
// It stands between a guard of package access, which says who asks, and the
// supervisor, which it reaches by the control socket in the spool; status it
// reads from the ledgers, so that works without a supervisor. Operations has one
// method for each thing that may be done: the HTTP paths (docs/formats/control.md),
// the dashboard and picket top all use these. It owns the last look at the
// cluster, which many askers share. It never acts by itself, and changes nothing
// without a line in the audit log.
package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
)

// Keep is how old a look at the cluster may be that is given to the next asker.
const Keep = 500 * time.Millisecond

// lookAgain is the time between two looks where there was none lately: the CPU of
// now needs two.
const lookAgain = 200 * time.Millisecond

// askTime is how long the supervisor may take to answer; it has 5 s itself.
const askTime = 6 * time.Second

// Operations are those on the cluster of one spool. Its methods may be called by
// several goroutines.
type Operations struct {
	spool string
	guard *access.Guard

	mu   sync.Mutex // held while a look is taken
	last *status.Status
	at   time.Time
}

// New is the operations on the cluster of a spool, for those that guard lets in.
func New(spool string, guard *access.Guard) *Operations {
	return &Operations{spool: spool, guard: guard}
}

// Status is the cluster as it was at most Keep ago. The caller only reads it.
func (o *Operations) Status() (*status.Status, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	age := time.Since(o.at)
	if o.last != nil && age < Keep {
		return o.last, nil
	}
	earlier := o.last
	if earlier == nil || age > time.Minute {
		first, err := status.Collect(o.spool, nil)
		if err != nil {
			return nil, err
		}
		time.Sleep(lookAgain)
		earlier = first
	}
	s, err := status.Collect(o.spool, earlier)
	if err != nil {
		return nil, err
	}
	o.last, o.at = s, time.Now()
	return s, nil
}

// State is what the supervisor knows. supervisor.ErrNotRunning: none works.
func (o *Operations) State(ctx context.Context) (*supervisor.State, error) {
	r, err := supervisor.Ask(ctx, o.spool, supervisor.Request{Op: "status"})
	if err != nil {
		return nil, err
	}
	return r.State, nil
}

// Restart stops a node with drain and starts it again. It returns when that is
// under way. The error is an *access.Denied where id may not.
func (o *Operations) Restart(ctx context.Context, id access.Identity, node string) error {
	return o.operate(ctx, id, "restart", node)
}

// Stop stops the cluster in order, each node with drain; with now it kills. It
// returns when that is under way.
func (o *Operations) Stop(ctx context.Context, id access.Identity, now bool) error {
	if now {
		return o.operate(ctx, id, "kill", "")
	}
	return o.operate(ctx, id, "stop", "")
}

// operate has the supervisor do it, which writes the record, too; what did not
// reach it is recorded here.
func (o *Operations) operate(ctx context.Context, id access.Identity, op, node string) error {
	// Who asks may be gone before the answer is there, and we ourselves be asked to
	// end by what we ask for: neither is a reason not to hear it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	return o.guard.Do(id, op, node, func() error {
		as := id.Actor()
		_, err := supervisor.Ask(ctx, o.spool, supervisor.Request{Op: op, Node: node, As: &as})
		var answer *supervisor.AnswerError
		switch {
		case err == nil || errors.As(err, &answer):
			return access.Recorded(err)
		case errors.Is(err, supervisor.ErrNotRunning):
			return fmt.Errorf("%s: %w; picket up on that machine starts one", op, err)
		}
		return fmt.Errorf("%s: %w", op, err)
	})
}
