package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
)

var update = flag.Bool("update", false, "rewrite docs/cli.md")

func TestCliDocsAreGenerated(t *testing.T) {
	path := filepath.Join(testenv.Root(t), "docs", "cli.md")
	want := cliMarkdown()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/cli.md is not what --help says; run: go test ./cmd/picket -run Cli -update")
	}
}

// What people type wrongly, and what they get.
func TestMistakesOfTheCommandLine(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("CLUSTER_NODE", "")
	t.Setenv("PICKET_BUS_TOKEN", "")
	if err := os.WriteFile("bad.toml", []byte("[cluster]\nwokers = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"filter.toml": "[capture]\nfilter = \"tcp prot 80\"\n[[interface]]\nname = \"eth0\"\n", "door.toml": "[api.websocket]\nlisten = \"127.0.0.1:0\"\nacl = \"acl.toml\"\n", "acl.toml": "clients = 1\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"stat", exitUsage, `unknown command "stat": did you mean "status"?`},
		{"frobnicate", exitUsage, `unknown command "frobnicate"`},
		{"status --wat", exitUsage, "status: unknown flag: --wat"},
		{"status me", exitUsage, "status me: takes no arguments"},
		{"status", exitFailure, "no cluster has run here; start one with picket up, or name its folder with --spool"},
		{"stop", exitFailure, "no cluster has run in spool; --spool names another folder"},
		{"restart worker-1", exitFailure, "no supervisor works in spool"},
		{"restart", exitUsage, "restart: no node given, as in: picket restart worker-1"},
		{"logs a b", exitUsage, "one node at a time"},
		{"logs worker-1 -n -1", exitUsage, "--lines -1: want 0 or more"},
		{"reed", exitUsage, `unknown command "reed": did you mean "read"?`},
		{"ver", exitUsage, `unknown command "ver": did you mean "version"?`},
		{"events pubb", exitUsage, `unknown command "pubb": did you mean "pub"?`},
		{"--vershon", exitUsage, "unknown flag: --vershon: did you mean --version?"},
		{"read --jsn x.pcap", exitUsage, "read: unknown flag: --jsn: did you mean --json?"},
		{"events sub --tokenfile x /", exitUsage, "events sub: unknown flag: --tokenfile: did you mean --token-file?"},
		{"events pub /x My::x 1 --ca ca.pem", exitUsage, "events pub: --ca: flags come before the topic; an argument with this text is string:--ca"},
		{"read -W x a.pcap", exitUsage, `read: --workers "x": want a whole number`},
		{"read --pace 5 a.pcap", exitUsage, `read: --pace "5": want a duration, as 500ms, 10s or 5m`},
		{"read --memory 5 a.pcap", exitUsage, `read: --memory: "5" is no size; write it as 512KiB`},
		{"read --pace -1s a.pcap", exitUsage, "read: pace -1s: want 0 or more"},
		{"read --hash md4 a.pcap", exitUsage, `read: hash "md4": not known, there are md5`},
		{"read --extract html a.pcap", exitUsage, `read: extract "html": want a type`},
		{"read --local 10.0.0/8 a.pcap", exitUsage, `read: local network "10.0.0/8": want an address and a length`},
		{"read -f prot a.pcap", exitUsage, `"prot"`},
		{"read - x.pcap -", exitUsage, "read: standard input (-) can be read once only"},
		{"up --pace -1s --read x.pcap", exitUsage, "--pace -1s: want 0 or more"},
		{"logs worker-1", exitFailure, "no such node in spool"},
		{"logs ../x", exitFailure, "no such node"},
		{"up", exitUsage, "nothing to watch: give -i INTERFACE, --read FILE"},
		{"up trace.pcap", exitUsage, "to read a capture file say --read trace.pcap"},
		{"up --read", exitUsage, "--read wants a capture file"},
		{"up --read -", exitUsage, "cannot share standard input; use: picket read -"},
		{"up --read none.pcap", exitFailure, "capture file: open capture: stat " + dir + "/none.pcap: no such file or directory"},
		{"up --read x.pcap -i eth0", exitUsage, "either --read or -i"},
		{"up -c bad.toml", exitConfig, `bad.toml:2: unknown key "wokers": did you mean "workers"?`},
		{"up -c filter.toml", exitConfig, "filter.toml:2: capture.filter: compile filter \"tcp prot 80\": column 5:"},
		{"check -c filter.toml", exitConfig, "filter.toml:2: capture.filter: compile filter \"tcp prot 80\": column 5:"},
		{"check -i eth0 -f prot", exitConfig, "check: capture.filter: compile filter \"prot\""},
		{"check -c none.toml", exitConfig, "no such file"},
		{"check -i eth0 -L 0", exitConfig, "cluster.loggers: 0: want 1 to 1000"},
		{"check -c door.toml", exitFailure, ""},
		{"up --read x.pcap -c door.toml", exitFailure, "api.websocket: websocket api: " + dir + "/acl.toml:1: unknown key \"clients\""},
		{"node", exitUsage, "no name: set CLUSTER_NODE"},
		{"node worker-1", exitConfig, "no cluster-layout.zeek in the working folder or in ZEEKPATH; make one with: picket layout"},
		{"hub", exitConfig, "no password: set PICKET_BUS_TOKEN"},
	} {
		var out, errOut bytes.Buffer
		root := newRoot(&out, &errOut)
		root.SetArgs(strings.Fields(c.args))
		err := root.Execute()
		if exitCode(err) != c.code || !strings.Contains(message(err), c.says) {
			t.Errorf("picket %s: exit %d %q, want %d %q", c.args, exitCode(err), message(err), c.code, c.says)
		}
	}
}

func TestNodeFindsItsLayout(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(t.TempDir())
	t.Setenv("ZEEKPATH", "/nowhere:"+dir)
	t.Setenv("PICKET_BUS_TOKEN", "secret")
	if err := runLayout(os.Stderr, os.Stderr, []string{"-W", "2", "-L", "2", "-o", filepath.Join(dir, "cluster-layout.zeek")}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CLUSTER_NODE", "worker-2")
	s, err := nodeSpec(&nodeFlags{iface: "af_packet::eth0", share: "1/1"}, nil)
	if err != nil || s.Name != "worker-2" || s.Role != "worker" || s.Capture.Interface != "eth0" || s.Bus.User != "picket" || s.Bus.Token != "secret" || s.Layout == "" {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = nodeSpec(&nodeFlags{share: "1/1"}, []string{"logger-2"}); err != nil || s.Role != "logger" || s.Logs.Suffix != "logger-2" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err = nodeSpec(&nodeFlags{share: "1/1"}, []string{"worker-9"}); exitCode(err) != exitConfig || !strings.Contains(err.Error(), "there are manager, logger-1") {
		t.Error(err)
	}
	for _, share := range []string{"", "1", "0/2", "3/2", "a/b"} {
		if _, err = nodeSpec(&nodeFlags{share: share}, []string{"worker-1"}); exitCode(err) != exitUsage {
			t.Errorf("share %q: %v", share, err)
		}
	}
}

func TestBugReport(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	line := bugReport("index out of range", []byte("goroutine 1\nmain.go:1"))
	if strings.Count(line, "\n") != 0 || !strings.Contains(line, "index out of range") {
		t.Error(line)
	}
	path := line[strings.LastIndexByte(line, ' ')+1:]
	text, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(text, []byte("goroutine 1")) {
		t.Errorf("%s, %v", text, err)
	}
}
