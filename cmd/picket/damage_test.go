package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/status"
)

// orphans is a cluster whose supervisor was killed, and its nodes.
func (m *machine) orphans() []status.Node {
	m.t.Helper()
	u := m.slow()
	s := m.wait("all ready", allReady)
	if err := u.cmd.Process.Kill(); err != nil {
		m.t.Fatal(err)
	}
	u.end(m.t)
	return s.Nodes
}

func gone(t *testing.T, nodes []status.Node) {
	t.Helper()
	for _, n := range nodes {
		if syscall.Kill(n.PID, 0) == nil && !zombie(n.PID) {
			t.Errorf("%s, pid %d, is still there", n.Name, n.PID)
			_ = syscall.Kill(n.PID, syscall.SIGKILL) // nobody else will find it
		}
	}
}

// A power cut or a full disk may leave a state that says nothing, and a hand
// may remove it: stop still finds what runs, by the nodes' own ledgers.
func TestStopWithoutState(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"cut":     func(path string) error { return os.Truncate(path, 100) },
		"removed": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			nodes := m.orphans()
			if err := damage(filepath.Join(m.spool, "state.json")); err != nil {
				t.Fatal(err)
			}
			if out, code := m.picket("status"); name != "removed" && (code != exitFailure || !strings.Contains(out, "picket stop ends what still runs")) {
				t.Errorf("status: %d %s", code, out)
			}
			if out, code := m.picket("stop"); code != 0 || strings.Contains(out, "nothing runs") {
				t.Errorf("stop: %d %s", code, out)
			}
			gone(t, nodes)
			if out, code := m.picket("stop"); code != 0 || !strings.Contains(out, "nothing runs") {
				t.Errorf("stop again: %d %s", code, out)
			}
		})
	}
}

// The next up does not start a second copy beside nodes of which the state says
// nothing, and a logger does not stumble over a damaged ledger of an earlier run.
func TestUpAfterDamage(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	nodes := m.orphans()
	if err := os.Truncate(filepath.Join(m.spool, "state.json"), 0); err != nil {
		t.Fatal(err)
	}
	u := m.up("--read", demo(t))
	if code := u.end(t); code != 0 {
		t.Errorf("up: %d", code)
	}
	for _, want := range []string{"state.json.damaged", "no supervisor knows of it"} {
		if !strings.Contains(u.out(), want) {
			t.Errorf("up does not say %q:\n%s", want, u.out())
		}
	}
	gone(t, nodes)

	for _, name := range []string{"logger-1", "worker-1", "proxy-1"} {
		ledgers, err := filepath.Glob(filepath.Join(m.spool, name, "ledger.*"))
		if err != nil || len(ledgers) == 0 {
			t.Fatal(ledgers, err)
		}
		for _, path := range ledgers {
			st, err := os.Stat(path)
			if err == nil { // zeros are what a power cut leaves of a file that was not yet written
				err = os.WriteFile(path, make([]byte, st.Size()), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	u = m.up("--read", demo(t), "-o", "again")
	if code := u.end(t); code != 0 || strings.Contains(u.out(), "starts again") || !strings.Contains(u.out(), "the last ledger of logger-1 is damaged") {
		t.Errorf("up after damaged ledgers: %d\n%s", code, u.out())
	}
	if s, err := status.Collect(m.spool, nil); err != nil || !s.Accounting.Settled || len(s.Problems) > 0 {
		t.Errorf("books afterwards: %v\n%+v", err, s)
	}
}

// A node that the state does not know although it knows others, as when the
// supervisor was killed between a start and its note of it.
func TestUnknownNodeEndsFirst(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	nodes := m.orphans()
	path := filepath.Join(m.spool, "state.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before := &status.Status{Nodes: nodes}
	stray := nodeOf(before, "worker-2")
	const hidden = 1 << 30 // no process has this number
	forgotten := strings.Replace(string(text), strconv.Itoa(stray.PID), strconv.Itoa(hidden), 1)
	if err := os.WriteFile(path, []byte(forgotten), 0o600); err != nil {
		t.Fatal(err)
	}
	u := m.slow()
	s := m.wait("all ready", func(s *status.Status) bool { return allReady(s) && s.Supervisor.PID == u.cmd.Process.Pid })
	if n := nodeOf(s, "worker-2"); n.PID == stray.PID || nodeOf(s, "hub").PID != nodeOf(before, "hub").PID {
		t.Errorf("worker-2 %d, was %d; the hub %d, was %d", n.PID, stray.PID, nodeOf(s, "hub").PID, nodeOf(before, "hub").PID)
	}
	gone(t, []status.Node{stray})
}

// Who reads the lines of up may end before it (picket up | tee log): the
// supervisor goes on keeping its nodes.
func TestReaderOfLinesEnds(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := m.command(t.Context(), "up", "--read", demo(t), "--pace", "10m")
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if _, err := r.Read(make([]byte, 1)); err != nil { // its first line
		t.Fatal(err)
	}
	_ = r.Close()
	old := nodeOf(m.wait("all ready", allReady), "worker-1")
	if err := syscall.Kill(old.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s := m.wait("worker-1 is back", func(s *status.Status) bool { return allReady(s) && nodeOf(s, "worker-1").Restarts == 1 })
	if !s.Supervisor.Alive || s.Supervisor.PID != cmd.Process.Pid {
		t.Errorf("supervisor: %+v", s.Supervisor)
	}
	if out, code := m.picket("stop"); code != 0 {
		t.Errorf("stop: %d %s", code, out)
	}
	_ = cmd.Wait()
}

// A folder that takes no logs is told of at once, before anything is read.
func TestReadIntoUnwritableFolder(t *testing.T) {
	if st, err := os.Stat("/proc/self"); err != nil || !st.IsDir() {
		t.Skip("no /proc, which is a folder where even root makes no files")
	}
	m := newMachine(t)
	out, code := m.picket("read", "-o", "/proc/self", demo(t))
	if code != exitFailure || !strings.Contains(out, "read: folder for the logs: cannot write") || strings.Contains(out, "trying again") {
		t.Errorf("%d %s", code, out)
	}
}

// A node by hand whose bus is not there waits for it, and says so.
func TestNodeSaysThatItWaits(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	if out, code := m.picket("layout", "-W", "1", "-o", filepath.Join(m.dir, "cluster-layout.zeek")); code != 0 {
		t.Fatal(out)
	}
	u := m.startIn(m.dir, []string{"PICKET_BUS_TOKEN=x"}, "node", "worker-1", "--bus", "nats://me:secret@127.0.0.1:1", "--read", demo(t))
	for end := time.Now().Add(patience); !strings.Contains(u.out(), "the bus is not reached yet"); {
		if time.Now().After(end) {
			t.Fatalf("it waits in silence:\n%s", u.out())
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := u.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	u.end(t)
	if strings.Contains(u.out(), "secret") {
		t.Errorf("it tells the password:\n%s", u.out())
	}
}
