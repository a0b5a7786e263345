package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/host/engine/native"
	"github.com/picket-nsm/picket/host/supervisor"
)

const stopLong = `Stop a cluster in order: workers, proxies, manager, loggers, hub, each draining
what it holds; one that does not end in time is killed, and named. It returns
when all have ended. If the supervisor has died, its nodes are found and stopped
all the same.`

const stopExample = `  picket stop
  picket stop --spool /var/spool/picket
  picket stop --now                         kill, without drain`

func stopCommand() *cobra.Command {
	var spool string
	var now bool
	cmd := &cobra.Command{
		Use:     "stop",
		Short:   "Stop a cluster in order",
		Long:    stopLong,
		Example: stopExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
			defer cancel()
			op := "stop"
			if now {
				op = "kill"
			}
			_, err := supervisor.Ask(ctx, spool, supervisor.Request{Op: op})
			if errors.Is(err, supervisor.ErrNotRunning) {
				return stopOrphans(ctx, cmd, spool, now)
			}
			if err != nil {
				return noSupervisor("stop", spool, err)
			}
			for supervisor.Held(spool) {
				select {
				case <-time.After(50 * time.Millisecond):
				case <-ctx.Done():
					return errors.New("stop: no longer waiting; the cluster goes on stopping")
				}
			}
			st, err := supervisor.LoadState(spool)
			if err != nil {
				return fmt.Errorf("stop: %w", err)
			}
			if now {
				return nil
			}
			return killed(st)
		},
	}
	addSpool(cmd, &spool)
	cmd.Flags().BoolVar(&now, "now", false, "kill at once instead of letting nodes drain")
	return cmd
}

// killed names the nodes that did not end by themselves.
func killed(st supervisor.State) error {
	var errs []error
	for _, n := range st.Nodes {
		if n.Killed {
			errs = append(errs, fmt.Errorf("stop: %s did not end in time and was killed", n.Name))
		}
	}
	if errs == nil {
		return nil
	}
	return withCode(exitPartial, errors.Join(errs...))
}

// stopOrphans ends the nodes of a supervisor that has died: a new one takes them
// over as they are and stops them in order.
func stopOrphans(ctx context.Context, cmd *cobra.Command, dir string, now bool) error {
	if _, err := os.Stat(filepath.Join(dir, "state.json")); err != nil {
		return fmt.Errorf("stop: no cluster has run in %s; --spool names another folder", dir)
	}
	spool, err := supervisor.OpenSpool(dir)
	if err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	defer spool.Close()
	st, err := supervisor.LoadState(spool.Dir)
	if err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	eng, err := native.New(native.Config{Spool: spool.Dir})
	if err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	if len(supervisor.Survivors(st, eng)) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "nothing runs")
		return nil
	}
	return stopFound(ctx, spool, eng, st, now, (&lines{w: cmd.OutOrStdout()}).log())
}

// stopFound ends all nodes that an earlier supervisor left running.
func stopFound(ctx context.Context, spool *supervisor.Spool, eng engine.Engine, st supervisor.State, now bool, log *slog.Logger) error {
	cfg := supervisor.DefaultConfig()
	cfg.Cluster, cfg.Run, cfg.RunStarted, cfg.StopFound = st.Cluster, st.Run, st.RunStarted, true
	for _, n := range st.Nodes {
		cfg.Nodes = append(cfg.Nodes, supervisor.Node{Spec: engine.Spec{Name: n.Name, Role: n.Role}})
	}
	sup := supervisor.New(cfg, deps(spool, eng, st.RunStarted, log), st)
	if !now {
		return sup.Run(ctx)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = sup.Kill(ctx) })
	return sup.Run(ctx)
}
