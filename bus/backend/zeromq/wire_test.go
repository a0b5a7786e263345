package zeromq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/zeromq/broker"
	"github.com/picket-nsm/picket/bus/backend/zeromq/hello"
	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/bus/codec/brokerjson"
	"github.com/picket-nsm/picket/internal/libzmqtest"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/topic"
)

const aim = time.Minute

// node is a driver that runs, and what it told.
type node struct {
	*Conn
	stop func()

	mu    sync.Mutex
	got   []backend.Message
	peers []string // +ID, -ID
	warns []string
}

func startNode(t testing.TB, cfg Config, c codec.Codec) *node {
	t.Helper()
	n := &node{}
	var err error
	n.Conn, err = New(cfg, Deps{Codec: c, Warn: func(s string) {
		n.mu.Lock()
		n.warns = append(n.warns, s)
		n.mu.Unlock()
	}})
	if err != nil {
		t.Fatal(err)
	}
	n.Receive(func(m backend.Message) {
		m.Payload = bytes.Clone(m.Payload)
		n.mu.Lock()
		n.got = append(n.got, m)
		n.mu.Unlock()
	})
	n.Discover(func(p backend.Peer, up bool) {
		sign := "-"
		if up {
			sign = "+"
		}
		n.mu.Lock()
		n.peers = append(n.peers, sign+p.ID)
		n.mu.Unlock()
	})
	n.stop = testenv.Run(t, n.Conn.Run)
	return n
}

func (n *node) flush(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), aim)
	defer cancel()
	if err := n.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func (n *node) seen() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.peers)
}

func (n *node) messages() []backend.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.got)
}

// join subscribes as a worker does at its start.
func (n *node) join(t testing.TB) {
	t.Helper()
	for _, s := range cluster.Subscriptions(n.cfg.Name, n.cfg.ID, layout.Worker) {
		if err := n.Subscribe(s); err != nil {
			t.Fatal(err)
		}
	}
}

// observer sees what a node in a broker sees.
type observer struct {
	mu   sync.Mutex
	subs []string
}

func (*observer) Message(zmtp.Message) {}
func (*observer) Flush()               {}
func (o *observer) Subscription(topic string, subscribe bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.subs = append(o.subs, map[bool]string{true: "+", false: "-"}[subscribe]+topic)
}

// TestStart: a node's start looks like a Zeek node's on the wire: subscriptions in
// its order, then the probe.
func TestStart(t *testing.T) {
	b, err := broker.New(broker.Config{XPUB: []string{"tcp://127.0.0.1:0"}, XSUB: []string{"tcp://127.0.0.1:0"}}, broker.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	xpub, xsub, err := b.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	o := &observer{}
	b.Link(o)
	id := cluster.NodeID("zeromq", "worker-1", "sensor7", 4711, "Nabc")
	c, err := New(Config{Name: "worker-1", ID: id, ConnectXPUB: xsub[0], ConnectXSUB: xpub[0]}, Deps{Codec: brokerbin.New()})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Conn: c}
	n.join(t)
	stop := testenv.Run(t, c.Run)
	n.flush(t)
	want := []string{
		"+zeek/supervisor", "+zeek/table/", "+zeek.cluster.pool.worker", "+zeek.cluster.worker",
		"+zeek.cluster.nodeid.zeromq_worker-1_sensor7_4711_Nabc.", "+zeek.cluster.node.worker-1.",
		"+zeek.zeromq.internal.zeromq_worker-1_sensor7_4711_Nabc.1.", "-zeek.zeromq.internal.zeromq_worker-1_sensor7_4711_Nabc.1.",
	}
	o.mu.Lock()
	if !slices.Equal(o.subs, want) {
		t.Errorf("subscriptions\n  %q, want\n  %q", o.subs, want)
	}
	o.subs = nil
	o.mu.Unlock()
	stop()
	testenv.Eventually(t, aim, "the end of its subscriptions", func() bool { o.mu.Lock(); defer o.mu.Unlock(); return len(o.subs) == 6 })
	if o.subs[0] != "-zeek.cluster.node.worker-1." || o.subs[1] != "-zeek.cluster.nodeid."+id+"." {
		t.Errorf("at the end: %q", o.subs)
	}
}

// TestHellos: nodes find each other through our broker and through libzmq's, see
// each other leave, and are there again after the broker was away.
func TestHellos(t *testing.T) {
	t.Run("picket", func(t *testing.T) {
		h := startHub(t, Keys{})
		testHellos(t, h.cfg.XPUB[0], h.cfg.XSUB[0], func() { h.stop(); h.start(t) })
	})
	t.Run("libzmq", func(t *testing.T) {
		a := libzmqtest.Start(t).Do(map[string]any{"op": "proxy"})
		testHellos(t, a.XPUB, a.XSUB, nil)
	})
}

func testHellos(t *testing.T, xpub, xsub string, restart func()) {
	up := func(name, life string) *node {
		n := startNode(t, Config{
			Name: name, ID: cluster.NodeID("zeromq", name, "host", 1, life), ConnectXPUB: xsub, ConnectXSUB: xpub,
			Known: func(n string) bool { return n != "stranger" },
		}, brokerbin.New())
		n.join(t)
		n.flush(t)
		return n
	}
	a, b := up("a", "N1"), up("b", "N1")
	want := func(n *node, changes ...string) {
		t.Helper()
		testenv.Eventually(t, aim, fmt.Sprintf("%s sees %q", n.cfg.Name, changes), func() bool { return len(n.seen()) >= len(changes) })
		got := n.seen()
		slices.Sort(got)
		slices.Sort(changes)
		if !slices.Equal(got, changes) {
			t.Errorf("%s sees %q, want %q", n.cfg.Name, got, changes)
		}
		n.mu.Lock()
		n.peers = nil
		n.mu.Unlock()
	}
	want(a, "+"+b.cfg.ID)
	want(b, "+"+a.cfg.ID)
	c := up("c", "N1")
	want(a, "+"+c.cfg.ID)
	want(b, "+"+c.cfg.ID)
	want(c, "+"+a.cfg.ID, "+"+b.cfg.ID)
	c.stop()
	want(a, "-"+c.cfg.ID)
	c = up("c", "N2")
	want(a, "+"+c.cfg.ID)
	want(b, "-"+zid("c", "N1"), "+"+c.cfg.ID)
	up("stranger", "N1")
	if restart == nil {
		return
	}
	restart()
	for _, n := range []*node{a, b, c} {
		n.flush(t)
		if n.reconnects.Load() != 1 {
			t.Errorf("%s: %d reconnects", n.cfg.Name, n.reconnects.Load())
		}
	}
	d := up("d", "N1")
	want(a, "+"+d.cfg.ID) // and nobody else came or went
	want(b, "+"+d.cfg.ID)
	testenv.Eventually(t, aim, "c knows a, b and d", func() bool { return len(c.Peers()) == 3 })
	for _, n := range []*node{a, b, c} {
		testenv.Eventually(t, aim, n.cfg.Name+" knows three", func() bool {
			n.greet.Lock()
			defer n.greet.Unlock()
			return len(n.greet.machine.Peers()) == 3
		})
	}
}

func zid(name, life string) string { return cluster.NodeID("zeromq", name, "host", 1, life) }

// TestRealNodes puts us in the place of one of the two real nodes that were
// recorded, and lets libzmq say what the other said, before and after us. What we
// answer is what the real node answered, and each considers the other up.
func TestRealNodes(t *testing.T) {
	for _, c := range []codec.Codec{brokerbin.New(), brokerjson.New()} {
		for _, we := range []string{"worker-1", "worker-2"} {
			for _, first := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s %s first=%v", c.Name(), we, first), func(t *testing.T) {
					realNodes(t, c, we, first)
				})
			}
		}
	}
}

func realNodes(t *testing.T, c codec.Codec, we string, first bool) {
	frames := testenv.Frames(t, testenv.Shared(t, "golden", "events", c.Name()+".jsonl"))
	lib := libzmqtest.Start(t)
	hub := lib.Do(map[string]any{"op": "proxy"})

	// Cut the recording into what each node did.
	var subs []string
	var hellos [][][]byte
	ids := map[string]string{}
	ours := map[string][][]byte{} // our hellos, by event
	for _, f := range frames {
		if len(f) == 1 {
			if id, ok := topic.NodeIDOf(string(f[0][1:])); ok && f[0][0] == 1 {
				ids[strings.Split(id, "_")[1]] = id
			}
			continue
		}
		e, err := c.Decode(f[3])
		if err != nil {
			t.Fatal(err)
		}
		if _, p, ok := hello.Parse(e); ok {
			if p.Name == we {
				ours[e.Name] = f
			} else {
				hellos = append(hellos, f)
			}
		}
	}
	other := map[string]string{"worker-1": "worker-2", "worker-2": "worker-1"}[we]
	subs = append(cluster.Subscriptions(other, ids[other], layout.Worker)[:4], topic.NodeID(ids[other]), topic.Node(other))

	start := func() *node {
		n := startNode(t, Config{Name: we, ID: ids[we], ConnectXPUB: hub.XSUB, ConnectXSUB: hub.XPUB}, c)
		n.join(t)
		n.flush(t)
		return n
	}
	var n *node
	if first {
		n = start()
	}
	lib.Socket("in", "XSUB", nil)
	lib.Socket("out", "XPUB", map[string]any{"XPUB_VERBOSE": 1})
	lib.Connect("in", hub.XPUB)
	lib.Connect("out", hub.XSUB)
	for _, s := range subs {
		lib.Subscribe("in", "XSUB", s)
	}
	if !first {
		// Its own subscriptions come back to it; then it is ready.
		lib.Recv("out", len(subs))
		n = start()
	}
	// It must see our subscription before it speaks: libzmq drops what nobody wants.
	for seen := false; !seen; {
		m := lib.Recv("out", 1)[0]
		seen = string(m[0][1:]) == topic.NodeID(ids[we])
	}
	for _, h := range hellos {
		lib.Send("out", h...)
	}
	got := map[string][][]byte{}
	for len(got) < 2 {
		m := lib.Recv("in", 1)[0]
		e, err := c.Decode(m[3])
		if err != nil {
			t.Fatal(err)
		}
		got[e.Name] = m
	}
	for name, want := range ours {
		if !slices.EqualFunc(got[name], want, bytes.Equal) {
			t.Errorf("we said\n  %q, the real node\n  %q", got[name], want)
		}
	}
	testenv.Eventually(t, aim, "it is up", func() bool { return slices.Equal(n.seen(), []string{"+" + ids[other]}) })
	// Its events arrive, as they were sent.
	if err := n.Subscribe("/gold/"); err != nil {
		t.Fatal(err)
	}
	for seen := false; !seen; {
		seen = string(lib.Recv("out", 1)[0][0][1:]) == "/gold/"
	}
	var want [][][]byte
	for _, f := range frames {
		if len(f) == 4 && strings.HasPrefix(string(f[0]), "/gold/") {
			f = slices.Clone(f)
			f[1] = []byte(ids[other])
			want = append(want, f)
			lib.Send("out", f...)
		}
	}
	testenv.Eventually(t, aim, "its events", func() bool { return len(n.messages()) == len(want) })
	for i, m := range n.messages() {
		if m.Topic != string(want[i][0]) || m.Sender != ids[other] || m.Codec != c.Name() || !bytes.Equal(m.Payload, want[i][3]) {
			t.Errorf("event %d: %+v", i, m)
		}
	}
	lib.Close("in") // it leaves: nobody says goodbye
	testenv.Eventually(t, aim, "it is down", func() bool { return slices.Contains(n.seen(), "-"+ids[other]) })
	if len(n.warns) > 0 {
		t.Errorf("warnings: %q", n.warns)
	}
}

// TestFrames: what is not four frames, ours that came back, and what nobody asked for.
func TestFrames(t *testing.T) {
	lib := libzmqtest.Start(t)
	hub := lib.Do(map[string]any{"op": "proxy"})
	n := startNode(t, Config{Name: "a", ID: "a1", ConnectXPUB: hub.XSUB, ConnectXSUB: hub.XPUB}, nil)
	if err := n.Subscribe("t"); err != nil {
		t.Fatal(err)
	}
	n.flush(t)
	lib.Socket("out", "XPUB", nil)
	lib.Connect("out", hub.XSUB)
	lib.Recv("out", 1)
	f := func(s ...string) (out [][]byte) {
		for _, x := range s {
			out = append(out, []byte(x))
		}
		return out
	}
	for _, m := range [][][]byte{f("t"), f("t", "b1", "c"), f("t", "b1", "c", "p", "q"), f("t", "a1", "c", "mine"), f("t", "b1", "c", "good"), f("t", "", "", "")} {
		lib.Send("out", m...)
	}
	testenv.Eventually(t, aim, "two good ones", func() bool { return len(n.messages()) == 2 })
	if got := n.messages(); string(got[0].Payload) != "good" {
		t.Errorf("got %v", got)
	}
	if m := n.Metrics(); m["zeek_cluster_zeromq_msg_errors_total"] != 3 || n.Status().Dropped[backend.DropBad] != 3 {
		t.Errorf("%v, %v", m, n.Status())
	}
}

// TestWrongKeys: a node that will never get in says so, and why.
func TestWrongKeys(t *testing.T) {
	keys := newKeys(t)
	clear, sealed := startHub(t, Keys{}), startHub(t, keys)
	for name, c := range map[string]struct {
		h    *hub
		keys Keys
	}{"ours only": {clear, keys}, "theirs only": {sealed, Keys{}}, "unknown client": {sealed, other(t, keys)}} {
		t.Run(name, func(t *testing.T) {
			n, err := New(Config{ID: "a1", ConnectXPUB: c.h.cfg.XSUB[0], ConnectXSUB: c.h.cfg.XPUB[0], Keys: c.keys}, Deps{})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), aim)
			defer cancel()
			if err := n.Run(ctx); !errors.Is(err, backend.ErrRefused) {
				t.Errorf("run: %v", err)
			} else {
				t.Log(err)
			}
			if err := n.Flush(ctx); err == nil {
				t.Error("flush works")
			}
		})
	}
}

// other are the keys of a client that the server does not know.
func other(t *testing.T, k Keys) Keys {
	o := newKeys(t)
	k.ClientPublic, k.ClientSecret = o.ClientPublic, o.ClientSecret
	return k
}
