package web

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/chromium"
)

// clean fails the test if the page complained, or asked anybody but the hub.
func clean(t *testing.T, page *chromium.Page, base string) {
	t.Helper()
	for _, x := range page.Trouble() {
		t.Errorf("console: %s", x)
	}
	for _, u := range page.Requests() {
		if !strings.HasPrefix(u, base+"/") {
			t.Errorf("the page asks for %s", u)
		}
	}
	if len(page.Requests()) < 8 {
		t.Errorf("requests: %v", page.Requests())
	}
}

const rows = `document.querySelectorAll("#nodes-body tr").length`

// open shows a dashboard's page and waits for the first frame.
func open(b *chromium.Browser, url string, nodes int) *chromium.Page {
	p := b.Page(1440, 1000)
	p.Open(url)
	p.Wait("the nodes", fmt.Sprintf("%s === %d", rows, nodes))
	return p
}

// TestPage drives the page in a real Chromium.
func TestPage(t *testing.T) {
	if testing.Short() {
		t.Skip("short: takes half a minute")
	}
	b := chromium.Start(t)

	t.Run("shows the cluster, and a node that dies", func(t *testing.T) {
		m := newMade(t, 4)
		var dead atomic.Bool
		m.odd = func(n *status.Node, at time.Time) {
			if n.Name == "worker-3" && dead.Load() {
				n.State, n.PID, n.LastExit, n.Restarts, n.Stderr = string(supervisor.Down), 0, "killed by signal 9 (killed)", 1, []string{"panic: <b>no</b>"}
			}
		}
		_, url := serve(t, m.deps(t, true), m, true, time.Minute)
		p := open(b, url, 9)
		for _, n := range m.at(time.Now()).Nodes {
			name, _ := json.Marshal(n.Name)
			var where []bool
			p.Must(`[[...document.querySelectorAll("#nodes-body tr")].some(r=>r.cells[0].textContent===`+string(name)+`),
				[...document.querySelectorAll("#picture .tile")].some(g=>g.getAttribute("aria-label").startsWith(`+string(name)+`+", "))]`, &where)
			if !where[0] || !where[1] {
				t.Errorf("%s: in the table %v, in the picture %v", n.Name, where[0], where[1])
			}
		}
		if h := p.Text(`document.getElementById("headline").textContent`); h != "Healthy" {
			t.Errorf("headline %q", h)
		}
		p.Wait("history", `document.querySelector("#charts .series").getAttribute("d").split("L").length > 40`)
		dead.Store(true)
		p.Wait("the headline", `document.getElementById("headline").textContent === "A node is down"`)
		p.Wait("the tile", `document.querySelector('#picture .tile.down').getAttribute("aria-label").startsWith("worker-3, worker, backoff")`)
		p.Wait("the row, first", `document.querySelector("#nodes-body tr").cells[2].textContent === "down" && document.querySelector("#nodes-body tr").cells[0].textContent === "worker-3"`)
		p.Wait("the title", `document.title.includes("a node is down")`)
		// From what is wrong straight to the node, and its last words.
		p.Click("#troubles button.link")
		p.Wait("last words", `document.querySelector("#drawer-words pre").textContent === "panic: <b>no</b>"`)
		dead.Store(false)
		p.Wait("well again", `document.getElementById("headline").textContent === "Healthy"`)
		clean(t, p, url)
	})

	t.Run("shows records as text", func(t *testing.T) {
		m := newMade(t, 2)
		m.log(t, "logger-1", "http", hostileLog(40))
		m.odd = func(n *status.Node, at time.Time) {
			if n.Name == "worker-2" {
				n.State, n.PID, n.LastExit = "<img src=x onerror=alert(1)>", 0, hostileText
			}
		}
		m.doors = []status.Door{{Kind: "websocket", Node: hostileText, Trouble: hostileText}}
		_, url := serve(t, m.deps(t, true), m, true, time.Second)
		p := open(b, url, 7)
		p.Must(`sessionStorage.setItem("picket.token", "secret-read")`, nil)
		for _, path := range []string{"", "http"} {
			p.Must(`document.getElementById("search-path").value = `+fmt.Sprintf("%q", path)+`; document.getElementById("search-words").value = ""; document.getElementById("search-form").requestSubmit()`, nil)
			if path != "" {
				// The list of logs comes from the cluster; this one has no http.
				p.Must(`document.getElementById("search-path").append(new Option("http","http")); document.getElementById("search-path").value = "http"; document.getElementById("search-form").requestSubmit()`, nil)
			}
			p.Wait("records", `document.querySelectorAll("#search-body tr").length === 40`)
			var n int
			p.Must(`[...document.querySelectorAll("#search-body td, #search-body .v")].filter(e=>e.textContent===`+fmt.Sprintf("%q", hostileText)+`).length`, &n)
			if n < 40 {
				t.Errorf("%q: the text is there %d times", path, n)
			}
		}
		var bad int
		p.Must(`document.querySelectorAll("main img, main script, footer img, aside img").length`, &bad)
		if title := p.Text("document.title"); bad != 0 || title == "owned" {
			t.Errorf("%d elements out of records, title %q", bad, title)
		}
		// And the policy would not let markup in if a mistake did.
		var err string
		p.Must(`(()=>{try{document.body.innerHTML="<b>x</b>";return "taken"}catch(e){return e.name}})()`, &err)
		if err != "TypeError" {
			t.Errorf("innerHTML: %s", err)
		}
		p.Trouble() // of the mistake just made
		clean(t, p, url)
	})

	t.Run("restarts with a token only", func(t *testing.T) {
		m := newMade(t, 2)
		if err := os.MkdirAll(filepath.Join(m.dir, "worker-1"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(m.dir, "worker-1", "stderr.log"), []byte("first line\n<b>last line</b>\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, url := serve(t, m.deps(t, true), m, true, time.Second)
		p := open(b, url, 7)
		p.Must(`[...document.querySelectorAll("#nodes-body tr")].find(r=>r.name==="worker-1").click()`, nil)
		p.Wait("the drawer", `document.activeElement.id === "drawer-name" && document.activeElement.textContent === "worker-1"`)
		p.Wait("no output without a token", `document.getElementById("drawer-output").textContent.includes("picket logs worker-1")`)
		for _, x := range []struct{ token, says string }{
			{"guess", "no such token"}, {"secret-read", "needs the role operate"}, {"secret-operate", "worker-1 restarts, asked by alice"},
		} {
			p.Must(`sessionStorage.clear(); document.getElementById("restart").focus()`, nil)
			p.Press("Enter")
			p.Wait("it asks for a token", `document.getElementById("token").open && document.activeElement.id === "token-text"`)
			p.Type(x.token)
			p.Press("Enter")
			p.Wait("it asks whether", `document.activeElement.id === "restart-yes"`)
			p.Press("Enter")
			p.Wait(x.says, `document.getElementById("restart-said").textContent.includes(`+fmt.Sprintf("%q", x.says)+`)`)
			if x.token == "guess" {
				p.Wait("it asks for another", `document.getElementById("token").open`)
				p.Press("Escape")
				p.Wait("no more", `!document.getElementById("token").open`)
			}
		}
		p.Wait("output with one", `document.getElementById("drawer-output").textContent === "first line\n<b>last line</b>\n"`)
		m.mu.Lock()
		if len(m.ask) != 1 || m.ask[0] != "alice worker-1" {
			t.Errorf("asked: %v", m.ask)
		}
		m.mu.Unlock()
		p.Trouble() // refusals, which the browser notes
		clean(t, p, url)
	})

	t.Run("asks for a token once", func(t *testing.T) {
		m := newMade(t, 2)
		_, url := serve(t, m.deps(t, true), m, true, time.Second)
		p := open(b, url, 7)
		p.Must(`{
			const real = window.fetch;
			window.refused = 0;
			window.fetch = (path, how) => {
				if (!String(path).includes("api/feed")) return real(path, how);
				window.refused++;
				return Promise.resolve(new Response('{"error": "not you"}', { status: 401 }));
			};
		}`, nil)
		p.Click("#token-open")
		p.Wait("the dialog", `document.activeElement.id === "token-text"`)
		p.Type("secret-read")
		p.Press("Enter")
		p.Wait("why", `document.getElementById("token").open && document.getElementById("token-why").textContent === "not you"`)
		p.Wait("the token is forgotten", `sessionStorage.getItem("picket.token") === null && document.getElementById("token-open").textContent === "Token"`)
		p.Press("Escape")
		p.Wait("no dialog while it is refused again", `window.refused >= 3 && !document.getElementById("token").open`)
		clean(t, p, url)
	})

	t.Run("nobody restarts where there are no tokens", func(t *testing.T) {
		m := newMade(t, 1)
		_, url := serve(t, m.deps(t, false), m, false, time.Second)
		p := open(b, url, 6)
		p.Click("#nodes-body tr")
		p.Wait("it says so", `document.getElementById("restart").hidden && document.getElementById("restart-said").textContent.includes("no tokens are set up")`)
	})

	t.Run("128 nodes", func(t *testing.T) {
		m := newMade(t, 123)
		_, url := serve(t, m.deps(t, true), m, true, 10*time.Minute)
		begin := time.Now()
		p := open(b, url, 128)
		shown := time.Since(begin)
		if n := p.Text(`document.querySelectorAll("#picture .tile").length`); n != "128" {
			t.Errorf("%s tiles", n)
		}
		// How long the page is busy at a time, over some frames.
		var worst, changes float64
		var r struct{ Worst, Changes float64 }
		p.Must(`new Promise(done=>{let last=performance.now(),worst=0,seen=document.querySelector("#charts .value").textContent,changes=0;
			const end=last+5000, late=last+60000, step=()=>{const t=performance.now();worst=Math.max(worst,t-last);last=t;
			const now=document.querySelector("#nodes-body").textContent;if(now!==seen){seen=now;changes++}
			t<end||changes<3&&t<late?setTimeout(step,0):done({Worst:worst,Changes:changes})};step()})`, &r)
		worst, changes = r.Worst, r.Changes
		t.Logf("128 nodes: shown after %v, longest pause %.0f ms, %v changes", shown.Round(time.Millisecond), worst, changes)
		if shown > 30*time.Second || worst > 10000 || changes < 3 { // a hang, or no news
			t.Errorf("shown after %v, longest pause %.0f ms, %v changes", shown, worst, changes)
		}
		clean(t, p, url)
	})

	t.Run("light and dark", func(t *testing.T) {
		m := newMade(t, 2)
		_, url := serve(t, m.deps(t, true), m, true, time.Second)
		p := open(b, url, 7)
		bright := func() string {
			return p.Text(`(([r,g,b])=>r+g+b>382?"light":"dark")(getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number))`)
		}
		for _, c := range []struct{ system, want string }{{"dark", "dark"}, {"light", "light"}} {
			p.Prefer("prefers-color-scheme", c.system)
			if got := bright(); got != c.want {
				t.Errorf("system %s: %s", c.system, got)
			}
		}
		for _, want := range []string{"light", "dark", "light"} { // the last is auto again
			p.Click("#theme")
			if got := bright(); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		p.Click("#theme")
		p.Click("#theme")
		p.Open(url)
		p.Wait("the choice is kept", `document.documentElement.dataset.theme === "dark"`)
		p.Must(`localStorage.clear()`, nil)
		// All text can be read: 4.5 to 1 for what matters.
		for _, scheme := range []string{"light", "dark"} {
			p.Prefer("prefers-color-scheme", scheme)
			p.Must(`document.documentElement.dataset.theme = `+fmt.Sprintf("%q", scheme), nil)
			var low []string
			p.Must(`(()=>{const lum=c=>{const [r,g,b]=c.match(/[\d.]+/g).map(v=>v/255).map(v=>v<=.03928?v/12.92:((v+.055)/1.055)**2.4);return .2126*r+.7152*g+.0722*b};
				const back=e=>{for(;e;e=e.parentElement){const c=getComputedStyle(e).backgroundColor;if(!/, 0\)|transparent/.test(c))return c}return "rgb(255,255,255)"};
				const out=[];for(const e of document.querySelectorAll("main *, header *, footer *")){if(e.namespaceURI.endsWith("svg")||!e.offsetParent||![...e.childNodes].some(n=>n.nodeType===3&&n.data.trim()))continue;
				const a=lum(getComputedStyle(e).color),b=lum(back(e)),k=(Math.max(a,b)+.05)/(Math.min(a,b)+.05);if(k<4.5)out.push(e.textContent.slice(0,30)+" "+k.toFixed(2))}return out})()`, &low)
			if len(low) > 0 {
				t.Errorf("%s: hard to read: %q", scheme, low)
			}
		}
	})

	t.Run("by keyboard alone", func(t *testing.T) {
		m := newMade(t, 3)
		_, url := serve(t, m.deps(t, true), m, true, time.Second)
		p := open(b, url, 8)
		const here = `(e=>e.id||e.closest("svg")?.id||e.closest("section")?.id||e.tagName)(document.activeElement)`
		var way []string
		for range 40 {
			p.Press("Tab")
			at := p.Text(here)
			if n := len(way); n == 0 || way[n-1] != at {
				way = append(way, at)
			}
			var named bool
			p.Must(`(e=>e===document.body||!!(e.getAttribute("aria-label")||e.getAttribute("aria-labelledby")||e.textContent.trim()||(e.labels&&e.labels.length)))(document.activeElement)`, &named)
			if !named {
				t.Errorf("%s has no name", at)
			}
			if at == "search-form" || at == "search" || at == "SUMMARY" {
				break
			}
		}
		if got := strings.Join(way, " "); !strings.Contains(got, "token-open theme") || !strings.Contains(got, "charts") ||
			!strings.Contains(got, "picture logs nodes-filter nodes events search-path search-words search-live") {
			t.Errorf("the way of Tab: %s", got)
		}
		// Within the picture, arrows; Enter opens; Escape goes back.
		p.Must(`document.querySelector('#picture .tile[tabindex="0"]').focus()`, nil)
		const label = `document.activeElement.getAttribute("aria-label").split(",")[0]`
		for _, s := range []struct{ key, at string }{
			{"ArrowDown", "worker-2"}, {"ArrowDown", "worker-3"}, {"ArrowDown", "worker-3"}, {"ArrowRight", "hub"}, {"ArrowRight", "manager"}, {"ArrowUp", "logger-2"},
		} {
			p.Press(s.key)
			if got := p.Text(label); got != s.at && !(s.at == "manager" && strings.HasPrefix(got, "logger")) {
				t.Errorf("%s: at %s, want %s", s.key, got, s.at)
			}
		}
		at := p.Text(label)
		p.Press("Enter")
		p.Wait("the drawer", `!document.getElementById("drawer").hidden && document.activeElement.id === "drawer-name"`)
		p.Press("Tab")
		if got := p.Text(here); got != "drawer-close" {
			t.Errorf("Tab in the drawer: %s", got)
		}
		p.Press("Escape")
		p.Wait("back", `document.getElementById("drawer").hidden && `+label+` === `+fmt.Sprintf("%q", at))
		// Within the table, too.
		p.Must(`document.querySelector('#nodes-body tr[tabindex="0"]').focus()`, nil)
		p.Press("End")
		if got := p.Text(`document.activeElement.name`); got != "worker-3" {
			t.Errorf("End: %s", got)
		}
		p.Press("Home")
		p.Press("ArrowDown")
		if got := p.Text(`document.activeElement.name`); got != "logger-1" {
			t.Errorf("Home, ArrowDown: %s", got)
		}
		p.Press("Enter")
		p.Wait("the drawer", `document.activeElement.id === "drawer-name" && document.activeElement.textContent === "logger-1"`)
		p.Press("Escape")
		p.Wait("back", `document.activeElement.name === "logger-1"`)
		// Sort, filter, move through a chart.
		p.Must(`[...document.querySelectorAll("#nodes-head button")].find(b=>b.textContent==="Node").focus()`, nil)
		p.Press("Enter")
		p.Press("Enter")
		p.Wait("sorted", `document.querySelector("#nodes-head th").getAttribute("aria-sort") === "descending" && document.querySelector("#nodes-body tr").name === "worker-3"`)
		p.Must(`document.getElementById("nodes-filter").focus()`, nil)
		p.Type("logger")
		p.Wait("filtered", rows+" === 2")
		p.Must(`document.querySelector("#charts svg").focus()`, nil)
		p.Press("ArrowLeft")
		p.Wait("the cursor", `document.querySelector("#charts .cursor").getAttribute("visibility") === "visible" && document.activeElement.getAttribute("aria-label").includes("; at ")`)
		clean(t, p, url)
	})

	t.Run("an old picture does not look new", func(t *testing.T) {
		m := newMade(t, 1)
		s := New(Config{Sources: m.sources()}, m.deps(t, false))
		var stuck atomic.Bool
		look := s.feed.look
		s.feed.look = func(st *status.Status) (*status.Status, error) {
			for stuck.Load() {
				time.Sleep(10 * time.Millisecond)
			}
			return look(st)
		}
		url := start(t, s)
		p := open(b, url, 6)
		p.Wait("live", `document.getElementById("live").dataset.live === "yes"`)
		stuck.Store(true)
		defer stuck.Store(false)
		p.Wait("old", `!document.getElementById("stale").hidden && document.getElementById("stale").textContent.startsWith("No news for") && document.body.classList.contains("stale")`)
		stuck.Store(false)
		p.Wait("live again", `document.getElementById("stale").hidden && document.getElementById("live").dataset.live === "yes"`)
	})

	t.Run("the picture can be read on every screen", func(t *testing.T) {
		for workers, widths := range map[int][]int{1: {390, 1440}, 8: {340, 540, 700, 1000}, 123: {390, 1000}} {
			m := newMade(t, workers)
			_, url := serve(t, m.deps(t, false), m, false, time.Second)
			p := open(b, url, workers+5)
			for _, w := range widths {
				p.Size(w, 900)
				p.Wait("it is drawn anew", fmt.Sprintf(`innerWidth === %d && document.getElementById("picture").viewBox.baseVal.width === Math.round(document.getElementById("picture").getBoundingClientRect().width)`, w))
				var bad []string
				p.Must(`(()=>{const out=[],pic=document.getElementById("picture").getBoundingClientRect();
					const all=[...document.querySelectorAll("#picture text")].filter(e=>e.textContent).map(e=>[e.textContent,e.getBoundingClientRect()]);
					all.forEach(([a,r],i)=>{if(r.left<pic.left||r.right>pic.right+1)out.push(a+" sticks out");
						for(const [b,q] of all.slice(i+1))if(r.left<q.right-1&&q.left<r.right-1&&r.top<q.bottom-4&&q.top<r.bottom-4)out.push(a+" and "+b)});
					if(document.documentElement.scrollWidth>innerWidth)out.push("the page is wider than the screen");
					return out.slice(0,5)})()`, &bad)
				if len(bad) > 0 {
					t.Errorf("%d workers, %d pixels: %q", workers, w, bad)
				}
			}
			clean(t, p, url)
		}
	})

	t.Run("numbers are those of the hub", func(t *testing.T) {
		m := newMade(t, 1)
		_, url := serve(t, m.deps(t, false), m, false, time.Second)
		p := open(b, url, 6)
		for v, want := range numbers() {
			var got string
			p.Must(fmt.Sprintf(`import("/format.js").then(m=>m.num(%v))`, v), &got)
			if got != want {
				t.Errorf("%v: %s, want %s", v, got, want)
			}
		}
	})
}
