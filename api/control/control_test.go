package control_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/api/control"
	"github.com/picket-nsm/picket/host/audit"
	"github.com/picket-nsm/picket/host/status/statustest"
)

// open serves the operations on a made cluster, which has no supervisor; cmd
// tests them with one.
func open(t *testing.T) (spool, url string) {
	t.Helper()
	c := statustest.New(t, 6)
	c.Move(10)
	sum := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }
	acl := filepath.Join(t.TempDir(), "acl.toml")
	text := fmt.Sprintf("[[client]]\nname=\"eye\"\nrole=\"read\"\ntoken_sha256=%q\n[[client]]\nname=\"hand\"\nrole=\"operate\"\ntoken_sha256=%q\n", sum("see"), sum("do"))
	if err := os.WriteFile(acl, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := access.New(access.Config{Name: "control door", Section: "api.control", Listen: "127.0.0.1:0", ACL: acl}, access.Deps{Audit: audit.New(c.Spool, nil)})
	if err != nil {
		t.Fatal(err)
	}
	if url, err = g.Listen(); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	control.New(c.Spool, g).Handle(mux)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, mux) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c.Spool, url
}

func client(t *testing.T, url, token string) *control.Client {
	t.Helper()
	c, err := control.NewClient(control.Target{URL: url, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRead(t *testing.T) {
	spool, url := open(t)
	ctx := t.Context()
	eye, nobody := client(t, url, "see"), client(t, url, "")
	if w, err := eye.Who(ctx); err != nil || w.Who != "eye" || w.Role != "read" {
		t.Errorf("%+v, %v", w, err)
	}
	for _, c := range []*control.Client{eye, nobody} { // on loopback, reading needs no token
		if s, err := c.Status(ctx); err != nil || len(s.Nodes) != 6 || s.Nodes[5].Name != "worker-2" || s.Nodes[5].Received != 20 || s.Accounting == nil {
			t.Errorf("%+v, %v", s, err)
		}
	}
	if err := os.WriteFile(filepath.Join(spool, "worker-1", "stderr.log"), []byte("a\nb\xff\n\nc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		client       *control.Client
		node, stream string
		lines        int
		want         string // or the error's text
		status       int
	}{
		{eye, "worker-1", "stderr", 10, "a|b\uFFFD||c", 0},
		{eye, "worker-1", "stderr", 1, "c", 0},
		{eye, "worker-1", "stdout", 10, "", 0},
		{eye, "worker-9", "stderr", 10, "no such node", 404},
		{eye, "..", "stderr", 10, "", 307}, // to a path without dots, where nothing is
		{eye, "../worker-1", "stderr", 10, "no such node", 404},
		{eye, "worker-1", "../ledger", 10, "want stdout or stderr", 500},
		{nobody, "worker-1", "stderr", 10, "a token is needed", 401}, // what is printed is not for everybody on the machine
	} {
		lines, err := c.client.Output(ctx, c.node, c.stream, c.lines)
		var refused *control.RefusedError
		if c.status == 0 && (err != nil || strings.Join(lines, "|") != c.want) ||
			c.status != 0 && (!errors.As(err, &refused) || refused.Status != c.status || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %s: %q, %v; want %q", c.node, c.stream, lines, err, c.want)
		}
	}
}

// Nobody keeps the nodes: who asks for something is told so, and it is on record.
func TestWithoutSupervisor(t *testing.T) {
	spool, url := open(t)
	// The lock of the made cluster is this process's; no socket answers.
	hand, eye := client(t, url, "do"), client(t, url, "see")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := hand.State(ctx); err == nil {
		t.Error("there is a state")
	}
	if err := hand.Restart(ctx, "worker-1"); err == nil || !strings.Contains(err.Error(), "restart: ") {
		t.Error(err)
	}
	var refused *control.RefusedError
	if err := eye.Stop(ctx, true); !errors.As(err, &refused) || refused.Status != 403 {
		t.Error(err)
	}
	if err := client(t, url, "").Stop(ctx, false); !errors.As(err, &refused) || refused.Status != 401 {
		t.Error(err)
	}
	text, err := os.ReadFile(filepath.Join(spool, audit.File))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for l := range strings.Lines(string(text)) {
		var e audit.Entry
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.Join([]string{e.Who, e.Op, e.On, e.Outcome}, " "))
	}
	if want := "hand restart worker-1 failed,eye kill  refused, stop  refused"; strings.Join(got, ",") != want {
		t.Errorf("%q, want %q", strings.Join(got, ","), want)
	}
}

func TestClient(t *testing.T) {
	for _, url := range []string{"", "host:1", "ftp://host", "http://192.0.2.1:1", "https://host/path", "wss://host"} {
		if _, err := control.NewClient(control.Target{URL: url}); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
	// Whoever answers is no reason to believe them, or to send the token on.
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case control.PathStatus:
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case control.PathState:
			fmt.Fprint(w, "<html>")
		default:
			http.Error(w, "nginx", http.StatusBadGateway)
		}
	}))
	defer other.Close()
	c := client(t, other.URL, "secret")
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "302 Found: is it a picket control door?") {
		t.Error(err)
	}
	if _, err := c.State(t.Context()); err == nil {
		t.Error("HTML is a state")
	}
	if _, err := c.Who(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}
