package telemetry

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/internal/procinfo"
	"github.com/picket-nsm/picket/internal/testenv"
)

// example is a cluster with one node of each role.
func example() *Snapshot {
	at := time.Unix(1795291474, 0)
	s := &Snapshot{Time: at, Cluster: "lab", Supervised: true}
	for _, x := range []struct{ name, role string }{{"hub", "hub"}, {"logger-1", "logger"}, {"manager", "manager"}, {"proxy-1", "proxy"}, {"worker-1", "worker"}} {
		n := Node{
			Name: x.name, Role: x.role, State: "ready", Up: true, Ready: true, Start: at.Add(-time.Minute),
			Usage: procinfo.Usage{CPU: 3 * time.Second, User: 2 * time.Second, RSS: 1 << 20, VSZ: 1 << 30, Files: 17},
			Total: map[string]uint64{"bus.events.published": 7, "bus.events.delivered": 9, "bus.dropped.queue_full": 2, "strange.thing": 5},
		}
		switch x.role {
		case "hub":
			for _, side := range []string{"frontend", "backend"} {
				for _, what := range []string{"messages_received", "bytes_received", "messages_sent", "bytes_sent"} {
					n.Total["zeek_cluster_zeromq_proxy_"+side+"_"+what+"_total"] = 3
				}
			}
		case "worker":
			for k, v := range map[string]uint64{
				"packets.received": 378, "packets.analyzed": 370, "bytes.received": 85006, "packets.dropped.kernel": 12, "packets.dropped.filter": 3,
				"log.conn.produced": 10, "log.http.produced": 4, "log.files.produced": 1, "log.capture_loss.produced": 1, "log.loaded_scripts.produced": 1,
				"log.packet_filter.produced": 1, "log.stats.produced": 1, "log.cluster.produced": 4,
				"log.conn.dropped.ship.full": 3, "log.conn.dropped.batch.too_large": 1, "log.conn.acked": 6, "records.produced": 16,
				"queue.ship": 99, "flows.open": 50, "flow.shed.connections": 1, "flow.active.tcp": 60, "flow.active.udp": 0, "flow.active.icmp": 0,
				"flow.total.tcp": 7, "flow.total.udp": 8, "flow.total.icmp": 9, "flow.timers": 77,
			} {
				n.Total[k] = v
			}
			n.Life = map[string]uint64{"queue.ship": 2, "flows.open": 5, "flow.active.tcp": 6, "packets.time": 1_700_000_000_500_000, "packets.lag": 13_500}
		case "logger":
			n.Total["log.conn.written"] = 6
		case "manager":
			n.Total["log.cluster.produced"] = 4
		}
		s.Nodes = append(s.Nodes, n)
	}
	return s
}

func scrape(t testing.TB, s *Server) map[string]*dto.MetricFamily {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", PathMetrics, nil))
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	p := expfmt.NewTextParser(model.LegacyValidation)
	f, err := p.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func serve(x *Snapshot) *Server {
	return New(Config{Services: true}, Deps{Source: func() (*Snapshot, error) { return x, nil }})
}

// unserved are Zeek's names that Picket has nothing to say about, and why.
var unserved = map[string]string{
	"zeek_log_writer_truncated_string_fields_total": "counted per node, not per path: picket_records_limited_total",
	"zeek_log_writer_truncated_containers_total":    "likewise",
	"zeek_event_handler_invocations_total":          "no script handlers",
	"zeek_ended_sessions_total":                     "not counted by reason",
	"zeek_timers_lag_time_seconds":                  "not noted in ledgers",
	"zeek_timers_pending":                           "one clock, not by Zeek's types",
	"zeek_triggers_total":                           "no triggers",
	"zeek_pending_triggers":                         "no triggers",
	"zeek_cluster_onloop_queue_blocks_total":        "no such queue",
	"zeek_cluster_zeromq_onloop_drops_total":        "no such queue",
	"zeek_cluster_zeromq_msg_errors_total":          "picket_bus_dropped_total{reason=...}",
	"zeek_cluster_zeromq_xpub_drops_total":          "likewise, by class of topic",
}

// Every name in a recording of Zeek is served with the same type and labels, or
// it is known why not.
func TestZeeksNames(t *testing.T) {
	dir := testenv.Shared(t, "golden/metrics")
	got := scrape(t, serve(example()))
	for _, node := range []string{"manager", "worker"} {
		text, err := os.ReadFile(filepath.Join(dir, node+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		p := expfmt.NewTextParser(model.LegacyValidation)
		want, err := p.TextToMetricFamilies(strings.NewReader(strings.ReplaceAll(string(text), "} Nan", "} NaN")))
		if err != nil {
			t.Fatal(err)
		}
		same := 0
		for name, w := range want {
			g := got[name]
			if g == nil {
				other := slices.ContainsFunc([]string{"broker_", "zeek_broker_", "zeek_dnsmgr_", "zeek_msgthread_", "zeek_storage_"}, func(p string) bool { return strings.HasPrefix(name, p) })
				if unserved[name] == "" && !other {
					t.Errorf("%s: %s is not served", node, name)
				}
				continue
			}
			same++
			if unserved[name] != "" {
				t.Errorf("%s is served; take it from the list", name)
			}
			if g.GetType() != w.GetType() || names(g) != names(w) {
				t.Errorf("%s: %v {%s}, Zeek has %v {%s}", name, g.GetType(), names(g), w.GetType(), names(w))
			}
		}
		t.Logf("%s: %d of %d of Zeek's families", node, same, len(want))
	}
	// Zeek's streams are known by their paths.
	for path, stream := range map[string]string{"conn": "Conn::LOG", "http": "HTTP::LOG", "loaded_scripts": "LoadedScripts::LOG", "packet_filter": "PacketFilter::LOG", "analyzer": "Analyzer::Logging::LOG", "capture_loss": "CaptureLoss::LOG", "": "::LOG", "__": "::LOG"} {
		if _, got := zeekStream(path); got != stream {
			t.Errorf("%s: %s, want %s", path, got, stream)
		}
	}
}

func names(f *dto.MetricFamily) string {
	var out []string
	for _, p := range f.Metric[0].Label {
		out = append(out, p.GetName())
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

func TestValues(t *testing.T) {
	x := example()
	x.Nodes[4].State = "od\"d\\\n\xff"
	x.Nodes[1].Up = false
	x.Nodes[4].Total["websocket.app.in.one/1.0"], x.Nodes[4].Total["websocket.app.out.unknown"] = 3, 4
	w := httptest.NewRecorder()
	serve(x).Handler().ServeHTTP(w, httptest.NewRequest("GET", PathMetrics, nil))
	text := w.Body.String()
	for _, line := range []string{
		`zeek_net_received_packets_total{node="worker-1"} 378`, `zeek_net_link_packets_total{node="worker-1"} 393`,
		`zeek_net_timestamp_seconds{node="worker-1"} 1.7000000005e+09`, `zeek_net_packet_lag_seconds{node="worker-1"} 0.0135`,
		`zeek_net_dropped_packets_total{node="worker-1"} 12`, `zeek_active_sessions{node="worker-1",protocol="tcp"} 6`,
		`zeek_log_stream_writes_total{module="Conn",node="worker-1",stream="Conn::LOG"} 10`,
		`zeek_log_writer_writes_total{filter_name="default",module="Conn",node="logger-1",path="conn",stream="Conn::LOG",writer="Log::WRITER_ASCII"} 6`,
		`zeek_log_writer_discarded_writes_total{filter_name="default",module="Conn",node="worker-1",path="conn",stream="Conn::LOG",writer="Log::WRITER_ASCII"} 1`,
		`picket_packets_dropped_total{node="worker-1",reason="kernel"} 12`, `picket_flows_open{node="worker-1"} 5`, `picket_queue_batches{node="worker-1",queue="ship"} 2`,
		`picket_records_dropped_total{node="worker-1",path="conn",reason="full",stage="ship"} 3`, `picket_records_written_total{node="logger-1",path="conn"} 6`,
		`picket_bus_dropped_total{node="proxy-1",reason="queue_full"} 2`, `picket_ledger_value{name="strange.thing",node="hub"} 5`,
		`picket_node_state{node="worker-1",role="worker",state="od\"d\\\n` + "\uFFFD" + `"} 1`, `picket_node_up{node="logger-1",role="logger"} 0`,
		`zeek_cluster_websocket_incoming_events_total{app="one/1.0",node="worker-1"} 3`, `zeek_cluster_websocket_outgoing_events_total{app="unknown",node="worker-1"} 4`,
		`process_cpu_system_seconds_total{node="hub"} 1`, `process_open_fds{node="hub"} 17`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(text, `process_open_fds{node="logger-1"}`) {
		t.Error("a process that is gone has open files")
	}
	if t.Failed() {
		t.Log(text)
	}
}

// A counter is in one family only, and none is lost.
func TestEveryCounterOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range append(owns(), prefixed()...) {
		if seen[o.counter] || shown(o.counter) {
			t.Errorf("%s twice", o.counter)
		}
		seen[o.counter] = true
		if !o.gauge != strings.HasSuffix(o.name, "_total") {
			t.Errorf("%s: a counter ends in _total, and a gauge does not", o.name)
		}
	}
}

func get(t *testing.T, s *Server, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func TestHealth(t *testing.T) {
	gone := func(i int) func(*Snapshot) {
		return func(x *Snapshot) { x.Nodes[i].Up, x.Nodes[i].Ready, x.Nodes[i].State = false, false, "backoff" }
	}
	for _, c := range []struct {
		name           string
		change         func(*Snapshot)
		health, ready  int
		inHealth, inRd string
	}{
		{"all well", func(*Snapshot) {}, 200, 200, "ok\n", "ok\n"},
		{"no logger", gone(1), 503, 503, "no logger is up\n", "logger-1 is backoff\n"},
		{"no worker", gone(4), 503, 503, "no worker is up\n", "worker-1 is backoff\n"},
		{"one of two workers", func(x *Snapshot) {
			x.Nodes = append(x.Nodes, x.Nodes[4])
			gone(4)(x)
		}, 200, 503, "ok\n", "worker-1 is backoff\n"},
		{"starts", func(x *Snapshot) { x.Nodes[2].Ready, x.Nodes[2].State = false, "starting" }, 200, 503, "ok\n", "manager is starting\n"},
	} {
		x := example()
		c.change(x)
		s := serve(x)
		if code, text := get(t, s, PathHealth); code != c.health || text != c.inHealth {
			t.Errorf("%s: health %d %q", c.name, code, text)
		}
		if code, text := get(t, s, PathReady); code != c.ready || text != c.inRd {
			t.Errorf("%s: ready %d %q", c.name, code, text)
		}
	}
	s := New(Config{}, Deps{Source: func() (*Snapshot, error) { return nil, errors.New("no books") }})
	for _, p := range []string{PathHealth, PathReady} {
		if code, text := get(t, s, p); code != 503 || text != "no books\n" {
			t.Errorf("%s: %d %q", p, code, text)
		}
	}
	if code, _ := get(t, s, PathServices); code != 404 {
		t.Errorf("services of a node: %d", code)
	}
}

// Nodes register themselves, and who has died is no target.
func TestServicesFollow(t *testing.T) {
	spool := t.TempDir()
	st := &status.Status{Spool: spool}
	for _, n := range []string{"hub", "manager", "worker-1"} {
		if err := os.Mkdir(filepath.Join(spool, n), 0o755); err != nil {
			t.Fatal(err)
		}
		st.Nodes = append(st.Nodes, status.Node{Name: n, Role: strings.TrimSuffix(n, "-1"), PID: os.Getpid()})
	}
	targets := func(want ...string) {
		t.Helper()
		_, text := get(t, serve(fromStatus(st)), PathServices)
		var got []struct {
			Targets []string
			Labels  map[string]string
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil || len(got) != 1 || got[0].Labels == nil || !slices.Equal(got[0].Targets, want) {
			t.Errorf("%s, want %v (%v)", text, want, err)
		}
	}
	announce := func(kind, node, url string) {
		t.Helper()
		if err := status.WriteDoor(filepath.Join(spool, node), status.Door{Kind: kind, Node: node, PID: os.Getpid(), URL: url}); err != nil {
			t.Fatal(err)
		}
	}
	targets()
	announce(KindMachine, "hub", "http://127.0.0.1:9000/metrics")
	targets("127.0.0.1:9000")
	announce(KindNode, "manager", "http://127.0.0.1:9991/metrics")
	announce(KindNode, "worker-1", "http://[::1]:9992/metrics")
	targets("127.0.0.1:9991", "[::1]:9992")
	if got := Targets(spool); !slices.Equal(got, []string{"127.0.0.1:9991", "[::1]:9992"}) {
		t.Errorf("%v", got)
	}
	st.Nodes[2].PID++ // another life, which has not registered yet
	targets("127.0.0.1:9991")
	st.Nodes[2].PID = 0
	targets("127.0.0.1:9991")
	if err := status.CloseDoor(filepath.Join(spool, "manager"), KindNode); err != nil {
		t.Fatal(err)
	}
	targets("127.0.0.1:9000")
	if p := status.LastPort(filepath.Join(spool, "manager"), KindNode); p != 9991 {
		t.Errorf("last port %d", p)
	}
	if p := status.LastPort(spool, KindNode); p != 0 {
		t.Errorf("last port %d", p)
	}
}

// run serves on loopback until the test ends.
func run(t *testing.T, cfg Config, d Deps) (s *Server, url string) {
	t.Helper()
	s = New(cfg, d)
	url, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return s, url
}

func TestTakenPort(t *testing.T) {
	port := testenv.Ports(t, 1)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = New(Config{Listen: addr}, Deps{Holder: func(a netip.AddrPort) string { return "zeek, pid 7" }}).Listen()
	if err == nil || !strings.HasPrefix(err.Error(), "open metrics: "+addr+" is taken by zeek, pid 7; give it another port") {
		t.Error(err)
	}
	// With a free choice, the port of the last life comes first.
	_, url := run(t, Config{Listen: "127.0.0.1:0", Last: port}, Deps{})
	if strings.Contains(url, addr) {
		t.Error(url)
	}
	l.Close()
	if _, url = run(t, Config{Listen: "127.0.0.1:0", Last: port}, Deps{}); url != "http://"+addr+"/metrics" {
		t.Error(url)
	}
}

// Whoever connects and says nothing, says too much, or comes by way of a web
// page costs little, and others are served.
func TestHostileClients(t *testing.T) {
	x := example()
	var looks atomic.Int64
	_, url := run(t, Config{Listen: "127.0.0.1:0", Services: true}, Deps{Source: func() (*Snapshot, error) { looks.Add(1); return x, nil }})
	host := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/metrics")
	for range maxConns / 2 { // half-open
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET /metr")
	}
	send := func(text string) string {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(c, text)
		b := make([]byte, 12)
		_, _ = io.ReadFull(c, b)
		return string(b)
	}
	for in, want := range map[string]string{
		"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n":                                             "HTTP/1.1 403",
		"GET /metrics HTTP/1.1\r\nHost: localhost:1\r\n\r\n":                                              "HTTP/1.1 200",
		"GET /metrics HTTP/1.1\r\nHost: [::1]:1\r\n\r\n":                                                  "HTTP/1.1 200",
		"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n123456789":                 "HTTP/1.1 405",
		"GET /etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n":                                             "HTTP/1.1 404",
		"\x16\x03\x01 not HTTP\r\n\r\n":                                                                   "HTTP/1.1 400",
		"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 4*maxHeader) + "\r\n\r\n": "HTTP/1.1 431",
	} {
		if got := send(in); got != want {
			t.Errorf("%.60q: %q, want %s", in, got, want)
		}
	}
	looks.Store(0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				resp, err := http.Get(url)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 && resp.StatusCode != 503 {
					t.Error(resp.Status)
				}
			}
		})
	}
	wg.Wait()
	if looks := looks.Load(); looks > 20 {
		t.Errorf("40 scrapes looked %d times at the nodes", looks)
	}
}

func TestGzip(t *testing.T) {
	r := httptest.NewRequest("GET", PathMetrics, nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	serve(example()).Handler().ServeHTTP(w, r)
	z, err := gzip.NewReader(w.Body)
	if err != nil || w.Header().Get("Content-Encoding") != "gzip" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8") {
		t.Fatal(err, w.Header())
	}
	if text, err := io.ReadAll(z); err != nil || !strings.Contains(string(text), "zeek_version_info{") {
		t.Error(err)
	}
}

func many(n int) *Snapshot {
	x := example()
	worker := x.Nodes[4]
	for i := 2; i <= n-4; i++ {
		w := worker
		w.Name = fmt.Sprintf("worker-%d", i)
		x.Nodes = append(x.Nodes, w)
	}
	return x
}

// What a node may cost a scraper.
func TestSeriesPerNode(t *testing.T) {
	n := 0
	for _, f := range scrape(t, serve(many(128))) {
		n += len(f.Metric)
	}
	if per := n / 128; per > 500 {
		t.Errorf("%d series per node", per)
	} else {
		t.Logf("%d series, %d per node", n, per)
	}
}
