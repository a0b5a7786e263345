package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/zeek/layout"
)

func TestZeekFiles(t *testing.T) {
	if files, err := ZeekFiles(input(nil)); err != nil || files != nil {
		t.Errorf("%v %v", files, err)
	}
	for codec, want := range map[string]string{"broker-bin-v1": "BIN", "broker-json-v1": "JSON"} {
		files, err := ZeekFiles(input(func(c *config.Config) {
			c.Cluster.Spool = "/s"
			c.Bus.Codec = codec
			c.Bus.ZeroMQ.XPUB, c.Bus.ZeroMQ.XSUB = "tcp://[::1]:5555", "tcp://[::1]:5556"
			c.Zeek = []config.Zeek{{Name: "zeek-1", Role: "worker"}}
		}))
		if err != nil || len(files) != 2 {
			t.Fatalf("%v %v", files, err)
		}
		l, err := layout.Parse("x", files["cluster-layout.zeek"])
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := l.Node("zeek-1"); !ok || n.Role != layout.Worker {
			t.Errorf("layout: %v", l.Names())
		}
		script := string(files["picket-cluster.zeek"])
		for _, line := range []string{
			"@load frameworks/cluster/backend/zeromq",
			`redef Cluster::Backend::ZeroMQ::connect_xsub_endpoint = "tcp://[::1]:5555";`,
			`redef Cluster::Backend::ZeroMQ::connect_xpub_endpoint = "tcp://[::1]:5556";`,
			`redef Cluster::Backend::ZeroMQ::ipv6 = T;`,
			`redef Cluster::event_serializer = Cluster::EVENT_SERIALIZER_BROKER_` + want + `_V1;`,
			"#   CLUSTER_NODE=zeek-1 ZEEKPATH=/s/zeek:$(zeek-config --zeekpath) zeek -i eth0 picket-cluster local",
		} {
			if !strings.Contains(script, line+"\n") {
				t.Errorf("no line %q in\n%s", line, script)
			}
		}
	}
}

// TestZeekFilesEverywhere: where the hub listens at all addresses, Zeek processes of
// other machines are told the one that they can reach.
func TestZeekFilesEverywhere(t *testing.T) {
	for own, want := range map[string]string{"10.0.0.1": "10.0.0.1", "fd00::1": "[fd00::1]"} {
		files, err := ZeekFiles(input(func(c *config.Config) {
			c.Bus.ZeroMQ.XPUB, c.Bus.ZeroMQ.XSUB, c.Bus.ZeroMQ.Address = "tcp://0.0.0.0:5555", "tcp://[::]:5556", own
			c.Zeek = []config.Zeek{{Name: "zeek-1", Role: "worker"}}
		}))
		if err != nil {
			t.Fatal(err)
		}
		script := string(files["picket-cluster.zeek"])
		for _, line := range []string{`connect_xsub_endpoint = "tcp://` + want + `:5555";`, `connect_xpub_endpoint = "tcp://` + want + `:5556";`} {
			if !strings.Contains(script, line+"\n") {
				t.Errorf("no line %q in\n%s", line, script)
			}
		}
	}
}

func TestStock(t *testing.T) {
	nodes, err := Nodes(input(func(c *config.Config) {
		c.Bus.ZeroMQ.XPUB, c.Bus.ZeroMQ.XSUB = "tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556"
		c.Zeek = []config.Zeek{{Name: "zeek-1", Role: "worker"}, {Name: "a", Role: "logger", Port: 9}, {Name: "b", Role: "logger", Port: 10, Version: "8.1", Scripts: "default"}}
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if got := fmt.Sprint(n.Node.Stock); got != "map[a:{9.0 true} b:{8.1 false}]" {
			t.Errorf("%s: %s", n.Name, got)
		}
	}
}
