package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/testenv"
)

// pauseTime is for how long a node is stopped: three seconds, ten for the long
// variants, or what PICKET_E2E_PAUSE says: 1m.
func pauseTime(t *testing.T) time.Duration {
	if s := os.Getenv("PICKET_E2E_PAUSE"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if Long() {
		return 10 * time.Second
	}
	return 3 * time.Second
}

// classes are what the nodes of each role subscribe to, in the order of a probe.
const classes = "zeek.cluster.manager,zeek.cluster.logger,zeek.cluster.proxy,zeek.cluster.worker"

// TestStoppedNode: a node that stands still, of whichever role, delays nobody. A
// cluster of picket up gets events for all its roles from a probe; another one
// measures how late they arrive. While any one node is stopped that is hardly later
// than before: at most twice in the middle, and five times and 5 ms at the late
// end, in the best of three tries (and the test fails at five times that). What the stopped node misses is counted by topic,
// at the node itself, to the last event.
func TestStoppedNode(t *testing.T) {
	bin := binary(t)
	file, _ := capture(t, mix())
	for _, kind := range []string{"nats", "zeromq"} {
		t.Run(kind, func(t *testing.T) {
			port := testenv.Ports(t, 2)
			c := NewCluster(t, bin)
			var conf, url string
			var env []string
			if kind == "nats" {
				// A server of the hub's kind, to which the probes know the password.
				url = launch(t, nil, "hub", "nats", fmt.Sprint(port)).line()
				secret := filepath.Join(c.Dir, "secret")
				if err := os.WriteFile(secret, []byte("busnode"), 0o600); err != nil {
					t.Fatal(err)
				}
				conf = fmt.Sprintf("[cluster]\nname = \"bench\"\n[bus]\nurl = %q\nuser = \"node\"\ntoken_file = %q\n", url, secret)
			} else {
				conf = fmt.Sprintf("[bus]\nbackend = \"zeromq\"\n[bus.zeromq]\nxpub = \"tcp://127.0.0.1:%d\"\nxsub = \"tcp://127.0.0.1:%d\"\nport = %d\n", port, port+1, testenv.Ports(t, 2))
				url = fmt.Sprintf("tcp://127.0.0.1:%d,tcp://127.0.0.1:%d", port, port+1)
			}
			name := filepath.Join(c.Dir, "picket.toml")
			if err := os.WriteFile(name, []byte(conf), 0o600); err != nil {
				t.Fatal(err)
			}
			d := pauseTime(t)
			// Reading lasts longer than all tries.
			c.Read(file, "-c", name, "-L", "2", "-W", "2", "--pace", (60*time.Second + 40*d).String())
			c.AwaitStarted()
			ear := launch(t, env, "ear", url, classes)
			ear.line()
			probe := launch(t, env, "probe", url, "2000", classes)
			probe.line()
			time.Sleep(time.Second)
			var cut []string // NATS cuts off who stands still for long: what it itself was sending is lost
			for _, victim := range []string{"worker-1", "logger-1", "proxy-1", "manager"} {
				if d >= 5*time.Second {
					cut = append(cut, victim)
				}
				measure := func() (h heard) {
					ear.json("", &h)
					time.Sleep(d)
					ear.json("", &h)
					return h
				}
				// The aim; a test that fails at it would fail of other work on the machine,
				// so it fails at five times that.
				within := func(h, control heard, times int) bool {
					n := time.Duration(times)
					return h.N > 0 && h.missed(cut) == 0 && h.Median <= 2*n*control.Median && h.P99 <= n*(5*control.P99+5*time.Millisecond)
				}
				for try, fine := 1, false; ; try++ {
					control := measure()
					if !c.Signal(victim, syscall.SIGSTOP) {
						t.Fatalf("%s does not run", victim)
					}
					stopped := measure()
					c.Signal(victim, syscall.SIGCONT)
					t.Logf("%s: %d events, median %s, p99 %s, at the latest %s; before: %s, %s, %s; lost so far, by sender: %v", victim, stopped.N, stopped.Median, stopped.P99, stopped.Max, control.Median, control.P99, control.Max, stopped.Of)
					if within(stopped, control, 1) {
						break
					}
					fine = fine || within(stopped, control, 5)
					if try == 3 && !fine {
						t.Errorf("%s stands still, and the others feel it: %+v, before %+v", victim, stopped, control)
					}
					if try == 3 {
						break
					}
					time.Sleep(d / 2)
				}
				time.Sleep(time.Second)
			}
			if kind == "zeromq" {
				// More than the hub keeps for one that does not read (64 MiB).
				c.Signal("worker-1", syscall.SIGSTOP)
				for range 5 {
					probe.ask("zeek.cluster.worker 500 65536")
					time.Sleep(300 * time.Millisecond)
				}
				c.Signal("worker-1", syscall.SIGCONT)
			}
			var sent map[string]uint64
			probe.json("", &sent)
			// The node's own books: what was published to its topic has arrived, or is lost.
			for victim, topic := range map[string]string{"worker-1": "worker", "logger-1": "logger", "proxy-1": "proxy", "manager": "manager"} {
				topic = "zeek.cluster." + topic
				var got, lost, unheard uint64
				for end := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
					n := c.Node(victim).Counters
					got, lost, unheard = n["events.delivered."+topic], n["events.lost."+topic], n["events.unheard."+topic]
					if got+lost+unheard == sent[topic] || time.Now().After(end) {
						break
					}
				}
				t.Logf("%s: %d sent to %s, %d arrived, %d lost", victim, sent[topic], topic, got, lost)
				if drowned := kind == "zeromq" && victim == "worker-1"; drowned {
					if n := c.Node("hub").Counters["bus.dropped."+topic]; lost == 0 || n == 0 {
						t.Errorf("%s was drowned: the hub says that it dropped %d of %s, it itself that it lost %d", victim, n, topic, lost)
					}
				} else if lost != 0 && d < 5*time.Second { // later, NATS cuts it off
					t.Errorf("%s has lost %d", victim, lost)
				}
				if got+lost+unheard != sent[topic] || got == 0 {
					t.Errorf("%s: %d sent to %s, %d arrived, %d lost, %d from before", victim, sent[topic], topic, got, lost, unheard)
				}
			}
			if _, code := c.Picket("stop"); code != 0 {
				t.Errorf("picket stop: exit code %d", code)
			}
			c.Wait()
			ear.leave()
			probe.leave()
		})
	}
}

// heard is what an ear tells.
type heard struct {
	N           int
	Median, P99 time.Duration
	Max         time.Duration
	Lost        uint64
	Of          map[string]uint64
}

// missed is how many events it has lost, but for those of some nodes.
func (h heard) missed(but []string) uint64 {
	n := h.Lost
	for id, lost := range h.Of {
		if slices.ContainsFunc(but, func(name string) bool { return strings.Contains(id, "_"+name+"_") }) {
			n -= lost
		}
	}
	return n
}
