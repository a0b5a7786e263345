package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/bus/state"
	"github.com/picket-nsm/picket/policy/builtin/weird"
	"github.com/picket-nsm/picket/zeek/layout"
)

// runProxy answers for the shared state that is its own until ctx ends.
func (n *node) runProxy(ctx context.Context) error {
	dir, err := n.stateDir()
	if err != nil {
		return err
	}
	owner, err := state.NewOwner(state.OwnerConfig{Name: n.spec.Name, Dir: dir}, n.cluster)
	if err != nil {
		return err
	}
	over, stop := context.WithCancel(context.Background())
	defer stop()
	var owning group
	owning.start(func() error { return owner.Run(over) })
	if err := n.join(ctx); err != nil {
		return errors.Join(err, stopAll(stop, &owning))
	}
	n.ready()
	<-ctx.Done()
	return stopAll(stop, &owning)
}

// stateDir is where this run's shared state lies. Another run's is removed: its
// packets are not ours, though their times may be.
func (n *node) stateDir() (string, error) {
	const prefix = "state"
	dir := filepath.Join(n.spec.Dir, prefix)
	if n.spec.Run != "" {
		dir += "-" + n.spec.Run
	}
	old, err := filepath.Glob(filepath.Join(n.spec.Dir, prefix+"*"))
	if err != nil {
		return "", fmt.Errorf("shared state: %w", err)
	}
	for _, o := range old {
		if o != dir {
			if err := os.RemoveAll(o); err != nil {
				return "", fmt.Errorf("shared state of an earlier run: %w", err)
			}
		}
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// claims returns what asks the proxies for what the cluster reports once, and
// what runs it. Without proxies in the layout the worker remembers by itself.
func (n *node) claims() (weird.Once, func(context.Context) error, error) {
	var names []string
	for _, p := range n.layout.Proxies() {
		if !slices.Contains(n.spec.Zeek, p.Name) { // these know nothing of our claims
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return nil, func(context.Context) error { return nil }, nil
	}
	client, err := state.NewClient(state.ClientConfig{ID: n.id, Proxies: names, Now: n.deps.Now}, n.cluster)
	if err != nil {
		return nil, nil, err
	}
	n.onChange = func(x cluster.Node, up bool) {
		if up && x.Role == layout.Proxy {
			client.Up(x.Name)
		}
	}
	return claimer{client}, client.Run, nil
}

// claimer lets policy ask a state.Client: bus does not know policy.
type claimer struct{ client *state.Client }

// Claim implements weird.Once.
func (c claimer) Claim(w weird.Claim, answer func(bool)) {
	c.client.Claim(state.Claim{
		Producer: w.Producer, Start: w.Start, Seq: w.Seq, Key: w.Key, TTL: w.TTL, Now: float64(w.Now),
	}, answer)
}

// Poll implements poller.
func (c claimer) Poll() { c.client.Poll() }
