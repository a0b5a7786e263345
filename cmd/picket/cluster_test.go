package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/testenv"
)

// These tests drive clusters of real processes: this test binary is picket.

// envMain has the test binary be picket.
const envMain = "PICKET_TEST_MAIN"

// patience is how long a test waits for what takes a second at most.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(envMain) != "" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// machine is a folder in which a cluster runs.
type machine struct {
	t     *testing.T
	dir   string
	spool string
}

func newMachine(t *testing.T) *machine {
	dir := t.TempDir()
	m := &machine{t: t, dir: dir, spool: filepath.Join(dir, "spool")}
	t.Cleanup(func() {
		// Whatever the test did, no process stays behind.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = m.command(ctx, "stop", "--now").Run()
	})
	return m
}

func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), envMain+"=1")
	return cmd
}

// file writes one into the folder and returns its path.
func (m *machine) file(name, text string) string {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	return path
}

// picket runs a command to its end.
func (m *machine) picket(args ...string) (out string, code int) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	text, err := m.command(ctx, args...).CombinedOutput()
	if ctx.Err() != nil {
		m.t.Fatalf("picket %v did not end: %s", args, text)
	}
	var x *exec.ExitError
	if err != nil && !errors.As(err, &x) {
		m.t.Fatal(err)
	}
	if x != nil {
		code = x.ExitCode()
	}
	return string(text), code
}

// upRun is a picket up in the background.
type upRun struct {
	cmd  *exec.Cmd
	text testenv.Output
	done chan struct{}
}

func (u *upRun) out() string { return u.text.String() }

func (m *machine) up(args ...string) *upRun {
	m.t.Helper()
	return m.start(append([]string{"up"}, args...)...)
}

// start runs any command in the background.
func (m *machine) start(args ...string) *upRun {
	m.t.Helper()
	return m.startIn(m.dir, nil, args...)
}

// startIn does so in a folder, which is made, with more environment.
func (m *machine) startIn(dir string, env []string, args ...string) *upRun {
	m.t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		m.t.Fatal(err)
	}
	u := &upRun{cmd: m.command(context.Background(), args...), done: make(chan struct{})}
	u.cmd.Dir, u.cmd.Env = dir, append(u.cmd.Env, env...)
	u.cmd.Stdout, u.cmd.Stderr = &u.text, &u.text
	if err := u.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	go func() {
		defer close(u.done)
		_ = u.cmd.Wait()
	}()
	m.t.Cleanup(func() {
		_ = u.cmd.Process.Kill()
		<-u.done
	})
	return u
}

// end waits for up to end and returns its exit code.
func (u *upRun) end(t *testing.T) int {
	t.Helper()
	select {
	case <-u.done:
		return u.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("up did not end:\n%s", u.out())
		return -1
	}
}

// terminate asks the process to end, as an operator does, and wants it to.
func (u *upRun) terminate(t *testing.T) {
	t.Helper()
	if err := u.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := u.end(t); code != 0 {
		t.Errorf("exit code %d: %s", code, u.out())
	}
}

// says waits until a file that process u, or one it started, writes holds a text.
func (u *upRun) says(t *testing.T, path, what string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		text, _ := os.ReadFile(path)
		if strings.Contains(string(text), what) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not say %q: %s\n%s", path, what, text, u.out())
		}
	}
}

// books returns the accounting of a cluster that has ended: settled, with nothing
// unexplained.
func (m *machine) books(u *upRun) *ledger.Report {
	m.t.Helper()
	s, err := status.Collect(m.spool, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	if a := s.Accounting; !a.Settled || a.Remainder() != 0 {
		m.t.Errorf("%+v\n%s", a.RecordTotal, u.out())
	}
	return s.Accounting
}

// wait looks at the status until it is as wanted.
func (m *machine) wait(what string, ok func(*status.Status) bool) *status.Status {
	m.t.Helper()
	var s *status.Status
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if s, err = status.Collect(m.spool, nil); err == nil && ok(s) {
			return s
		}
	}
	text, _ := json.MarshalIndent(s, "", " ")
	m.t.Fatalf("never: %s; %v\n%s", what, err, text)
	return nil
}

func allReady(s *status.Status) bool {
	return s.Phase == supervisor.PhaseUp && s.Totals.Ready == s.Totals.Nodes && s.Supervisor.Alive
}

func nodeOf(s *status.Status, name string) status.Node {
	for _, n := range s.Nodes {
		if n.Name == name {
			return n
		}
	}
	return status.Node{}
}

func demo(t *testing.T) string { return filepath.Join(testenv.Root(t), "docs", "demo.pcap") }

func TestUpReadsAndEnds(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	u := m.up("--read", demo(t), "--seed", "x", "-L", "2")
	if code := u.end(t); code != 0 {
		t.Fatalf("exit code %d\n%s", code, u.out())
	}
	for _, want := range []string{"worker-2: done", "logs in " + filepath.Join(m.dir, "logs"), "conn.log", "packets", "records"} {
		if !strings.Contains(u.out(), want) {
			t.Errorf("up does not say %q:\n%s", want, u.out())
		}
	}
	s, err := status.Collect(m.spool, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Accounting.Settled || s.Accounting.RecordTotal.Produced == 0 || s.Accounting.RecordTotal.Produced != s.Accounting.RecordTotal.Written || s.Phase != supervisor.PhaseStopped {
		t.Errorf("%+v", s.Accounting)
	}
	for _, n := range s.Nodes {
		if n.PID != 0 {
			t.Errorf("%s still runs", n.Name)
		}
	}
	if out, code := m.picket("stop"); code != 0 || !strings.Contains(out, "nothing runs") {
		t.Errorf("stop afterwards: %d %s", code, out)
	}
	// A second run in the same spool counts from new.
	u = m.up("--read", demo(t), "--seed", "x", "-o", "again")
	if code := u.end(t); code != 0 {
		t.Fatalf("second run: exit code %d\n%s", code, u.out())
	}
	again, err := status.Collect(m.spool, nil)
	if err != nil || again.Accounting.PacketTotal.Produced != s.Accounting.PacketTotal.Produced {
		t.Errorf("second run: %+v, %v", again.Accounting.PacketTotal, err)
	}
}

// slow is a cluster that reads the demo for longer than any test takes.
func (m *machine) slow(more ...string) *upRun {
	return m.up(append([]string{"--read", demo(m.t), "--pace", "10m"}, more...)...)
}

func TestDeathHangRestartStop(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	u := m.slow()
	s := m.wait("all ready", allReady)

	// What ps shows.
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", nodeOf(s, "worker-1").PID))
	if err == nil && string(line) != "picket\x00node\x00worker-1\x00" {
		t.Errorf("ps shows %q", line)
	}

	// A node that is killed comes back as another process; the cause is known.
	for _, name := range []string{"proxy-1", "manager", "logger-1", "hub", "worker-2"} {
		old := nodeOf(s, name)
		if err := syscall.Kill(old.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s = m.wait(name+" is back", func(s *status.Status) bool {
			n := nodeOf(s, name)
			return allReady(s) && n.Restarts == 1 && n.PID != old.PID
		})
		if n := nodeOf(s, name); n.LastExit != "killed by signal 9 (killed)" {
			t.Errorf("%s: last exit %q", name, n.LastExit)
		}
	}

	// Status answers while a node stands still, and shows it.
	pid := nodeOf(s, "worker-1").PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	out, code := m.picket("status", "--json")
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("status took %s", d)
	}
	var told status.Status
	if err := json.Unmarshal([]byte(out), &told); err != nil || code != exitPartial {
		t.Errorf("status: %v, code %d\n%s", err, code, out)
	}
	if n := nodeOf(&told, "worker-1"); n.State != "hangs" && n.State != "" {
		t.Errorf("a stopped process is %q", n.State)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}

	if out, code := m.picket("restart", "logger-1"); code != 0 || !strings.Contains(out, "logger-1 is ready") {
		t.Errorf("restart: %d %s", code, out)
	}
	if out, code := m.picket("restart", "logger-7"); code != exitUsage || !strings.Contains(out, "no such node: did you mean logger-1?") {
		t.Errorf("restart of nobody: %d %s", code, out)
	}
	if out, code := m.picket("up", "--read", demo(t)); code != exitFailure || !strings.Contains(out, "another picket up works in this spool") {
		t.Errorf("a second up: %d %s", code, out)
	}
	if out, code := m.picket("logs", "hub"); code != 0 || !strings.Contains(out, "hub listens on nats://") {
		t.Errorf("logs: %d %s", code, out)
	}
	if out, code := m.picket("stop"); code != 0 {
		t.Errorf("stop: %d %s", code, out)
	}
	u.end(t)
	s = m.wait("stopped", func(s *status.Status) bool { return s.Phase == supervisor.PhaseStopped })
	if s.Accounting == nil || s.Accounting.Remainder() != 0 {
		t.Errorf("accounting: %+v", s.Accounting)
	}
}

func TestSupervisorDies(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	first := m.slow()
	before := m.wait("all ready", allReady)
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.end(t)
	orphaned := m.wait("orphaned", func(s *status.Status) bool { return s.Phase == "orphaned" && s.Totals.Ready == s.Totals.Nodes })
	if len(orphaned.Problems) == 0 {
		t.Error("nobody says that the supervisor has died")
	}
	// One dies while nobody looks.
	if err := syscall.Kill(nodeOf(before, "proxy-1").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	m.wait("proxy-1 gone", func(s *status.Status) bool { return nodeOf(s, "proxy-1").PID == 0 })
	second := m.slow()
	after := m.wait("all ready again", allReady)
	for _, n := range before.Nodes {
		same := nodeOf(after, n.Name).PID == n.PID
		if same == (n.Name == "proxy-1") {
			t.Errorf("%s: pid %d, then %d", n.Name, n.PID, nodeOf(after, n.Name).PID)
		}
	}
	if n := nodeOf(after, "proxy-1"); n.Restarts != 1 {
		t.Errorf("proxy-1: %+v", n)
	}
	if before.Run != after.Run {
		t.Errorf("run %s became %s", before.Run, after.Run)
	}
	// Dead again: stop finds them all the same.
	if err := second.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	second.end(t)
	if out, code := m.picket("stop"); code != 0 {
		t.Errorf("stop without a supervisor: %d %s", code, out)
	}
	for _, n := range after.Nodes {
		if syscall.Kill(n.PID, 0) == nil && !zombie(n.PID) {
			t.Errorf("%s, pid %d, is still there", n.Name, n.PID)
		}
	}
}

// zombie says that a process has ended and its new parent has not noticed.
func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(text, []byte(") Z "))
}

func TestOtherConfigurationStopsFirst(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	first := m.slow("-P", "2")
	before := m.wait("all ready", allReady)
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.end(t)
	second := m.slow("-P", "1")
	after := m.wait("all ready", func(s *status.Status) bool { return allReady(s) && nodeOf(s, "proxy-2").Name == "" })
	if !strings.Contains(second.out(), "proxy-2: stopping the one with pid") {
		t.Errorf("nobody said that proxy-2 was stopped:\n%s", second.out())
	}
	if nodeOf(after, "hub").PID != nodeOf(before, "hub").PID {
		t.Error("the hub did not stay")
	}
}

// Credentials and control are the owner's alone.
func TestNobodyElseLooksIn(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.slow()
	m.wait("all ready", allReady)
	for path, want := range map[string]os.FileMode{"": 0o700, "control.sock": 0o600, "credentials.json": 0o600, "state.json": 0o600} {
		st, err := os.Stat(filepath.Join(m.spool, path))
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, st.Mode(), err)
		}
	}
	var creds supervisor.Credentials
	text, err := os.ReadFile(filepath.Join(m.spool, "credentials.json"))
	if err != nil || json.Unmarshal(text, &creds) != nil || len(creds.Bus.Token) < 32 {
		t.Fatalf("credentials: %v", err)
	}
	// Neither ps nor the environment nor the state shows the password.
	s, err := status.Collect(m.spool, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range s.Nodes {
		for _, file := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", n.PID, file))
			if err == nil && bytes.Contains(text, []byte(creds.Bus.Token)) {
				t.Errorf("%s of %s shows the password", file, n.Name)
			}
		}
	}
	if text, err := os.ReadFile(filepath.Join(m.spool, "state.json")); err != nil || bytes.Contains(text, []byte(creds.Bus.Token)) {
		t.Errorf("state.json shows the password; %v", err)
	}
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	u := m.slow()
	m.wait("all ready", allReady)
	if err := u.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	u.end(t)
	s := m.wait("stopped", func(s *status.Status) bool { return s.Phase == supervisor.PhaseStopped })
	for _, n := range s.Nodes {
		if n.State != "stopped" {
			t.Errorf("%s is %s", n.Name, n.State)
		}
	}
}
