// Package native runs a node as a process of its own: this very binary, started
// again with the node's arguments.
//
// The child gets a session and process group of its own, so that a Ctrl-C at
// the terminal reaches only the supervisor, and the supervisor's death reaches
// no child. It works in spool/NAME, has CLUSTER_NODE in its environment, and
// writes its output straight into files there: no pipe that could fill up or
// break. Its spec comes on an inherited descriptor without a name in any folder.
//
// The engine owns the working folders and the output files. It never restarts.
package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/internal/procinfo"
	"github.com/picket-nsm/picket/node"
)

// Config says where and what to run.
type Config struct {
	Program string // binary; empty: this one
	Spool   string // folder with one folder per node
	Output  Output
}

// Engine starts processes. One goroutine uses it.
type Engine struct {
	cfg Config
}

// New makes an engine. It starts nothing.
func New(cfg Config) (*Engine, error) {
	if cfg.Program == "" {
		p, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find own binary: %w", err)
		}
		cfg.Program = p
	}
	abs, err := filepath.Abs(cfg.Spool)
	if err != nil {
		return nil, fmt.Errorf("spool %s: %w", cfg.Spool, err)
	}
	cfg.Spool = abs
	cfg.Output = cfg.Output.withDefaults()
	return &Engine{cfg: cfg}, nil
}

// Start runs a node.
func (e *Engine) Start(s engine.Spec) (engine.Process, error) {
	p, err := e.start(s)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	return p, nil
}

func (e *Engine) start(s engine.Spec) (*child, error) {
	dir := filepath.Join(e.cfg.Spool, s.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	spec, err := handOver(s.Node)
	if err != nil {
		return nil, fmt.Errorf("hand over spec: %w", err)
	}
	defer spec.Close()
	out, errOut, err := e.cfg.Output.open(dir)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	defer errOut.Close()

	cmd := exec.Command(e.program(), s.Args...)
	cmd.Args[0] = "picket"
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Env = append(cmd.Env, "CLUSTER_NODE="+s.Name, engine.EnvSpecFD+"=3")
	if s.Memory > 0 {
		cmd.Env = append(cmd.Env, "GOMEMLIMIT="+strconv.FormatInt(s.Memory, 10))
	}
	cmd.Stdout, cmd.Stderr = out, errOut
	cmd.ExtraFiles = append([]*os.File{spec}, s.Files...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := startPinned(cmd, s.Pin); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, done: make(chan struct{})}
	// A child that ended before we asked has no start time any more; nobody can adopt it.
	c.handle = engine.Handle{PID: cmd.Process.Pid}
	if id, err := procinfo.Identity(cmd.Process.Pid); err == nil {
		c.handle.Start = id
	}
	go c.reap()
	return c, nil
}

// handOver writes the spec where only its descriptor leads to.
func handOver(s node.Spec) (*os.File, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	f, err := secret()
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(text); err == nil {
		_, err = f.Seek(0, 0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// program is the binary; the running one where its file has been replaced or
// removed, as go run does.
func (e *Engine) program() string {
	if _, err := os.Stat(e.cfg.Program); err != nil {
		if _, err := os.Stat("/proc/self/exe"); err == nil {
			return "/proc/self/exe"
		}
	}
	return e.cfg.Program
}

// Adopt finds a process again that an earlier supervisor started.
func (e *Engine) Adopt(name string, h engine.Handle) (engine.Process, error) {
	gone := fmt.Errorf("adopt %s: pid %d: %w", name, h.PID, engine.ErrGone)
	if h.PID <= 0 {
		return nil, gone
	}
	// Get hold of the process first (a pidfd where the system has them), then
	// check who it is: this way the number cannot change hands in between.
	p, err := os.FindProcess(h.PID)
	if err != nil {
		return nil, gone
	}
	if id, err := procinfo.Identity(h.PID); err != nil || id != h.Start {
		return nil, gone
	}
	return &adopted{handle: h, proc: p}, nil
}

// Trim keeps a node's output files within their bound.
func (e *Engine) Trim(name string) error {
	return e.cfg.Output.trim(filepath.Join(e.cfg.Spool, name))
}

// child is a process we started: the system tells us how it ends.
type child struct {
	cmd    *exec.Cmd
	handle engine.Handle
	done   chan struct{}

	exit engine.Exit
}

// reap waits for the process. Its goroutine lives as long as the process.
func (c *child) reap() {
	defer close(c.done)
	_ = c.cmd.Wait() // the state tells more than the error
	c.exit = engine.Exit{Code: -1, Time: time.Now()}
	if ws, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		c.exit.Signal = int(ws.Signal())
		return
	}
	c.exit.Code = c.cmd.ProcessState.ExitCode()
}

func (c *child) Handle() engine.Handle { return c.handle }
func (c *child) Stop() error           { return send(c.cmd.Process, syscall.SIGTERM) }
func (c *child) Kill() error           { return send(c.cmd.Process, syscall.SIGKILL) }

func (c *child) Wait(ctx context.Context) (engine.Exit, error) {
	select {
	case <-c.done:
		return c.exit, nil
	case <-ctx.Done():
		return engine.Exit{}, ctx.Err()
	}
}

// adopted is a process that is not our child.
type adopted struct {
	handle engine.Handle
	proc   *os.Process
}

func (a *adopted) Handle() engine.Handle { return a.handle }
func (a *adopted) Stop() error           { return send(a.proc, syscall.SIGTERM) }
func (a *adopted) Kill() error           { return send(a.proc, syscall.SIGKILL) }

// adoptedPoll is how often we look whether an adopted process still runs.
const adoptedPoll = 100 * time.Millisecond

func (a *adopted) Wait(ctx context.Context) (engine.Exit, error) {
	tick := time.NewTicker(adoptedPoll)
	defer tick.Stop()
	for {
		if id, err := procinfo.Identity(a.handle.PID); err != nil || id != a.handle.Start {
			return engine.Exit{Code: -1, Unknown: true, Time: time.Now()}, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return engine.Exit{}, ctx.Err()
		}
	}
}

// send signals a process; to one that has ended it is harmless.
func send(p *os.Process, sig syscall.Signal) error {
	if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal pid %d: %w", p.Pid, err)
	}
	return nil
}
