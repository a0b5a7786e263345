package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/zeek/layout"
)

func input(change func(*config.Config)) Input {
	c := config.Default()
	if change != nil {
		change(&c)
	}
	return Input{Config: c, CPUs: 8, Bus: node.Bus{URL: "nats://127.0.0.1:1", User: "u", Token: "t"}}
}

func TestWorkers(t *testing.T) {
	ifaces := func(all ...config.Interface) func(*config.Config) {
		return func(c *config.Config) { c.Interfaces = all }
	}
	for _, c := range []struct {
		name string
		in   Input
		want string
	}{
		{"one interface, a worker per CPU", input(ifaces(config.Interface{Name: "eth0"})), "worker-1 worker-2 worker-3 worker-4 worker-5 worker-6 worker-7 worker-8"},
		{"one interface, its own number", input(ifaces(config.Interface{Name: "eth0", Workers: 2, Pin: config.CPUs{4, 5}})), "worker-1@[4] worker-2@[5]"},
		{"two interfaces", input(ifaces(config.Interface{Name: "eth0", Workers: 2}, config.Interface{Name: "eth1", Workers: 1, Pin: config.CPUs{7}})), "worker-1-1 worker-1-2 worker-2-1@[7]"},
		{"two share the CPUs", input(ifaces(config.Interface{Name: "a", Workers: 5}, config.Interface{Name: "b"}, config.Interface{Name: "c"})), "worker-1-1 worker-1-2 worker-1-3 worker-1-4 worker-1-5 worker-2-1 worker-3-1 worker-3-2"},
		{"more interfaces than CPUs", Input{CPUs: 1, Config: input(ifaces(config.Interface{Name: "a"}, config.Interface{Name: "b"})).Config}, "worker-1-1 worker-2-1"},
		{"files", Input{CPUs: 8, Config: config.Default(), Files: []string{"/x"}}, "worker-1 worker-2"},
		{"none", input(nil), ""},
	} {
		var got []string
		for _, w := range Workers(c.in) {
			s := w.Name
			if w.Pin != nil {
				s += fmt.Sprintf("@%v", w.Pin)
			}
			got = append(got, s)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
	}
}

func byName(t *testing.T, nodes []supervisor.Node, name string) supervisor.Node {
	t.Helper()
	i := slices.IndexFunc(nodes, func(n supervisor.Node) bool { return n.Name == name })
	if i < 0 {
		t.Fatalf("no %s", name)
	}
	return nodes[i]
}

func TestNodes(t *testing.T) {
	in := input(func(c *config.Config) {
		c.Cluster.Loggers, c.Cluster.Proxies = 2, 2
		c.Cluster.Spool = "/spool"
		c.Interfaces = []config.Interface{{Name: "af_packet::eth0", Workers: 2, Filter: "port 53"}, {Name: "eth1", Workers: 2}}
		c.Capture.Filter = "tcp"
		c.Capture.Checksums = false
	})
	nodes, err := Nodes(in)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
		if n.Node.Bus.URL != in.Bus.URL || n.Node.Bus.Token != in.Bus.Token || n.Node.Bus.Backend != "nats" || len(n.Node.Bus.ZeroMQ.XPUB) > 0 || n.Node.Dir != "/spool/"+n.Name || n.Node.Name != n.Name || n.Node.Role != n.Role || n.Once {
			t.Errorf("%+v", n)
		}
		if n.Role == "hub" {
			continue
		}
		// Every node finds itself in the layout it is told.
		l, err := layout.Parse("x", []byte(n.Node.Layout))
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := l.Node(n.Name); !ok || m.Role.String() != n.Role {
			t.Errorf("%s is not in its layout, or as %s", n.Name, m.Role)
		}
	}
	if s := strings.Join(names, " "); s != "hub logger-1 logger-2 manager proxy-1 proxy-2 worker-1-1 worker-1-2 worker-2-1 worker-2-2" {
		t.Error(s)
	}
	for _, n := range nodes {
		if stop := time.Duration(in.Config.Supervisor.StopTimeout); n.Node.Drain <= 0 || n.Node.Drain >= stop {
			t.Errorf("%s drains for %s, is killed after %s", n.Name, n.Node.Drain, stop)
		}
	}
	w := byName(t, nodes, "worker-1-2").Node.Capture
	if w.Interface != "eth0" || w.Filter != "port 53" || !w.NoChecksums {
		t.Errorf("%+v", w)
	}
	if w := byName(t, nodes, "worker-2-1").Node.Capture; w.Filter != "tcp" {
		t.Errorf("%+v", w)
	}
	if l := byName(t, nodes, "logger-2").Node.Logs; l.Suffix != "logger-2" || l.Tag != "logger-2" || l.Format != "tsv" {
		t.Errorf("%+v", l)
	}
}

func TestNodesThatRead(t *testing.T) {
	in := input(func(c *config.Config) {
		c.Cluster.Workers = 3
		c.Bus.URL = "nats://elsewhere:4222"
	})
	in.Files, in.Pace = []string{"/a", "/b"}, time.Second
	nodes, err := Nodes(in)
	if err != nil {
		t.Fatal(err)
	}
	if nodes[0].Role == "hub" {
		t.Error("a hub beside an existing bus")
	}
	w := byName(t, nodes, "worker-3")
	if c := w.Node.Capture; !w.Once || c.Share != 2 || c.Of != 3 || len(c.Files) != 2 || c.Pace != time.Second || c.Interface != "" {
		t.Errorf("%+v", w)
	}
	if l := byName(t, nodes, "logger-1").Node.Logs; l.Suffix != "" || l.Tag != "" {
		t.Errorf("one logger has suffix %q, tag %q", l.Suffix, l.Tag)
	}
}

func TestNodesWithoutWorkers(t *testing.T) {
	nodes, err := Nodes(input(nil))
	if err != nil || len(nodes) != 4 {
		t.Errorf("%d nodes, %v", len(nodes), err)
	}
}

// What is set of logs reaches the workers.
func TestLogOptions(t *testing.T) {
	for _, c := range []struct {
		tls  config.TLS
		want node.Options
	}{
		{config.Default().TLS, node.Options{LogAgain: 86400}},
		{config.TLS{Fingerprints: true, HostCertificates: true}, node.Options{Fingerprints: true, HostCertificates: true, LogAgain: -1}},
	} {
		nodes, err := Nodes(input(func(f *config.Config) {
			f.TLS = c.tls
			f.Interfaces = []config.Interface{{Name: "eth0", Workers: 1}}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if got := byName(t, nodes, "worker-1").Node.Capture.Options; got != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
}

// The dashboard is the hub's, or the manager's where the bus is the user's own,
// and is told where packets come from.
func TestDashboard(t *testing.T) {
	for _, c := range []struct {
		change func(in *Input)
		holder string
		want   map[string]node.Source
	}{
		{func(in *Input) {
			in.Config.Interfaces = []config.Interface{{Name: "af_packet::eth0", Workers: 1}, {Name: "eth1", Workers: 2}}
		}, "hub",
			map[string]node.Source{"worker-1-1": {Name: "eth0", Live: true}, "worker-2-1": {Name: "eth1", Live: true}, "worker-2-2": {Name: "eth1", Live: true}}},
		{func(in *Input) { in.Files, in.Config.Bus.URL = []string{"/a/b.pcap"}, "nats://x:1" }, "manager",
			map[string]node.Source{"worker-1": {Name: "b.pcap"}, "worker-2": {Name: "b.pcap"}}},
		{func(in *Input) { in.Files = []string{"/a/b.pcap", "/a/c.pcap"} }, "hub",
			map[string]node.Source{"worker-1": {Name: "2 files"}, "worker-2": {Name: "2 files"}}},
		{func(in *Input) { in.Files, in.Config.API.Web.Listen = []string{"/a/b.pcap"}, "" }, "", nil},
	} {
		in := Input{Config: config.Default(), CPUs: 2}
		in.Config.Cluster.Spool = "/s"
		in.Config.API.Control.ACL = "/acl.toml"
		c.change(&in)
		nodes, err := Nodes(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			w := n.Node.Doors.Web
			if (w != nil) != (n.Name == c.holder) {
				t.Errorf("%s: %v, want it at %s", n.Name, w, c.holder)
			}
			if w != nil && (w.Listen != "127.0.0.1:0" || w.Spool != "/s" || w.ACL != "/acl.toml" || !reflect.DeepEqual(w.Sources, c.want)) {
				t.Errorf("%+v", w)
			}
		}
	}
}
