package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/testenv"
)

// busnode builds the program of e2e/busnode once.
var busnode = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "busnode")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "busnode")
	out, err := exec.Command("go", "build", "-o", bin, "github.com/picket-nsm/picket/e2e/busnode").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build busnode: %w: %s", err, out)
	}
	return bin, nil
})

// member is a busnode process.
type member struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	err  bytes.Buffer
	end  func()
}

// launch starts a busnode with these settings in its environment.
func launch(t testing.TB, env []string, args ...string) *member {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes; not with -short")
	}
	testenv.NeedTool(t, "go")
	bin, err := busnode()
	if err != nil {
		t.Fatal(err)
	}
	m := &member{t: t, name: strings.Join(args[:min(len(args), 3)], " "), cmd: exec.Command(bin, args...)}
	m.cmd.Env = append(os.Environ(), env...)
	m.cmd.Stderr = &m.err
	if m.in, err = m.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	m.out = bufio.NewReader(out)
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.end = sync.OnceFunc(func() { _ = m.cmd.Wait() })
	t.Cleanup(func() {
		m.signal(syscall.SIGCONT)
		m.kill()
		if t.Failed() && m.err.Len() > 0 {
			t.Logf("%s said:\n%s", m.name, m.err.String())
		}
	})
	return m
}

// line reads one line of what it prints.
func (m *member) line() string {
	m.t.Helper()
	type answer struct {
		s   string
		err error
	}
	got := make(chan answer, 1)
	go func() {
		s, err := m.out.ReadString('\n')
		got <- answer{strings.TrimSpace(s), err}
	}()
	select {
	case a := <-got:
		if a.err != nil {
			m.kill()
			m.t.Fatalf("%s: %v: %s", m.name, a.err, m.err.String())
		}
		return a.s
	case <-time.After(patience):
		m.t.Fatalf("%s says nothing", m.name)
		return ""
	}
}

func (m *member) ask(line string) string {
	m.t.Helper()
	if _, err := io.WriteString(m.in, line+"\n"); err != nil {
		m.t.Fatalf("%s: %v", m.name, err)
	}
	return m.line()
}

func (m *member) json(line string, to any) {
	m.t.Helper()
	if s := m.ask(line); json.Unmarshal([]byte(s), to) != nil {
		m.t.Fatalf("%s says %q", m.name, s)
	}
}

func (m *member) signal(s syscall.Signal) { _ = m.cmd.Process.Signal(s) }

func (m *member) kill() {
	_ = m.cmd.Process.Kill()
	m.end()
}

// leave ends it in good order.
func (m *member) leave() {
	m.t.Helper()
	_ = m.in.Close()
	_, _ = io.Copy(io.Discard, m.out)
	m.end()
	if !m.cmd.ProcessState.Success() {
		m.t.Errorf("%s: %s", m.name, m.cmd.ProcessState)
	}
}

// booksOf reads the newest ledger of a load.
func booksOf(t testing.TB, dir, name string) map[string]uint64 {
	t.Helper()
	r, err := ledger.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s, err := r.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return s.Counters
}
