package access_test

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
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/host/audit"
	"github.com/picket-nsm/picket/internal/testenv"
)

func sum(token string) string {
	s := sha256.Sum256([]byte(token))
	return hex.EncodeToString(s[:])
}

func writeACL(t *testing.T, dir string) string {
	t.Helper()
	f := filepath.Join(dir, "acl.toml")
	text := fmt.Sprintf("[[client]]\nname = \"eye\"\nrole = \"read\"\ntoken_sha256 = %q\n[[client]]\nname = \"hand\"\nrole = \"operate\"\ntoken_sha256 = %q\n"+
		"[[client]]\nname = \"events\"\nsubscribe = [\"\"]\ntoken_sha256 = %q\n", sum("see"), sum("do"), sum("hear"))
	if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	c.at = c.at.Add(d)
	c.mu.Unlock()
}

type world struct {
	guard *access.Guard
	url   string
	clock *clock
	log   *audit.Log
}

// open serves three paths: for anybody, for readers, and one that operates.
func open(t *testing.T, c access.Config, d access.Deps) *world {
	t.Helper()
	w := &world{clock: &clock{at: time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)}}
	c.Name, c.Section, c.Example, c.Secret = "control", "api.control", "127.0.0.1:1", "tokens"
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if d.Audit == nil {
		d.Audit = audit.New(t.TempDir(), w.clock.now)
	}
	w.log, d.Now = d.Audit, w.clock.now
	g, err := access.New(c, d)
	if err != nil {
		t.Fatal(err)
	}
	w.guard = g
	if w.url, err = g.Listen(); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "page") })
	mux.Handle("GET /read", g.Require(access.Read, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, access.From(r.Context()).Name, "/", access.From(r.Context()).Role)
	})))
	mux.Handle("POST /do", g.Require(access.Operate, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.Do(access.From(r.Context()), "poke", "worker-1", func() error { return nil }); err != nil {
			access.Fail(w, 500, err.Error())
		}
	})))
	mux.Handle("GET /stream", g.Require(access.Read, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, mux) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) ask(t *testing.T, method, path, token string, more ...string) (int, string) {
	t.Helper()
	if token != "" {
		more = append(more, "Authorization", "Bearer "+token)
	}
	code, text, _ := testenv.Ask(t, method, w.url+path, "", more...)
	return code, text
}

func entries(t *testing.T, l *audit.Log) (out []audit.Entry) {
	t.Helper()
	text, err := os.ReadFile(l.Path())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e audit.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func TestWhoMayWhat(t *testing.T) {
	w := open(t, access.Config{ACL: writeACL(t, t.TempDir())}, access.Deps{})
	closed := open(t, access.Config{ACL: writeACL(t, t.TempDir())}, access.Deps{Closed: true})
	bare := open(t, access.Config{}, access.Deps{})
	for _, c := range []struct {
		w                   *world
		method, path, token string
		status              int
		says                string
	}{
		{w, "GET", "/page", "", 200, "page"},
		{w, "GET", "/read", "", 200, "/read"},
		{w, "GET", "/read", "see", 200, "eye/read"},
		{w, "GET", "/read", "do", 200, "hand/operate"},
		{w, "GET", "/read", "hear", 403, "client events may not do that: it needs the role read"},
		{w, "GET", "/read", "wrong", 401, "no such token"},
		{w, "POST", "/do", "", 401, "a token is needed"},
		{w, "POST", "/do", "see", 403, "client eye may not do that: it needs the role operate"},
		{w, "POST", "/do", "do", 200, ""},
		{closed, "GET", "/page", "", 200, "page"},
		{closed, "GET", "/read", "", 401, "a token is needed"},
		{closed, "GET", "/read", "see", 200, "eye/read"},
		{bare, "GET", "/read", "", 200, "/read"},
		{bare, "POST", "/do", "", 401, "nobody may do that here: acl in [api.control]"},
		{bare, "POST", "/do", "do", 401, "no tokens are known"},
	} {
		c.w.clock.add(2 * time.Second) // each refusal gets a line
		status, body := c.w.ask(t, c.method, c.path, c.token)
		if status != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %s %q: %d %s, want %d %s", c.method, c.path, c.token, status, body, c.status, c.says)
		}
	}
	var got []string
	for _, e := range entries(t, w.log) {
		got = append(got, strings.Join([]string{e.Who, e.Role, e.Op, e.On, e.Outcome}, " "))
		if !strings.HasPrefix(e.From, "127.0.0.1:") || e.Via != "control" {
			t.Errorf("%+v", e)
		}
		if strings.Contains(e.Error, "wrong ") || strings.Contains(e.Error, "Bearer see") {
			t.Errorf("a token in the record: %s", e.Error)
		}
	}
	want := []string{"events  request  refused", "  request  refused", " read request  refused", "eye read request  refused", "hand operate poke worker-1 done"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("record:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A page of somewhere else gets nothing, whatever token it has.
func TestForeign(t *testing.T) {
	w := open(t, access.Config{ACL: writeACL(t, t.TempDir()), Origins: []string{"https://soc.example"}, Hosts: []string{"sensor-7"}}, access.Deps{})
	host := strings.TrimPrefix(w.url, "http://")
	for _, c := range []struct {
		header, value string
		status        int
	}{
		{"Origin", "http://evil.example", 403}, {"Origin", "null", 403}, {"Origin", "http://localhost:1", 403},
		{"Origin", "http://" + host, 200}, {"Origin", "https://soc.example", 200},
		{"Host", "evil.example", 403}, {"Host", "sensor-7:80", 200}, {"Host", "localhost", 200},
	} {
		for _, path := range []string{"/page", "/read"} {
			if status, body := w.ask(t, "GET", path, "do", c.header, c.value); status != c.status {
				t.Errorf("%s %s %s: %d %s", c.header, c.value, path, status, body)
			}
		}
	}
}

// Wrong tokens at a rate are refused, the right one too; who was in stays in.
func TestGuesses(t *testing.T) {
	w := open(t, access.Config{ACL: writeACL(t, t.TempDir())}, access.Deps{})
	if status, _ := w.ask(t, "GET", "/read", "see"); status != 200 {
		t.Fatal(status)
	}
	for i := range 10 {
		if status, _ := w.ask(t, "GET", "/read", fmt.Sprint("guess", i)); status != 401 {
			t.Fatalf("guess %d: %d", i, status)
		}
	}
	if status, body := w.ask(t, "GET", "/read", "another"); status != 429 || !strings.Contains(body, "too many wrong tokens from 127.0.0.1") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := w.ask(t, "GET", "/read", "do"); status != 429 {
		t.Errorf("a right token tells itself by its answer: %d", status)
	}
	if status, _ := w.ask(t, "GET", "/read", "see"); status != 200 {
		t.Errorf("who was in is out: %d", status)
	}
	if status, _ := w.ask(t, "GET", "/read", ""); status != 200 {
		t.Errorf("who gives no token: %d", status)
	}
	w.clock.add(7 * time.Second)
	if status, _ := w.ask(t, "GET", "/read", "do"); status != 200 {
		t.Errorf("after a while: %d", status)
	}
	if n := len(entries(t, w.log)); n > 5 {
		t.Errorf("%d lines in the record for twelve refusals within a second", n)
	}
	c := w.guard.Counters()
	if c["refused.token"] != 10 || c["refused.rate"] != 2 {
		t.Errorf("%v", c)
	}
}

// What cannot be recorded is not done.
func TestNothingUnseen(t *testing.T) {
	w := open(t, access.Config{ACL: writeACL(t, t.TempDir())}, access.Deps{Audit: audit.New(filepath.Join(t.TempDir(), "none"), nil)})
	if status, body := w.ask(t, "POST", "/do", "do"); status != 500 || !strings.Contains(body, "poke worker-1: refused, as it could not be recorded") {
		t.Errorf("%d %s", status, body)
	}
}

func TestDo(t *testing.T) {
	w := open(t, access.Config{ACL: writeACL(t, t.TempDir())}, access.Deps{})
	hand := access.Identity{Name: "hand", Role: access.Operate}
	broken := errors.New("broken")
	if err := w.guard.Do(hand, "a", "", func() error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := w.guard.Do(hand, "b", "", func() error { return access.Recorded(broken) }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if err := w.guard.Do(hand, "c", "", func() error { return access.Recorded(nil) }); err != nil {
		t.Error(err)
	}
	err := w.guard.Do(access.Identity{Name: "eye", Role: access.Read}, "d", "", func() error { t.Error("done"); return nil })
	var d *access.Denied
	if !errors.As(err, &d) || d.Status != 403 {
		t.Error(err)
	}
	var got []string
	for _, e := range entries(t, w.log) {
		got = append(got, e.Op+" "+e.Outcome)
	}
	if strings.Join(got, ",") != "a failed,d refused" {
		t.Error(got)
	}
}

// A stream ends when the door closes, and is not cut before.
func TestStreamEnds(t *testing.T) {
	g, err := access.New(access.Config{Name: "x", Listen: "127.0.0.1:0"}, access.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	url, err := g.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- g.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "first")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			close(ended)
		}))
	}()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	select {
	case <-ended:
		t.Error("cut")
	case <-time.After(200 * time.Millisecond):
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("goes on")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestNoDoorForStrangers(t *testing.T) {
	dir := t.TempDir()
	file := writeACL(t, dir)
	for _, c := range []struct {
		cfg  access.Config
		says string
	}{
		{access.Config{Listen: "0.0.0.0:0"}, "not loopback, so an acl file must say who may do what"},
		{access.Config{Listen: "0.0.0.0:0", ACL: file}, "not loopback, so cert and key are needed"},
		{access.Config{Listen: "host:1"}, "want the address as a number"},
		{access.Config{Listen: "127.0.0.1:0", Cert: "x"}, "cert and key belong together"},
		{access.Config{Listen: "127.0.0.1:0", ClientCA: "x"}, "client_ca needs cert and key"},
		{access.Config{Listen: "127.0.0.1:0", ACL: filepath.Join(dir, "none")}, "no such file"},
	} {
		c.cfg.Name, c.cfg.Section = "control", "api.control"
		if _, err := access.New(c.cfg, access.Deps{}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
	if _, err := access.ParseACL("acl.toml", []byte("[[client]]\nname=\"a\"\nrole=\"root\"\ncertificate=\"b\"\n")); err == nil || !strings.Contains(err.Error(), `role "root": want read, operate`) {
		t.Error(err)
	}
}

func FuzzParseACL(f *testing.F) {
	f.Add([]byte("[[client]]\nname = \"a\"\ncertificate = \"b\"\nrole = \"read\"\nsubscribe = [\"/\"]\n"))
	f.Add([]byte("[[client]]\nname = \"a\"\ntoken_sha256 = \"" + sum("x") + "\"\n"))
	f.Add([]byte("client = 1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := access.ParseACL("acl", text)
		if (a == nil) == (err == nil) {
			t.Fatal(a, err)
		}
		if err == nil {
			_, _ = a.Who(httptest.NewRequest("GET", "/", nil))
		}
	})
}
