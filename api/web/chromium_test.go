package web

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/chromium"
)

var pictures = flag.String("pictures", "", "folder into which pictures of the dashboard are written")

func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("only with -pictures FOLDER: go test ./api/web -run Pictures -pictures ../../docs")
	}
	b := chromium.Start(t)
	night := newMade(t, 128)
	night.loggers = 4
	from := time.Now().Add(-140 * time.Second)
	night.events = []supervisor.Event{
		{Time: from.Add(-time.Hour), Node: "logger-3", Text: "restart asked for by alice (dashboard)"},
		{Time: from.Add(-time.Hour + 2*time.Second), Node: "logger-3", Text: "ready"},
		{Time: from.Add(72 * time.Second), Node: "worker-2-40", Text: "killed by signal 9 (killed); starts again at once"},
		{Time: from.Add(81 * time.Second), Node: "worker-2-40", Text: "killed by signal 9 (killed); starts again in 1s"},
		{Time: from.Add(90 * time.Second), Node: "worker-2-40", Text: "killed by signal 9 (killed); starts again in 2m0s"},
	}
	night.odd = func(n *status.Node, at time.Time) {
		late := max(0, at.Sub(from).Seconds())
		switch n.Name {
		case "worker-1-17", "worker-1-18", "worker-1-19":
			n.Dropped = uint64(late * 640)
			n.CPU = 98
		case "worker-2-40":
			if late > 90 {
				n.State, n.PID, n.LastExit, n.Restarts = string(supervisor.Down), 0, "killed by signal 9 (killed)", 3
				n.PSS, n.CPU, n.Received, n.Produced = 0, 0, 96_000_000, 12_000
			}
		case "worker-2-3":
			n.Received += uint64(late * 16000)
		}
	}
	for _, p := range []struct {
		file, scheme  string
		m             *made
		width, height int
	}{
		{"dashboard-light.png", "light", newMade(t, 6), 1440, 1180},
		{"dashboard-dark.png", "dark", newMade(t, 6), 1440, 1180},
		{"dashboard-128.png", "light", night, 1440, 1320},
	} {
		p.m.log(t, "logger-1", "conn", connLog)
		p.m.doors = []status.Door{{Kind: "websocket", Node: "manager", URL: "ws://127.0.0.1:27759/v1/messages/json"}}
		_, url := serve(t, p.m.deps(t, true), p.m, true, 10*time.Minute)
		page := b.Page(p.width, p.height)
		page.Prefer("prefers-color-scheme", p.scheme)
		page.Open(url)
		page.Wait("frames", `document.querySelectorAll("#nodes-body tr").length > 6`)
		page.Must(`sessionStorage.setItem("picket.token", "secret-read"); document.getElementById("search-form").requestSubmit()`, nil)
		time.Sleep(3 * time.Second)
		page.Picture(*pictures + "/" + p.file)
		if info, err := os.Stat(*pictures + "/" + p.file); err != nil || info.Size() > 200<<10 {
			t.Errorf("%s: %v %v", p.file, info.Size(), err)
		}
		for _, x := range page.Trouble() {
			t.Error(x)
		}
	}
}

const connLog = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n" +
	"#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\n" +
	"#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\n" +
	"1795322100.100000\tCa1\t10.1.0.7\t50112\t192.0.2.53\t53\tudp\tdns\t0.012000\n" +
	"1795322101.200000\tCa2\t10.1.0.9\t50113\t198.51.100.4\t443\ttcp\tssl\t12.100000\n" +
	"1795322102.300000\tCa3\t2001:db8::7\t50114\t2001:db8::53\t53\tudp\tdns\t-\n"
