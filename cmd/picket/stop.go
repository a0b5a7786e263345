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
all the same. Who stopped it is in the spool's audit.jsonl.`

const stopExample = `  picket stop
  picket stop --spool /var/spool/picket
  picket stop --now                         kill, without drain
  picket stop --url https://sensor-7:27761 --token-file token --ca ca.pem`

func stopCommand() *cobra.Command {
	var t target
	var now bool
	cmd := &cobra.Command{
		Use:     "stop",
		Short:   "Stop a cluster in order",
		Long:    stopLong + targetHelp,
		Example: stopExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
			defer cancel()
			p, err := t.place("stop")
			if err != nil {
				return err
			}
			err = p.Stop(ctx, now)
			spool := t.spool
			switch {
			case t.remote() && err != nil && !(now && !refused(err)): // who kills the hub may get no answer
				return t.explain("stop", err)
			case t.remote():
				return stopsElsewhere(ctx, cmd, p, t.url)
			case errors.Is(err, supervisor.ErrNotRunning):
				return stopOrphans(ctx, cmd, spool, now)
			case err != nil:
				return t.explain("stop", err)
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
			if len(supervisor.Strays(spool, st)) > 0 { // which that supervisor did not know
				return errors.Join(killed(st), stopOrphans(ctx, cmd, spool, now))
			}
			if now {
				return nil
			}
			return killed(st)
		},
	}
	t.add(cmd)
	cmd.Flags().BoolVar(&now, "now", false, "kill at once instead of letting nodes drain")
	return cmd
}

// stopsElsewhere waits until the door is gone, which the hub closes last, and
// names the nodes that were killed until then.
func stopsElsewhere(ctx context.Context, cmd *cobra.Command, p place, url string) error {
	last := supervisor.State{}
	for {
		st, err := p.State(ctx)
		if ctx.Err() != nil {
			return errors.New("stop: no longer waiting; the cluster goes on stopping")
		}
		if err != nil {
			break
		}
		last = *st
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "the cluster at %s has closed its door\n", url)
	return killed(last)
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
	_, err := os.Stat(filepath.Join(dir, "state.json"))
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("stop: %w; only the owner of the spool may stop its cluster", err)
	}
	if err != nil && len(supervisor.Strays(dir, supervisor.State{})) == 0 {
		return fmt.Errorf("stop: no cluster has run in %s; --spool names another folder", dir)
	}
	spool, err := supervisor.OpenSpool(dir)
	if err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	defer spool.Close()
	say := func(s string) { fmt.Fprintln(cmd.OutOrStdout(), s) }
	st, err := earlierState(spool, say)
	if err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	eng, err := native.New(native.Config{Spool: spool.Dir})
	if err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	strays := supervisor.Strays(spool.Dir, st)
	survivors := supervisor.Survivors(st, eng)
	if len(survivors)+len(strays) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "nothing runs")
		return nil
	}
	op := "stop"
	if now {
		op = "kill"
	}
	if err := note(spool.Dir, "command", op, ""); err != nil {
		fmt.Fprintln(cmd.OutOrStdout(), "! "+err.Error()) // a full disk must not keep a cluster running
	}
	log := (&lines{w: cmd.OutOrStdout()}).log()
	err = stopStrays(ctx, spool, eng, st, strays, now, log)
	if len(survivors) > 0 {
		err = errors.Join(err, stopFound(ctx, spool, eng, st, now, log))
	}
	return err
}

// earlierState is what the last supervisor left. One that a power cut or a
// full disk has damaged is set aside: what still runs is found without it.
func earlierState(spool *supervisor.Spool, say func(string)) (supervisor.State, error) {
	st, err := supervisor.LoadState(spool.Dir)
	if !errors.Is(err, supervisor.ErrDamaged) {
		return st, err
	}
	aside, asideErr := spool.SetStateAside()
	if asideErr != nil {
		return st, errors.Join(err, asideErr)
	}
	say(fmt.Sprintf("! %v; it is kept as %s, and what still runs is found by its ledgers", err, aside))
	return supervisor.State{}, nil
}

// stopStrays ends live nodes that the state does not know, and leaves the
// state as it was.
func stopStrays(ctx context.Context, spool *supervisor.Spool, eng engine.Engine, st supervisor.State, strays []supervisor.NodeState, now bool, log *slog.Logger) error {
	if len(strays) == 0 {
		return nil
	}
	found := st
	found.Nodes = strays
	if c, err := spool.LoadCredentials(); err == nil && st.Version == 0 {
		found.Run, found.RunStarted = c.Run, c.Since
	}
	err := stopFound(ctx, spool, eng, found, now, log)
	if st.Version != 0 {
		err = errors.Join(err, spool.Save(st))
	}
	return err
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
