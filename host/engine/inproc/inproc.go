// Package inproc runs nodes as goroutines of this process. It is the engine of
// tests: above it, the supervisor cannot tell the difference.
//
// It owns one goroutine per node. It never leaves one behind that heeds its
// Life; one that heeds neither Stop nor Kill cannot be ended, as a goroutine
// has no SIGKILL.
package inproc

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/picket-nsm/picket/host/engine"
)

// Life is what a node's body is given.
type Life struct {
	Spec   engine.Spec
	Stop   <-chan struct{} // closed: drain and return
	Kill   <-chan struct{} // closed: return at once
	Stdout io.Writer
	Stderr io.Writer
}

// Body is a node. It returns its exit code.
type Body func(Life) int

// Engine is the engine. It outlives supervisors, as the system outlives ours.
type Engine struct {
	spool string
	body  Body

	mu   sync.Mutex
	next int
	live map[int]*process
}

// New makes an engine that runs body for each node. Output goes below spool;
// an empty spool throws it away.
func New(spool string, body Body) *Engine {
	return &Engine{spool: spool, body: body, next: 1 << 22, live: map[int]*process{}}
}

// Start runs a node.
func (e *Engine) Start(s engine.Spec) (engine.Process, error) {
	out, errOut, err := e.output(s.Name)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	e.mu.Lock()
	e.next++
	p := &process{
		pid:  e.next,
		stop: make(chan struct{}),
		kill: make(chan struct{}),
		done: make(chan struct{}),
	}
	e.live[p.pid] = p
	e.mu.Unlock()
	go func() {
		defer close(p.done)
		code := e.body(Life{Spec: s, Stop: p.stop, Kill: p.kill, Stdout: out, Stderr: errOut})
		out.Close()
		errOut.Close()
		p.mu.Lock()
		p.exit = engine.Exit{Code: code, Time: time.Now()}
		if p.killed {
			p.exit.Code, p.exit.Signal = -1, int(syscall.SIGKILL)
		}
		p.mu.Unlock()
		e.mu.Lock()
		delete(e.live, p.pid)
		e.mu.Unlock()
	}()
	return p, nil
}

// Adopt finds a node again by its number.
func (e *Engine) Adopt(name string, h engine.Handle) (engine.Process, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.live[h.PID]
	if p == nil || p.Handle() != h {
		return nil, fmt.Errorf("adopt %s: pid %d: %w", name, h.PID, engine.ErrGone)
	}
	return p, nil
}

func (e *Engine) output(name string) (out, errOut io.WriteCloser, err error) {
	if e.spool == "" {
		return nothing{io.Discard}, nothing{io.Discard}, nil
	}
	dir := filepath.Join(e.spool, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	const flags = os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if out, err = os.OpenFile(filepath.Join(dir, "stdout.log"), flags, 0o600); err != nil {
		return nil, nil, err
	}
	if errOut, err = os.OpenFile(filepath.Join(dir, "stderr.log"), flags, 0o600); err != nil {
		out.Close()
		return nil, nil, err
	}
	return out, errOut, nil
}

type nothing struct{ io.Writer }

func (nothing) Close() error { return nil }

type process struct {
	pid        int
	stop, kill chan struct{}
	done       chan struct{}

	mu      sync.Mutex
	stopped bool
	killed  bool
	exit    engine.Exit
}

func (p *process) Handle() engine.Handle {
	return engine.Handle{PID: p.pid, Start: strconv.Itoa(p.pid)}
}

func (p *process) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopped {
		p.stopped = true
		close(p.stop)
	}
	return nil
}

func (p *process) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.killed {
		p.killed = true
		close(p.kill)
	}
	return nil
}

func (p *process) Wait(ctx context.Context) (engine.Exit, error) {
	select {
	case <-p.done:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.exit, nil
	case <-ctx.Done():
		return engine.Exit{}, ctx.Err()
	}
}
