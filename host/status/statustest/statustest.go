// Package statustest makes the spool of a cluster that does not run, for tests
// and benchmarks of what looks at one: the state of a supervisor, and a ledger
// for each node with counters that move when asked. All nodes are this process,
// or those that the caller has.
package statustest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/procinfo"
)

// Cluster is one.
type Cluster struct {
	Spool   string
	workers []*ledger.Ledger
	all     []*ledger.Ledger
}

// New makes one of n nodes: hub, logger, manager, proxy, and workers.
func New(t testing.TB, n int) *Cluster {
	t.Helper()
	return Of(t, n, func(int) int { return os.Getpid() })
}

// Of makes one whose node i is the process pid(i).
func Of(t testing.TB, n int, pid func(i int) int) *Cluster {
	t.Helper()
	c := &Cluster{Spool: t.TempDir()}
	self := handle(t, os.Getpid())
	began := time.Now().Add(-time.Minute)
	st := supervisor.State{Version: 1, Cluster: "made", Run: "r", Phase: supervisor.PhaseUp, Supervisor: self, Started: began, RunStarted: began}
	for i := range n {
		name, role := fmt.Sprintf("worker-%d", i-3), "worker"
		if i < 4 {
			role = []string{"hub", "logger", "manager", "proxy"}[i]
			if name = role; i == 1 || i == 3 {
				name += "-1"
			}
		}
		l, err := ledger.Create(filepath.Join(c.Spool, name), name, role, uint64(began.UnixNano())+1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		l.SetState(ledger.Ready, time.Now())
		c.all = append(c.all, l)
		if role == "worker" {
			c.workers = append(c.workers, l)
		}
		st.Nodes = append(st.Nodes, supervisor.NodeState{
			Name: name, Role: role, Desired: "run", Phase: supervisor.Ready, Since: began, Started: began, Life: 1, Handle: handle(t, pid(i)),
		})
	}
	s, err := supervisor.OpenSpool(c.Spool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Save(st); err != nil {
		t.Fatal(err)
	}
	return c
}

func handle(t testing.TB, pid int) engine.Handle {
	t.Helper()
	id, err := procinfo.Identity(pid)
	if err != nil {
		t.Skip("needs /proc: ", err)
	}
	return engine.Handle{PID: pid, Start: id}
}

// Move has each worker k receive k*n packets, and beats all hearts.
func (c *Cluster) Move(n uint64) {
	for k, l := range c.workers {
		l.Counter(ledger.PacketsReceived).Add(uint64(k+1) * n)
		l.Counter(ledger.PacketsAnalyzed).Add(uint64(k+1) * n)
		for _, proto := range []string{"tcp", "udp", "icmp"} {
			l.Counter("flow.total." + proto).Add(n)
			l.Counter("flow.active." + proto).Set(n)
		}
		for _, path := range []string{"conn", "dns", "http", "ssl", "files", "x509", "weird"} {
			l.Counter(ledger.Produced(path)).Add(n)
		}
	}
	for _, l := range c.all {
		l.Heartbeat(time.Now())
	}
}
