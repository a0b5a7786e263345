package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/natsd"
	"github.com/picket-nsm/picket/internal/testenv"
)

// TestEventsSettle: nodes that publish to each other are killed, stopped, drowned
// and cut off from their hub, all as real processes; and every event that one has
// produced is, at each of the others, delivered, lost, or from before it listened,
// to the last one.
func TestEventsSettle(t *testing.T) {
	for _, kind := range []string{"nats", "zeromq"} {
		for round := range Rounds(1, 5) {
			t.Run(fmt.Sprintf("%s/%d", kind, round), func(t *testing.T) { settle(t, kind) })
		}
	}
}

// life is one life of a load.
type life struct {
	*member
	topic  string
	killed bool
}

func settle(t *testing.T, kind string) {
	port, dir := testenv.Ports(t, 2), t.TempDir()
	hubQueue := []string{"BUSNODE_QUEUE=2000"}
	hub := launch(t, hubQueue, "hub", kind, fmt.Sprint(port))
	url := hub.line()
	lives, now, count := map[string][]*life{}, map[string]*life{}, 0
	env := map[string][]string{
		"worker-1": {"BUSNODE_OUTBOX=300"},                      // refuses when the hub is away
		"worker-2": {"BUSNODE_PAUSE=1000"},                      // the loudest
		"worker-3": {"BUSNODE_INBOX=64", "BUSNODE_SLOW=400"},    // does not keep up
		"worker-4": {"BUSNODE_SIZE=2000", "BUSNODE_PAUSE=4000"}, // large events
	}
	begin := func(name string) {
		count++
		l := &life{topic: fmt.Sprintf("load.%s.%d", name, count)}
		l.member = launch(t, env[name], "load", url, name, dir, fmt.Sprint(count))
		if s := l.line(); s != "ready" {
			t.Fatalf("%s says %q", name, s)
		}
		lives[name], now[name] = append(lives[name], l), l
	}
	kill := func(name string) {
		now[name].killed = true
		now[name].kill()
	}
	names := slices.Sorted(maps.Keys(env))
	for _, n := range names {
		begin(n)
	}
	pause := func() { time.Sleep(500 * time.Millisecond) }
	pause()
	kill("worker-2")
	pause()
	dead := booksOf(t, dir, "worker-2") // its next life has a ledger of its own
	first := lives["worker-2"][0]
	begin("worker-2")
	pause()
	now["worker-1"].signal(syscall.SIGSTOP)
	pause()
	hub.kill()
	pause()
	hub = launch(t, hubQueue, "hub", kind, fmt.Sprint(port))
	hub.line()
	pause()
	now["worker-1"].signal(syscall.SIGCONT)
	pause()
	now["worker-4"].signal(syscall.SIGSTOP)
	pause()
	now["worker-4"].signal(syscall.SIGCONT)
	pause()
	for _, n := range names {
		if s := now[n].ask(""); s != "quiet" {
			t.Errorf("%s says %q", n, s)
		}
	}

	settled(t, dir, now)

	// What the killed one had produced and nobody has died with it: at most what its
	// queues held.
	produced := dead["events.produced."+first.topic]
	if tried := dead["app.tried."+first.topic]; tried < produced || tried > produced+dead["events.refused."+first.topic]+1 {
		t.Errorf("%s: tried %d, produced %d", first.topic, tried, produced)
	}
	lost := uint64(0)
	for _, to := range names {
		if to == "worker-2" {
			continue
		}
		r := booksOf(t, dir, to)
		sum := r["events.delivered."+first.topic] + r["events.lost."+first.topic] + r["events.unheard."+first.topic]
		if sum > produced || produced-sum > 8192+1000 {
			t.Errorf("%s at %s: produced %d, known of %d", first.topic, to, produced, sum)
		}
		t.Logf("%s at %s: %d produced, %d delivered, %d lost, %d died with it", first.topic, to, produced, r["events.delivered."+first.topic], r["events.lost."+first.topic], produced-sum)
		for _, from := range names {
			lost += r["events.lost."+now[from].topic]
		}
	}
	if r := booksOf(t, dir, "worker-3"); r["events.lost."+now["worker-2"].topic] == 0 {
		t.Error("who does not keep up has lost nothing: the test drowns nobody")
	}
	t.Logf("%d events lost in all, each counted", lost)
	for _, n := range names {
		now[n].leave()
	}
}

// settled waits until the books of all loads agree to the last event: each that
// one has produced in its life of now is at each of the others delivered, lost, or
// from before it listened.
func settled(t *testing.T, dir string, now map[string]*life) {
	t.Helper()
	names := slices.Sorted(maps.Keys(now))
	check := func(say func(string, ...any)) bool {
		ok := true
		books := map[string]map[string]uint64{}
		for _, n := range names {
			books[n] = booksOf(t, dir, n)
		}
		for _, from := range names {
			topic := now[from].topic
			b := books[from]
			produced, refused := b["events.produced."+topic], b["events.refused."+topic]
			if tried := b["app.tried."+topic]; tried != produced+refused || produced == 0 {
				ok = false
				say("%s: tried %d, produced %d, refused %d", topic, tried, produced, refused)
			}
			for _, to := range names {
				r := books[to]
				if to == from {
					continue
				}
				d, l, u := r["events.delivered."+topic], r["events.lost."+topic], r["events.unheard."+topic]
				if produced != d+l+u || r["app.got."+topic] != d {
					ok = false
					say("%s at %s: produced %d = %d delivered + %d lost + %d unheard + %d; the handler saw %d", topic, to, produced, d, l, u, int64(produced-d-l-u), r["app.got."+topic])
				}
			}
		}
		return ok
	}
	// Announcements tell the last numbers; then all must be exact.
	for end := time.Now().Add(patience); !check(func(string, ...any) {}) && time.Now().Before(end); {
		time.Sleep(200 * time.Millisecond)
	}
	check(t.Errorf)
}

// TestNATSCluster: three NATS servers, Debian's, as one cluster. Each is killed and
// comes back. The nodes go on with another one: what is published meanwhile is late
// by no more than the time to reconnect, and what is lost is counted to the last
// event.
func TestNATSCluster(t *testing.T) {
	servers := natsd.Cluster(t, 3)
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL("nats"))
	}
	url, dir, env := strings.Join(urls, ","), t.TempDir(), []string{"BUSNODE_OPEN=1"}
	now := map[string]*life{}
	for i := range 4 { // on three servers
		name := fmt.Sprintf("worker-%d", i+1)
		now[name] = &life{topic: "load." + name + ".1", member: launch(t, env, "load", url, name, dir, "1")}
		now[name].line()
	}
	ear := launch(t, env, "ear", url, classes)
	ear.line()
	probe := launch(t, env, "probe", url, "1000", classes)
	probe.line()
	time.Sleep(time.Second)
	var h heard
	ear.json("", &h)
	before := h.Lost
	// The client tries another server after 50 ms, a little later by chance.
	const reconnect = time.Second
	for i, s := range servers {
		s.Kill()
		time.Sleep(2 * time.Second)
		s.Start(t)
		time.Sleep(time.Second)
		ear.json("", &h)
		t.Logf("server %d killed: %d events, median %s, at the latest %s, %d lost", i, h.N, h.Median, h.Max, h.Lost-before)
		before = h.Lost
		if h.N == 0 || h.Max > 5*reconnect {
			t.Errorf("server %d killed: %d events, late by up to %s", i, h.N, h.Max)
		}
	}
	for n := range now {
		if s := now[n].ask(""); s != "quiet" {
			t.Errorf("%s says %q", n, s)
		}
	}
	settled(t, dir, now)
	for name, n := range now {
		b := booksOf(t, dir, name)
		for _, o := range now {
			if o != n {
				t.Logf("%s of %s: %d delivered, %d lost", name, o.topic, b["events.delivered."+o.topic], b["events.lost."+o.topic])
			}
		}
		n.leave()
	}
	probe.leave()
	ear.leave()
}
