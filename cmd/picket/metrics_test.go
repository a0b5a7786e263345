package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/api/telemetry"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/internal/testenv"
)

// fetch gets a page; the status is 0 where nobody answers.
func fetch(url string) (code int, text string) {
	c := http.Client{Timeout: 20 * time.Second}
	resp, err := c.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

// becomes waits until a page is as wanted and says how long that took.
func becomes(t *testing.T, url string, limit time.Duration, ok func(code int, text string) bool) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		code, text := fetch(url)
		if ok(code, text) {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			t.Fatalf("%s: after %s still %d %.300s", url, limit, code, text)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// targets are those of a /services.json.
func targets(t *testing.T, text string) []string {
	t.Helper()
	var groups []struct {
		Targets []string
		Labels  map[string]string
	}
	if err := json.Unmarshal([]byte(text), &groups); err != nil || len(groups) != 1 || groups[0].Labels == nil {
		t.Fatalf("%s: not Zeek's shape: %v", text, err)
	}
	return groups[0].Targets
}

// Health, readiness and discovery of a real cluster follow what happens to its
// processes: well within 10 seconds.
func TestHealthFollowsProcesses(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	conf := m.file("c.toml", "[api.websocket]\nlisten = \"\"\n")
	u := m.up("-c", conf, "--read", demo(t), "--pace", "10m", "-W", "2")
	base := ""
	st := m.wait("all ready, metrics open", func(s *status.Status) bool {
		for _, d := range s.Doors {
			if d.Kind == telemetry.KindMachine {
				base = strings.TrimSuffix(d.URL, telemetry.PathMetrics)
			}
		}
		return allReady(s) && base != ""
	})
	if slices.ContainsFunc(st.Doors, func(d status.Door) bool { return d.Kind == telemetry.KindNode }) {
		t.Errorf("status lists each node's endpoint: %v", st.Doors)
	}
	const promised = 10 * time.Second
	fails := func(says string) func(int, string) bool {
		return func(code int, text string) bool { return code == 503 && strings.Contains(text, says) }
	}
	fine := func(code int, text string) bool { return code == 200 && text == "ok\n" }
	health, ready, services := base+telemetry.PathHealth, base+telemetry.PathReady, base+telemetry.PathServices
	becomes(t, health, patience, fine)
	becomes(t, ready, patience, fine)

	const nodes = 5 // manager, logger, proxy, two workers; the hub carries all
	becomes(t, services, patience, func(_ int, text string) bool { return len(targets(t, text)) == nodes })
	_, text := fetch(services)
	names := map[string]bool{}
	for _, at := range targets(t, text) {
		code, page := fetch("http://" + at + telemetry.PathMetrics)
		i := strings.Index(page, `picket_node_up{node="`)
		if code != 200 || i < 0 {
			t.Fatalf("%s: %d %.200s", at, code, page)
		}
		name, _, _ := strings.Cut(page[i+len(`picket_node_up{node="`):], `"`)
		names[name] = true
	}
	if len(names) != nodes || !names["manager"] || !names["worker-2"] {
		t.Errorf("targets are %v", names)
	}

	pid := func(name string) int { t.Helper(); s, _ := status.Collect(m.spool, nil); return nodeOf(s, name).PID }
	logger := pid("logger-1")
	if err := syscall.Kill(logger, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Logf("SIGSTOP of the logger: health fails after %s", becomes(t, health, promised, fails("no logger is up")))
	becomes(t, ready, promised, fails("logger-1 is hangs"))
	if err := syscall.Kill(logger, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	becomes(t, health, patience, fine)
	becomes(t, ready, patience, fine)

	// A restart keeps the target; a worker of two is not missed by health.
	before := targets(t, second(fetch(services)))
	if err := syscall.Kill(pid("worker-1"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	becomes(t, base+telemetry.PathMetrics, patience, func(_ int, text string) bool {
		return strings.Contains(text, `picket_node_restarts_total{node="worker-1",role="worker"} 1`)
	})
	becomes(t, ready, patience, fine)
	becomes(t, services, patience, func(_ int, text string) bool { return slices.Equal(targets(t, text), before) })

	// Without a supervisor nobody starts what dies.
	if err := u.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-u.done
	if err := syscall.Kill(pid("manager"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Logf("SIGKILL of the manager: health fails after %s", becomes(t, health, promised, fails("no manager is up")))
	becomes(t, ready, promised, fails("manager is gone"))
	becomes(t, services, promised, func(_ int, text string) bool { return len(targets(t, text)) == nodes-1 })
	if err := syscall.Kill(pid("hub"), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if code, _ := fetch(health); code == 200 {
		t.Error("a hub that is stopped says it is well")
	}
	_ = syscall.Kill(pid("hub"), syscall.SIGCONT)
}

func second(_ int, text string) string { return text }

// A port that is taken costs the cluster nothing but the endpoint, and the one
// who has it is named; when it is free, the endpoint opens.
func TestMetricsPortTaken(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", testenv.Ports(t, 1)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conf := m.file("c.toml", fmt.Sprintf("[metrics]\nlisten = %q\n[api.websocket]\nlisten = \"\"\n", l.Addr()))
	m.up("-c", conf, "--read", demo(t), "--pace", "10m", "-W", "1")
	door := func(s *status.Status) (d status.Door) {
		for _, d := range s.Doors {
			if d.Kind == telemetry.KindMachine {
				return d
			}
		}
		return d
	}
	s := m.wait("the port is taken", func(s *status.Status) bool { return allReady(s) && door(s).Trouble != "" })
	want := fmt.Sprintf("open metrics: %s is taken by %s, pid %d; give it another port", l.Addr(), comm(t), os.Getpid())
	if got := door(s).Trouble; !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if out, code := m.picket("status"); code != 0 || !strings.Contains(out, want) {
		t.Errorf("status: %d %s", code, out)
	}
	l.Close()
	m.wait("the endpoint opened", func(s *status.Status) bool { return door(s).URL == "http://"+l.Addr().String()+"/metrics" })
}

// comm is how the system calls this process.
func comm(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Skip("needs /proc")
	}
	return strings.TrimSpace(string(text))
}
