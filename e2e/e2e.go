// Package e2e drives the real binary: it builds picket once, starts clusters of
// processes with it, kills and stops what it likes in the middle of a run, and
// compares logs and books with what the capture is known to hold.
//
// This file holds the driver; the tests say what must hold. It owns the clusters
// it starts: when a test ends, whatever it has left running is ended, by process
// id. It looks at a cluster only as a user can: the command's output and exit
// code, picket status --json, the log files, and ps.
package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/testenv"
)

// Env is the variable that asks for the long variants: more rounds, all traces.
const Env = "PICKET_E2E_LONG"

// Long says whether the long variants are wanted.
func Long() bool { return os.Getenv(Env) != "" }

// Seed is what chance in the tests begins with: 0, so that they do the same each
// time, or the number in PICKET_E2E_SEED.
func Seed() uint64 {
	n, _ := strconv.ParseUint(os.Getenv("PICKET_E2E_SEED"), 10, 64) // none: 0
	return n
}

// Rounds is how often a test with chance in it is done.
func Rounds(short, long int) int {
	if Long() {
		return long
	}
	return short
}

// Build makes the binary in dir.
func Build(dir string) (string, error) {
	bin := filepath.Join(dir, "picket")
	out, err := exec.Command("go", "build", "-o", bin, "github.com/picket-nsm/picket/cmd/picket").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build picket: %w: %s", err, out)
	}
	return bin, nil
}

// Cluster is one picket up.
type Cluster struct {
	T     testing.TB
	Bin   string
	Dir   string // logs and spool are below
	Logs  string
	Spool string
	// Wrap, if set, changes the command before it starts, as to run it in a
	// network namespace.
	Wrap func(*exec.Cmd) *exec.Cmd
	// Cut: a worker was restarted in order, so that flows may have two rows, one
	// of each life.
	Cut bool

	cmd  *exec.Cmd
	out  *testenv.Output
	done chan struct{}
}

// NewCluster prepares a cluster in a new folder; Up starts it.
func NewCluster(t testing.TB, bin string) *Cluster {
	dir := t.TempDir()
	c := &Cluster{T: t, Bin: bin, Dir: dir, Logs: filepath.Join(dir, "logs"), Spool: filepath.Join(dir, "spool")}
	t.Cleanup(c.clean)
	return c
}

// Up starts picket up with the cluster's folders. It may be called again when
// the earlier one has ended.
func (c *Cluster) Up(args ...string) {
	c.T.Helper()
	args = append([]string{"up", "--plain", "-o", c.Logs, "--spool", c.Spool}, args...)
	cmd := exec.Command(c.Bin, args...)
	if c.Wrap != nil {
		cmd = c.Wrap(cmd)
	}
	out := &testenv.Output{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		c.T.Fatalf("start picket up: %v", err)
	}
	done := make(chan struct{})
	c.cmd, c.out, c.done = cmd, out, done
	go func() {
		_ = cmd.Wait() // the exit code is asked for
		close(done)
	}()
}

// Read starts picket up --read on a capture.
func (c *Cluster) Read(capture string, args ...string) {
	c.T.Helper()
	c.Up(append([]string{"--read", capture}, args...)...)
}

// patience is how long to wait for what takes seconds at most: only what hangs
// takes longer, on a busy machine too.
const patience = 2 * time.Minute

// AwaitStarted waits until all nodes have started.
func (c *Cluster) AwaitStarted() {
	c.T.Helper()
	c.Await("all nodes have started")
}

// Await waits until the command has printed a text.
func (c *Cluster) Await(text string) {
	c.T.Helper()
	for end := time.Now().Add(patience); !strings.Contains(c.Output(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) || c.Ended() && !strings.Contains(c.Output(), text) {
			c.T.Fatalf("picket up has not said %q; it said:\n%s", text, c.Output())
		}
	}
}

// Ended says whether the command has ended.
func (c *Cluster) Ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// AwaitRecords waits until a run is in its middle: packets were analyzed and
// records of connections produced.
func (c *Cluster) AwaitRecords() {
	c.T.Helper()
	under := func() bool {
		s := c.Status()
		var conns uint64
		for _, n := range s.Nodes {
			conns += n.Counters[ledger.Produced("conn")]
		}
		return conns > 0 && s.Totals.Analyzed > 0
	}
	for end := time.Now().Add(patience); !under(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) || c.Ended() {
			c.T.Fatalf("no connection was logged in the middle of the run; picket up said:\n%s", c.Output())
		}
	}
}

// Wait waits for the command's end and returns its exit code, -1 where a signal
// ended it.
func (c *Cluster) Wait() int {
	c.T.Helper()
	select {
	case <-c.done:
		return c.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		c.T.Fatalf("picket up has not ended in %s; it said:\n%s", patience, c.Output())
		return -1
	}
}

// Output is what the command has printed so far.
func (c *Cluster) Output() string { return c.out.String() }

// Supervisor is the process id of picket up.
func (c *Cluster) Supervisor() int { return c.cmd.Process.Pid }

// Picket runs another command of the binary on this cluster's spool and returns
// its standard output and exit code.
func (c *Cluster) Picket(args ...string) (string, int) {
	c.T.Helper()
	cmd := exec.Command(c.Bin, append(args, "--spool", c.Spool)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if x := (*exec.ExitError)(nil); err != nil && !errors.As(err, &x) {
		c.T.Fatalf("picket %s: %v", strings.Join(args, " "), err)
	}
	if errOut.Len() > 0 {
		c.T.Logf("picket %s: %s", strings.Join(args, " "), errOut.String())
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// Status is what picket status --json says.
func (c *Cluster) Status() *status.Status {
	c.T.Helper()
	out, _ := c.Picket("status", "--json")
	var s status.Status
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		c.T.Fatalf("picket status --json: %v: %s", err, out)
	}
	return &s
}

// Node is one node of the status.
func (c *Cluster) Node(name string) status.Node {
	c.T.Helper()
	s := c.Status()
	i := slices.IndexFunc(s.Nodes, func(n status.Node) bool { return n.Name == name })
	if i < 0 {
		c.T.Fatalf("picket status knows no %s", name)
	}
	return s.Nodes[i]
}

// Signal sends a signal to a node. It returns false where the node does not run
// at this moment.
func (c *Cluster) Signal(name string, sig syscall.Signal) bool {
	c.T.Helper()
	// Not from picket status, which takes its time to measure CPU.
	st, err := supervisor.LoadState(c.Spool)
	if err != nil {
		c.T.Fatal(err)
	}
	for _, n := range st.Nodes {
		if n.Name == name && n.Handle.PID > 0 {
			return syscall.Kill(n.Handle.PID, sig) == nil
		}
	}
	return false
}

// Processes finds the nodes that run in this cluster's spool, as ps would: by
// their command line and working folder. Several of one name are a mistake.
func (c *Cluster) Processes() map[string][]int {
	out := map[string][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		c.T.Skip("needs /proc")
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		wd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err != nil || filepath.Dir(wd) != c.Spool {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || !bytes.HasPrefix(line, []byte("picket\x00")) {
			continue
		}
		name := filepath.Base(wd)
		out[name] = append(out[name], pid)
	}
	return out
}

// clean ends what a test has left running.
func (c *Cluster) clean() {
	if c.cmd != nil && !c.Ended() {
		_ = c.cmd.Process.Signal(syscall.SIGCONT)
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	for _, pids := range c.Processes() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	for end := time.Now().Add(patience); len(c.Processes()) > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	files, _ := filepath.Glob(filepath.Join(c.Spool, "*", "stderr.log*"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for _, bad := range []string{"panic: ", "fatal error: ", "DATA RACE"} {
			if bytes.Contains(text, []byte(bad)) {
				c.T.Errorf("%s says %q", f, bad)
			}
		}
		if c.T.Failed() && len(text) > 0 {
			c.T.Logf("%s:\n%s", f, text[:min(len(text), 4000)])
		}
	}
	if c.T.Failed() && c.out != nil {
		c.T.Logf("picket up said:\n%s", c.Output())
	}
}
