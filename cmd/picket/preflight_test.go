package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/internal/testenv"
)

// What picket check says of every port that a door wants.
func TestPorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at := l.Addr().String()
	c := config.Default()
	c.Cluster.Spool = t.TempDir()
	c.API.WebSocket.Listen, c.API.Web.Listen, c.API.Control.Listen, c.Metrics.Listen = at, at, at, at
	got := ports(&c)
	if len(got) != 4 {
		t.Errorf("%d findings: %v", len(got), got)
	}
	want := at + " is taken"
	if runtime.GOOS == "linux" {
		want += " by "
	}
	for _, f := range got {
		if f.Level != "warn" || !strings.HasPrefix(f.Text, want) || !strings.HasSuffix(f.Text, "; the cluster starts without it") {
			t.Errorf("%+v, want %q", f, want)
		}
	}
	l.Close()
	c.API.Web.Listen, c.API.Control.Listen, c.Metrics.Listen = "127.0.0.1:0", "", "192.0.2.1:1"
	got = ports(&c)
	if len(got) != 2 || got[0].Text != at+" is free" || got[1].Level != "warn" || got[1].Subject != "metrics.listen" {
		t.Errorf("%+v", got)
	}
}

// Where up says that the logs are.
func TestLogFiles(t *testing.T) {
	c := config.Default()
	c.Logs.Dir, c.Logs.Rotate = "logs", 0
	if got := logFiles(&c); got != "logs" {
		t.Error(got)
	}
	c.Cluster.Loggers, c.Logs.Archive = 2, "old"
	if got := logFiles(&c); got != "logs, put aside in old, as NAME.*.log" {
		t.Error(got)
	}
}

// The systemd unit is one that systemd takes.
func TestSystemdUnit(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here")
	}
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "deploy", "systemd", "picket.service"))
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "picket.service")
	// It looks for the binary, too.
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/picket", "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "verify", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "picket.service") {
		t.Errorf("%v\n%s", err, out)
	}
}
