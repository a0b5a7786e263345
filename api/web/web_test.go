package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/internal/testenv"
)

// frames opens the feed.
func frames(t *testing.T, base string) (next func() *Frame, history func() map[string]any) {
	t.Helper()
	resp, err := http.Get(base + PathFeed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	r := bufio.NewReaderSize(resp.Body, 1<<20)
	line := func(v any) {
		t.Helper()
		text, err := r.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(text, v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return func() *Frame {
			f := &Frame{}
			line(f)
			return f
		}, func() map[string]any {
			h := map[string]any{}
			line(&h)
			return h
		}
}

// The feed tells the same as picket status --json does.
func TestFeedIsStatus(t *testing.T) {
	m := newMade(t, 4)
	m.doors = []status.Door{{Kind: "websocket", Node: "manager", URL: "ws://x", Clients: 3}}
	_, base := serve(t, m.deps(t, true), m, true, time.Minute)
	next, history := frames(t, base)
	h := history()["history"].(map[string]any)["totals"].(map[string]any)
	if n := len(h["time"].([]any)); n < 55 || n > 65 || len(h["pps"].([]any)) != n {
		t.Errorf("a minute of history has %d samples", n)
	}
	next()
	f := next()
	st := m.at(time.UnixMilli(int64(f.Time * 1000)))
	if f.Cluster != st.Cluster || f.Phase != st.Phase || len(f.Nodes) != len(st.Nodes) || f.Health != good || !f.Operate {
		t.Errorf("%+v", f)
	}
	near := func(a, b uint64) bool { return a <= b+b/10000+1 && b <= a+a/10000+1 }
	for i, n := range f.Nodes {
		s := st.Nodes[i]
		if n.Name != s.Name || n.Role != s.Role || n.State != s.State || n.PID != s.PID || !near(n.Received, s.Received) || !near(n.Written, s.Written) {
			t.Errorf("%+v\n%+v", n, s)
		}
		if n.Role == "worker" && (n.PPS < 5000 || n.PPS > 15000 || n.Source != "eth0") {
			t.Errorf("%s: %v packets/s of %s", n.Name, n.PPS, n.Source)
		}
	}
	if want := []Door{{Kind: "websocket", Node: "manager", URL: "ws://x", Clients: 3}}; !reflect.DeepEqual(f.Doors, want) {
		t.Errorf("%+v", f.Doors)
	}
	// And the status itself is there, whole.
	var whole status.Status
	_, text, _ := testenv.Ask(t, "GET", base+PathStatus, "")
	if err := json.Unmarshal([]byte(text), &whole); err != nil || len(whole.Nodes) != len(st.Nodes) || whole.Accounting == nil || whole.Nodes[0].Counters == nil {
		t.Errorf("%v %s", err, text)
	}
	_, text, _ = testenv.Ask(t, "GET", base+PathNode+"?name=worker-2", "")
	var one struct {
		Node    status.Node
		History map[string][]float64
	}
	if err := json.Unmarshal([]byte(text), &one); err != nil || one.Node.Name != "worker-2" || len(one.History["pps"]) < 55 {
		t.Errorf("%v %s", err, text)
	}
}

// Memory is one thing for all nodes, and it is said which: RSS where a PSS may not
// be read, PSS else. A node that has no process has none.
func TestMemoryIsOneThing(t *testing.T) {
	look := func(pss ...int64) *Frame {
		st := &status.Status{Run: "a", Time: time.Now(), Nodes: []status.Node{{Name: "dead"}}}
		for i, v := range pss {
			st.Nodes = append(st.Nodes, status.Node{Name: fmt.Sprint(i), PID: 1, PSS: v, RSS: 100})
			st.Totals.PSS += v
		}
		return newMemo().view(st, nil)
	}
	for _, c := range []struct {
		f    *Frame
		rss  bool
		want []int64
		sum  int64
	}{
		{look(30, 40), false, []int64{0, 30, 40}, 70},
		{look(30, 0), true, []int64{0, 100, 100}, 200},
	} {
		var got []int64
		for _, n := range c.f.Nodes {
			got = append(got, n.Memory)
		}
		if c.f.RSS != c.rss || !reflect.DeepEqual(got, c.want) || c.f.Totals.Memory != c.sum {
			t.Errorf("rss %v %v sum %d, want %+v", c.f.RSS, got, c.f.Totals.Memory, c)
		}
	}
}

// Ten minutes are kept, and no more, also when somebody watches for long.
func TestHistoryIsBounded(t *testing.T) {
	m := newMade(t, 3)
	s := New(Config{Sources: m.sources()}, m.deps(t, false))
	at := m.begin
	s.feed.look = func(*status.Status) (*status.Status, error) { return m.at(at), nil }
	for range 2000 {
		at = at.Add(time.Second)
		s.feed.step()
	}
	c := s.feed.history.columns()["totals"].(map[string][]float64)
	if n := len(c["time"]); n < 595 || n > keptSamples || c["time"][n-1] != unix(at) || c["time"][0] < unix(at)-601 {
		t.Errorf("%d samples, from %v to %v, now %v", n, c["time"][0], c["time"][n-1], unix(at))
	}
	if n := len(s.feed.history.node("worker-1")["pps"]); n != len(c["time"]) {
		t.Errorf("%d of the worker", n)
	}
}

// Who is let in, and to what.
func TestAccess(t *testing.T) {
	m := newMade(t, 2)
	if err := os.MkdirAll(filepath.Join(m.dir, "worker-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.dir, "worker-1", "stderr.log"), []byte("panic: \xff\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, base := serve(t, m.deps(t, true), m, true, time.Second)
	restart := `{"node":"worker-1"}`
	const alice, bob, wrong = "Bearer secret-operate", "Bearer secret-read", "Bearer guess"
	for _, c := range []struct {
		what, method, path, body string
		headers                  []string
		code                     int
		says                     string
	}{
		{"the page", "GET", "/", "", nil, 200, "<title>Picket</title>"},
		{"no such file", "GET", "/../web.go", "", nil, 404, ""},
		{"nor a folder", "GET", "/page", "", nil, 404, ""},
		{"status on loopback", "GET", PathStatus, "", nil, 200, "worker-1"},
		{"a wrong token even there", "GET", PathStatus, "", []string{"Authorization", wrong}, 401, "no such token"},
		{"a foreign host", "GET", PathStatus, "", []string{"Host", "evil.example"}, 403, "not this machine"},
		{"a foreign host and the page", "GET", "/", "", []string{"Host", "evil.example:80"}, 403, "not this machine"},
		{"a foreign origin", "GET", PathStatus, "", []string{"Origin", "http://evil.example"}, 403, "foreign"},
		{"no origin at all", "GET", PathStatus, "", []string{"Origin", "null"}, 403, "foreign"},
		{"an image of another site", "GET", PathFeed, "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403, "another site"},
		{"a link on another site", "GET", "/", "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200, ""},
		{"output without a token", "GET", PathOutput + "?node=worker-1", "", nil, 401, "picket logs worker-1"},
		{"output", "GET", PathOutput + "?node=worker-1", "", []string{"Authorization", bob}, 200, "panic: \uFFFD"},
		{"output of no node", "GET", PathOutput + "?node=../../etc", "", []string{"Authorization", bob}, 404, "no such node"},
		{"node", "GET", PathNode + "?name=nobody", "", nil, 404, "no such node"},
		{"restart without a token", "POST", PathRestart, restart, []string{"Content-Type", "application/json"}, 401, "token"},
		{"restart by a reader", "POST", PathRestart, restart, []string{"Content-Type", "application/json", "Authorization", bob}, 403, "operate"},
		{"restart by a form", "POST", PathRestart, restart, []string{"Content-Type", "text/plain", "Authorization", alice}, 415, ""},
		{"restart of no node", "POST", PathRestart, `{"node":"x"}`, []string{"Content-Type", "application/json", "Authorization", alice}, 404, ""},
		{"restart with no body", "POST", PathRestart, ``, []string{"Content-Type", "application/json", "Authorization", alice}, 400, ""},
		{"restart from elsewhere", "POST", PathRestart, restart, []string{"Content-Type", "application/json", "Authorization", alice, "Origin", "http://evil.example"}, 403, "foreign"},
		{"restart by GET", "GET", PathRestart, restart, []string{"Authorization", alice}, 404, ""},
		{"restart", "POST", PathRestart, restart, []string{"Content-Type", "application/json", "Authorization", alice}, 200, "alice"},
	} {
		code, text, h := testenv.Ask(t, c.method, base+c.path, c.body, c.headers...)
		if code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %.200s, want %d %s", c.what, code, text, c.code, c.says)
		}
		if !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") && code != 403 {
			t.Errorf("%s: no policy", c.what)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !reflect.DeepEqual(m.ask, []string{"alice worker-1"}) {
		t.Errorf("asked for: %v", m.ask)
	}
}

// Without a file of tokens nobody operates, and the feed says so.
func TestNobodyOperates(t *testing.T) {
	m := newMade(t, 1)
	_, base := serve(t, m.deps(t, false), m, false, time.Second)
	if code, text, _ := testenv.Ask(t, "POST", base+PathRestart, `{"node":"worker-1"}`, "Content-Type", "application/json", "Authorization", "Bearer x"); code != 401 || !strings.Contains(text, "acl in [api.web]") {
		t.Errorf("%d %s", code, text)
	}
	next, history := frames(t, base)
	history()
	if f := next(); f.Operate {
		t.Error("operate")
	}
}

// A client that takes nothing loses frames, then its place; the others lose none.
func TestSlowClient(t *testing.T) {
	m := newMade(t, 1)
	s := New(Config{}, m.deps(t, false))
	s.feed.take = 5 * time.Second // the others must take a frame in that, too
	base := start(t, s)
	slow, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	_ = slow.(*net.TCPConn).SetReadBuffer(4 << 10)
	if _, err := slow.Write([]byte("GET " + PathFeed + " HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	next, history := frames(t, base)
	history()
	next()
	for end := time.Now().Add(time.Minute); s.feed.watchers() != 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not two clients")
		}
	}
	big := []byte(`{"cluster":"` + strings.Repeat("x", 900<<10) + "\"}\n")
	got := 0
	for end := time.Now().Add(2 * time.Minute); s.feed.cut.Load() == 0; {
		s.feed.hand(big)
		for f := next(); f.Cluster == "border"; f = next() { // those of the second between
		}
		got++
		if time.Now().After(end) {
			t.Fatalf("never cut: %v", s.Counters())
		}
	}
	c := s.Counters()
	if got < 2 || c["clients"] != 1 || c["cut"] != 1 {
		t.Errorf("%d got through, %v", got, c)
	}
}

func TestFramesAreReplaced(t *testing.T) {
	f := newFeed(nil, nil, time.Now)
	c, _ := f.join()
	for i := range 100 {
		f.hand([]byte{byte(i)})
	}
	if line := <-c.next; line[0] != 99 || f.skipped.Load() != 99 {
		t.Errorf("%v, %d skipped", line, f.skipped.Load())
	}
	f.leave(c)
}

// So many may look, and no more; who leaves makes room.
func TestFullHouse(t *testing.T) {
	m := newMade(t, 1)
	s, base := serve(t, m.deps(t, false), m, false, time.Second)
	var all []*client
	for range maxFeeds {
		c, _ := s.feed.join()
		all = append(all, c)
	}
	if code, text, h := testenv.Ask(t, "GET", base+PathFeed, ""); code != 503 || !strings.Contains(text, "picket status") || h.Get("Retry-After") == "" {
		t.Errorf("%d %s", code, text)
	}
	s.feed.leave(all[0])
	next, history := frames(t, base)
	history()
	next()
	if c := s.Counters(); c["clients"] != maxFeeds || c["full"] != 1 {
		t.Errorf("%v", c)
	}
}

func BenchmarkFrame128(b *testing.B) {
	m := newMade(b, 128)
	memo, src := newMemo(), m.sources()
	a, c := m.at(m.begin.Add(time.Minute)), m.at(m.begin.Add(61*time.Second))
	var n int
	for b.Loop() {
		memo.view(a, src)
		text, err := json.Marshal(memo.view(c, src))
		if err != nil {
			b.Fatal(err)
		}
		n = len(text)
	}
	b.ReportMetric(float64(n), "bytes/frame")
}
