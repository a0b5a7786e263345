package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/host/audit"
	"github.com/picket-nsm/picket/host/status"
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
	m := newMachine(t)
	ca := testcert.New(t)
	cert, key := ca.Sign("sensor", []string{"localhost"})
	mine, mineKey := ca.Sign("ops.example", nil)
	write := func(name, text string) string {
		f := filepath.Join(m.dir, name)
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	sum := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	acl := write("acl.toml", fmt.Sprintf("[[client]]\nname = \"eye\"\nrole = \"read\"\ntoken_sha256 = %q\n[[client]]\nname = \"hand\"\nrole = \"operate\"\ntoken_sha256 = %q\n"+
		"[[client]]\nname = \"ops\"\nrole = \"operate\"\ncertificate = \"ops.example\"\n", sum("see"), sum("do")))
	conf := write("c.toml", fmt.Sprintf("[api.control]\nlisten = \"127.0.0.1:0\"\nacl = %q\ncert = %q\nkey = %q\nclient_ca = %q\n[api.websocket]\nlisten = \"\"\n", acl, cert, key, ca.File))
	eye, hand, wrong := write("eye", "see\n"), write("hand", "do\n"), write("wrong", "guess\n")

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
	if st, err := os.Stat(m.spool); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("spool: %v, %v", st.Mode(), err)
	}
}
