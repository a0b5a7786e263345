package node

import (
	"context"
	"sync"

	"github.com/picket-nsm/picket/bus/backend"
)

// Announced is a door's connection whose subscriptions a member of the cluster
// announces as its own, so that bridges bring what the door wants. They end with
// the connection's Run.
func Announced(bus backend.Driver, want func(prefix string, on bool)) backend.Driver {
	return &announced{Driver: bus, want: want, wanted: map[string]bool{}}
}

type announced struct {
	backend.Driver
	want func(prefix string, on bool)

	mu     sync.Mutex
	wanted map[string]bool
}

// Subscribe implements backend.Events.
func (a *announced) Subscribe(prefix string) error {
	err := a.Driver.Subscribe(prefix)
	if err == nil {
		a.tell(prefix, true)
	}
	return err
}

// Unsubscribe implements backend.Events.
func (a *announced) Unsubscribe(prefix string) error {
	err := a.Driver.Unsubscribe(prefix)
	if err == nil {
		a.tell(prefix, false)
	}
	return err
}

func (a *announced) tell(prefix string, on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wanted[prefix] == on {
		return
	}
	if on {
		a.wanted[prefix] = true
	} else {
		delete(a.wanted, prefix)
	}
	a.want(prefix, on)
}

// Run implements backend.Runner.
func (a *announced) Run(ctx context.Context) error {
	err := a.Driver.Run(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	for prefix := range a.wanted {
		a.want(prefix, false)
	}
	clear(a.wanted)
	return err
}
