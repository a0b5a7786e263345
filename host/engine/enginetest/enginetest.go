// Package enginetest is the kit that every engine passes: start, early exit,
// output kept, a node that ignores stop, and a second supervisor that finds the
// nodes of the first.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/node"
)

// EnvBehave is the variable with which the kit tells a node what to do.
const EnvBehave = "ENGINETEST"

// patience is how long the kit waits for what should take milliseconds.
const patience = time.Minute

// Behave is the node of the kit; the harness has its engine run it. name and
// token are those of the node's spec.
func Behave(what string, name, token string, stdout, stderr io.Writer, stop, kill <-chan struct{}) int {
	switch what {
	case "early":
		return 3
	case "ignore":
		fmt.Fprintln(stdout, "up")
		<-kill
		return 0
	case "talk":
		fmt.Fprintln(stdout, "this is", name)
		fmt.Fprintln(stderr, "token has", len(token), "bytes")
	default:
		fmt.Fprintln(stdout, "up")
	}
	select {
	case <-stop:
	case <-kill:
	}
	return 0
}

// Harness makes an engine whose nodes run Behave.
type Harness struct {
	// New makes an engine, as a new supervisor does. All engines of one spool see
	// the same nodes.
	New func(t *testing.T, spool string) engine.Engine
	// TellsAdopted says whether the exit of an adopted node has a known cause.
	TellsAdopted bool
}

// Run puts an engine through the kit.
func Run(t *testing.T, h Harness) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	spec := func(name, behave string) engine.Spec {
		return engine.Spec{
			Name: name, Role: "worker",
			Args: []string{"node", name},
			Env:  []string{EnvBehave + "=" + behave},
			Node: node.Spec{Name: name, Bus: node.Bus{Token: "secret"}},
		}
	}
	start := func(t *testing.T, e engine.Engine, s engine.Spec) engine.Process {
		t.Helper()
		p, err := e.Start(s)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = p.Kill()
			_, _ = p.Wait(ctx)
		})
		return p
	}
	end := func(t *testing.T, p engine.Process) engine.Exit {
		t.Helper()
		x, err := p.Wait(ctx)
		if err != nil {
			t.Fatalf("wait: %v", err)
		}
		return x
	}

	t.Run("start and stop", func(t *testing.T) {
		spool := t.TempDir()
		p := start(t, h.New(t, spool), spec("worker-1", "stay"))
		if p.Handle().PID == 0 || p.Handle().Start == "" {
			t.Errorf("handle %+v names no process", p.Handle())
		}
		waitFor(t, spool, "worker-1/stdout.log", "up")
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		if _, err := p.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("wait on a running node: %v, want the context's error", err)
		}
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
		if x := end(t, p); x.Code != 0 || x.Signal != 0 || x.Time.IsZero() {
			t.Errorf("exit %+v, want code 0 and a time", x)
		}
		if err := p.Stop(); err != nil {
			t.Errorf("stop after the end: %v", err)
		}
	})

	t.Run("early exit", func(t *testing.T) {
		p := start(t, h.New(t, t.TempDir()), spec("worker-1", "early"))
		if x := end(t, p); x.Code != 3 || x.String() != "exit code 3" {
			t.Errorf("exit %v %+v, want code 3", x, x)
		}
	})

	t.Run("ignores stop", func(t *testing.T) {
		spool := t.TempDir()
		p := start(t, h.New(t, spool), spec("worker-1", "ignore"))
		waitFor(t, spool, "worker-1/stdout.log", "up")
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		if _, err := p.Wait(short); err == nil {
			t.Fatal("a node that ignores stop ended")
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		if x := end(t, p); x.Signal != int(syscall.SIGKILL) {
			t.Errorf("exit %+v, want signal 9", x)
		}
	})

	t.Run("output and spec", func(t *testing.T) {
		spool := t.TempDir()
		start(t, h.New(t, spool), spec("logger-1", "talk"))
		waitFor(t, spool, "logger-1/stdout.log", "this is logger-1")
		waitFor(t, spool, "logger-1/stderr.log", "token has 6 bytes")
	})

	t.Run("found again", func(t *testing.T) {
		spool := t.TempDir()
		first := start(t, h.New(t, spool), spec("worker-1", "stay"))
		waitFor(t, spool, "worker-1/stdout.log", "up")
		second := h.New(t, spool)
		p, err := second.Adopt("worker-1", first.Handle())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
		if x := end(t, p); x.Unknown == h.TellsAdopted {
			t.Errorf("exit %+v: unknown is %v", x, x.Unknown)
		}
		end(t, first)
		if _, err := second.Adopt("worker-1", first.Handle()); !errors.Is(err, engine.ErrGone) {
			t.Errorf("adopt after the end: %v, want gone", err)
		}
		other := first.Handle()
		other.PID, other.Start = os.Getpid(), "long ago"
		if _, err := second.Adopt("worker-1", other); !errors.Is(err, engine.ErrGone) {
			t.Errorf("adopt a reused number: %v, want gone", err)
		}
	})
}

// waitFor waits until a file below spool contains text.
func waitFor(t *testing.T, spool, path, text string) {
	t.Helper()
	var got []byte
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		got, _ = os.ReadFile(filepath.Join(spool, path))
		if strings.Contains(string(got), text) {
			return
		}
	}
	t.Fatalf("%s never contained %q; it has %q", path, text, got)
}
