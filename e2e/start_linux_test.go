package e2e

import (
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/netns"
	"github.com/picket-nsm/picket/internal/procinfo"
	"github.com/picket-nsm/picket/internal/trafficgen"
)

// BenchmarkStart starts a manager, 2 loggers, 2 proxies, 16 workers and the
// hub, and tells the time until all are ready and what memory they take:
//
//	go test -run '^$' -bench Start -benchtime 5x ./e2e
//
// The memory is PSS, at its highest of four looks in two seconds of work, the
// ring of 32 MiB that a live worker maps not counted.
func BenchmarkStart(b *testing.B) {
	bin := binary(b)
	file, _ := capture(b, trafficgen.Config{Flows: 40_000})
	b.Run("read", func(b *testing.B) {
		starts(b, bin, nil, 0, "--read", file, "--pace", "1m")
	})
	b.Run("live", func(b *testing.B) {
		far, near := netns.New(b), netns.New(b)
		netns.Veth(b, far, "va", near, "vb")
		wrap := func(cmd *exec.Cmd) *exec.Cmd { return near.Command(cmd.Path, cmd.Args[1:]...) }
		starts(b, bin, wrap, 32<<20, "-i", "vb")
	})
}

func starts(b *testing.B, bin string, wrap func(*exec.Cmd) *exec.Cmd, ring int64, args ...string) {
	var took []time.Duration
	most := map[string]int64{}
	var supervisor, total int64
	for b.Loop() {
		c := NewCluster(b, bin)
		c.Wrap = wrap
		begin := time.Now()
		c.Up(append(args, "-W", "16", "-L", "2", "-P", "2")...)
		c.AwaitStarted()
		took = append(took, time.Since(begin))
		for range 4 {
			time.Sleep(500 * time.Millisecond)
			var sum int64
			for _, n := range c.Status().Nodes {
				pss := n.PSS
				if n.Role == "worker" {
					pss -= ring
				}
				most[n.Role] = max(most[n.Role], pss)
				sum += pss
			}
			if u, err := procinfo.Of(c.Supervisor()); err == nil {
				supervisor = max(supervisor, u.PSS)
				total = max(total, sum+u.PSS)
			}
		}
		if _, code := c.Picket("stop"); code != 0 {
			b.Errorf("picket stop: exit code %d", code)
		}
		c.Wait()
	}
	slices.Sort(took)
	b.ReportMetric(0, "ns/op") // of no use here: most of it is waiting
	b.ReportMetric(took[len(took)/2].Seconds(), "s-to-ready(median)")
	b.ReportMetric(took[len(took)-1].Seconds(), "s-to-ready(max)")
	for role, pss := range most {
		b.ReportMetric(float64(pss)/1e6, "MB-"+role)
	}
	b.ReportMetric(float64(supervisor)/1e6, "MB-supervisor")
	b.ReportMetric(float64(total)/1e6, "MB-all")
}
