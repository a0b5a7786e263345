package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/netns"
	"github.com/picket-nsm/picket/internal/trafficgen"
)

// cable is a cluster that watches one end of a cable between two network
// namespaces; the test sends on the other end.
type cable struct {
	*Cluster
	far, near *netns.NS
}

// live starts a cluster on a cable. It needs root.
func live(t *testing.T, args ...string) *cable {
	t.Helper()
	bin := binary(t)
	far, near := netns.New(t), netns.New(t)
	netns.Veth(t, far, "va", near, "vb")
	c := NewCluster(t, bin)
	c.Wrap = func(cmd *exec.Cmd) *exec.Cmd { return near.Command(cmd.Path, cmd.Args[1:]...) }
	c.Up(append([]string{"-i", "vb"}, args...)...)
	c.AwaitStarted()
	return &cable{c, far, near}
}

// send sends up to max packets of a generator (0: all) at about rate packets a
// second, and returns how many it sent.
func (c *cable) send(next func() []byte, most, rate int) (packets uint64) {
	c.T.Helper()
	err := c.far.Do(func() error {
		s, err := trafficgen.NewSender("va")
		if err != nil {
			return err
		}
		defer s.Close()
		n := 0
		begin := time.Now()
		err = s.Send(context.Background(), func() []byte {
			if n++; most > 0 && n > most {
				return nil
			}
			return next()
		}, rate)
		packets, _ = s.Sent()
		c.T.Logf("sent %d packets at %.0f/s", packets, float64(packets)/time.Since(begin).Seconds())
		return err
	})
	if err != nil {
		c.T.Fatal(err)
	}
	return packets
}

// taken waits until the workers have taken what was sent.
func (c *cable) taken(packets uint64) {
	c.T.Helper()
	var last uint64
	for end := time.Now().Add(stillness); ; time.Sleep(50 * time.Millisecond) {
		t := c.Status().Totals
		now := t.Analyzed + t.Dropped
		if now >= packets || time.Now().After(end) {
			return
		}
		if now != last {
			last, end = now, time.Now().Add(stillness)
		}
	}
}

// stillness is how long no packet is taken before none is expected: of those that
// died with a process none comes.
const stillness = 10 * time.Second

// stop ends the cluster in order and returns its books: every packet sent was
// analyzed, or counted as dropped or lost.
func (c *cable) stop(sent uint64) Books {
	c.T.Helper()
	before := c.Status()
	if out, code := c.Picket("stop"); code != 0 {
		c.T.Errorf("picket stop: exit code %d: %s", code, out)
	}
	c.Wait()
	b := c.books(sent)
	for _, n := range before.Nodes {
		c.T.Logf("%-10s cpu %5.1f %%, pss %3d MB, received %d, dropped %d", n.Name, n.CPU, n.PSS>>20, n.Received, n.Dropped)
	}
	c.T.Logf("%+v", b)
	return b
}

// busy measures CPU from the first look to the second: status's own figure is
// of the last moment.
func (c *cable) busy(do func()) {
	c.T.Helper()
	first, begin := cpus(c.Status()), time.Now()
	do()
	wall := time.Since(begin)
	var parts []string
	for name, d := range cpus(c.Status()) {
		if used := d - first[name]; used > wall/100 {
			parts = append(parts, fmt.Sprintf("%s %.0f %%", name, 100*float64(used)/float64(wall)))
		}
	}
	slices.Sort(parts)
	c.T.Logf("CPU over %s: %s", wall.Round(time.Millisecond), strings.Join(parts, ", "))
}

// Two workers, more than 500,000 packets at more than 200,000 a second: every
// packet sent is analyzed or counted as dropped.
func TestLiveLoad(t *testing.T) {
	c := live(t, "-W", "2")
	g := trafficgen.New(load(520_000))
	var sent uint64
	c.busy(func() {
		sent = c.send(g.Next, 0, 250_000)
		c.taken(sent)
	})
	b := c.stop(sent)
	if sent < 500_000 || b.Analyzed < sent/2 {
		t.Errorf("%d packets sent, %d analyzed", sent, b.Analyzed)
	}
	if b.PacketsLost != 0 || b.RecordsLost != 0 {
		t.Errorf("something was lost: %+v", b)
	}
	if n := len(c.rows("conn").Lines); b.PacketsDropped == 0 && n != load(520_000).Flows {
		t.Errorf("%d conn rows of %d flows", n, load(520_000).Flows)
	}
}

// A worker stands still for five seconds (two in the short variant): what its ring does not hold is
// dropped, and counted.
func TestLiveStopped(t *testing.T) {
	c := live(t, "-W", "2")
	const rate = 200_000
	still, packets := 2, 600_000
	if Long() {
		still, packets = 5, 1_200_000
	}
	g := trafficgen.New(load(packets))
	pid := c.Node("worker-1").PID
	kill(t, pid, syscall.SIGSTOP)
	sent := c.send(g.Next, still*rate, rate) // by number: a slow machine sends for longer
	kill(t, pid, syscall.SIGCONT)
	sent += c.send(g.Next, 0, rate)
	c.taken(sent)
	if n := c.Node("worker-1"); n.Dropped == 0 {
		t.Errorf("worker-1 dropped nothing: %+v", n)
	}
	b := c.stop(sent)
	if b.PacketsDropped == 0 || b.PacketsLost != 0 {
		t.Errorf("%+v", b)
	}
}

// One of four workers is killed while flows are under way: those of the others
// stay where they are, and its own come back to it.
func TestLiveKillKeepsFlows(t *testing.T) {
	c := live(t, "-W", "4")
	const flows = 4000
	cfg := trafficgen.Config{Flows: flows, Window: flows, Parts: [3]int{1, 0, 0}} // all begin, then all go on
	g := trafficgen.New(cfg)
	sent := c.send(g.Next, 5*flows, 50_000)
	c.taken(sent)
	open := map[string]uint64{}
	total := uint64(0)
	for end := time.Now().Add(patience); total != flows && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		total = 0 // how many are open they write down now and then
		for _, n := range c.Status().Nodes {
			if n.Role == "worker" {
				open[n.Name] = n.Counters[ledger.FlowsOpen]
				total += open[n.Name]
			}
		}
	}
	t.Logf("open: %v", open)
	if total != flows {
		t.Errorf("%d flows are open in the workers, %d were begun", total, flows)
	}
	if !c.Signal("worker-2", syscall.SIGKILL) {
		t.Fatal("worker-2 does not run")
	}
	sent += c.send(g.Next, 0, 50_000)
	c.taken(sent)
	b := c.stop(sent)
	if b.Connections != open["worker-2"] {
		t.Errorf("%d connections lost with worker-2, which had %d", b.Connections, open["worker-2"])
	}
	whole, part := 0, 0
	conn := c.rows("conn")
	for _, l := range conn.Lines {
		if conn.Key(l, "conn_state", "history") == "SF ShADadFf" {
			whole++
		} else {
			part++
		}
	}
	if want := flows - int(open["worker-2"]); whole != want || part != int(open["worker-2"]) {
		t.Errorf("%d flows were seen whole by one worker, not %d; %d in part, not %d", whole, want, part, open["worker-2"])
	}
	for name, n := range open {
		lives := c.Node(name)
		if got := lives.Counters[ledger.Produced("conn")]; got != n {
			t.Errorf("%s made %d conn rows, had %d flows open", name, got, n)
		}
	}
}

// One of four workers is killed under load.
func TestLiveKillUnderLoad(t *testing.T) {
	if !Long() {
		t.Skipf("only with %s=1", Env)
	}
	c := live(t, "-W", "4")
	g := trafficgen.New(load(520_000))
	pid := c.Node("worker-2").PID
	at := time.AfterFunc(time.Second, func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	defer at.Stop()
	sent := c.send(g.Next, 0, 200_000)
	c.taken(sent)
	b := c.stop(sent)
	if n := c.Node("worker-2"); n.Restarts != 1 {
		t.Errorf("worker-2 has %d restarts", n.Restarts)
	}
	for _, l := range b.Losers {
		if l != "worker-2" {
			t.Errorf("lost with %s, which was not killed", l)
		}
	}
	if b.Connections == 0 {
		t.Error("no connection was open in worker-2")
	}
}

// The supervisor is killed while packets come, and a new one takes nodes and
// sockets over: nobody sees it in the logs.
func TestLiveAdopt(t *testing.T) {
	if !Long() {
		t.Skipf("only with %s=1", Env)
	}
	c := live(t, "-W", "2")
	before := c.Processes()
	cfg := load(100_000)
	g := trafficgen.New(cfg)
	sent := c.send(g.Next, 40_000, 50_000)
	kill(t, c.Supervisor(), syscall.SIGKILL)
	c.Wait()
	sent += c.send(g.Next, 20_000, 50_000)
	c.Up("-i", "vb", "-W", "2")
	sent += c.send(g.Next, 0, 50_000)
	c.Await("all nodes have started")
	for name, pids := range c.Processes() {
		if !slices.Equal(pids, before[name]) {
			t.Errorf("%s: pids %v, before %v", name, pids, before[name])
		}
	}
	// The new supervisor holds the sockets, too: a worker's successor gets its own.
	if !c.Signal("worker-1", syscall.SIGKILL) {
		t.Fatal("worker-1 does not run")
	}
	c.Await("worker-1: ended (cause not known")
	more := cfg
	more.First = cfg.Flows
	g = trafficgen.New(more)
	sent += c.send(g.Next, 0, 50_000)
	c.taken(sent)
	b := c.stop(sent)
	if b.PacketsDropped > 0 || b.PacketsLost > 1 {
		t.Errorf("%+v", b)
	}
	whole := map[string]int{}
	conn := c.rows("conn")
	for _, l := range conn.Lines {
		whole[conn.Key(l, "conn_state")]++
	}
	// Only what worker-1 had open or in its hands is missing or cut.
	rows, cut := len(conn.Lines), len(conn.Lines)-whole["SF"]
	if uint64(cut) > b.Connections || uint64(rows)+b.Connections+b.RecordsLost < uint64(2*cfg.Flows) {
		t.Errorf("conn rows by state: %v, of %d flows: %+v", whole, 2*cfg.Flows, b)
	}
}

// Nodes of the bus and the logs die while packets come: a live worker does not
// wait for them, and what it holds meanwhile has room.
func TestLiveKillOthers(t *testing.T) {
	if !Long() {
		t.Skipf("only with %s=1", Env)
	}
	c := live(t, "-W", "2", "-L", "2")
	cfg := load(300_000)
	g := trafficgen.New(cfg)
	s := c.Status()
	at := time.Duration(0)
	for _, n := range s.Nodes {
		if n.Role != "worker" {
			at += 500 * time.Millisecond
			k := time.AfterFunc(at, func() { _ = syscall.Kill(n.PID, syscall.SIGKILL) })
			defer k.Stop()
		}
	}
	sent := c.send(g.Next, 0, 100_000)
	c.taken(sent)
	b := c.stop(sent)
	if b.PacketsDropped+b.PacketsLost+b.RecordsDropped > 0 || slices.ContainsFunc(b.Losers, func(l string) bool { return l != "manager" }) {
		t.Errorf("%+v", b)
	}
	if n := len(c.rows("conn").Lines); n != cfg.Flows {
		t.Errorf("%d conn rows of %d flows", n, cfg.Flows)
	}
}

// Kills, stops and restarts by chance under load: every packet is in the books.
func TestLiveChaos(t *testing.T) {
	if !Long() {
		t.Skipf("only with %s=1", Env)
	}
	for round := range 5 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			r := rand.New(rand.NewPCG(5+Seed(), uint64(round)))
			c := live(t, "-W", "3", "-L", "2")
			var nodes []string
			for _, n := range c.Status().Nodes {
				nodes = append(nodes, n.Name)
			}
			begin := time.Now()
			var hit []string
			over := make(chan struct{})
			go func() {
				defer close(over)
				for time.Since(begin) < 5*time.Second {
					time.Sleep(time.Duration(r.Int64N(int64(time.Second))))
					hit = append(hit, c.blow(r, nodes, begin)...)
				}
			}()
			g := trafficgen.New(load(600_000))
			sent := c.send(g.Next, 0, 100_000)
			<-over
			time.Sleep(time.Second) // whoever stands still goes on
			c.taken(sent)
			b := c.stop(sent)
			for _, l := range b.Losers {
				if !slices.Contains(hit, l) {
					t.Errorf("lost with %s, which nobody touched", l)
				}
			}
		})
	}
}

// load is about so many packets, in flows of 2 and of 10.
func load(packets int) trafficgen.Config {
	return trafficgen.Config{Flows: packets / 8, Window: 2000, Parts: [3]int{6, 1, 1}}
}

func cpus(s *status.Status) map[string]time.Duration {
	out := map[string]time.Duration{}
	for _, n := range s.Nodes {
		if n.PID != 0 {
			out[n.Name] = cpu(n.PID)
		}
	}
	return out
}
