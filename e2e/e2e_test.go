package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/internal/trafficgen"
	"github.com/picket-nsm/picket/traffic/packet"
)

// built is the binary, made when the first test asks for it.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "picket-e2e-")
	if err != nil {
		return "", err
	}
	return Build(dir)
})

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("6") // paced clusters mostly wait
	}
	code := m.Run()
	if bin, err := built(); err == nil && !testing.Short() {
		os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

// binary returns the binary, or skips the test where processes are not wanted.
func binary(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts clusters of processes; not with -short")
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("needs /proc")
	}
	testenv.NeedTool(t, "go")
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// capture writes numbered flows to a file and returns its name and packets.
func capture(t testing.TB, cfg trafficgen.Config) (string, uint64) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "flows.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g := trafficgen.New(cfg)
	// A thousand packets a second: flows end by their timeouts along the way.
	if err := trafficgen.WriteFile(f, g.Next, packet.Time(1700000000), 1000); err != nil {
		t.Fatal(err)
	}
	return name, g.Sent().Packets
}

// flows is how many flows most tests use: 20,000 packets over 20 s, long enough
// for connections to end by themselves on the way.
const flows = 4200

func mix() trafficgen.Config { return trafficgen.Config{Flows: flows} }

// expected are the conn rows of a capture, without times, uid and what no flow
// decides.
func expected(cfg trafficgen.Config, n int) []string {
	var out []string
	for i := range n {
		f := cfg.Flow(i)
		proto := "tcp"
		if f.Kind != trafficgen.TCP {
			proto = "udp"
		}
		out = append(out, fmt.Sprintf("%s %d %s %d %s %s %s %d %d", f.Orig.Addr(), f.Orig.Port(), f.Resp.Addr(), f.Resp.Port(),
			proto, f.State, f.History, f.OrigPkts, f.RespPkts))
	}
	return slices.Sorted(slices.Values(out))
}

var connKey = []string{"id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto"}

// rows reads a log of the cluster and checks that it is whole.
func (c *Cluster) rows(path string) *Rows {
	c.T.Helper()
	r, err := ReadRows(c.Logs, path)
	if err != nil {
		c.T.Error(err)
		return &Rows{}
	}
	return r
}

// books checks what must hold after any run: all is settled, the packets are
// those of the capture, the files hold what was written, and no row is twice.
func (c *Cluster) books(packets uint64) Books {
	c.T.Helper()
	s := c.Status()
	b := NewBooks(s)
	if !b.Settled || b.Remainder != 0 {
		c.T.Errorf("not settled: remainder %d: %+v", b.Remainder, b)
	}
	if b.Read != packets {
		c.T.Errorf("%d packets read, the capture has %d", b.Read, packets)
	}
	if b.Read != b.Analyzed+b.PacketsDropped+b.PacketsLost {
		c.T.Errorf("packets: %d read, %d analyzed, %d dropped, %d lost", b.Read, b.Analyzed, b.PacketsDropped, b.PacketsLost)
	}
	if b.Produced != b.Written+b.RecordsDropped+b.RecordsLost {
		c.T.Errorf("records: %d produced, %d written, %d dropped, %d lost", b.Produced, b.Written, b.RecordsDropped, b.RecordsLost)
	}
	if s.Accounting != nil {
		for _, p := range s.Accounting.Paths() {
			if n := len(c.rows(p.Path).Lines); uint64(n) != p.Written {
				c.T.Errorf("%s.log has %d rows, the books say %d", p.Path, n, p.Written)
			}
		}
	}
	conn, dns := c.rows("conn"), c.rows("dns")
	doubles := [][]string{conn.Double("uid"), dns.Double("uid", "query", "trans_id")}
	if !c.Cut {
		doubles = append(doubles, conn.Double(connKey...))
	}
	for _, d := range doubles {
		if len(d) > 0 {
			c.T.Errorf("%d rows appear twice, as %q", len(d), d[:min(4, len(d))])
		}
	}
	if n := len(c.Processes()); n != 0 {
		c.T.Errorf("%d nodes still run: %v", n, c.Processes())
	}
	return b
}

// read runs picket read and returns its conn and dns rows.
func read(t *testing.T, bin, file string, workers int, args ...string) map[string]*Rows {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command(bin, append([]string{"read", "-o", dir, "-W", strconv.Itoa(workers), file}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("picket read -W %d: %v: %s", workers, err, out)
	}
	return map[string]*Rows{"conn": logRows(t, dir, "conn"), "dns": logRows(t, dir, "dns")}
}

// sameLogs compares the rows of logs, in any order, with those wanted. how says where
// the logs are from.
func sameLogs(t testing.TB, how string, want map[string]*Rows, got func(path string) *Rows) {
	t.Helper()
	for path := range want {
		if d := Differ(want[path].Sorted(), got(path).Sorted()); d != "" {
			t.Errorf("%s.log%s: %s", path, how, d)
		}
	}
}

func logRows(t *testing.T, dir, path string) *Rows {
	t.Helper()
	r, err := ReadRows(dir, path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The rows do not depend on how many workers there are, nor on whether they are
// processes.
func TestSameRows(t *testing.T) {
	bin := binary(t)
	generated, packets := capture(t, mix())
	files := map[string]uint64{generated: packets, filepath.Join(testenv.Root(t), "docs", "demo.pcap"): 0}
	for file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want := read(t, bin, file, 1, "--seed", "e2e")
			if files[file] > 0 {
				var got []string
				for _, l := range want["conn"].Lines {
					got = append(got, want["conn"].Key(l, append(slices.Clone(connKey), "conn_state", "history", "orig_pkts", "resp_pkts")...))
				}
				if d := Differ(expected(mix(), flows), slices.Sorted(slices.Values(got))); d != "" {
					t.Fatalf("conn rows are not what the capture was made to give: %s", d)
				}
			}
			for _, w := range []int{2, 4} {
				got := read(t, bin, file, w, "--seed", "e2e")
				sameLogs(t, fmt.Sprintf(" of read -W %d", w), want, func(path string) *Rows { return got[path] })
			}
			for _, w := range []int{1, 2, 4} {
				c := NewCluster(t, bin)
				c.Read(file, "-W", strconv.Itoa(w), "--seed", "e2e")
				if code := c.Wait(); code != 0 {
					t.Errorf("up --read -W %d: exit code %d:\n%s", w, code, c.Output())
				}
				sameLogs(t, fmt.Sprintf(" of up --read -W %d", w), want, c.rows)
				if files[file] > 0 {
					c.books(files[file])
				}
			}
		})
	}
}

// Several loggers share the rows; none writes over another's.
func TestSeveralLoggers(t *testing.T) {
	bin := binary(t)
	t.Parallel()
	file, packets := capture(t, mix())
	want := read(t, bin, file, 1, "--seed", "e2e")
	c := NewCluster(t, bin)
	c.Read(file, "-W", "2", "-L", "2", "-P", "2", "--seed", "e2e")
	if code := c.Wait(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, c.Output())
	}
	sameLogs(t, "", want, c.rows)
	c.books(packets)
	for _, name := range []string{"logger-1", "logger-2"} {
		if n := c.Node(name).Counters[ledger.RecordsWritten]; n == 0 {
			t.Errorf("%s wrote nothing", name)
		}
	}
}
