package cluster

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/mem"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/topic"
)

// stopper makes a node stand still, as if its process got no processor: it neither
// hears, nor has turns (it asks for its connection in each). Who holds the token of
// runs keeps it still; a channel, as the fake clock goes on while somebody waits for one.
type stopper struct {
	backend.Driver
	runs chan struct{}
}

func newStopper(d backend.Driver) *stopper { return &stopper{d, make(chan struct{}, 1)} }

func (s *stopper) hold() (release func()) {
	s.runs <- struct{}{}
	return func() { <-s.runs }
}

func (s *stopper) Receive(handle func(backend.Message)) {
	s.Driver.Receive(func(m backend.Message) {
		s.hold()()
		handle(m)
	})
}

func (s *stopper) Status() backend.Status {
	s.hold()()
	return s.Driver.Status()
}

func (s *stopper) stop(d time.Duration) {
	release := s.hold()
	time.Sleep(d)
	release()
}

// TestStarved: a node that got no processor does not take it for the silence of others.
func TestStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := mem.NewBus(mem.Config{Poison: true})
		wait := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		d := newStopper(bus.Endpoint("m"))
		m := start(t, d, "manager", "m", layout.Manager)
		l := start(t, bus.Endpoint("l"), "logger-1", "l", layout.Logger)
		w := start(t, bus.Endpoint("w"), "worker-1", "w", layout.Worker)
		other := newStopper(bus.Endpoint("p"))
		start(t, other, "proxy-1", "p", layout.Proxy)
		wait(5 * time.Second)
		m.seen()

		// Stopped for long, and then too late to read before its next turn.
		d.stop(30 * time.Second)
		wait(2 * time.Second)
		m.want(t)
		if got := len(m.Live(layout.None)); got != 3 {
			t.Errorf("%d others are there after 30 s of sleep", got)
		}
		l.seen()
		w.seen()

		// Who died meanwhile is missed as ever.
		release := d.hold()
		w.kill()
		time.Sleep(30 * time.Second)
		release()
		wait(1500 * time.Millisecond)
		m.want(t)
		wait(3 * time.Second)
		m.want(t, "down worker-1 w worker")

		// Slow for minutes, and so is the other: a turn takes 2 s, and it speaks every 4 s.
		l.seen()
		for range 20 {
			var both sync.WaitGroup
			both.Go(func() {
				for range 4 {
					d.stop(1900 * time.Millisecond)
					time.Sleep(100 * time.Millisecond)
				}
			})
			both.Go(func() {
				for range 2 {
					other.stop(3900 * time.Millisecond)
					time.Sleep(100 * time.Millisecond)
				}
			})
			both.Wait()
		}
		synctest.Wait()
		m.want(t)
	})
}

// TestCrowd: of nodes that start all at once each answers some a second, promises at
// once what it will keep, and all know each other after their first turns.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 48
		bus := mem.NewBus(mem.Config{Poison: true})
		var names []string
		for i := range size {
			names = append(names, fmt.Sprintf("worker-%d", i+1))
		}
		pools := map[layout.Role][]string{layout.Worker: names, layout.Manager: {"manager"}}
		up := func(name string, role layout.Role) *sim {
			return startWith(t, bus.Endpoint(name), Config{Name: name, ID: name, Role: role, Pools: pools}, func(*Deps) {})
		}
		wait := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		answers := func(n *sim) (all int) {
			n.pub.Lock()
			defer n.pub.Unlock()
			for _, name := range append(names, "manager") {
				if to := n.pub.topics[topic.NodeID(name)]; to != nil {
					all += int(to.seq)
				}
			}
			return all
		}
		all := []*sim{up("manager", layout.Manager)}
		for _, name := range names {
			all = append(all, up(name, layout.Worker))
		}
		wait(500 * time.Millisecond)
		for _, n := range all {
			if got := answers(n); got > heardPerTurn {
				t.Errorf("%s answered %d newcomers at once", n.cfg.Name, got)
			}
			if got := n.Turns(layout.Worker, 1); got != Turns(size) {
				t.Errorf("%s: %d turns before it knows all", n.cfg.Name, got)
			}
		}
		wait(time.Duration(Turns(size)) * time.Second)
		for _, n := range all {
			if got := len(n.Live(layout.None)); got != size {
				t.Errorf("%s knows %d others of %d", n.cfg.Name, got, size)
			}
			n.seen()
		}

		// One that speaks late, but within three of its turns, is down for nobody.
		wait(20 * time.Second)
		all[0].want(t)

		// A newcomer among them is known at once, and knows all.
		p := up("proxy-1", layout.Proxy)
		wait(100 * time.Millisecond)
		if got := len(p.Live(layout.None)); got != size+1 {
			t.Errorf("the newcomer knows %d others of %d", got, size+1)
		}
	})
}
