package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Clusters of any shape, in which nodes are killed, stopped for a while and
// restarted by request, by chance from a fixed seed: whatever happens, the run
// ends, the books settle, and no row is lost unnamed, twice or torn.
func TestChaos(t *testing.T) {
	bin := binary(t)
	t.Parallel()
	file, packets := capture(t, mix())
	want := read(t, bin, file, 1, "--seed", "e2e")
	for round := range Rounds(1, 5) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(3+Seed(), uint64(round)))
			c := NewCluster(t, bin)
			workers, loggers, proxies := 1+r.IntN(4), 1+r.IntN(3), 1+r.IntN(2)
			rotate := []string{"0s", "1s"}[r.IntN(2)]
			config := fmt.Sprintf("[cluster]\nworkers = %d\nloggers = %d\nproxies = %d\n[logs]\nrotate = %q\n[capture]\nseed = \"e2e\"\n",
				workers, loggers, proxies, rotate)
			conf := filepath.Join(c.Dir, "cluster.toml")
			if err := os.WriteFile(conf, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			nodes := []string{"hub", "manager"}
			for role, n := range map[string]int{"worker": workers, "logger": loggers, "proxy": proxies} {
				for i := range n {
					nodes = append(nodes, fmt.Sprintf("%s-%d", role, i+1))
				}
			}
			slices.Sort(nodes)
			const pace = 3 * time.Second
			c.Read(file, "-c", conf, "--pace", pace.String())
			c.AwaitStarted()
			t.Logf("%d workers, %d loggers, %d proxies, rotation %s", workers, loggers, proxies, rotate)
			begin := time.Now()
			var killed []string
			for time.Since(begin) < pace && !c.Ended() {
				time.Sleep(time.Duration(r.Int64N(int64(pace / 4))))
				killed = append(killed, c.blow(r, nodes, begin)...)
			}
			code := c.Wait()
			b := c.books(packets)
			if slices.ContainsFunc(killed, func(n string) bool { return strings.HasPrefix(n, "worker") }) {
				for path := range want {
					if n := len(c.rows(path).Lines); n > 2*len(want[path].Lines) {
						t.Errorf("%d rows in %s.log", n, path)
					}
				}
			} else {
				sameLogs(t, "", want, c.rows)
				if lost := b.PacketsLost + b.RecordsLost + b.RecordsDropped + b.Connections; lost > 0 && !slices.Contains(killed, "manager") {
					t.Errorf("something was lost: %+v", b)
				}
			}
			if code != 0 && code != exitPartial {
				t.Errorf("exit code %d", code)
			}
			for _, l := range b.Losers {
				if !slices.Contains(killed, l) {
					t.Errorf("lost with %s, which was not killed", l)
				}
			}
		})
	}
}

// blow kills a node, stops it for up to a second, or has it restarted. It
// returns the node if something may be lost by that.
func (c *Cluster) blow(r *rand.Rand, nodes []string, begin time.Time) (hit []string) {
	c.T.Helper()
	n := nodes[r.IntN(len(nodes))]
	how := r.IntN(4)
	pid := c.Node(n).PID
	if pid == 0 || c.Ended() {
		return nil
	}
	at := time.Since(begin).Milliseconds()
	switch how {
	case 2:
		d := time.Duration(r.Int64N(int64(time.Second)))
		c.T.Logf("%4d ms: stop %s for %s", at, n, d.Round(time.Millisecond))
		_ = syscall.Kill(pid, syscall.SIGSTOP)
		time.AfterFunc(d, func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
		return nil
	case 3:
		c.T.Logf("%4d ms: restart %s", at, n)
		c.Picket("restart", n)
		c.Cut = c.Cut || strings.HasPrefix(n, "worker")
	default:
		c.T.Logf("%4d ms: kill %s", at, n)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return []string{n}
}
