package layout_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/layout"
)

// run does what the command does: flags in, text, message and exit code out.
func run(args []string) (stdout, stderr string, code int) {
	fail := func(err error) (string, string, int) {
		var f *layout.FlagError
		if !errors.As(err, &f) {
			return "", err.Error(), 99
		}
		return "", f.Message + "\n", f.Code
	}
	o, err := layout.ParseFlags(args)
	if err != nil {
		return fail(err)
	}
	l, err := layout.Generate(o)
	if err != nil {
		return fail(err)
	}
	b, err := l.Render(o.Format)
	if err != nil {
		return fail(err)
	}
	return string(b), "", 0
}

// What real Zeek's generator prints, byte for byte.
func TestGolden(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(testenv.Shared(t, "golden", "layouts"), "layout-*"))
	if err != nil || len(dirs) == 0 {
		t.Fatal(dirs, err)
	}
	read := func(dir, name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, dir := range dirs {
		args := strings.Fields(strings.ReplaceAll(read(dir, "args"), "'", ""))
		stdout, stderr, code := run(args)
		if stdout != read(dir, "stdout") || stderr != read(dir, "stderr") || strings.TrimSpace(read(dir, "rc")) != string(rune('0'+code)) {
			t.Errorf("%s %q: exit %d\n%s%s", filepath.Base(dir), args, code, stdout, stderr)
		}
		if code != 0 || strings.Contains(stdout, "$ip=::1") { // which Zeek itself cannot read
			continue
		}
		l, err := layout.Parse("x", []byte(stdout))
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(dir), err)
			continue
		}
		if got := string(l.Zeek()); got != stdout && len(l.Role(layout.Manager)) > 0 {
			t.Errorf("%s: reads and writes as\n%s", filepath.Base(dir), got)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		args   string
		stderr string
	}{
		{"-L x", "invalid numeric value for L: x"},
		{"-L -1", "invalid numeric value for L: -1"},
		{"-L +1", "invalid numeric value for L: +1"},
		{"-P 99999999999", "invalid numeric value for P: 99999999999"},
		{"-M 2", "flag -M expects 0 or 1"},
		{"-M", "unrecognized flag M"},
		{"-q", "unrecognized flag q"},
		{"--nonsense", "unrecognized flag --nonsense"},
		{"--format xml", "--format expects zeek or json"},
		{"-W eth0:2,", "-W invalid: 'eth0:2,'"},
		{"-W eth0:2,,eth1:1", "-W invalid: 'eth0:2,,eth1:1'"},
		{"-W Eth0:2", "-W invalid: 'Eth0:2'"},
		{"-W eth0:99999999999", "invalid numeric value for W: 99999999999"},
		{"-p 99999", "-p expects a port, 1 to 65535: 99999"},
		{"-p 0", "-p expects a port, 1 to 65535: 0"},
		{"-m 65536", "-m expects a port, 0 to 65535: 65536"},
		{"-p 65534", "-p 65534: the last node would listen on port 65536; ports end at 65535"},
		{"-m 65533 -W 2", "-m 65533: the last node would have metrics port 65537; ports end at 65535"},
		{"-a sensor", "-a expects an address, as 10.0.0.1 or [2001:db8::1]: \"sensor\""},
		{"-a 10.0.0", "-a expects an address, as 10.0.0.1 or [2001:db8::1]: \"10.0.0\""},
		{"-a [10.0.0.1]", "-a expects an address, as 10.0.0.1 or [2001:db8::1]: \"[10.0.0.1]\""},
		{"-a fe80::1%eth0", "-a expects an address, as 10.0.0.1 or [2001:db8::1]: \"fe80::1%eth0\""},
		{"-W 2 more", "unexpected argument \"more\": all values follow flags"},
		{"-W 2 -- -q", "unexpected argument \"-q\": all values follow flags"},
		{"-W 70000", "more than 65536 nodes"},
		{"-C /etc/zeek/zeek.conf", "-C: zeek.conf files are not read yet; use -M, -L, -P and -W"},
	} {
		if stdout, stderr, code := run(strings.Fields(c.args)); stdout != "" || stderr != c.stderr+"\n" || code != 1 {
			t.Errorf("%s: exit %d, %q", c.args, code, stderr)
		}
	}
	one, _, _ := run([]string{"-W2", "-p65533", "-b", "1.2.3.4", "-p27760", "-a127.0.0.1", "--"})
	two, _, _ := run([]string{"-W", "2"})
	if one != two || one == "" {
		t.Errorf("getopt forms differ:\n%s", one)
	}
	if o, err := layout.ParseFlags([]string{"-h", "-q"}); err != nil || !o.Help {
		t.Errorf("-h: %+v %v", o, err)
	}
	for _, args := range [][]string{{"--format", "json"}, {"--format=json"}} {
		stdout, _, code := run(args)
		var l layout.Layout
		if err := json.Unmarshal([]byte(stdout), &l); err != nil || code != 0 || len(l.Nodes) != 4 || l.Nodes[3].Role != layout.Worker {
			t.Errorf("%v: %s %v", args, stdout, err)
		}
	}
}

const zeekctl = `# Automatically generated. Do not edit.
redef Cluster::manager_is_logger = T;
redef Cluster::nodes = {
	["control"] = [$node_type=Cluster::CONTROL, $ip=10.0.0.1, $zone_id="", $p=27762/tcp],
	["manager"] = [$node_type=Cluster::MANAGER, $ip=10.0.0.1, $zone_id="", $p=27763/tcp, $metrics_port=9991/tcp],
	["proxy-1"] = [$node_type=Cluster::PROXY, $ip=[fe80::1], $zone_id="en0", $p=27764/tcp, $manager="manager"], # comment "]
	["worker-1"] = [$node_type=Cluster::WORKER, $ip=10.0.0.2, $p=27765/tcp, $manager="manager"],
};
event zeek_init() { if ( T ) { Cluster::listen_websocket([$listen_addr=127.0.0.1]); } }
`

func TestZeekctl(t *testing.T) {
	l, err := layout.Parse("cluster-layout.zeek", []byte("redef Cluster::nodes += { [\"old\"] = [$node_type=Cluster::WORKER, $ip=1.2.3.4] };\n"+zeekctl))
	if err != nil {
		t.Fatal(err)
	}
	want := []layout.Node{
		{Name: "control", Role: layout.Control, Addr: "10.0.0.1", Port: 27762},
		{Name: "manager", Role: layout.Manager, Addr: "10.0.0.1", Port: 27763, MetricsPort: 9991},
		{Name: "proxy-1", Role: layout.Proxy, Addr: "[fe80::1]", Port: 27764, Manager: "manager", Zone: "en0"},
		{Name: "worker-1", Role: layout.Worker, Addr: "10.0.0.2", Port: 27765, Manager: "manager"},
	}
	if !reflect.DeepEqual(l.Nodes, want) || !l.ManagerIsLogger {
		t.Errorf("got %+v", l)
	}
	if logs := l.Loggers(); len(logs) != 1 || logs[0].Name != "manager" {
		t.Errorf("loggers %+v", logs)
	}
	if n, ok := l.Node("proxy-1"); !ok || n.Role.String() != "proxy" {
		t.Error(n, ok)
	}
	if a, err := l.Nodes[2].IP(); err != nil || a.String() != "fe80::1" {
		t.Error(a, err)
	}
	if len(l.Workers()) != 1 || len(l.Proxies()) != 1 || len(l.Names()) != 4 {
		t.Error("lists")
	}
}

const manyHosts = `module Cluster;

type Host: record {
	ip: addr;
};

const hosts: table[string] of Host &redef;

redef Cluster::hosts += {
	["c-mgr"] = [$ip=(blocking_lookup_hostname("c-mgr") as vector of addr)[0]],
	["w-1"] = [$ip=10.0.0.2],
};

redef Cluster::nodes += {
    ["manager"] = [$node_type=Cluster::MANAGER, $ip=hosts["c-mgr"]$ip, $p=27760/tcp, $metrics_port=9991/tcp],
    ["w-1-worker-1"] = [$node_type=WORKER, $ip=hosts["w-1"]$ip, $manager="manager", $metrics_port=9991/tcp],
};
`

func TestHosts(t *testing.T) {
	l, err := layout.Parse("x", []byte(manyHosts))
	if err != nil {
		t.Fatal(err)
	}
	if m, _ := l.Manager(); m.Host != "c-mgr" || m.Addr != "" {
		t.Errorf("%+v", m)
	}
	if w := l.Workers()[0]; w.Addr != "10.0.0.2" || w.Host != "" {
		t.Errorf("%+v", w)
	}
	if m, _ := l.Manager(); func() error { _, err := m.IP(); return err }() == nil {
		t.Error("an address out of nothing")
	}
}

func TestErrors(t *testing.T) {
	node := func(fields string) string {
		return "\nredef Cluster::nodes += {\n[\"a\"] = [" + fields + "],\n};\n"
	}
	for in, want := range map[string]string{
		"": "x: no nodes: nothing redefines Cluster::nodes",
		node("$node_type=Cluster::TIME_MACHINE, $ip=1.2.3.4"):                                `x:3: node a: unknown type "Cluster::TIME_MACHINE"; it is one of CONTROL, LOGGER, MANAGER, PROXY, WORKER`,
		node("$node_type=Cluster::WORKER"):                                                   "x:3: node a: $ip is missing",
		node("$ip=1.2.3.4"):                                                                  "x:3: node a: $node_type is missing",
		node("$node_type=Cluster::WORKER, $ip=1.2.3.4, $interface=\"eth0\""):                 "x:3: node a: unknown field $interface",
		node("$node_type=Cluster::WORKER, $ip=1.2.3.x"):                                      `x:3: "1.2.3.x" is not an address`,
		node("$node_type=Cluster::WORKER, $ip=::1"):                                          "x:3: ::1: IPv6 addresses, and only those, stand in brackets: [::1]",
		node("$node_type=Cluster::WORKER, $ip=1.2.3.4, $p=70000/tcp"):                        `x:3: "70000" is not a port`,
		node("$node_type=Cluster::WORKER, $ip=1.2.3.4, $p=1/udp"):                            "x:3: port 1/udp: nodes use tcp",
		node("$node_type=Cluster::WORKER, $ip=hosts[\"h\"]$ip"):                              `x:3: node a: host "h" is not in the table of hosts`,
		node("$node_type=Cluster::WORKER, $ip=1.2.3.4, $manager=\"m\""):                      `x: layout: node a: its manager "m" is no node`,
		node("$node_type=Cluster::WORKER $ip=1.2.3.4"):                                       `x:3: expected , or ] after $node_type, found "$ip=1.2.3.4],"`,
		"redef Cluster::nodes += {\n[\"a\"":                                                  "x:2: expected ], found the end of the file",
		"redef Cluster::nodes {":                                                             `x:1: expected = or += after Cluster::nodes, found "{"`,
		"redef Cluster::manager_is_logger = X;":                                              `x:1: manager_is_logger is T or F, not "X"`,
		"const x = (":                                                                        "x:1: statement without an end",
		"event x() {":                                                                        "x:1: block without an end",
		"redef Cluster::nodes += { [\"a\n":                                                   "x:1: string without an end",
		node("$node_type=Cluster::WORKER, $ip=1.1.1.1],\n[\"a\"] = [$ip=1.1.1.1"):            "x:4: node a is there twice",
		strings.ReplaceAll(node("$node_type=Cluster::WORKER, $ip=1.1.1.1"), `"a"`, `"../a"`): `x: layout: node name "../a": no blanks, slashes, quotes or bytes outside ASCII`,
		node("$node_type=Cluster::MANAGER, $ip=1.1.1.1],\n[\"b\"] = [$node_type=Cluster::MANAGER, $ip=1.1.1.1"): "x: layout: 2 managers; a cluster has one",
	} {
		if _, err := layout.Parse("x", []byte(in)); err == nil || err.Error() != want {
			t.Errorf("%q:\ngot  %v\nwant %s", in, err, want)
		}
	}
}

func TestTruncated(t *testing.T) {
	for _, text := range []string{zeekctl, manyHosts} {
		for n := range text {
			if l, err := layout.Parse("x", []byte(text[:n])); err == nil && len(l.Nodes) == 0 {
				t.Fatalf("%d bytes: no nodes and no error", n)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(zeekctl))
	f.Add([]byte(manyHosts))
	l, _ := layout.Generate(layout.Default())
	f.Add(l.Zeek())
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := layout.Parse("x", text)
		if err != nil {
			return
		}
		again, err := layout.Parse("x", l.Zeek())
		if err != nil {
			t.Fatalf("%v\n%s", err, l.Zeek())
		}
		if !bytes.Equal(again.Zeek(), l.Zeek()) {
			t.Fatalf("%s\n%s", l.Zeek(), again.Zeek())
		}
	})
}
