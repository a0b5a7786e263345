package native

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/host/engine/enginetest"
	"github.com/picket-nsm/picket/node"
)

// TestMain is also the node: the engine starts this binary again.
func TestMain(m *testing.M) {
	if what := os.Getenv(enginetest.EnvBehave); what != "" {
		os.Exit(behave(what))
	}
	os.Exit(m.Run())
}

func behave(what string) int {
	var s node.Spec
	if err := json.NewDecoder(os.NewFile(3, "spec")).Decode(&s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 9
	}
	if what == "where" {
		wd, _ := os.Getwd()
		fmt.Printf("%s %s %s %v sid=%v\n", os.Getenv("CLUSTER_NODE"), filepath.Base(wd), strings.Join(os.Args, " "), s.Name, syscall.Getpgrp() == os.Getpid())
		return 0
	}
	stop := make(chan struct{})
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, syscall.SIGTERM)
	go func() {
		<-sig
		close(stop)
	}()
	return enginetest.Behave(what, s.Name, s.Bus.Token, os.Stdout, os.Stderr, stop, nil)
}

func newEngine(t *testing.T, spool string) *Engine {
	e, err := New(Config{Spool: spool, Output: Output{Lives: 2, Bytes: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestKit(t *testing.T) {
	enginetest.Run(t, enginetest.Harness{
		New: func(t *testing.T, spool string) engine.Engine { return newEngine(t, spool) },
	})
}

// run starts a node that ends by itself, and returns what it wrote.
func run(t *testing.T, e *Engine, s engine.Spec) string {
	t.Helper()
	p, err := e.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	if x, err := p.Wait(t.Context()); err != nil || x.Code != 0 {
		t.Fatalf("exit %v, %v", x, err)
	}
	text, err := os.ReadFile(filepath.Join(e.cfg.Spool, s.Name, "stdout.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWhatPsShows(t *testing.T) {
	s := engine.Spec{
		Name: "worker-1", Args: []string{"node", "worker-1"},
		Env: []string{enginetest.EnvBehave + "=where"}, Node: node.Spec{Name: "worker-1"},
	}
	want := "worker-1 worker-1 picket node worker-1 worker-1 sid=true\n"
	if got := run(t, newEngine(t, t.TempDir()), s); got != want {
		t.Errorf("the node says\n%swant\n%s", got, want)
	}
}

func TestOutputOfEarlierLives(t *testing.T) {
	e := newEngine(t, t.TempDir())
	dir := filepath.Join(e.cfg.Spool, "n")
	for life := range 5 {
		s := engine.Spec{Name: "n", Env: []string{enginetest.EnvBehave + "=where"}, Node: node.Spec{Name: fmt.Sprint("life", life)}}
		run(t, e, s)
	}
	for file, want := range map[string]string{"stdout.log": "life4", "stdout.log.1": "life3", "stdout.log.2": "life2"} {
		if text, err := os.ReadFile(filepath.Join(dir, file)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %q, %v; want %s", file, text, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "stdout.log.3")); err == nil {
		t.Error("more lives kept than asked for")
	}
}

func TestTrim(t *testing.T) {
	e := newEngine(t, t.TempDir())
	dir := filepath.Join(e.cfg.Spool, "n")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "stderr.log")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprint(f, strings.Repeat("old line\n", 1000), "new line\n")
	if err := e.Trim("n"); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "after\n") // the node's own descriptor goes on at the end
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 700 || !strings.HasSuffix(string(text), "new line\nafter\n") {
		t.Errorf("after the cut: %d bytes, ending %q", len(text), text[max(0, len(text)-40):])
	}
	if err := e.Trim("nobody"); err != nil {
		t.Errorf("no files: %v", err)
	}
}

func TestStartFails(t *testing.T) {
	e, err := New(Config{Spool: t.TempDir(), Program: "/dev/null"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Start(engine.Spec{Name: "n"}); err == nil || !strings.HasPrefix(err.Error(), "start n: ") {
		t.Errorf("start of no program: %v", err)
	}
}

// The pin holds for the child's first thread and all that follow.
func TestPin(t *testing.T) {
	e := newEngine(t, t.TempDir())
	p, err := e.Start(engine.Spec{Name: "n", Pin: []int{0}, Env: []string{enginetest.EnvBehave + "=stay"}})
	if err != nil {
		t.Skipf("no pinning here: %v", err)
	}
	defer func() {
		_ = p.Kill()
		_, _ = p.Wait(t.Context())
	}()
	end := time.Now().Add(time.Minute)
	for {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Handle().PID))
		if err != nil {
			t.Skip(err)
		}
		if strings.Contains(string(text), "Cpus_allowed_list:\t0\n") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not pinned:\n%s", text)
		}
	}
}
