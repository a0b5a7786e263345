package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/testenv"
)

// The alert rules are such that fire when they should, and only then.
func TestRules(t *testing.T) {
	promtool := testenv.NeedTool(t, "promtool")
	rules := filepath.Join(testenv.Root(t), "deploy", "prometheus", "picket.rules.yml")
	text, err := os.ReadFile("testdata/rules_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules_test.yml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "RULES", rules)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", rules}, {"test", "rules", file}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

func TestPromtoolLikesUs(t *testing.T) {
	promtool := testenv.NeedTool(t, "promtool")
	_, url := run(t, Config{Listen: "127.0.0.1:0"}, Deps{Source: func() (*Snapshot, error) { return example(), nil }})
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = resp.Body
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A real Prometheus finds the endpoint, reads it, loads the rules, and knows
// every metric that the dashboard and the rules ask for.
func TestPrometheus(t *testing.T) {
	prometheus := testenv.NeedTool(t, "prometheus")
	_, url := run(t, Config{Listen: "127.0.0.1:0"}, Deps{Source: func() (*Snapshot, error) { return example(), nil }})
	dir := t.TempDir()
	target := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), PathMetrics)
	rules := filepath.Join(testenv.Root(t), "deploy", "prometheus", "picket.rules.yml")
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n- job_name: picket\n  static_configs:\n  - targets: [%q]\n", rules, target)
	if err := os.WriteFile(filepath.Join(dir, "p.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", testenv.Ports(t, 1))
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, prometheus, "--config.file="+filepath.Join(dir, "p.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	var out strings.Builder
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(out.String())
		}
	}()
	ask := func(query string) (n int, err error) {
		resp, err := http.Get("http://" + addr + "/api/v1/query?query=" + neturl.QueryEscape(query))
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		var a struct {
			Status, Error string
			Data          struct{ Result []any }
		}
		if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
			return 0, err
		}
		if a.Status != "success" {
			return 0, fmt.Errorf("%s: %s", query, a.Error)
		}
		return len(a.Data.Result), nil
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if n, err := ask("picket_node_up"); err == nil && n == 5 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("%d nodes, %v", n, err)
		}
	}
	dashboard, err := os.ReadFile(filepath.Join(testenv.Root(t), "deploy", "grafana", "picket.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(dashboard, &d); err != nil || len(d.Panels) < 10 {
		t.Fatal(err, len(d.Panels))
	}
	text, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	used := string(text)
	set := strings.NewReplacer("$__rate_interval", "1m", "$__interval", "1m", "$job", ".*", "$instance", ".*", "$node", ".*")
	for _, p := range d.Panels {
		for _, x := range p.Targets {
			used += x.Expr + "\n"
			if _, err := ask(set.Replace(x.Expr)); err != nil {
				t.Errorf("%s: %v", p.Title, err)
			}
		}
	}
	hub := map[string]bool{"picket_bus_messages_total": true} // the example has no hub's counters
	for _, name := range regexp.MustCompile(`\b(picket|zeek|process)_[a-z_]+\b`).FindAllString(used, -1) {
		if n, err := ask(name); err != nil || n == 0 && !hub[name] {
			t.Errorf("%s is asked for and nobody has it: %v", name, err)
		}
	}
}
