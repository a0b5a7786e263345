package web

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/host/hub"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/testenv"
)

// made is a cluster that exists only as numbers, for what no machine of a test
// could run. Its counters follow from the time alone.
type made struct {
	workers int
	loggers int
	begin   time.Time
	dir     string

	mu     sync.Mutex
	files  map[string][]ledger.File
	odd    func(n *status.Node, at time.Time) // changes a node before it is shown
	doors  []status.Door
	events []supervisor.Event
	ask    []string // restarts that were asked for
}

func newMade(t testing.TB, workers int) *made {
	return &made{workers: workers, loggers: 2, begin: time.Now().Add(-3 * time.Hour), dir: t.TempDir(), files: map[string][]ledger.File{}}
}

// sources splits the workers over two interfaces, if they are many.
func (m *made) sources() map[string]Source {
	out := map[string]Source{}
	for k := range m.workers {
		s := Source{Name: "eth0", Live: true}
		if m.workers > 8 && k >= m.workers/2 {
			s.Name = "eth1"
		}
		out[m.worker(k)] = s
	}
	return out
}

func (m *made) worker(k int) string {
	if m.workers <= 8 {
		return fmt.Sprintf("worker-%d", k+1)
	}
	half := m.workers / 2
	return fmt.Sprintf("worker-%d-%d", 1+k/half, 1+k%half)
}

// swing is a day's traffic in minutes: a base, a slow wave and a quick one.
func swing(base float64, sec float64, phase float64) float64 {
	// The integral of base*(1 + .25 sin(wt) + .08 sin(vt)), so that it never goes back.
	w, v := 2*math.Pi/240, 2*math.Pi/17
	return base * (sec + .25*(math.Cos(phase)-math.Cos(w*sec+phase))/w + .08*(math.Cos(phase)-math.Cos(v*sec+phase))/v)
}

// at is the cluster at a time.
func (m *made) at(now time.Time) *status.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	sec := now.Sub(m.begin).Seconds()
	st := &status.Status{
		Time: now, Cluster: "border", Run: "a1b2", Spool: m.dir, Phase: supervisor.PhaseUp, Started: m.begin,
		Supervisor: status.Supervisor{PID: 4711, Alive: true}, Doors: m.doors, Accounting: &ledger.Report{},
		Events: []supervisor.Event{{Time: m.begin, Text: "starting"}, {Time: m.begin.Add(2 * time.Second), Text: "up: all nodes are ready"}},
	}
	st.Events = append(st.Events, m.events...)
	add := func(name, role string, fill func(n *status.Node)) {
		n := status.Node{
			Name: name, Role: role, PID: 5000 + len(st.Nodes), State: string(supervisor.Ready), Uptime: sec, Beat: .4, PSS: 14 << 20, CPU: .5,
			Counters: map[string]uint64{},
		}
		fill(&n)
		if m.odd != nil {
			m.odd(&n, now)
		}
		st.Nodes = append(st.Nodes, n)
	}
	add("hub", "hub", func(n *status.Node) {
		n.Counters[hub.MessagesIn] = uint64(swing(900, sec, 0))
		n.PSS, n.CPU = 31<<20, 6
	})
	paths := []struct {
		name string
		rate float64
	}{{"conn", 700}, {"dns", 420}, {"http", 160}, {"ssl", 130}, {"files", 90}, {"x509", 40}, {"weird", 9}, {"ntp", 6}, {"dhcp", 2}, {"ssh", .5}}
	for k := range m.loggers {
		add(fmt.Sprintf("logger-%d", k+1), "logger", func(n *status.Node) {
			n.Written, n.PSS, n.CPU = uint64(swing(1557/float64(m.loggers), sec, 0)), 26<<20, 11
			n.Queue = uint64(1 + math.Mod(sec/7+float64(k), 3))
		})
	}
	add("manager", "manager", func(n *status.Node) {})
	add("proxy-1", "proxy", func(n *status.Node) {})
	for k := range m.workers {
		phase := float64(k) * .61
		add(m.worker(k), "worker", func(n *status.Node) {
			n.Received = uint64(swing(9000+700*math.Sin(phase*3), sec, phase))
			n.Produced = uint64(swing(1557/float64(m.workers), sec, 0))
			n.PSS, n.CPU = int64(60+10*math.Sin(phase))<<20, 34+8*math.Sin(phase)
			n.Counters[ledger.PacketsReceived] = n.Received
			n.Counters[ledger.FlowsOpen] = 12000
		})
	}
	for _, p := range paths {
		l := ledger.Line{Path: p.name, Node: "worker-1", Produced: uint64(swing(p.rate, sec, p.rate))}
		l.Written = l.Produced
		st.Accounting.Records = append(st.Accounting.Records, l)
	}
	for i := range st.Nodes {
		st.Totals.Add(&st.Nodes[i])
	}
	st.Totals.Analyzed = st.Totals.Received
	return st
}

// deps serves it; tokens says whether there are some.
func (m *made) deps(t testing.TB, tokens bool) Deps {
	t.Helper()
	cfg := access.Config{Name: "dashboard", Section: "api.web", Example: "127.0.0.1:27780", Secret: "tokens", Listen: "127.0.0.1:0"}
	if tokens {
		text := ""
		for _, c := range [][3]string{{"alice", "secret-operate", "operate"}, {"bob", "secret-read", "read"}} {
			text += fmt.Sprintf("[[client]]\nname = %q\ntoken_sha256 = \"%x\"\nrole = %q\n", c[0], sha256.Sum256([]byte(c[1])), c[2])
		}
		cfg.ACL = filepath.Join(m.dir, "acl.toml")
		if err := os.WriteFile(cfg.ACL, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	guard, err := access.New(cfg, access.Deps{Via: Kind})
	if err != nil {
		t.Fatal(err)
	}
	return Deps{
		Guard: guard,
		Look:  func(*status.Status) (*status.Status, error) { return m.at(time.Now()), nil },
		Files: func(logger string) ([]ledger.File, error) { return m.files[logger], nil },
		Restart: func(_ context.Context, id access.Identity, node string) error {
			return guard.Do(id, "restart", node, func() error {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.ask = append(m.ask, id.Name+" "+node)
				return nil
			})
		},
	}
}

// log writes a log file that a logger seems to have open.
func (m *made) log(t testing.TB, logger, path, text string) string {
	t.Helper()
	name := filepath.Join(m.dir, path+".log")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	m.files[logger] = append(m.files[logger], ledger.File{Path: path, Name: name, Size: int64(len(text))})
	return name
}

// serve opens a dashboard until the test ends; past is of how much time the
// history is filled.
func serve(t testing.TB, d Deps, m *made, tokens bool, past time.Duration) (s *Server, url string) {
	t.Helper()
	s = New(Config{Sources: m.sources(), Tokens: tokens}, d)
	if past > 0 {
		now := time.Now()
		for at := now.Add(-past); at.Before(now); at = at.Add(time.Second) {
			s.feed.look = func(*status.Status) (*status.Status, error) { return m.at(at), nil }
			s.feed.step()
		}
		s.feed.look = d.Look
	}
	return s, start(t, s)
}

// start has a dashboard listen and run until the test ends.
func start(t testing.TB, s *Server) (url string) {
	t.Helper()
	url, err := s.deps.Guard.Listen()
	if err != nil {
		t.Fatal(err)
	}
	testenv.Run(t, s.Run)
	return url
}
