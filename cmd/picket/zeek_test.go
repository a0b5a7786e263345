package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/internal/libzmqtest"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/stock"
	"github.com/picket-nsm/picket/zeek/topic"
	"github.com/picket-nsm/picket/zeek/value"
)

// zeekProcess is a process that is nothing but libzmq and behaves as a real Zeek
// worker: it subscribes, greets whoever subscribes to a node id, and sends batches.
type zeekProcess struct {
	*libzmqtest.Process
	t        *testing.T
	name, id string
}

// startZeek starts one that is connected to the broker, with the subscriptions of
// its role.
func startZeek(t *testing.T, name string, role layout.Role, xpub, xsub string) *zeekProcess {
	z := &zeekProcess{Process: libzmqtest.Start(t), t: t, name: name, id: "zeromq_" + name + "_host_1_Nxyz"}
	z.Socket("in", "XSUB", nil)
	z.Socket("out", "XPUB", map[string]any{"XPUB_VERBOSE": 1})
	z.Connect("in", xpub)
	z.Connect("out", xsub)
	for _, s := range cluster.Subscriptions(name, z.id, role) {
		z.Subscribe("in", "XSUB", s)
	}
	return z
}

// startZeekWorker starts one that sends log batches to the machine's logger-1.
func (m *machine) startZeekWorker(name, xpub, xsub string) *zeekProcess {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.spool, "zeek", "cluster-layout.zeek"))
	if err != nil {
		m.t.Fatal(err)
	}
	l, err := layout.Parse("x", text)
	if err != nil {
		m.t.Fatal(err)
	}
	logger, _ := l.Node("logger-1")
	z := startZeek(m.t, name, layout.Worker, xpub, xsub)
	z.Socket("push", "PUSH", nil)
	z.Connect("push", fmt.Sprintf("tcp://%s:%d", logger.Addr, logger.Port))
	return z
}

func (z *zeekProcess) event(to, name string, args ...value.Value) {
	z.t.Helper()
	e := event.New(name, args...)
	b, err := brokerbin.New().Append(nil, &e)
	if err != nil {
		z.t.Fatal(err)
	}
	z.Send("out", []byte(to), []byte(z.id), []byte("broker-bin-v1"), b)
}

// greet says both hellos to whoever has subscribed to a node id, until all nodes of
// these names have said Cluster::hello.
func (z *zeekProcess) greet(names ...string) {
	z.t.Helper()
	me := []value.Value{value.String(z.name), value.String(z.id)}
	for len(names) > 0 {
		s := z.Recv("out", 1)[0][0]
		id, ok := topic.NodeIDOf(string(s[1:]))
		if !ok || s[0] != 1 || id == z.id {
			continue
		}
		z.event(string(s[1:]), "Cluster::Backend::ZeroMQ::hello", me...)
		for said := ""; said != "Cluster::hello" && !strings.Contains(id, "_bridge_"); {
			f := z.Recv("in", 1)[0]
			e, err := brokerbin.New().Decode(f[3])
			if err != nil {
				z.t.Fatal(err)
			}
			if said = e.Name; said == "Cluster::hello" {
				names = slices.DeleteFunc(names, func(n string) bool { return n == e.Args[0].Str() })
			}
		}
		z.event(string(s[1:]), "Cluster::hello", me...)
	}
}

// TestRealZeek: a worker that is nothing but libzmq takes part in a cluster that
// picket up has started, over NATS and over ZeroMQ: the manager logs that it came,
// the logger writes what it sends, of streams that Picket does not know too, and
// status shows it.
func TestRealZeek(t *testing.T) {
	t.Parallel()
	golden := testenv.Shared(t, "golden", "log-batches", "mqtt")
	frames := testenv.Frames(t, filepath.Join(golden, "batches.jsonl"))
	for _, c := range []struct{ backend, door string }{{"nats", "manager"}, {"nats", "hub"}, {"zeromq", "manager"}} {
		t.Run(c.backend+" "+c.door, func(t *testing.T) {
			t.Parallel()
			backend := c.backend
			m := newMachine(t)
			port := testenv.Ports(t, 5)
			xpub, xsub := fmt.Sprintf("tcp://127.0.0.1:%d", port), fmt.Sprintf("tcp://127.0.0.1:%d", port+1)
			cfg := m.file("c.toml", fmt.Sprintf(`
[cluster]
workers = 1
[bus]
backend = %q
[bus.zeromq]
xpub = %q
xsub = %q
port = %d
[[zeek]]
name = "zeek-1"
role = "worker"
[logs]
rotate = "0s"
[api.websocket]
listen = "127.0.0.1:0"
node = %q
`, backend, xpub, xsub, port+2, c.door))
			u := m.up("-c", cfg, "--read", demo(t), "--seed", "x", "--pace", "300s")
			m.wait("all ready", allReady)
			if out, _ := m.picket("status"); !strings.Contains(out, "zeek zeek-1  not connected  messages 0 in") {
				t.Error(out)
			}
			z := m.startZeekWorker("zeek-1", xpub, xsub)
			z.greet("manager")
			for _, f := range frames {
				z.Send("push", f[0], []byte(z.id), f[2], f[3])
			}
			z.Send("out", []byte("zeek.cluster.manager"), []byte(z.id), []byte("broker-json-v1"), []byte("{}"))
			rows := func(dir string) map[string][]string {
				all := rowsOf(t, dir)
				return map[string][]string{"mqtt_connect": all["mqtt_connect"], "mqtt_publish": all["mqtt_publish"]}
			}
			want := rows(filepath.Join(golden, "tsv"))
			if len(want["mqtt_connect"]) == 0 || len(want["mqtt_publish"]) == 0 {
				t.Fatalf("%v", want)
			}
			var got map[string][]string
			for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
				got = rows(filepath.Join(m.dir, "logs"))
				if slices.Equal(got["mqtt_connect"], want["mqtt_connect"]) && slices.Equal(got["mqtt_publish"], want["mqtt_publish"]) {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("logs hold %v\nwant %v\n%s", got, want, u.out())
				}
			}
			m.wait("status shows it", func(s *status.Status) bool {
				return len(s.Links) == 1 && s.Links[0].Connections == 2 && s.Links[0].Batches == uint64(len(frames)) && s.Links[0].In > 0 && s.Links[0].Out > 0
			})
			if backend == "nats" {
				m.wait("its codec is refused", func(s *status.Status) bool { return s.Links[0].Codec == 1 })
				if text, err := os.ReadFile(filepath.Join(m.spool, "hub", "stderr.log")); err != nil || !strings.Contains(string(text), `speaks \"broker-json-v1\", this cluster broker-bin-v1: it is not let in`) {
					t.Errorf("%v\n%s", err, text)
				}
			}
			clusterLog := filepath.Join(m.dir, "logs", "cluster.log")
			u.says(t, clusterLog, "got hello from zeek-1 ("+z.id+")")
			// Programs at the door and the Zeek process hear each other.
			m.wait("the door is open", func(s *status.Status) bool { return len(webSocketDoors(s)) == 1 && webSocketDoors(s)[0].URL != "" })
			sub := make(chan string, 1)
			go func() {
				out, code := m.picket("events", "sub", "/from-zeek", "--timeout", "30s", "-n", "1")
				sub <- fmt.Sprint(code, " ", out)
			}()
			for string(z.Recv("out", 1)[0][0]) != "\x01/from-zeek" {
			}
			for got := ""; got == ""; { // the broker may know of the subscription before the door serves it
				z.event("/from-zeek/x", "A::b", value.Count(5))
				select {
				case got = <-sub:
					if got != "0 /from-zeek/x A::b(5)\n" {
						t.Errorf("the door's client got %q", got)
					}
				case <-time.After(50 * time.Millisecond):
				}
			}
			if out, code := m.picket("events", "pub", "zeek.cluster.worker", "B::c", "hello"); code != 0 {
				t.Errorf("code %d: %s", code, out)
			}
			for name := ""; name != "B::c"; {
				f := z.Recv("in", 1)[0]
				if e, err := brokerbin.New().Decode(f[3]); err == nil {
					name = e.Name
				}
			}
			z.Kill()
			u.says(t, clusterLog, "node down: zeek-1")
			if out, code := m.picket("stop"); code != 0 {
				t.Errorf("stop: %d %s", code, out)
			}
			u.end(t)
			m.books(u)
		})
	}
}

// TestRealZeekLogger: a logger that is nothing but libzmq beside one of ours. It
// gets the logs that its Zeek has, ours writes the others and its part; no row is
// lost or there twice, and status says how many were handed over.
func TestRealZeekLogger(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"nats", "zeromq"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			port := testenv.Ports(t, 6)
			at := func(i int) string { return fmt.Sprintf("tcp://127.0.0.1:%d", port+i) }
			cfg := m.file("c.toml", fmt.Sprintf(`
[cluster]
workers = 2
[bus]
backend = %q
[bus.zeromq]
xpub = %q
xsub = %q
port = %d
[[zeek]]
name = "logger-z"
role = "logger"
port = %d
version = "8.2"
[logs]
rotate = "0s"
`, backend, at(0), at(1), port+2, port+5))
			if out, code := m.picket("check", "-c", cfg, "--read", demo(t)); code != 0 || !strings.Contains(out, "warn  zeek logger-z: picket's own loggers alone write what it does not take: ") ||
				!strings.Contains(out, "logs have the columns of Zeek 8.2 with local.zeek\n") {
				t.Errorf("%d %s", code, out)
			}
			u := m.up("-c", cfg, "--read", demo(t), "--seed", "x", "--pace", "10s")
			z := startZeek(t, "logger-z", layout.Logger, at(0), at(1))
			z.Socket("pull", "PULL", nil)
			z.Bind("pull", at(5))
			z.greet("worker-2") // the first worker is there, too, or shortly before
			if code := u.end(t); code != 0 {
				t.Fatalf("exit code %d\n%s", code, u.out())
			}
			a := m.books(u)
			if a.RecordTotal.Handed == 0 || a.RecordTotal.Written+a.RecordTotal.Handed != a.RecordTotal.Produced {
				t.Errorf("%+v\n%s", a.RecordTotal, u.out())
			}
			zeek, err := stock.New("8.2", true)
			if err != nil {
				t.Fatal(err)
			}
			pulled := map[string]int{}
			for got := uint64(0); got < a.RecordTotal.Handed; {
				f := z.Recv("pull", 1)[0]
				c, err := record.Open(f[3])
				if err != nil || len(f) != 4 || string(f[0]) != "log-write" {
					t.Fatalf("%q: %v", f, err)
				}
				if err := zeek.Fit(c.Schema()); err != nil {
					t.Error(err)
				}
				pulled[c.Schema().Path] += c.Records()
				got += uint64(c.Records())
			}
			ours := rowsOf(t, filepath.Join(m.dir, "logs"))
			for path, rows := range m.demoRows() {
				if len(ours[path])+pulled[path] != len(rows) {
					t.Errorf("%s: %d rows of ours, %d of Zeek's, want %d", path, len(ours[path]), pulled[path], len(rows))
				}
			}
			if pulled["conn"] == 0 || pulled["ssl"] > 0 {
				t.Errorf("pulled %v", pulled)
			}
		})
	}
}

// TestZeekLoggerByHand: a worker of ours, started by hand, in a cluster whose only
// logger is nothing but libzmq. It gets the logs that its Zeek has, told or not
// which one it is; rows that nobody would write are dropped, and the worker says so.
func TestZeekLoggerByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flag  []string
		local bool
		ssl   bool
		says  string
	}{
		{nil, true, false, "no logger writes these rows, so they are dropped and counted\" path=ssl"},
		{[]string{"--zeek-logger", "logger-1=9.0,default"}, false, true, ""},
	} {
		t.Run(fmt.Sprint(c.flag), func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			logger := m.layout("1").Loggers()[0]
			xpub, xsub := m.startBroker(nil)
			z := startZeek(t, logger.Name, layout.Logger, xpub, xsub)
			z.Socket("pull", "PULL", nil)
			z.Bind("pull", fmt.Sprintf("tcp://%s:%d", logger.Addr, logger.Port))
			u := m.startIn(filepath.Join(m.dir, "worker-1"), []string{"ZEEKPATH=" + m.dir}, slices.Concat(
				[]string{"node", "worker-1", "--backend", "zeromq", "--xpub", xpub, "--xsub", xsub, "--read", demo(t), "--seed", "x", "--pace", "3s"}, c.flag)...)
			z.greet("worker-1")
			if code := u.end(t); code != 0 || !strings.Contains(u.out(), c.says) {
				t.Fatalf("exit code %d\n%s", code, u.out())
			}
			zeek, err := stock.New("9.0", c.local)
			if err != nil {
				t.Fatal(err)
			}
			rows, pulled := m.demoRows(), map[string]int{}
			for pulled["conn"] < len(rows["conn"]) || c.ssl && pulled["ssl"] < len(rows["ssl"]) {
				b, err := record.Open(z.Recv("pull", 1)[0][3])
				if err != nil {
					t.Fatal(err)
				}
				if err := zeek.Fit(b.Schema()); err != nil {
					t.Error(err)
				}
				pulled[b.Schema().Path] += b.Records()
			}
			if (pulled["ssl"] > 0) != c.ssl || len(rows["ssl"]) == 0 {
				t.Errorf("pulled %v of %d rows of ssl", pulled, len(rows["ssl"]))
			}
		})
	}
}

// TestRealZeekHubDies: the hub is killed, and with it the bus, the broker and the
// bridge. A Zeek worker connects again, as libzmq does, is greeted anew, and its
// batches are written.
func TestRealZeekHubDies(t *testing.T) {
	t.Parallel()
	golden := testenv.Shared(t, "golden", "log-batches", "mqtt")
	frames := testenv.Frames(t, filepath.Join(golden, "batches.jsonl"))
	m := newMachine(t)
	port := testenv.Ports(t, 5)
	at := func(i int) string { return fmt.Sprintf("tcp://127.0.0.1:%d", port+i) }
	cfg := m.file("c.toml", fmt.Sprintf(`
[cluster]
workers = 1
[bus.zeromq]
xpub = %q
xsub = %q
port = %d
[[zeek]]
name = "zeek-1"
role = "worker"
[logs]
rotate = "0s"
[api.websocket]
listen = "127.0.0.1:0"
`, at(0), at(1), port+2))
	u := m.up("-c", cfg, "--read", demo(t), "--seed", "x", "--pace", "300s")
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := m.picket("status", "--json")
			t.Log(out)
			for _, name := range []string{"hub", "manager"} {
				text, _ := os.ReadFile(filepath.Join(m.spool, name, "stderr.log"))
				t.Logf("%s: %s", name, text)
			}
		}
	})
	m.wait("all ready", allReady)
	z := m.startZeekWorker("zeek-1", at(0), at(1))
	z.greet("manager", "logger-1", "proxy-1", "worker-1")
	for life := range 2 {
		s := m.wait("all ready", allReady)
		old := nodeOf(s, "hub")
		if err := syscall.Kill(old.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		m.wait("the hub is back", func(s *status.Status) bool { return allReady(s) && nodeOf(s, "hub").PID != old.PID })
		z.greet("manager", "logger-1", "proxy-1", "worker-1")
		for _, f := range frames {
			z.Send("push", f[0], []byte(z.id), f[2], f[3])
		}
		m.wait("its batches have arrived", func(s *status.Status) bool {
			return len(s.Links) == 1 && s.Links[0].Connections == 2 && s.Links[0].Batches == uint64((life+1)*len(frames))
		})
		want := len(rowsOf(t, filepath.Join(golden, "tsv"))["mqtt_publish"]) * (life + 1)
		m.wait("they are written", func(*status.Status) bool { return len(rowsOf(t, filepath.Join(m.dir, "logs"))["mqtt_publish"]) == want })
		got, over := make(chan struct{}), make(chan struct{})
		go func() { // again and again: the door may not have its bus back yet
			defer close(over)
			for {
				m.picket("events", "pub", "zeek.cluster.worker", "B::c", fmt.Sprint(life))
				select {
				case <-got:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		}()
		for said := uint64(99); said != uint64(life); {
			if e, err := brokerbin.New().Decode(z.Recv("in", 1)[0][3]); err == nil && e.Name == "B::c" {
				said = e.Args[0].Count()
			}
		}
		close(got)
		<-over
	}
	if out, code := m.picket("stop"); code != 0 {
		t.Errorf("stop: %d %s", code, out)
	}
	u.end(t)
	m.books(u)
}
