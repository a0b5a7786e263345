package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/picket-nsm/picket/host/audit"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/testcert"
)

// recorded reads the audit log of a spool.
func recorded(t *testing.T, spool string) (out []audit.Entry) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(spool, audit.File))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e audit.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, e)
	}
	return out
}

// find is the first entry of an operation by somebody on something, or a
// reason to fail.
func find(t *testing.T, all []audit.Entry, who, op, on, outcome string) audit.Entry {
	t.Helper()
	for _, e := range all {
		if e.Who == who && e.Op == op && e.On == on && e.Outcome == outcome {
			return e
		}
	}
	t.Errorf("no line of %q %s %q %s in %+v", who, op, on, outcome, all)
	return audit.Entry{}
}

// A whole cluster is operated from elsewhere, with TLS and tokens, and all that
// is asked for is on record.
func TestOperateFromElsewhere(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	ca := testcert.New(t)
	cert, key := ca.Sign("sensor", []string{"localhost"})
	mine, mineKey := ca.Sign("ops.example", nil)
	sum := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	acl := m.file("acl.toml", fmt.Sprintf("[[client]]\nname = \"eye\"\nrole = \"read\"\ntoken_sha256 = %q\n[[client]]\nname = \"hand\"\nrole = \"operate\"\ntoken_sha256 = %q\n"+
		"[[client]]\nname = \"ops\"\nrole = \"operate\"\ncertificate = \"ops.example\"\n", sum("see"), sum("do")))
	conf := m.file("c.toml", fmt.Sprintf("[api.control]\nlisten = \"127.0.0.1:0\"\nacl = %q\ncert = %q\nkey = %q\nclient_ca = %q\n[api.websocket]\nlisten = \"\"\n", acl, cert, key, ca.File))
	eye, hand, wrong := m.file("eye", "see\n"), m.file("hand", "do\n"), m.file("wrong", "guess\n")

	if out, code := m.picket("check", "-c", conf); code != 0 || !strings.Contains(out, "acl.toml says who may operate") {
		t.Errorf("check: %d %s", code, out)
	}
	u := m.up("-c", conf, "--read", demo(t), "--pace", "10m", "-W", "1")
	url := ""
	m.wait("a control door", func(s *status.Status) bool {
		for _, d := range s.Doors {
			if d.Kind == doorControl && allReady(s) {
				url = d.URL
			}
		}
		return url != ""
	})
	if !strings.HasPrefix(url, "https://127.0.0.1:") {
		t.Fatal(url)
	}
	at := func(token string, args ...string) (string, int) {
		t.Helper()
		args = append(args, "--url", url, "--ca", ca.File)
		if token != "" {
			args = append(args, "--token-file", token)
		}
		return m.picket(args...)
	}
	for _, c := range []struct {
		token string
		args  string
		code  int
		says  string
	}{
		{"", "status", exitFailure, "a token is needed"},
		{wrong, "status", exitFailure, "no such token"},
		{eye, "status", 0, "worker-1"},
		{eye, "status --json", 0, `"role": "hub"`},
		{eye, "logs hub", 0, "hub listens on"},
		{"", "logs hub", exitFailure, "a token is needed"},
		{eye, "logs ../../etc", exitFailure, ""},
		{eye, "logs nobody", exitFailure, "no such node"},
		{eye, "logs hub -f", exitUsage, "on this machine"},
		{eye, "restart worker-1", exitFailure, "client eye may not do that: it needs the role operate"},
		{eye, "stop", exitFailure, "client eye may not do that"},
		{hand, "restart nobody", exitUsage, "no such node; there are"},
		{hand, "restart proxy-1", 0, "proxy-1 is ready, pid "},
		{hand, "restart hub", 0, "hub is ready, pid "},
	} {
		if out, code := at(c.token, strings.Fields(c.args)...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%s by %s: %d %s", c.args, filepath.Base(c.token), code, out)
		}
		if c.args == "restart hub" { // and its door comes back
			url = ""
			m.wait("the door again", func(s *status.Status) bool {
				for _, d := range s.Doors {
					if d.Kind == doorControl {
						url = d.URL
					}
				}
				return allReady(s) && url != ""
			})
		}
	}
	if out, code := m.picket("restart", "manager", "--url", url, "--ca", ca.File, "--cert", mine, "--key", mineKey); code != 0 {
		t.Errorf("by certificate: %d %s", code, out)
	}
	if out, code := m.picket("status", "--url", url, "--token-file", eye); code == 0 || !strings.Contains(out, "certificate") {
		t.Errorf("an authority nobody knows: %d %s", code, out)
	}
	if out, code := m.picket("status", "--url", strings.Replace(url, "https", "http", 1), "--token-file", eye); code == 0 {
		t.Errorf("without TLS: %d %s", code, out)
	}
	if out, code := m.picket("restart", "worker-1"); code != 0 { // by the socket
		t.Errorf("restart: %d %s", code, out)
	}
	// A changed file counts while the hub runs; a broken one does not, and is told.
	keep, err := os.ReadFile(acl)
	if err != nil {
		t.Fatal(err)
	}
	m.file("acl.toml", strings.Replace(string(keep), sum("see"), sum("other"), 1))
	m.wait("the old token is none any more", func(*status.Status) bool {
		out, code := at(eye, "status")
		return code == exitFailure && (strings.Contains(out, "no such token") || strings.Contains(out, "too many wrong tokens"))
	})
	m.file("acl.toml", "nonsense")
	m.wait("what is wrong with the file", func(s *status.Status) bool {
		out, _ := m.picket("status")
		return strings.Contains(out, "! control of hub  "+url+": ") && strings.Contains(out, "still counts")
	})
	if out, code := at(hand, "stop"); code != 0 || !strings.Contains(out, "has closed its door") {
		t.Errorf("stop: %d %s", code, out)
	}
	if code := u.end(t); code != 0 && code != exitPartial {
		t.Errorf("up: %d %s", code, u.out())
	}
	all := recorded(t, m.spool)
	find(t, all, "hand", "stop", "", audit.Done)
	e := find(t, all, "hand", "restart", "proxy-1", audit.Done)
	if e.Role != "operate" || e.Via != doorControl || !strings.HasPrefix(e.From, "127.0.0.1:") {
		t.Errorf("%+v", e)
	}
	find(t, all, "ops", "restart", "manager", audit.Done)
	if e := find(t, all, "", "acl", "", audit.Done); e.What != "changed eye" || e.From != "file "+acl {
		t.Errorf("%+v", e)
	}
	find(t, all, "", "acl", "", audit.Failed)
	find(t, all, "eye", "restart", "worker-1", audit.Refused)
	find(t, all, "", "request", "", audit.Refused)
	me := all[0].Who
	if e := find(t, all, me, "up", "", audit.Done); me == "" || e.Via != "command" || e.Role != "owner" {
		t.Errorf("%+v", e)
	}
	if e := find(t, all, me, "restart", "worker-1", audit.Done); e.Via != "socket" || !strings.HasPrefix(e.From, "unix pid ") {
		t.Errorf("%+v", e)
	}
	if st, err := os.Stat(filepath.Join(m.spool, audit.File)); err != nil || st.Mode().Perm()&0o027 != 0 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if st, err := os.Stat(filepath.Join(m.spool, "control.sock")); err == nil && st.Mode().Perm() != 0o600 {
		t.Errorf("control socket: %v", st.Mode())
	}
	if st, err := os.Stat(m.spool); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("spool: %v, %v", st.Mode(), err)
	}
}

// Members of the group operate by the socket, in their own names; others do not.
func TestControlGroup(t *testing.T) {
	t.Parallel()
	const group, uid = "games", 65534
	g, err := user.LookupGroup(group)
	if os.Getuid() != 0 || err != nil {
		t.Skip("needs root and the group games")
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	for _, dir := range []string{m.dir, filepath.Dir(m.dir)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(m.dir, "picket") // where others reach it
	if err := os.WriteFile(bin, self, 0o755); err != nil {
		t.Fatal(err)
	}
	conf := m.file("c.toml", "[api.control]\ngroup = \"games\"\n[api.websocket]\nlisten = \"\"\n")
	u := m.up("-c", conf, "--read", demo(t), "--pace", "10m", "-W", "1")
	m.wait("ready", allReady)
	as := func(gid uint32, args ...string) (string, int) {
		t.Helper()
		cmd := exec.Command(bin, append(args, "--spool", m.spool)...)
		cmd.Dir, cmd.Env = "/", append(os.Environ(), envMain+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
		text, _ := cmd.CombinedOutput()
		return string(text), cmd.ProcessState.ExitCode()
	}
	if out, code := as(uid, "restart", "worker-1"); code == 0 {
		t.Errorf("a stranger restarted a node: %s", out)
	}
	if out, code := as(uint32(gid), "restart", "worker-1"); code != 0 || !strings.Contains(out, "worker-1 is ready") {
		t.Errorf("restart: %d %s", code, out)
	}
	for file, mode := range map[string]os.FileMode{"": 0o710, "control.sock": 0o660, "credentials.json": 0o600, "state.json": 0o640} {
		if st, err := os.Stat(filepath.Join(m.spool, file)); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%q: %v, %v", file, st.Mode(), err)
		}
	}
	if out, code := as(uint32(gid), "stop"); code != 0 {
		t.Errorf("stop: %d %s", code, out)
	}
	u.end(t)
	all := recorded(t, m.spool)
	if e := find(t, all, supervisor.UserName(uid), "restart", "worker-1", audit.Done); e.Role != "group" || e.Via != "socket" {
		t.Errorf("%+v", e)
	}
	find(t, all, supervisor.UserName(uid), "stop", "", audit.Done)
}
