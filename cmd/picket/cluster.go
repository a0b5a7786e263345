package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/control/plan"
	"github.com/picket-nsm/picket/host/audit"
	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/host/engine/native"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/procinfo"
	"github.com/picket-nsm/picket/node"
)

// runCluster is picket up once it is clear what shall run.
func runCluster(in plan.Input, show screen) error {
	c := in.Config
	spool, err := supervisor.OpenSpool(c.Cluster.Spool)
	if errors.Is(err, supervisor.ErrLocked) {
		return fmt.Errorf("up: %w; see it with picket status, end it with picket stop, or run another with --spool", err)
	}
	if err != nil {
		return fmt.Errorf("up: %w", err)
	}
	defer spool.Close()
	if g := c.API.Control.Group; g != "" {
		if err := spool.Share(g); err != nil {
			return withCode(exitConfig, fmt.Errorf("up: api.control.group: %w", err))
		}
	}
	eng, err := native.New(native.Config{Spool: spool.Dir, Output: native.Output{
		Lives: c.Supervisor.OutputLives, Bytes: int64(c.Supervisor.OutputSize),
	}})
	if err != nil {
		return fmt.Errorf("up: %w", err)
	}
	earlier, err := earlierState(spool, show.line)
	if err != nil {
		return fmt.Errorf("up: %w; move the file away to start without it", err)
	}
	if strays := supervisor.Strays(spool.Dir, earlier); len(strays) > 0 {
		for _, n := range strays {
			show.line(fmt.Sprintf("%s runs with pid %d and no supervisor knows of it: it ends first", n.Name, n.Handle.PID))
		}
		if err := stopStrays(context.Background(), spool, eng, earlier, strays, false, show.log()); err != nil {
			return fmt.Errorf("up: %w", err)
		}
	}
	survivors := supervisor.Survivors(earlier, eng)
	socks, err := adoptSockets(in, spool.Dir, survivors)
	if err != nil {
		// Two generations of workers would see the same packets: the old one ends first.
		show.line("workers of the earlier picket up cannot go on: " + err.Error())
		if err := stopFound(context.Background(), spool, eng, earlier, false, show.log()); err != nil {
			return fmt.Errorf("up: %w", err)
		}
		if earlier, err = supervisor.LoadState(spool.Dir); err != nil {
			return fmt.Errorf("up: %w", err)
		}
		survivors = nil
	}
	creds, err := credentials(spool, &in, survivors)
	if err != nil {
		return fmt.Errorf("up: %w", err)
	}
	nodes, err := plan.Nodes(in)
	if err != nil {
		return fmt.Errorf("up: %w", err)
	}
	if socks == nil {
		if socks, err = openSockets(in, spool.Dir); err != nil {
			return fmt.Errorf("up: %w", err)
		}
	}
	defer socks.Close()
	socks.give(nodes)
	if len(survivors) == 0 {
		forget(spool.Dir, nodes, show.line)
	}
	if err := writeZeekFiles(in); err != nil {
		return fmt.Errorf("up: %w", err)
	}
	cfg := supervisorConfig(in, creds)
	cfg.Nodes = nodes
	d := deps(spool, eng, cfg.RunStarted, show.log())
	d.Stopping = socks.stop
	sup := supervisor.New(cfg, d, earlier)
	if err := note(spool.Dir, "command", "up", ""); err != nil {
		show.line("! " + err.Error())
	}
	runErr := supervise(spool, sup, show)
	return finish(in, spool.Dir, sup, runErr, show)
}

// writeZeekFiles leaves in the spool what real Zeek processes load.
func writeZeekFiles(in plan.Input) error {
	files, err := plan.ZeekFiles(in)
	if err != nil || len(files) == 0 {
		return err
	}
	dir := plan.ZeekDir(in.Config.Cluster.Spool)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("files for Zeek: %w", err)
	}
	for name, text := range files {
		if err := replaceFile(filepath.Join(dir, name), text); err != nil {
			return fmt.Errorf("files for Zeek: %w", err)
		}
	}
	return nil
}

// supervise runs the supervisor, its socket and the screen until the cluster
// has ended. The first signal stops in order, the second kills.
func supervise(spool *supervisor.Spool, sup *supervisor.Supervisor, show screen) error {
	ctl, err := supervisor.Listen(spool, sup)
	if err != nil {
		return fmt.Errorf("up: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	side, sideCancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer sideCancel()
	defer cancel()
	sigs := make(chan os.Signal, 2)
	catch := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // not under nohup
		catch = append(catch, syscall.SIGHUP)
	}
	// Who reads our lines may end before us (picket up | tee log): that is no reason to leave the nodes alone.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	signal.Notify(sigs, catch...)
	defer signal.Stop(sigs)
	wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case sig := <-sigs:
				op := "stop"
				if n == 0 {
					cancel()
				} else {
					op = "kill"
					_ = sup.Kill(side)
				}
				if err := note(spool.Dir, "signal", op, sig.String()); err != nil {
					show.line("! " + err.Error())
				}
			case <-side.Done():
				return
			}
		}
	})
	wg.Go(func() {
		if err := ctl.Run(side); err != nil {
			show.line("! " + err.Error())
		}
	})
	wg.Go(func() { show.run(side, spool.Dir) })
	return sup.Run(ctx)
}

// note writes into the audit log what the owner of the spool does without the
// control socket: by a command, or a signal, whose name is why. Who sent the
// signal is not known.
func note(spool, via, op, why string) error {
	a := audit.Actor{Role: "owner", From: "unix", Via: via}
	if via == "command" {
		a.Who, a.From = supervisor.UserName(os.Getuid()), fmt.Sprintf("unix pid %d", os.Getpid())
	}
	if why != "" {
		a.From = why
	}
	return audit.New(spool, nil).Add(audit.Entry{Actor: a, Op: op, Outcome: audit.Done})
}

// forget removes the ledgers of earlier runs, but for each node's last one,
// which a logger continues from. One that a power cut has damaged is set aside:
// it would keep the logger from starting, and nothing of this run stands in it.
func forget(spool string, nodes []supervisor.Node, say func(string)) {
	for _, n := range nodes {
		dir := filepath.Join(spool, n.Name)
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		_ = ledger.Prune(dir, 1) // an old ledger in the way costs room, nothing else
		if aside, err := ledger.SetAside(dir); err != nil {
			say("! " + err.Error())
		} else if aside != "" {
			say(fmt.Sprintf("! the last ledger of %s is damaged; it is kept as %s", n.Name, aside))
		}
	}
}

// credentials are those of the nodes that still run, else new ones.
func credentials(spool *supervisor.Spool, in *plan.Input, survivors []supervisor.NodeState) (supervisor.Credentials, error) {
	if len(survivors) > 0 {
		c, err := spool.LoadCredentials()
		if err != nil {
			return c, fmt.Errorf("%w; nodes of an earlier run are alive and nobody knows their password: picket stop ends them", err)
		}
		if was := cmp.Or(c.Bus.Backend, node.BackendNATS); was != in.Config.Bus.Backend {
			return c, fmt.Errorf("nodes of an earlier run are alive and talk over %s, not %s: picket stop ends them", was, in.Config.Bus.Backend)
		}
		in.Bus, in.Run = c.Bus, c.Run
		return c, nil
	}
	c, err := newCredentials(in.Config.Bus)
	if err != nil {
		return c, err
	}
	in.Bus, in.Run = c.Bus, c.Run
	return c, spool.SaveCredentials(c)
}

func supervisorConfig(in plan.Input, creds supervisor.Credentials) supervisor.Config {
	s := in.Config.Supervisor
	cfg := supervisor.DefaultConfig()
	cfg.Cluster, cfg.Run, cfg.RunStarted = in.Config.Cluster.Name, creds.Run, creds.Since
	cfg.StartTimeout, cfg.StopTimeout = time.Duration(s.StartTimeout), time.Duration(s.StopTimeout)
	cfg.HangAfter = time.Duration(s.HangAfter)
	cfg.Backoff = supervisor.Backoff{First: time.Duration(s.RestartFirst), Max: time.Duration(s.RestartMax), Healthy: time.Duration(s.HealthyAfter)}
	return cfg
}

func deps(spool *supervisor.Spool, eng engine.Engine, since time.Time, log *slog.Logger) supervisor.Deps {
	self := engine.Handle{PID: os.Getpid()}
	if id, err := procinfo.Identity(self.PID); err == nil {
		self.Start = id
	}
	return supervisor.Deps{
		Engine: eng, Observe: spool.Observe, Save: spool.Save, Evidence: spool.Evidence, Self: self, Log: log,
		Prepare: func(s engine.Spec, life int) engine.Spec { return resume(spool.Dir, since, s, life) },
	}
}

// resume tells a worker how far its earlier lives in this run have come.
func resume(spool string, since time.Time, s engine.Spec, life int) engine.Spec {
	if s.Role != "worker" || life <= 1 {
		return s
	}
	snaps, err := status.Lives(filepath.Join(spool, s.Name), since)
	if err != nil {
		return s // the worker's own ledger will say so when it starts
	}
	for _, l := range snaps {
		s.Node.Capture.Resume = max(s.Node.Capture.Resume, l.Counters[ledger.PacketsPosition])
		s.Node.Capture.ResumeReceived += l.Counters[ledger.PacketsReceived]
		s.Node.Capture.ResumeDropped += l.Counters[ledger.PacketsKernel]
	}
	return s
}

// logFiles says where the logs are, and how their files are named where that is
// not NAME.log: rotated ones have a date, those of several loggers the logger's name.
func logFiles(c *config.Config) string {
	where := c.Logs.Dir
	if c.Logs.Archive != "" {
		where += ", put aside in " + c.Logs.Archive
	}
	if c.Logs.Rotate > 0 || c.Cluster.Loggers > 1 {
		where += ", as NAME.*.log"
	}
	return where
}

// finish says where the logs are, how many records each has, and where every
// packet and record went.
func finish(in plan.Input, spool string, sup *supervisor.Supervisor, runErr error, show screen) error {
	show.close()
	s, err := status.Collect(spool, nil)
	if err != nil {
		return errors.Join(runErr, err)
	}
	out := show.out()
	if s.Accounting != nil {
		fmt.Fprintf(out, "\nlogs in %s\n", logFiles(&in.Config))
		for _, l := range s.Accounting.Paths() {
			if l.Produced == 0 {
				continue
			}
			fmt.Fprintf(out, "%12d  %s.log\n", l.Written, l.Path)
		}
		fmt.Fprintln(out)
		if err := s.Accounting.Text(out); err != nil {
			return errors.Join(runErr, err)
		}
	}
	for _, p := range s.Problems {
		fmt.Fprintln(out, "! "+p)
	}
	worked := true
	for _, n := range sup.State().Nodes {
		if n.Phase == supervisor.Failed {
			worked = false
			fmt.Fprintf(out, "! %s never worked; its last words, of %s:\n", n.Name, filepath.Join(spool, n.Name, "stderr.log"))
			for _, l := range n.Stderr {
				fmt.Fprintln(out, "    "+l)
			}
		}
	}
	switch {
	case runErr != nil && !worked:
		return fmt.Errorf("up: %w", runErr)
	case runErr != nil:
		return withCode(exitPartial, fmt.Errorf("up: %w", runErr))
	case s.Accounting != nil && lossy(s.Accounting):
		return withCode(exitPartial, errors.New("up: something was lost or is unexplained; the report above says what"))
	}
	return nil
}

// lossy says that packets or records were taken and not delivered. What the
// kernel dropped before we took it is in the report, and no failure of this run.
func lossy(r *ledger.Report) bool {
	if !r.Settled || len(r.Connections) > 0 {
		return true
	}
	for _, l := range []ledger.Line{r.PacketTotal, r.RecordTotal} {
		for _, x := range l.Lost {
			if x.Count > 0 {
				return true
			}
		}
	}
	for _, n := range r.RecordTotal.Dropped {
		if n > 0 {
			return true
		}
	}
	return false
}
