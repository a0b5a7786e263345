package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/internal/procinfo"
	"github.com/picket-nsm/picket/internal/trafficgen"
)

// slack is how many connections may begin or end in a block of packets, which
// is how often a worker notes how many it has open.
const slack = 512

// A capture is read for so long: several times what a test does meanwhile takes;
// and where the test ends the reading itself.
const (
	long    = "12s"
	endless = "45s"
)

// exitPartial is the exit code of a run that lost something.
const exitPartial = 4

// A node that is killed in the middle of a run is replaced, the run ends by
// itself, and the books say where everything went.
func TestKillNode(t *testing.T) {
	bin := binary(t)
	t.Parallel()
	file, packets := capture(t, mix())
	want := read(t, bin, file, 1, "--seed", "e2e")
	cases := []struct {
		name    string
		victims []string
		args    []string
	}{
		{"worker", []string{"worker-1"}, nil},
		{"worker of four", []string{"worker-3"}, []string{"-W", "4"}},
		{"worker twice", []string{"worker-2", "worker-2"}, nil},
		{"logger", []string{"logger-1"}, nil},
		{"one of two loggers", []string{"logger-2"}, []string{"-L", "2"}},
		{"both loggers", []string{"logger-1", "logger-2"}, []string{"-L", "2"}},
		{"proxy", []string{"proxy-1"}, nil},
		{"manager", []string{"manager"}, nil},
		{"hub", []string{"hub"}, nil},
		{"hub and logger", []string{"hub", "logger-1"}, nil},
		{"worker and logger", []string{"worker-1", "logger-1"}, nil},
	}
	for i, x := range cases {
		for round := range Rounds(1, 3) {
			t.Run(fmt.Sprintf("%s/%d", x.name, round), func(t *testing.T) {
				t.Parallel()
				rnd := rand.New(rand.NewPCG(2+Seed(), uint64(i*100+round)))
				pace := 1500 * time.Millisecond
				c := NewCluster(t, bin)
				for !c.killed(rnd, pace, x.victims, append([]string{"--read", file, "--seed", "e2e"}, x.args...)) {
					// A busy machine: it was over before the moment came.
					if pace *= 2; pace > 10*time.Second {
						t.Skip("the machine is too busy to hit a node in the middle of a run")
					}
					c = NewCluster(t, bin)
				}
				code := c.Wait()
				b := c.books(packets)
				for _, v := range x.victims {
					if !strings.Contains(c.Output(), v+": killed by signal 9") {
						t.Errorf("picket up does not say that %s was killed", v)
					}
				}
				workers := slices.ContainsFunc(x.victims, func(v string) bool { return strings.HasPrefix(v, "worker") })
				for path := range want {
					got := c.rows(path)
					if !workers {
						if d := Differ(want[path].Sorted(), got.Sorted()); d != "" {
							t.Errorf("%s.log: %s", path, d)
						}
					}
				}
				lost := b.PacketsLost + b.RecordsLost + b.RecordsDropped + b.Connections
				// A manager holds rows of cluster.log.
				if lost > 0 && !workers && !slices.Contains(x.victims, "manager") {
					t.Errorf("something was lost though who was killed makes no rows: %+v", b)
				}
				// Each flow has a row, or was open or on its way when its worker died.
				if rows := uint64(len(c.rows("conn").Lines)); workers && (rows > flows || rows+b.RecordsLost+b.Connections+slack < flows) {
					t.Errorf("%d conn rows of %d flows: %+v", rows, flows, b)
				}
				for _, l := range b.Losers {
					if !slices.Contains(x.victims, l) {
						t.Errorf("lost with %s, which was not killed", l)
					}
				}
				if wantCode := map[bool]int{true: exitPartial}[lost > 0]; code != wantCode {
					t.Errorf("exit code %d, not %d: %+v", code, wantCode, b)
				}
			})
		}
	}
}

// killed runs a cluster and kills nodes at moments by chance while it reads. It
// returns false, and ends it, where one of them had ended before its moment.
func (c *Cluster) killed(rnd *rand.Rand, pace time.Duration, victims, args []string) bool {
	c.T.Helper()
	c.Up(append(args, "--pace", pace.String())...)
	c.AwaitStarted()
	for _, v := range victims {
		time.Sleep(time.Duration(rnd.Int64N(int64(pace) / int64(len(victims)+1))))
		for end := time.Now().Add(10 * time.Second); !c.Signal(v, syscall.SIGKILL); time.Sleep(5 * time.Millisecond) {
			// It may be on its way back from its last death.
			if c.Ended() || strings.Contains(c.Output(), v+": done") || time.Now().After(end) {
				c.Wait()
				return false
			}
		}
	}
	return true
}

// The supervisor's death stops nobody. The next one takes the nodes over.
func TestKillSupervisor(t *testing.T) {
	bin := binary(t)
	t.Parallel()
	file, packets := capture(t, mix())
	want := read(t, bin, file, 1, "--seed", "e2e")
	whole := func(c *Cluster) {
		c.T.Helper()
		if code := c.Wait(); code != 0 {
			c.T.Errorf("exit code %d", code)
		}
		c.books(packets)
		sameLogs(c.T, "", want, c.rows)
	}
	t.Run("adopt", func(t *testing.T) {
		t.Parallel()
		c := NewCluster(t, bin)
		args := []string{"--seed", "e2e", "--pace", long}
		c.Read(file, args...)
		c.AwaitStarted()
		before := c.Processes()
		kill(t, c.Supervisor(), syscall.SIGKILL)
		c.Wait()
		s := c.Status()
		if s.Supervisor.Alive || s.Phase != "orphaned" {
			t.Errorf("status says that the supervisor is alive: %v, phase %s", s.Supervisor.Alive, s.Phase)
		}
		for _, n := range s.Nodes {
			if n.PID == 0 || n.State != "ready" {
				t.Errorf("%s has pid %d, state %s", n.Name, n.PID, n.State)
			}
		}
		c.Read(file, args...)
		c.Await("worker-1: adopted")
		for name, pids := range c.Processes() {
			if !slices.Equal(pids, before[name]) {
				t.Errorf("%s: pids %v, before %v", name, pids, before[name])
			}
		}
		whole(c)
	})
	t.Run("a node dies meanwhile", func(t *testing.T) {
		t.Parallel()
		c := NewCluster(t, bin)
		args := []string{"--seed", "e2e", "--pace", long}
		c.Read(file, args...)
		c.AwaitStarted()
		pid := c.Node("logger-1").PID
		kill(t, c.Supervisor(), syscall.SIGKILL)
		c.Wait()
		kill(t, pid, syscall.SIGKILL)
		for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			if n := c.Node("logger-1"); n.State == "gone" {
				break
			} else if time.Now().After(end) {
				t.Fatalf("logger-1 is %s", n.State)
			}
		}
		c.Read(file, args...)
		whole(c)
	})
	t.Run("the work is done meanwhile", func(t *testing.T) {
		t.Parallel()
		c := NewCluster(t, bin)
		args := []string{"--seed", "e2e", "--pace", "500ms"}
		c.Read(file, args...)
		c.AwaitStarted()
		kill(t, c.Supervisor(), syscall.SIGKILL)
		c.Wait()
		time.Sleep(2 * time.Second)
		c.Read(file, args...)
		whole(c)
	})
	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		c := NewCluster(t, bin)
		c.Read(file, "--seed", "e2e", "--pace", endless)
		c.AwaitStarted()
		c.AwaitRecords()
		kill(t, c.Supervisor(), syscall.SIGKILL)
		c.Wait()
		if out, code := c.Picket("stop"); code != 0 {
			t.Errorf("picket stop: exit code %d: %s", code, out)
		}
		b := NewBooks(c.Status())
		c.books(b.Read)
		if b.Read == 0 || b.Read != b.Analyzed || b.Produced != b.Written || b.Produced == 0 {
			t.Errorf("%+v", b)
		}
	})
	t.Run("another up", func(t *testing.T) {
		t.Parallel()
		c := NewCluster(t, bin)
		c.Read(file, "--seed", "e2e", "--pace", endless)
		c.AwaitStarted()
		kill(t, c.Supervisor(), syscall.SIGKILL)
		c.Wait()
		c.Read(file, "--seed", "other", "-W", "3", "--pace", "2s")
		for !c.Ended() {
			for name, pids := range c.Processes() {
				if len(pids) > 1 {
					t.Errorf("%d copies of %s", len(pids), name)
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		if !strings.Contains(c.Output(), "its configuration has changed") {
			t.Error("it does not say that workers are wanted otherwise")
		}
		if n := len(c.Processes()); n != 0 {
			t.Errorf("%d nodes still run", n)
		}
		if b := NewBooks(c.Status()); !b.Settled {
			t.Errorf("not settled: %+v", b)
		}
	})
}

// A second up in the same spool is refused, and disturbs nothing.
func TestSecondUp(t *testing.T) {
	bin := binary(t)
	t.Parallel()
	file, packets := capture(t, mix())
	c := NewCluster(t, bin)
	c.Read(file, "--pace", long) // not over before the other has looked
	c.AwaitStarted()
	d := *c
	d.Read(file)
	if code := d.Wait(); code != 1 || !strings.Contains(d.Output(), "picket status") {
		t.Errorf("exit code %d: %s", code, d.Output())
	}
	if code := c.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	c.books(packets)
}

// Status answers at once, whoever hangs, and says who.
func TestStatusOfHanging(t *testing.T) {
	bin := binary(t)
	t.Parallel()
	file, packets := capture(t, mix())
	c := NewCluster(t, bin)
	c.Read(file, "--pace", "25s") // as long as four looks may take
	c.AwaitStarted()
	pids := map[string]int{"supervisor": c.Supervisor()}
	for _, n := range c.Status().Nodes {
		pids[n.Name] = n.PID
	}
	for _, victim := range []string{"worker-1", "logger-1", "hub", "supervisor"} {
		kill(t, pids[victim], syscall.SIGSTOP)
		begin := time.Now()
		s := c.Status()
		took := time.Since(begin)
		t.Logf("%s stopped: status took %s", victim, took.Round(time.Millisecond))
		if took > 5*time.Second {
			t.Errorf("%s stopped: status took %s; aim 1 s", victim, took)
		}
		i := slices.IndexFunc(s.Nodes, func(n status.Node) bool { return n.Name == victim })
		if i >= 0 && s.Nodes[i].State != "hangs" {
			t.Errorf("%s is stopped, its state is %s", victim, s.Nodes[i].State)
		}
		kill(t, pids[victim], syscall.SIGCONT)
	}
	if code := c.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	c.books(packets)
}

// picket stop in the middle of a run: all that was produced is written.
func TestStopDrains(t *testing.T) {
	bin := binary(t)
	t.Parallel()
	file, packets := capture(t, mix())
	for _, how := range []string{"stop", "signal"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			c := NewCluster(t, bin)
			c.Read(file, "--pace", endless, "-W", "3", "-L", "2")
			c.AwaitStarted()
			c.AwaitRecords()
			if how == "stop" {
				if out, code := c.Picket("stop"); code != 0 {
					t.Errorf("picket stop: exit code %d: %s", code, out)
				}
			} else {
				kill(t, c.Supervisor(), syscall.SIGINT)
			}
			if code := c.Wait(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			b := NewBooks(c.Status())
			c.books(b.Read)
			if b.Read == 0 || b.Read >= packets || b.Read != b.Analyzed || b.Produced == 0 || b.Produced != b.Written {
				t.Errorf("%+v", b)
			}
			order(t, c)
		})
	}
}

// A logger that hangs does not hold the stop up for ever: who does not end in
// time is killed and named, and what is lost by it is in the books.
func TestStopDeadline(t *testing.T) {
	bin := binary(t)
	for name, x := range map[string]struct {
		flows int
		pace  string
	}{
		"in the middle": {4000, endless},
		"queues full":   {300_000, "0s"},
	} {
		if x.flows > 100_000 && !Long() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, _ := capture(t, trafficgen.Config{Flows: x.flows})
			c := NewCluster(t, bin)
			conf := filepath.Join(c.Dir, "cluster.toml")
			if err := os.WriteFile(conf, []byte("[supervisor]\nstop_timeout = \"3s\"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			c.Read(file, "-c", conf, "--pace", x.pace)
			c.AwaitStarted()
			if x.pace != "0s" {
				c.AwaitRecords()
			}
			c.Signal("logger-1", syscall.SIGSTOP)
			time.Sleep(time.Second)
			begin := time.Now()
			out, code := c.Picket("stop")
			if took := time.Since(begin); code != exitPartial || took > 45*time.Second {
				t.Errorf("picket stop: exit code %d after %s: %s", code, took, out)
			}
			if code := c.Wait(); code != exitPartial {
				t.Errorf("exit code %d", code)
			}
			if !strings.Contains(c.Output(), "logger-1 did not end within 3s and was killed") {
				t.Error("picket up does not name logger-1")
			}
			b := NewBooks(c.Status())
			c.books(b.Read)
			// The workers waited in vain, gave up and ended by themselves.
			if b.RecordsDropped == 0 || b.RecordsLost+b.PacketsLost+b.Connections > 0 {
				t.Errorf("%+v", b)
			}
			t.Logf("%+v", b)
		})
	}
}

// order checks that nodes ended workers first, hub last.
func order(t *testing.T, c *Cluster) {
	t.Helper()
	for _, n := range c.Status().Nodes {
		if n.State != "stopped" && n.State != "done" || n.Restarts > 0 {
			t.Errorf("%s is %s after %d restarts", n.Name, n.State, n.Restarts)
		}
	}
}

func kill(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("%v to pid %d: %v", sig, pid, err)
	}
}

// cpu is the time that a process has used.
func cpu(pid int) time.Duration {
	u, err := procinfo.Of(pid)
	if err != nil {
		return 0
	}
	return u.CPU
}
