package node_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/standard"
)

func deps() node.Deps {
	return node.Deps{
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Rand: rand.Reader,
		Protocols: standard.Protocols(), Formats: standard.Formats(),
	}
}

// read reads captures with n workers and returns the sorted rows of each log.
func read(t *testing.T, n int, format string, files ...string) (map[string][]string, *ledger.Report) {
	t.Helper()
	dir := t.TempDir()
	report, err := node.Read(context.Background(), node.ReadConfig{
		Capture: node.Capture{Files: files, Seed: "test", NoChecksums: true},
		Workers: n, Dir: dir, Format: format,
	}, deps())
	if err != nil {
		t.Fatal(err)
	}
	return rows(t, dir), report
}

// rows returns the sorted rows of each log in a folder, without meta lines.
func rows(t *testing.T, dir string) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	logs := map[string][]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
			if !strings.HasPrefix(line, "#") {
				out = append(out, line)
			}
		}
		sort.Strings(out)
		logs[strings.TrimSuffix(filepath.Base(f), ".log")] = out
	}
	return logs
}

func demo(t *testing.T) string { return filepath.Join(testenv.Root(t), "docs", "demo.pcap") }

// The demo capture holds what its script did: the judge is the script, not an
// earlier run.
func TestReadDemo(t *testing.T) {
	logs, report := read(t, 2, "tsv", demo(t))
	var text bytes.Buffer
	if err := report.Text(&text); err != nil {
		t.Fatal(err)
	}
	if !report.Complete() {
		t.Fatalf("not everything was analyzed and written:\n%s", text.String())
	}
	want := map[string][]string{
		"conn": {
			"192.0.2.10\t", "\t192.0.2.80\t25\ttcp\t-\t", "\tREJ\t", // refused
			"\t192.0.2.80\t443\ttcp\t", "\ticmp\t", "2001:db8::10\t",
		},
		"dns": {
			"\twww.example.net\t1\tC_INTERNET\t1\tA\t0\tNOERROR\t", "\tmail.example.net\t1\tC_INTERNET\t28\tAAAA\t",
			"\texample.net\t1\tC_INTERNET\t15\tMX\t0\tNOERROR\tT\tF\tT\tT\t2\tmail.example.net\t", "TXT 11 v=spf1 -all",
			"\t80.2.0.192.in-addr.arpa\t", "\tnowhere.invalid\t", "\tlast.example.net\t", "\ttcp\t",
		},
	}
	for log, parts := range want {
		all := strings.Join(logs[log], "\n")
		for _, p := range parts {
			if !strings.Contains(all, p) {
				t.Errorf("%s.log has no %q:\n%s", log, p, all)
			}
		}
	}
}

// Rows, UIDs included, do not depend on the number of workers.
func TestWorkersDoNotMatter(t *testing.T) {
	files := []string{demo(t)}
	t.Run("demo", func(t *testing.T) { sameRows(t, files) })
	for _, name := range []string{
		"wikipedia.pcap", "dns53.pcap", "echo-connections.pcap.gz", "ftp/bigtransfer.pcap", "tcp/reassembly.pcap",
		"http/bro.org.pcap", "http/206_example_c.pcap", "http/vnd.ms-cab-compressed-multi-conn.pcap", "http/multipart.pcap",
		"dns/dns-binds.pcap", "icmp/icmp-destunreach-udp.pcap", "var-services-std-ports.pcap", "globus-url-copy.pcap",
		"smtp-multi-addr.pcap", "smtp/rfc3030-bdat-multipart-chunked.pcap", "irc-dcc-first-command.pcap", "tls/pop3-starttls.pcap",
	} {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			file := testenv.Shared(t, "traces", name)
			sameRows(t, []string{file})
		})
	}
}

func sameRows(t *testing.T, files []string) {
	one, _ := read(t, 1, "tsv", files...)
	if len(one["conn"]) == 0 {
		t.Fatal("no connections")
	}
	for _, n := range []int{2, 4} {
		many, report := read(t, n, "tsv", files...)
		if !report.Complete() {
			t.Errorf("%d workers: not everything was written", n)
		}
		for _, log := range []string{"conn", "dns", "weird", "smtp", "irc"} {
			if err := same(one[log], many[log]); err != nil {
				t.Errorf("%s.log with %d workers: %v", log, n, err)
			}
		}
	}
}

func same(a, b []string) error {
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return fmt.Errorf("%d rows and %d rows; the first that differ:\n  %s\n  %s", len(a), len(b), x, y)
		}
	}
	return nil
}

// A capture cut in the middle of a packet is read up to there, and says so.
func TestReadCutCapture(t *testing.T) {
	whole, err := os.ReadFile(demo(t))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cut.pcap")
	if err := os.WriteFile(file, whole[:len(whole)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	var cut error
	report, err := node.Read(context.Background(), node.ReadConfig{
		Capture: node.Capture{Files: []string{file}}, Workers: 2, Dir: t.TempDir(), Format: "tsv",
		Cut: func(err error) { cut = err },
	}, deps())
	if err != nil {
		t.Fatal(err)
	}
	if cut == nil || !strings.Contains(cut.Error(), "cut.pcap") {
		t.Errorf("warning %v, want one that names the file", cut)
	}
	if report.PacketTotal.Written == 0 || !report.Settled {
		t.Errorf("packets %+v, want some and a settled report", report.PacketTotal)
	}
}

// A filter keeps packets back, and they are counted.
func TestReadFilter(t *testing.T) {
	dir := t.TempDir()
	report, err := node.Read(context.Background(), node.ReadConfig{
		Capture: node.Capture{Files: []string{demo(t)}, Filter: "udp port 53 and host 192.0.2.53"}, Workers: 2, Dir: dir, Format: "tsv",
	}, deps())
	if err != nil {
		t.Fatal(err)
	}
	logs := rows(t, dir)
	if len(logs["conn"]) == 0 {
		t.Fatal("no connections")
	}
	for _, row := range logs["conn"] {
		if !strings.Contains(row, "\t192.0.2.53\t53\tudp\t") {
			t.Errorf("the filter let pass: %s", row)
		}
	}
	if p := report.PacketTotal; p.Produced != p.Written+p.Dropped["filter"] || p.Dropped["filter"] == 0 || !report.Settled {
		t.Errorf("packets do not add up: %+v", p)
	}
	if !report.Complete() {
		t.Error("what the user's filter leaves out counts as lost")
	}
}

// Stopping in the middle still writes and settles what was read.
func TestReadInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() { time.Sleep(100 * time.Millisecond); cancel() }()
	report, err := node.Read(ctx, node.ReadConfig{
		Capture: node.Capture{Files: []string{demo(t)}, Pace: time.Minute}, Workers: 2, Dir: t.TempDir(), Format: "tsv",
	}, deps())
	if err != nil {
		t.Fatal(err)
	}
	if !report.Settled || report.Remainder() != 0 {
		t.Errorf("remainder %d, settled %v", report.Remainder(), report.Settled)
	}
}

func TestReadErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  node.ReadConfig
		want string
	}{
		{"no file", node.ReadConfig{Capture: node.Capture{Files: []string{"/nowhere.pcap"}}, Workers: 1, Format: "tsv"}, "/nowhere.pcap"},
		{"format", node.ReadConfig{Capture: node.Capture{Files: []string{demo(t)}}, Workers: 1, Format: "xml"}, `"xml"`},
		{"filter", node.ReadConfig{Capture: node.Capture{Files: []string{demo(t)}, Filter: "udp prt 53"}, Workers: 1, Format: "tsv"}, "prt"},
		{"local", node.ReadConfig{Capture: node.Capture{Files: []string{demo(t)}, LocalNets: []string{"10.0.0.0/99"}}, Workers: 1, Format: "tsv"}, "10.0.0.0/99"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Dir = t.TempDir()
			_, err := node.Read(context.Background(), c.cfg, deps())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that names %s", err, c.want)
			}
		})
	}
}

// stats.log and capture_loss.log are written where they are asked for.
func TestReadStats(t *testing.T) {
	dir := t.TempDir()
	_, err := node.Read(context.Background(), node.ReadConfig{
		Capture: node.Capture{Files: []string{demo(t)}, Stats: true, CaptureLoss: true}, Workers: 1, Dir: dir, Format: "tsv",
	}, deps())
	if err != nil {
		t.Fatal(err)
	}
	logs := rows(t, dir)
	for log, want := range map[string]string{"stats": "\tzeek\t", "capture_loss": "\t0.0"} {
		if len(logs[log]) != 1 || !strings.Contains(logs[log][0], want) {
			t.Errorf("%s.log: %q, want one row with %q", log, logs[log], want)
		}
	}
	f := strings.Split(logs["stats"][0], "\t")
	if f[3] != "413" || f[14] == "0" || f[15] == "0" {
		t.Errorf("stats.log: %s packets, %s tcp, %s udp connections; want 413 and some", f[3], f[14], f[15])
	}
}
