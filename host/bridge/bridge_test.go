package bridge

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/mem"
	"github.com/picket-nsm/picket/bus/backend/nats"
	"github.com/picket-nsm/picket/bus/backend/nats/server"
	"github.com/picket-nsm/picket/bus/backend/zeromq"
	"github.com/picket-nsm/picket/bus/backend/zeromq/broker"
	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/value"
)

const aim = time.Minute

// town is a cluster: a bus, hosts with a bridge each.
type town struct {
	t       testing.TB
	connect func(id string) (backend.Driver, error)
	layout  *layout.Layout
	zeeks   []string
	codec   codec.Codec
	keys    zeromq.Keys
	lives   int
}

var names = map[string]layout.Role{
	"manager": layout.Manager, "worker-1": layout.Worker, "logger-1": layout.Logger, "logger-z": layout.Logger,
	"zeek-a": layout.Worker, "zeek-b": layout.Worker, "zeek-c": layout.Worker,
}

func newTown(t testing.TB, backendName string) *town {
	w := &town{t: t, layout: &layout.Layout{}, codec: brokerbin.New()}
	for name, role := range names {
		w.layout.Nodes = append(w.layout.Nodes, layout.Node{Name: name, Role: role, Addr: "127.0.0.1"})
		if strings.Contains(name, "z") {
			w.zeeks = append(w.zeeks, name)
		}
	}
	if backendName == "mem" {
		bus := mem.NewBus(mem.Config{Poison: true})
		w.connect = func(id string) (backend.Driver, error) { return bus.Endpoint(id), nil }
		return w
	}
	s, err := server.Start(server.Options{Users: []server.User{{Name: "u", Password: "p"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	w.connect = func(id string) (backend.Driver, error) {
		return nats.New(nats.Config{Cluster: "c", ID: id, URL: s.URL(), User: "u", Password: "p"}, func() int64 { return time.Now().UnixNano() })
	}
	return w
}

func onBoth(t *testing.T, f func(t *testing.T, w *town)) {
	for _, b := range []string{"mem", "nats"} {
		t.Run(b, func(t *testing.T) { f(t, newTown(t, b)) })
	}
}

// host is a hub: a broker and a bridge.
type host struct {
	*Bridge
	xpub, xsub string
	at         []zeromq.Logger // where Zeek processes send batches
	led        *ledger.Ledger
	stop       func()
}

func (w *town) host(id string, loggers ...Logger) *host {
	w.t.Helper()
	curve, err := w.keys.Server()
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := broker.New(broker.Config{XPUB: []string{"tcp://127.0.0.1:0"}, XSUB: []string{"tcp://127.0.0.1:0"}, Curve: curve}, broker.Deps{})
	if err != nil {
		w.t.Fatal(err)
	}
	xpub, xsub, err := b.Listen()
	if err != nil {
		w.t.Fatal(err)
	}
	testenv.Run(w.t, b.Run)
	h := &host{xpub: xpub[0], xsub: xsub[0]}
	if h.led, err = ledger.Create(w.t.TempDir(), "hub-"+id, "hub", uint64(time.Now().UnixNano())); err != nil {
		w.t.Fatal(err)
	}
	for _, l := range loggers {
		h.at = append(h.at, zeromq.Logger{Name: l.Name, Endpoint: l.At[0]})
	}
	log := &testLog{t: w.t}
	h.Bridge, err = New(Config{ID: "bridge-" + id, Layout: w.layout, Zeek: w.zeeks, XPUB: h.xpub, XSUB: h.xsub, Loggers: loggers, Keys: w.keys}, Deps{
		Broker: b, Connect: w.connect, Codec: w.codec, Ledger: h.led, Now: time.Now, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	h.stop = testenv.Run(w.t, h.Bridge.Run)
	w.t.Cleanup(h.stop)
	return h
}

type testLog struct{ t testing.TB }

func (l *testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// notes gathers what a node saw.
type notes struct {
	mu      sync.Mutex
	changes []string
	got     []string
}

func (n *notes) change(sign, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changes = append(n.changes, sign+name)
}

func (n *notes) event(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got = append(n.got, s)
}

func (n *notes) seen() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.changes)
}

func (n *notes) events() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.got)
}

// want waits for changes, in any order, and forgets them.
func (n *notes) want(t testing.TB, who string, changes ...string) {
	t.Helper()
	slices.Sort(changes)
	testenv.Eventually(t, aim, fmt.Sprintf("%s sees %q, not %q", who, changes, n.seen()), func() bool {
		got := n.seen()
		slices.Sort(got)
		return slices.Equal(got, changes)
	})
	n.mu.Lock()
	n.changes = nil
	n.mu.Unlock()
}

// picketNode is a node on the bus.
type picketNode struct {
	notes
	*cluster.Cluster
	driver backend.Driver
	stop   func()
}

func (w *town) node(name string) *picketNode {
	w.t.Helper()
	n := &picketNode{}
	id := name + "-id"
	if w.lives++; name == "logger-1" {
		id += fmt.Sprint(w.lives)
	}
	d, err := w.connect(id)
	if err != nil {
		w.t.Fatal(err)
	}
	n.driver = d
	n.Cluster = cluster.New(cluster.Config{Name: name, ID: id, Role: names[name]}, cluster.Deps{
		Events: d, Codec: brokerbin.New(), Status: d.Status,
		NodeUp: func(x cluster.Node) {
			if x.Role != layout.None {
				n.change("+", x.Name)
			}
		},
		NodeDown: func(x cluster.Node) {
			if x.Role != layout.None {
				n.change("-", x.Name)
			}
		},
	})
	stopBus := testenv.Run(w.t, d.Run)
	flush(w.t, d)
	stop := testenv.Run(w.t, n.Cluster.Run)
	n.stop = func() { stop(); stopBus() }
	return n
}

func flush(t testing.TB, d interface{ Flush(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), aim)
	defer cancel()
	if err := d.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// zeekNode is a process that behaves as a real Zeek does.
type zeekNode struct {
	notes
	*zeromq.Conn
	id   string
	stop func()
}

func zeekID(name string) string { return "zeromq_" + name + "_host_1_N" }

func (w *town) zeek(h *host, name string) *zeekNode {
	w.t.Helper()
	n := &zeekNode{id: zeekID(name)}
	var err error
	n.Conn, err = zeromq.New(zeromq.Config{
		Name: name, ID: n.id, ConnectXPUB: h.xsub, ConnectXSUB: h.xpub, Keys: w.keys, Loggers: h.at,
		Known: func(x string) bool { return names[x] != layout.None },
	}, zeromq.Deps{Codec: brokerbin.New(), Warn: func(s string) {
		if !strings.Contains(s, "(bridge-") { // when the hub ends
			w.t.Errorf("%s warns: %s", name, s)
		}
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	n.Discover(func(p backend.Peer, up bool) { n.change(map[bool]string{true: "+", false: "-"}[up], p.Name) })
	n.Receive(func(m backend.Message) {
		e, err := brokerbin.New().Decode(m.Payload)
		if err != nil || strings.HasPrefix(e.Name, "Picket::") {
			w.t.Errorf("%s got %s %v", name, e.Name, err)
		}
		n.event(m.Sender + " " + m.Topic + " " + string(m.Payload[max(0, len(m.Payload)-12):]))
	})
	for _, s := range cluster.Subscriptions(name, n.id, names[name]) {
		if err := n.Subscribe(s); err != nil {
			w.t.Fatal(err)
		}
	}
	n.stop = testenv.Run(w.t, n.Conn.Run)
	flush(w.t, n.Conn)
	return n
}

func numbered(i int) event.Event {
	return event.New("My::event", value.String(fmt.Sprintf("event %06d", i)))
}

func encoded(t testing.TB, e event.Event) []byte {
	b, err := brokerbin.New().Append(nil, &e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPresence: two hubs on one bus, Zeek processes at both, Picket nodes on the
// bus: all see each other come and go, once.
func TestPresence(t *testing.T) {
	onBoth(t, func(t *testing.T, w *town) {
		m := w.node("manager")
		h1, h2 := w.host("1"), w.host("2")
		a := w.zeek(h1, "zeek-a")
		m.want(t, "manager", "+zeek-a")
		a.want(t, "zeek-a", "+manager")
		b := w.zeek(h2, "zeek-b")
		m.want(t, "manager", "+zeek-b")
		a.want(t, "zeek-a", "+zeek-b")
		b.want(t, "zeek-b", "+manager", "+zeek-a")
		c := w.zeek(h1, "zeek-c")
		a.want(t, "zeek-a", "+zeek-c")
		b.want(t, "zeek-b", "+zeek-c")
		c.want(t, "zeek-c", "+manager", "+zeek-a", "+zeek-b")
		n := w.node("worker-1")
		n.want(t, "worker-1", "+manager", "+zeek-a", "+zeek-b", "+zeek-c")
		for _, z := range []*zeekNode{a, b, c} {
			z.want(t, z.id, "+worker-1")
		}
		m.want(t, "manager", "+zeek-c", "+worker-1")
		n.stop()
		for _, z := range []*zeekNode{a, b, c} {
			z.want(t, z.id, "-worker-1")
		}
		b.stop()
		a.want(t, "zeek-a", "-zeek-b")
		m.want(t, "manager", "-worker-1", "-zeek-b")
		h1.stop() // its Zeek processes still have each other, and nobody else
		m.want(t, "manager", "-zeek-a", "-zeek-c")
		a.want(t, "zeek-a", "-manager")
		c.want(t, "zeek-c", "-manager", "-zeek-b")
	})
}

// TestEvents: an event is delivered once to each who wants it, wherever it comes
// from, in the order of its publisher, and not to whom nobody asked for.
func TestEvents(t *testing.T) {
	onBoth(t, func(t *testing.T, w *town) {
		m, n := w.node("manager"), w.node("worker-1")
		h1, h2 := w.host("1"), w.host("2")
		a, b, c := w.zeek(h1, "zeek-a"), w.zeek(h2, "zeek-b"), w.zeek(h1, "zeek-c")
		for _, z := range []*zeekNode{a, b, c} {
			for _, p := range []string{"all/", "all/of"} { // overlapping
				if err := z.Subscribe(p); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, x := range []*picketNode{m, n} {
			for _, p := range []string{"all/", "all/of"} {
				if err := x.Subscribe(p, "My::event", func(e cluster.Event) {
					if p == "all/" {
						x.event(e.Sender + " " + e.Topic + " " + e.Args[0].Str())
					}
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		settle(t, h1, h2)
		const each = 300
		var wg sync.WaitGroup
		senders := map[string]func(i int) error{
			a.id:          func(i int) error { return a.Publish("all/of/them", "broker-bin-v1", encoded(t, numbered(i))) },
			b.id:          func(i int) error { return b.Publish("all/of/them", "broker-bin-v1", encoded(t, numbered(i))) },
			"manager-id":  func(i int) error { return m.Publish("all/of/them", numbered(i)) },
			"worker-1-id": func(i int) error { return n.Publish("all/of/them", numbered(i)) },
		}
		for _, send := range senders {
			wg.Go(func() {
				for i := range each {
					if err := send(i); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		for name, x := range map[string]*notes{a.id: &a.notes, b.id: &b.notes, c.id: &c.notes, "manager-id": &m.notes, "worker-1-id": &n.notes} {
			want := each * len(senders)
			if senders[name] != nil {
				want -= each // not its own
			}
			testenv.Eventually(t, aim, fmt.Sprintf("%s gets %d events, not %d", name, want, len(x.events())), func() bool { return len(x.events()) >= want })
			time.Sleep(20 * time.Millisecond)
			got := x.events()
			if len(got) != want {
				t.Errorf("%s got %d events, want %d", name, len(got), want)
			}
			next := map[string]int{}
			for _, s := range got {
				from, rest, _ := strings.Cut(s, " ")
				// The Picket events have metadata behind: the number is found by its text.
				if !strings.Contains(s, "all/of/them") || name[0] != 'z' && !strings.HasSuffix(rest, fmt.Sprintf("event %06d", next[from])) {
					t.Fatalf("%s got %q as number %d of %s", name, s, next[from], from)
				}
				next[from]++
			}
		}
		// Nobody on the bus wants what only Zeek processes of one host have to say to each other.
		before := h1.in.Load()
		if err := c.Subscribe("local/"); err != nil {
			t.Fatal(err)
		}
		if err := a.Publish("local/x", "broker-bin-v1", encoded(t, numbered(1))); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, aim, "the local event", func() bool {
			return slices.ContainsFunc(c.events(), func(s string) bool { return strings.Contains(s, "local/x") })
		})
		if got := h1.in.Load(); got != before {
			t.Errorf("%d local events went to the bus", got-before)
		}
	})
}

// settle waits until the bridges know what everybody wants.
func settle(t testing.TB, hosts ...*host) {
	t.Helper()
	for _, h := range hosts {
		testenv.Eventually(t, aim, "the bridge knows what the bus wants", func() bool {
			ok := make(chan bool, 1)
			h.do(func() {
				wants := 0
				for _, p := range h.remote {
					if slices.Contains(p.prefixes, "all/") {
						wants++
					}
				}
				ok <- wants == 3 && h.seen["all/"] // two nodes and the other bridge
			})
			return <-ok
		})
	}
}

// TestHostile: what a process at the ZeroMQ side must not be able to do.
func TestHostile(t *testing.T) {
	w := newTown(t, "mem")
	m := w.node("manager")
	if err := m.Subscribe("", "", func(e cluster.Event) { m.event(e.Topic + " " + e.Name) }); err != nil {
		t.Fatal(err)
	}
	h := w.host("1")
	a := w.zeek(h, "zeek-a")
	m.want(t, "manager", "+zeek-a")
	testenv.Eventually(t, aim, "the manager's wish is known", func() bool {
		ok := make(chan bool, 1)
		h.do(func() { ok <- h.wanted[""] > 0 })
		return <-ok
	})
	liar := cluster.Here(cluster.Node{Name: "worker-1", ID: a.id, Role: layout.Worker}, nil, time.Second)
	for _, p := range []struct {
		topic, codec string
		payload      []byte
	}{
		{cluster.PresenceTopic, "broker-bin-v1", encoded(t, liar)},
		{"zeek.cluster.nodeid.bridge-1.", "broker-bin-v1", []byte("no event")},
		{"zeek.cluster.nodeid.bridge-1.", "strange", nil},
		{"zeek.cluster.nodeid.bridge-1.", "broker-bin-v1", encoded(t, event.New("Cluster::hello", value.String("worker-1"), value.String("another's id")))},
		{"zeek.cluster.nodeid.manager-id.", "broker-bin-v1", bytes.Repeat([]byte{0x0e, 1}, 1000)},
		{"end", "broker-bin-v1", encoded(t, numbered(1))},
	} {
		if err := a.Publish(p.topic, p.codec, p.payload); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, aim, "the end", func() bool { return slices.Contains(m.events(), "end My::event") })
	if got := m.seen(); len(got) > 0 {
		t.Errorf("the manager saw %q", got)
	}
	for _, e := range m.events() {
		if strings.HasPrefix(e, "picket.") && !strings.HasSuffix(e, "Picket::here") {
			t.Errorf("got %s", e)
		}
	}
}
