package cluster

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/mem"
	"github.com/picket-nsm/picket/bus/backend/nats"
	"github.com/picket-nsm/picket/bus/backend/nats/server"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/bus/codec/brokerjson"
	"github.com/picket-nsm/picket/internal/natsd"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/topic"
	"github.com/picket-nsm/picket/zeek/value"
)

// sim is a node of a simulated cluster.
type sim struct {
	*Cluster
	driver *lossy
	kill   func() // no goodbye
	stop   func() // in good order

	mu      sync.Mutex
	changes []string
}

// lossy swallows what its test wants swallowed.
type lossy struct {
	backend.Driver
	swallow func(topic string) bool
	refuse  error
}

func (l *lossy) Publish(topic, codec string, payload []byte) error {
	if l.refuse != nil {
		return l.refuse
	}
	if l.swallow != nil && l.swallow(topic) {
		return nil
	}
	return l.Driver.Publish(topic, codec, payload)
}

func start(t *testing.T, d backend.Driver, name, id string, role layout.Role) *sim {
	return startWith(t, d, Config{Name: name, ID: id, Role: role}, func(*Deps) {})
}

func startWith(t *testing.T, d backend.Driver, cfg Config, more func(*Deps)) *sim {
	s := &sim{driver: &lossy{Driver: d}}
	note := func(what string) func(Node) {
		return func(n Node) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.changes = append(s.changes, fmt.Sprintf("%s %s %s %s", what, n.Name, n.ID, n.Role))
		}
	}
	deps := Deps{
		Events: s.driver, Codec: brokerbin.New(), Also: nil,
		Status: d.Status,
		NodeUp: note("up"), NodeDown: note("down"),
	}
	more(&deps)
	s.Cluster = New(cfg, deps)
	// The backend outlives the cluster, except when killed.
	busCtx, busCancel := context.WithCancel(context.Background())
	ctx, cancel := context.WithCancel(context.Background())
	var bus, run sync.WaitGroup
	bus.Go(func() {
		if err := d.Run(busCtx); err != nil {
			t.Error(err)
		}
	})
	run.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	s.stop = sync.OnceFunc(func() { cancel(); run.Wait(); busCancel(); bus.Wait() })
	s.kill = func() { busCancel(); bus.Wait(); s.stop() }
	t.Cleanup(s.stop)
	return s
}

func (s *sim) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.changes
	s.changes = nil
	return out
}

func (s *sim) want(t *testing.T, changes ...string) {
	t.Helper()
	if got := s.seen(); !slices.Equal(got, changes) {
		t.Errorf("%s saw %q, want %q", s.cfg.Name, got, changes)
	}
}

func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := mem.NewBus(mem.Config{Poison: true})
		up := func(name, id string, role layout.Role) *sim { return start(t, bus.Endpoint(id), name, id, role) }
		wait := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
		m := up("manager", "m1", layout.Manager)
		w := up("worker-1", "w1", layout.Worker)
		wait(100 * time.Millisecond) // not a second: the newcomer is answered
		m.want(t, "up worker-1 w1 worker")
		w.want(t, "up manager m1 manager")
		p := up("proxy-1", "p1", layout.Proxy)
		wait(10 * time.Second)
		m.want(t, "up proxy-1 p1 proxy")
		w.want(t, "up proxy-1 p1 proxy")
		if got := m.Live(layout.Worker); len(got) != 1 || got[0].ID != "w1" {
			t.Errorf("live workers: %v", got)
		}
		p.stop()
		wait(10 * time.Millisecond)
		m.want(t, "down proxy-1 p1 proxy")
		w.kill()
		wait(2 * time.Second)
		m.want(t)
		wait(3 * time.Second)
		m.want(t, "down worker-1 w1 worker")

		w = up("worker-1", "w2", layout.Worker)
		wait(time.Second)
		m.want(t, "up worker-1 w2 worker")
		w.kill() // and back at once under a new id, before silence told
		w = up("worker-1", "w3", layout.Worker)
		wait(5 * time.Second)
		m.want(t, "down worker-1 w2 worker", "up worker-1 w3 worker")

		m.Gone("w3") // the hub saw the connection end
		m.Gone("nobody")
		wait(10 * time.Millisecond)
		m.want(t, "down worker-1 w3 worker")
		wait(2 * time.Second) // it was only the connection
		m.want(t, "up worker-1 w3 worker")
		w.stop()
		wait(time.Second)
		m.want(t, "down worker-1 w3 worker")
		m.stop()
	})
}

func TestTypedEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := mem.NewBus(mem.Config{Poison: true})
		a := start(t, bus.Endpoint("a"), "manager", "a", layout.Manager)
		b := start(t, bus.Endpoint("b"), "worker-1", "b", layout.Worker)
		var got []string
		sub := func(prefix, name string) {
			if err := b.Subscribe(prefix, name, func(e Event) {
				got = append(got, fmt.Sprintf("%s|%s %s %s %d", prefix, e.Sender, e.Topic, e.Name, e.Args[0].Count()))
			}); err != nil {
				t.Fatal(err)
			}
		}
		sub("my.", "One")
		sub("my.topic", "")
		synctest.Wait()
		meta := []event.Meta{{ID: event.MetaNetworkTime, Value: value.Time(1)}, {ID: event.MetaSequence, Value: value.Count(99)}}
		for i, name := range []string{"One", "Two"} {
			if err := a.Publish("my.topic.x", event.Event{Name: name, Args: []value.Value{value.Count(uint64(i))}, Meta: meta}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		slices.Sort(got)
		want := []string{"my.topic|a my.topic.x One 0", "my.topic|a my.topic.x Two 1", "my.|a my.topic.x One 0"}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		if err := b.Unsubscribe("my.topic", ""); err != nil {
			t.Fatal(err)
		}
		got = nil
		_ = a.Publish("my.topic.x", event.New("Two", value.Count(1)))
		_ = a.Publish("my.topic.x", event.New("One", value.Count(2)))
		synctest.Wait()
		if len(got) != 1 || !strings.HasPrefix(got[0], "my.|") {
			t.Errorf("after unsubscribe: %q", got)
		}
		if len(meta) != 2 || meta[1].Value.Count() != 99 {
			t.Error("the caller's metadata was changed")
		}
	})
}

// TestLossIsCounted: what is lost on the way is counted at the receiver to the
// one, also when nothing follows it but announcements, most of which are lost too.
func TestLossIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := mem.NewBus(mem.Config{})
		a := start(t, bus.Endpoint("a"), "manager", "a", layout.Manager)
		b := start(t, bus.Endpoint("b"), "worker-1", "b", layout.Worker)
		time.Sleep(2500 * time.Millisecond) // b has heard an announcement: whatever is missing behind it is lost
		synctest.Wait()
		n, swallowed, silenced, arrived := 0, uint64(0), uint64(0), uint64(0)
		drowned := time.Now().Add((headTold - 2) * time.Second)
		if err := b.Subscribe(topic.Worker, "E", func(Event) { arrived++ }); err != nil {
			t.Fatal(err)
		}
		a.driver.swallow = func(topicName string) bool {
			if topicName != topic.Worker {
				drowns := topicName == PresenceTopic && time.Now().Before(drowned)
				if drowns {
					silenced++
				}
				return drowns
			}
			n++
			if n > 1 && (n%7 == 0 || n > 990) {
				swallowed++
				return true
			}
			return false
		}
		for range 1000 {
			if err := a.Publish(topic.Worker, event.New("E")); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Until(drowned) + 1500*time.Millisecond) // the next announcement has the last number
		synctest.Wait()
		if got := b.Metrics().Lost - silenced; got != swallowed || arrived+got != 1000 {
			t.Errorf("%d lost, %d arrived, %d were swallowed; %v", got, arrived, swallowed, b.Gaps())
		}
		// What the backend refuses is the publisher's to count, and leaves no gap.
		a.driver.swallow = nil
		a.driver.refuse = backend.ErrFull
		before := a.Metrics().Dropped["queue_full"]
		for range 5 {
			if err := a.Publish(topic.Worker, event.New("E")); err == nil {
				t.Error("refused, but no error")
			}
		}
		if got := a.Metrics().Dropped["queue_full"] - before; got != 5 {
			t.Errorf("%d of 5 refusals counted", got)
		}
		a.driver.refuse = nil
		_ = a.Publish(topic.Worker, event.New("E"))
		synctest.Wait()
		if got := b.Metrics().Lost - silenced; got != swallowed {
			t.Errorf("refusals became losses: %d", got-swallowed)
		}
		a.stop() // what is known of a node that left stays in the total
		synctest.Wait()
		if got := b.Metrics().Lost - silenced; got != swallowed {
			t.Errorf("%d lost after the node left", got)
		}
	})
}

func TestHostileMessages(t *testing.T) {
	bus := mem.NewBus(mem.Config{})
	peer := bus.Endpoint("x")
	c := start(t, bus.Endpoint("a"), "manager", "a", layout.Manager)
	json := brokerjson.New()
	for _, e := range []event.Event{
		event.New(EventHere), event.New(EventHere, value.Count(1), value.Count(2), value.Count(3), value.Count(4), value.Count(5)),
		event.New(EventHere, value.String("n"), value.String("y"), value.String("worker"), value.Count(1), value.Count(1)), // says it is another
		event.New(EventGoodbye), event.New(EventGoodbye, value.String("a"), value.String("a")),
		{Name: "E", Meta: []event.Meta{{ID: event.MetaSequence, Value: value.String("x")}}},
	} {
		b, err := brokerbin.New().Append(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		c.receive(backend.Message{Topic: PresenceTopic, Sender: "x", Codec: "broker-bin-v1", Payload: b})
		c.receive(backend.Message{Topic: PresenceTopic, Sender: "x", Codec: "broker-bin-v1", Payload: b[:len(b)/2]})
		c.receive(backend.Message{Topic: PresenceTopic, Sender: "x", Codec: json.Name(), Payload: b})
	}
	if got := c.Live(layout.None); len(got) != 0 {
		t.Errorf("live: %v", got)
	}
	if d := c.Metrics().Dropped; d[dropCorrupt] != 6 || d[dropCodec] != 6 {
		t.Errorf("dropped %v", d)
	}
	_ = peer
}

func TestSubscriptions(t *testing.T) {
	got := Subscriptions("worker-1", "id", layout.Worker)
	want := []string{"zeek/supervisor", "zeek/table/", "zeek.cluster.pool.worker", "zeek.cluster.worker", "zeek.cluster.nodeid.id.", "zeek.cluster.node.worker-1."}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if id := NodeID("nats", "worker-1", "sensor7", 4711, "Nabc"); id != "nats_worker-1_sensor7_4711_Nabc" {
		t.Error(id)
	}
}

// TestOverNATS is the same cluster over a real server, which dies and comes back.
func TestOverNATS(t *testing.T) {
	users := []server.User{{Name: "node", Password: "secret"}}
	s, err := server.Start(server.Options{Users: users, Port: testenv.Ports(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var nodes []*sim
	for _, n := range []Node{{"manager", "m1", layout.Manager}, {"worker-1", "w1", layout.Worker}, {"proxy-1", "p1", layout.Proxy}} {
		d, err := nats.New(nats.Config{Cluster: "c", ID: n.ID, URL: s.URL(), User: "node", Password: "secret"}, func() int64 { return time.Now().UnixNano() })
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, start(t, d, n.Name, n.ID, n.Role))
	}
	all := func(live int) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			ok := true
			for _, n := range nodes {
				ok = ok && len(n.Live(layout.None)) == live
			}
			if ok {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("not all see %d others", live)
			}
		}
	}
	all(2)
	s.Stop()
	time.Sleep(200 * time.Millisecond)
	if s, err = server.Start(server.Options{Users: users, Port: s.Port()}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, n := range nodes {
			n.stop()
		}
		s.Stop()
	}()
	all(2)
	for _, n := range nodes {
		if got := n.seen(); len(got) != 2 {
			t.Errorf("the bus was away for a moment: %q", got)
		}
	}
	nodes[0].stop()
	nodes = nodes[1:]
	all(1)
}

// TestKilledServer: a server killed in the middle of traffic, time and again.
// What did not arrive is counted by who missed it, or refused to who sent it.
func TestKilledServer(t *testing.T) {
	srv := natsd.New(t, "")
	node := func(name, id string, role layout.Role) *sim {
		d, err := nats.New(nats.Config{Cluster: "c", ID: id, URL: srv.URL("nats"), Outbox: 500}, func() int64 { return time.Now().UnixNano() })
		if err != nil {
			t.Fatal(err)
		}
		return start(t, d, name, id, role)
	}
	rx, tx := node("worker-1", "rx", layout.Worker), node("manager", "tx", layout.Manager)
	var got, sent, refused atomic.Uint64
	if err := rx.Subscribe("load.", "E", func(Event) { got.Add(1) }); err != nil {
		t.Fatal(err)
	}
	flush := func(s *sim) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.driver.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	flush(rx)
	publish := func() {
		if err := tx.Publish("load.a", event.New("E", value.String(strings.Repeat("x", 500)))); err != nil {
			refused.Add(1)
		} else {
			sent.Add(1)
		}
	}
	publish() // counting begins with the first event that arrives
	for end := time.Now().Add(time.Minute); got.Load() == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	for range 5 {
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					publish()
					if n%64 == 0 {
						time.Sleep(time.Millisecond)
					}
				}
			}
		})
		time.Sleep(100 * time.Millisecond)
		srv.Kill()
		time.Sleep(50 * time.Millisecond)
		srv.Start(t)
		flush(rx)
		flush(tx)
		close(stop)
		wg.Wait()
	}
	flush(tx)
	lost := func() (n uint64) { // announcements get lost too
		for _, x := range rx.Topics() {
			if x.Class == "load.a" {
				n = x.Lost
			}
		}
		return n
	}
	settled := func() bool { return got.Load()+lost() == sent.Load() }
	for end := time.Now().Add(time.Minute); !settled() && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%d sent, %d arrived, %d lost, %d refused; again %d", sent.Load(), got.Load(), lost(), refused.Load(), rx.driver.Status().Dropped[backend.DropAgain])
	if !settled() {
		t.Errorf("%d events are nowhere", int64(sent.Load())-int64(got.Load())-int64(lost()))
	}
	// Announcements may have been refused too.
	if n := tx.Metrics().Dropped["queue_full"]; n < refused.Load() || n > refused.Load()+10 {
		t.Errorf("%d refused, %d counted", refused.Load(), n)
	}
}

func BenchmarkWorkerToWorker(b *testing.B) {
	bus := mem.NewBus(mem.Config{Policy: mem.Block})
	rx, tx := bus.Endpoint("rx"), bus.Endpoint("tx")
	got := make(chan struct{}, 1)
	left := b.N
	r := New(Config{Name: "worker-1", ID: "rx"}, Deps{Events: rx, Codec: brokerbin.New()})
	if err := r.Subscribe(topic.Node("worker-1"), "E", func(Event) {
		if left--; left == 0 {
			got <- struct{}{}
		}
	}); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- rx.Run(ctx) }()
	w := New(Config{Name: "worker-2", ID: "tx"}, Deps{Events: tx, Codec: brokerbin.New()})
	e := event.New("E", value.String("some text of an event"), value.Count(42), value.Time(1.7e9))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := w.Publish(topic.Node("worker-1"), e); err != nil {
			b.Fatal(err)
		}
	}
	<-got
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	cancel()
	<-done
}

// TestAnotherCodec: a node that speaks another codec than those that are there is
// refused, and they are told of it, once.
func TestAnotherCodec(t *testing.T) {
	users := []server.User{{Name: "node", Password: "secret"}}
	s, err := server.Start(server.Options{Users: users, Port: testenv.Ports(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	natsBus := func(id string) backend.Driver {
		d, err := nats.New(nats.Config{Cluster: "c", ID: id, URL: s.URL(), User: "node", Password: "secret"}, func() int64 { return time.Now().UnixNano() })
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	memBus := mem.NewBus(mem.Config{Poison: true})
	for name, connect := range map[string]func(id string) backend.Driver{"nats": natsBus, "mem": func(id string) backend.Driver { return memBus.Endpoint(id) }} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var strangers []string
			up := func(name, id string, json bool) chan error {
				deps := Deps{Codec: brokerbin.New(), Events: connect(id), Stranger: func(id, codec string) {
					mu.Lock()
					defer mu.Unlock()
					strangers = append(strangers, name+": "+id+" "+codec)
				}}
				if json {
					deps.Codec = brokerjson.New()
				}
				bus := deps.Events.(backend.Driver)
				c := New(Config{Name: name, ID: id, Role: layout.Worker, Announce: 50 * time.Millisecond, Down: 500 * time.Millisecond}, deps)
				ctx, cancel := context.WithCancel(context.Background())
				over := make(chan error, 1)
				var wg sync.WaitGroup
				wg.Go(func() { _ = bus.Run(ctx) })
				wg.Go(func() { over <- c.Run(ctx) })
				t.Cleanup(func() { cancel(); wg.Wait() })
				return over
			}
			a, b := up("a", "a1", false), up("b", "b1", false)
			other := up("c", "c1", true)
			select {
			case err := <-other:
				// On a slow machine it may have heard one of the two only.
				const want = `^refused by the cluster: this node speaks broker-json-v1, the cluster "broker-bin-v1" \([ab]1( and 1 others)?\): give all nodes the same codec$`
				if !errors.Is(err, ErrRefused) || !regexp.MustCompile(want).MatchString(err.Error()) {
					t.Errorf("got %v, want %s", err, want)
				}
			case <-time.After(time.Minute):
				t.Fatal("the node is not refused")
			}
			told := func() string {
				mu.Lock()
				defer mu.Unlock()
				slices.Sort(strangers)
				return strings.Join(strangers, ", ")
			}
			const want = "a: c1 broker-json-v1, b: c1 broker-json-v1, c: "
			for end := time.Now().Add(time.Minute); !strings.HasPrefix(told(), want) && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(200 * time.Millisecond) // once only
			if got := told(); !regexp.MustCompile(`^` + want + `[ab]1 broker-bin-v1(, c: b1 broker-bin-v1)?$`).MatchString(got) {
				t.Errorf("told %s, want %s and one or both of a and b", got, want)
			}
			select {
			case err := <-a:
				t.Error(err)
			case err := <-b:
				t.Error(err)
			default:
			}
		})
	}
}

// TestWant: what a door's clients want is announced until the last has left.
func TestWant(t *testing.T) {
	c := New(Config{Name: "a", ID: "a1"}, Deps{Events: mem.NewBus(mem.Config{}).Endpoint("a1"), Codec: brokerbin.New()})
	if err := c.Subscribe("b/", "", nil); err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		on   bool
		want string
	}{{true, "[b/ x/]"}, {true, "[b/ x/]"}, {false, "[b/ x/]"}, {false, "[b/]"}, {false, "[b/]"}} {
		c.Want("x/", step.on)
		if got := fmt.Sprint(c.prefixes()); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
	c.Want("b/", true)
	c.Want("b/", false)
	if got := fmt.Sprint(c.prefixes()); got != "[b/]" {
		t.Errorf("%s", got)
	}
}
