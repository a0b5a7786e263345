package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/api/web"
	"github.com/picket-nsm/picket/host/audit"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/internal/chromium"
	"github.com/picket-nsm/picket/node"
)

func dashboardOf(s *status.Status) string {
	for _, d := range s.Doors {
		if d.Kind == web.Kind {
			return d.URL
		}
	}
	return ""
}

// A real cluster seen through a real browser: every node is there, one that is
// killed shows within seconds, and its restart can be asked for with a token.
func TestDashboardOfACluster(t *testing.T) {
	t.Parallel()
	b := chromium.Start(t)
	m := newMachine(t)
	acl := fmt.Sprintf("[[client]]\nname = \"alice\"\ntoken_sha256 = \"%x\"\nrole = \"operate\"\n", sha256.Sum256([]byte("a-token")))
	conf := "[logs]\nrotate = \"0s\"\n[api.websocket]\nlisten = \"\"\n[api.control]\nacl = \"acl.toml\"\n[api.web]\nlisten = \"127.0.0.1:0\"\n"
	m.file("acl.toml", acl)
	m.file("c.toml", conf)
	u := m.slow("-c", "c.toml", "-W", "3", "-L", "2")
	s := m.wait("all ready, and the page is served", func(s *status.Status) bool { return allReady(s) && dashboardOf(s) != "" })
	url := dashboardOf(s)
	if out, _ := m.picket("status"); !strings.Contains(out, "dashboard of hub  "+url) {
		t.Errorf("status does not say where:\n%s", out)
	}
	p := b.Page(1440, 1100)
	p.Open(url)
	p.Wait("every node", fmt.Sprintf(`document.querySelectorAll("#nodes-body tr").length === %d && document.querySelectorAll("#picture .tile").length === %d`, len(s.Nodes), len(s.Nodes)))
	for _, n := range s.Nodes {
		p.Wait(n.Name+" is ready", fmt.Sprintf(`[...document.querySelectorAll("#nodes-body tr")].some(r=>r.name===%q && r.cells[2].textContent==="ready")`, n.Name))
	}
	p.Wait("healthy, and where packets come from", `document.getElementById("headline").textContent === "Healthy" && document.querySelector("#picture .source text").textContent === "demo.pcap"`)
	p.Wait("records", `[...document.querySelectorAll("#logs-body tr")].some(r=>r.cells[0].textContent==="cluster")`)
	for _, x := range p.Trouble() {
		t.Errorf("console: %s", x)
	}
	for _, r := range p.Requests() {
		if !strings.HasPrefix(r, url) {
			t.Errorf("the page asks for %s", r)
		}
	}

	// Its records can be found, by the one who has a token.
	p.Must(`sessionStorage.setItem("picket.token", "a-token")`, nil)
	p.Wait("a record", `(document.getElementById("search-form").requestSubmit(), document.querySelectorAll("#search-body tr").length > 0)`)

	// A node that dies, twice: the second time it waits before it starts again.
	for k := range 2 {
		old := nodeOf(s, "worker-2")
		begin := time.Now()
		if err := syscall.Kill(old.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p.Wait("it shows as restarted", fmt.Sprintf(`[...document.querySelectorAll("#nodes-body tr")].some(r=>r.name==="worker-2" && r.cells[4].textContent==="%d")`, k+1))
		t.Logf("death %d shown after %v", k+1, time.Since(begin).Round(10*time.Millisecond))
		if d := time.Since(begin); d > 25*time.Second {
			t.Errorf("death shown after %v", d)
		}
		s = m.wait("worker-2 is back", func(s *status.Status) bool { return allReady(s) && nodeOf(s, "worker-2").PID != old.PID })
	}
	p.Wait("what happened", `document.getElementById("troubles").textContent.includes("worker-2 has restarted (2 times in all): killed by signal 9 (killed)")`)

	// The restart button, with a token.
	old := nodeOf(s, "logger-2")
	p.Must(`[...document.querySelectorAll("#nodes-body tr")].find(r=>r.name==="logger-2").click()`, nil)
	p.Wait("the drawer", `document.getElementById("drawer-name").textContent === "logger-2"`)
	p.Click("#restart")
	p.Click("#restart-yes")
	p.Wait("it is asked for", `document.getElementById("restart-said").textContent === "logger-2 restarts, asked by alice"`)
	s = m.wait("logger-2 is another process", func(s *status.Status) bool { return allReady(s) && nodeOf(s, "logger-2").PID != old.PID })
	if n := nodeOf(s, "logger-2"); n.LastExit != status.RestartAsked {
		t.Errorf("last exit %q", n.LastExit)
	}
	text, err := os.ReadFile(filepath.Join(m.spool, audit.File))
	if err != nil || !strings.Contains(string(text), "alice") || !strings.Contains(string(text), web.Kind) {
		t.Errorf("audit log: %v %s", err, text)
	}

	// The page lives through the hub's death: it is at the same port again.
	if err := syscall.Kill(nodeOf(s, "hub").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.Wait("the hub has restarted", `[...document.querySelectorAll("#nodes-body tr")].some(r=>r.name==="hub" && r.cells[4].textContent==="1") && document.getElementById("live").dataset.live === "yes"`)
	if out, code := m.picket("stop"); code != 0 {
		t.Errorf("stop: %d %s\n%s", code, out, u.out())
	}
	p.Wait("it says that it is old", `!document.getElementById("stale").hidden`)
}

// A file of who may operate that names certificates, for the control door, does
// not keep the dashboard closed: there tokens count.
func TestDashboardBesideCertificates(t *testing.T) {
	acl := filepath.Join(t.TempDir(), "acl.toml")
	if err := os.WriteFile(acl, []byte("[[client]]\nname = \"a\"\nrole = \"read\"\ncertificate = \"a.example\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := access.NewGate(dashboardAccess(node.Web{Listen: "127.0.0.1:0", ACL: acl})); err != nil {
		t.Error(err)
	}
}
