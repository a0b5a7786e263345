package plan

import (
	"fmt"
	"slices"
	"testing"

	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/zeek/layout"
)

// Where sockets are: of our own nodes in the spool, of real Zeek processes where
// they look for them by the layout.
func TestZeroMQ(t *testing.T) {
	withZeek := func(c *config.Config) {
		c.Bus.ZeroMQ.XPUB, c.Bus.ZeroMQ.XSUB, c.Bus.ZeroMQ.Port = "tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556", 27000
		c.Zeek = []config.Zeek{{Name: "worker-z", Role: "worker"}, {Name: "logger-z", Role: "logger", Address: "2001:db8::1", Port: 9}}
	}
	for _, c := range []struct {
		name      string
		change    func(*config.Config)
		hub, node string // where: xpub xsub loggers
		layout    bool   // the hub is told it
		names     string
	}{
		{"nats", func(c *config.Config) {}, "[] [] []", "[] [] []", false, "hub logger-1 manager proxy-1"},
		{"zeromq", func(c *config.Config) { c.Bus.Backend = "zeromq" },
			"[ipc:///s/hub/xpub.sock] [ipc:///s/hub/xsub.sock] [{logger-1 [ipc:///s/logger-1/log.sock]}]",
			"[ipc:///s/hub/xpub.sock] [ipc:///s/hub/xsub.sock] [{logger-1 [ipc:///s/logger-1/log.sock]}]", false, "hub logger-1 manager proxy-1"},
		{"nats with zeek", withZeek,
			"[tcp://127.0.0.1:5555] [tcp://127.0.0.1:5556] [{logger-1 [tcp://127.0.0.1:27001]} {logger-z [tcp://[2001:db8::1]:9]}]",
			"[] [] []", true, "hub logger-1 manager proxy-1"},
		{"zeromq with zeek", func(c *config.Config) { withZeek(c); c.Bus.Backend = "zeromq" },
			"[ipc:///s/hub/xpub.sock tcp://127.0.0.1:5555] [ipc:///s/hub/xsub.sock tcp://127.0.0.1:5556] [{logger-1 [ipc:///s/logger-1/log.sock tcp://127.0.0.1:27001]} {logger-z [tcp://[2001:db8::1]:9]}]",
			"[ipc:///s/hub/xpub.sock tcp://127.0.0.1:5555] [ipc:///s/hub/xsub.sock tcp://127.0.0.1:5556] [{logger-1 [ipc:///s/logger-1/log.sock tcp://127.0.0.1:27001]} {logger-z [tcp://[2001:db8::1]:9]}]", true, "hub logger-1 manager proxy-1"},
		{"a server of the user's own", func(c *config.Config) { c.Bus.URL = "nats://n:4222" }, "", "[] [] []", false, "logger-1 manager proxy-1"},
		{"and zeek", func(c *config.Config) { withZeek(c); c.Bus.URL = "nats://n:4222" },
			"[tcp://127.0.0.1:5555] [tcp://127.0.0.1:5556] [{logger-1 [tcp://127.0.0.1:27001]} {logger-z [tcp://[2001:db8::1]:9]}]",
			"[] [] []", true, "hub logger-1 manager proxy-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := input(func(cfg *config.Config) { cfg.Cluster.Spool = "/s"; c.change(cfg) })
			in.Bus.ZeroMQ.Keys = node.Keys{ServerSecret: "secret"}
			nodes, err := Nodes(in)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, n := range nodes {
				if n.Role == "worker" {
					continue
				}
				names = append(names, n.Name)
				z := n.Node.Bus.ZeroMQ
				got, want := fmt.Sprint(z.XPUB, " ", z.XSUB, " ", z.Loggers), c.node
				if n.Name == "hub" {
					want = c.hub
					if (n.Node.Layout != "") != c.layout {
						t.Errorf("the hub's layout is %q", n.Node.Layout)
					}
				}
				if got != want {
					t.Errorf("%s: %s\n  want %s", n.Name, got, want)
				}
				if keys := z.Keys.ServerSecret != ""; keys != (len(z.XPUB) > 0 || n.Name == "hub") {
					t.Errorf("%s: keys %v", n.Name, keys)
				}
				if n.Node.Bus.Outside != (in.Config.Bus.URL != "") {
					t.Errorf("%s: outside %v", n.Name, n.Node.Bus.Outside)
				}
				if len(in.Config.Zeek) == 0 || n.Node.Layout == "" {
					continue
				}
				l, err := layout.Parse("x", []byte(n.Node.Layout))
				if err != nil {
					t.Fatal(err)
				}
				if w, ok := l.Node("worker-z"); !ok || w.Role != layout.Worker || !slices.Contains(n.Node.Zeek, "worker-z") {
					t.Errorf("%s does not know worker-z: %v", n.Name, n.Node.Zeek)
				}
			}
			if got := fmt.Sprint(names); got != "["+c.names+"]" {
				t.Errorf("nodes %s", got)
			}
		})
	}
}
