package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	natsserver "github.com/picket-nsm/picket/bus/backend/nats/server"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/zeek/layout"
)

// rowsOf returns the sorted rows of each log, without meta lines. Logs whose rows
// hold node ids and times of the run are left out.
func rowsOf(t *testing.T, dir string) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	logs := map[string][]string{}
	for _, f := range files {
		name, _, _ := strings.Cut(filepath.Base(f), ".") // conn.logger-1.log is one of several loggers'
		if name == "cluster" {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
			if !strings.HasPrefix(line, "#") {
				logs[name] = append(logs[name], line)
			}
		}
	}
	for _, rows := range logs {
		sort.Strings(rows)
	}
	return logs
}

func sameLogs(t *testing.T, what string, got, want map[string][]string) {
	t.Helper()
	if len(want["conn"]) == 0 {
		t.Fatal("no connections")
	}
	for name, rows := range want {
		if !slices.Equal(got[name], rows) {
			t.Errorf("%s: %s.log has %d rows, want %d, or others", what, name, len(got[name]), len(rows))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d logs, want %d", what, len(got), len(want))
	}
}

// demoRows returns what picket read writes of the demo in one process.
func (m *machine) demoRows() map[string][]string {
	m.t.Helper()
	if out, code := m.picket("read", "--seed", "x", "-o", "mem", demo(m.t)); code != 0 {
		m.t.Fatalf("read: %d %s", code, out)
	}
	return rowsOf(m.t, filepath.Join(m.dir, "mem"))
}

// layout writes the layout of a cluster of so many workers that is started by hand.
func (m *machine) layout(workers string) *layout.Layout {
	m.t.Helper()
	o := layout.Default()
	o.Workers = workers
	o.Port = testenv.Ports(m.t, 4)
	l, err := layout.Generate(o)
	if err != nil {
		m.t.Fatal(err)
	}
	m.file("cluster-layout.zeek", string(l.Zeek()))
	return l
}

// startBroker starts picket broker on two free ports.
func (m *machine) startBroker(env []string) (xpub, xsub string) {
	m.t.Helper()
	port := testenv.Ports(m.t, 2)
	xpub, xsub = fmt.Sprintf("tcp://127.0.0.1:%d", port), fmt.Sprintf("tcp://127.0.0.1:%d", port+1)
	m.startIn(filepath.Join(m.dir, "broker"), env, "broker", "--listen-xpub", xpub, "--listen-xsub", xsub)
	return xpub, xsub
}

// TestBackendsWriteTheSame: in one process, over NATS and over ZeroMQ, with both
// codecs, the same rows, and all accounted for.
func TestBackendsWriteTheSame(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	want := m.demoRows()
	for _, backend := range []string{"nats", "zeromq"} {
		for _, codec := range []string{"broker-bin-v1", "broker-json-v1"} {
			name := backend + " " + codec
			cfg := m.file("c.toml", fmt.Sprintf("[bus]\nbackend = %q\ncodec = %q\n[logs]\nrotate = \"0s\"\n", backend, codec))
			os.RemoveAll(filepath.Join(m.dir, "logs"))
			u := m.up("-c", cfg, "--read", demo(t), "--seed", "x", "-L", "2", "-W", "3")
			if code := u.end(t); code != 0 {
				t.Fatalf("%s: exit code %d\n%s", name, code, u.out())
			}
			sameLogs(t, name, rowsOf(t, filepath.Join(m.dir, "logs")), want)
			s, err := status.Collect(m.spool, nil)
			if err != nil {
				t.Fatal(err)
			}
			if a := s.Accounting; !a.Settled || a.RecordTotal.Produced != a.RecordTotal.Written || a.RecordTotal.Handed != 0 {
				t.Errorf("%s: %+v", name, a.RecordTotal)
			}
		}
	}
}

// TestZeroMQDeaths: every node of a ZeroMQ cluster is killed once while it reads;
// the rows are the same, or what is missing is named.
func TestZeroMQDeaths(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	cfg := m.file("c.toml", "[bus]\nbackend = \"zeromq\"\n[logs]\nrotate = \"0s\"\n")
	u := m.up("-c", cfg, "--read", demo(t), "--seed", "x", "--pace", "20s")
	s := m.wait("all ready", allReady)
	for _, name := range []string{"proxy-1", "manager", "logger-1", "hub", "logger-1"} {
		old := nodeOf(s, name)
		if err := syscall.Kill(old.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s = m.wait(name+" is back", func(s *status.Status) bool { return allReady(s) && nodeOf(s, name).PID != old.PID })
	}
	if out, code := m.picket("stop"); code != 0 {
		t.Errorf("stop: %d %s", code, out)
	}
	u.end(t)
	a := m.books(u)
	if a.RecordTotal.Written == 0 {
		t.Errorf("%+v\n%s", a.RecordTotal, u.out())
	}
	for _, l := range a.Records {
		if l.Path != "cluster" && l.Written != l.Produced {
			t.Errorf("%s: %+v", l.Path, l)
		}
	}
}

// TestZeroMQByHand is a cluster as a Zeek user starts one: a layout, a broker, keys
// in Zeek's variables, nodes one by one. No picket up.
func TestZeroMQByHand(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.layout("2")
	if out, code := m.picket("broker", "--new-keys", "keys"); code != 0 {
		t.Fatalf("keys: %s", out)
	}
	var env []string
	for _, k := range []string{"server_publickey", "server_secretkey", "client_publickey", "client_secretkey"} {
		text, err := os.ReadFile(filepath.Join(m.dir, "keys", k))
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, "ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_"+strings.ToUpper(k)+"="+strings.TrimSpace(string(text)))
	}
	xpub, xsub := m.startBroker(env)
	node := func(name string, more ...string) *upRun {
		return m.startIn(filepath.Join(m.dir, name), append(env, "ZEEKPATH="+m.dir),
			append([]string{"node", name, "--backend", "zeromq", "--xpub", xpub, "--xsub", xsub}, more...)...)
	}
	logger := node("logger-1")
	manager := node("manager")
	proxy := node("proxy-1")
	// A worker that ends before the manager is there is never greeted.
	log := filepath.Join(m.dir, "logger-1", "cluster.log")
	manager.says(t, log, "got hello from proxy-1 (")
	w1 := node("worker-1", "--read", demo(t), "--share", "1/2", "--seed", "x", "--pace", "2s")
	w2 := node("worker-2", "--read", demo(t), "--share", "2/2", "--seed", "x", "--pace", "2s")
	for _, u := range []*upRun{w1, w2} {
		if code := u.end(t); code != 0 {
			t.Fatalf("exit code %d: %s", code, u.out())
		}
	}
	time.Sleep(100 * time.Millisecond)
	for _, u := range []*upRun{manager, proxy, logger} {
		u.terminate(t)
	}
	sameLogs(t, "by hand", rowsOf(t, filepath.Join(m.dir, "logger-1")), m.demoRows())
	text, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(text), "got hello from worker-1 (zeromq_worker-1_") {
		t.Errorf("cluster.log: %v\n%s", err, text)
	}
	// Without the keys nobody gets in, and is told so.
	env = nil
	u := node("worker-1", "--read", demo(t))
	if code := u.end(t); code == 0 || !strings.Contains(u.out(), "refused by the bus") {
		t.Errorf("without keys: code %d, %s", code, u.out())
	}
}

// TestZeroMQDoorOfALogger: the door's connection is no second logger and no second
// node of that name.
func TestZeroMQDoorOfALogger(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	cfg := m.file("c.toml", "[bus]\nbackend = \"zeromq\"\n[logs]\nrotate = \"0s\"\n[api.websocket]\nlisten = \"127.0.0.1:0\"\nnode = \"logger-1\"\n")
	u := m.up("-c", cfg, "--read", demo(t), "--seed", "x", "--pace", "5s")
	s := m.wait("the door is open", func(s *status.Status) bool {
		return allReady(s) && len(webSocketDoors(s)) == 1 && webSocketDoors(s)[0].URL != ""
	})
	if d := webSocketDoors(s)[0]; d.Node != "logger-1" {
		t.Errorf("%+v", d)
	}
	if out, code := m.picket("events", "sub", "picket.", "-n", "1", "--timeout", "30s", "--event", "Picket::here"); code != 0 {
		t.Errorf("code %d: %s", code, out)
	}
	if code := u.end(t); code != 0 {
		t.Fatalf("exit code %d\n%s", code, u.out())
	}
	sameLogs(t, "zeromq", rowsOf(t, filepath.Join(m.dir, "logs")), m.demoRows())
	for _, name := range []string{"logger-1", "worker-1", "manager"} {
		if text, err := os.ReadFile(filepath.Join(m.spool, name, "stderr.log")); err != nil || strings.Contains(string(text), "hello") || strings.Contains(string(text), "in use") {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

// TestAnotherCodec: a node that is given another codec than the cluster ends, and
// says which ones; the manager's cluster.log says it too.
func TestAnotherCodec(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{node.BackendNATS, node.BackendZeroMQ} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.layout("1")
			env := []string{"ZEEKPATH=" + m.dir}
			args := []string{"--backend", backend}
			if backend == node.BackendZeroMQ {
				xpub, xsub := m.startBroker(nil)
				args = append(args, "--xpub", xpub, "--xsub", xsub)
			} else {
				s, err := natsserver.Start(natsserver.Options{Users: []natsserver.User{{Name: "picket", Password: "p"}}})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(s.Stop)
				env = append(env, "PICKET_BUS_TOKEN=p")
				args = append(args, "--bus", s.URL())
			}
			run := func(name string, more ...string) *upRun {
				return m.startIn(filepath.Join(m.dir, name), env, slices.Concat([]string{"node", name}, args, more)...)
			}
			logger := run("logger-1")
			manager := run("manager", "--websocket", "off")
			log := filepath.Join(m.dir, "logger-1", "cluster.log")
			manager.says(t, log, "got hello from logger-1")
			w := run("worker-1", "--read", demo(t), "--codec", "broker-json-v1")
			if code := w.end(t); code != exitFailure || !strings.Contains(w.out(), `refused by the cluster: this node speaks broker-json-v1, the cluster "broker-bin-v1" (`) {
				t.Errorf("code %d: %s", code, w.out())
			}
			manager.says(t, log, `speaks "broker-json-v1", this cluster broker-bin-v1: it is not let in; give all nodes the same codec`)
			for _, u := range []*upRun{manager, logger} {
				u.terminate(t)
			}
		})
	}
}
