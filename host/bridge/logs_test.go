package bridge

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/internal/libzmqtest"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/topic"
	"github.com/picket-nsm/picket/zeek/value"
)

func freePort(t testing.TB) string {
	return fmt.Sprintf("tcp://127.0.0.1:%d", testenv.Ports(t, 1))
}

// TestZeekWorkersLogs: what real workers sent goes from a libzmq PUSH through the
// bridge to a logger on the bus, numbered as the hub's, each batch once, and the
// hub's books say so. The logger comes late, and goes for a while.
func TestZeekWorkersLogs(t *testing.T) {
	onBoth(t, func(t *testing.T, w *town) {
		at := freePort(t)
		h := w.host("1", Logger{"logger-1", []string{at}})
		lib := libzmqtest.Start(t)
		lib.Socket("push", "PUSH", nil)
		lib.Connect("push", at)
		frames := testenv.Frames(t, testenv.Shared(t, "golden", "log-batches", "wikipedia", "batches.jsonl"))
		send := func() {
			for _, f := range frames {
				lib.Send("push", f...)
			}
		}
		send()
		lib.Send("push", frames[0][0], frames[0][1], frames[0][2], frames[0][3][:100])
		var mu sync.Mutex
		var got []*record.Batch
		logger := func() (stop func()) {
			n := w.node("logger-1")
			if err := n.driver.(backend.Logs).Listen("logger-1", func(b *record.Batch) {
				mu.Lock()
				got = append(got, b)
				mu.Unlock()
				if err := n.driver.(backend.Logs).Ack(backend.Ack{Logger: "logger-1", Producer: b.Producer, Start: b.Start, Seq: b.Seq}); err != nil {
					t.Error(err)
				}
			}); err != nil {
				t.Fatal(err)
			}
			return n.stop
		}
		stop := logger()
		count := func() int { mu.Lock(); defer mu.Unlock(); return len(got) }
		testenv.Eventually(t, aim, "all arrive", func() bool { return count() == len(frames) })
		stop()
		send()
		logger()
		testenv.Eventually(t, aim, "all arrive again", func() bool { return count() >= 2*len(frames) })
		rows := uint64(0)
		for i, b := range got {
			want := frames[i%len(frames)][3]
			if b.Producer != "hub-1" || b.Seq != uint64(i+1) || !bytes.Equal(b.Payload, want) {
				t.Errorf("batch %d: %s %d, %d bytes, want %d", i, b.Producer, b.Seq, len(b.Payload), len(want))
			}
			rows += uint64(b.Records)
		}
		var snap *ledger.Snapshot
		testenv.Eventually(t, aim, "the books are closed", func() bool {
			var err error
			if snap, err = h.led.Snapshot(); err != nil {
				t.Fatal(err)
			}
			return snap.Counters[ledger.RecordsAcked] == rows
		})
		if n := snap.Counters[ledger.RecordsProduced]; n != rows || snap.Counters[BatchesBad]+uint64(h.logs.z.Status().Dropped[backend.DropBad]) != 1 {
			t.Errorf("%d rows produced, want %d; %v", n, rows, snap.Counters)
		}
	})
}

// TestZeekLogger: a producer on the bus sends to a real Zeek's logger: it is up once
// it has greeted, gets a Zeek worker's frames, and the answer is that they left.
func TestZeekLogger(t *testing.T) {
	onBoth(t, func(t *testing.T, w *town) {
		lib := libzmqtest.Start(t)
		lib.Socket("pull", "PULL", nil)
		h := w.host("1", Logger{"logger-z", []string{lib.Bind("pull", "tcp://127.0.0.1:*")}})
		z := w.zeek(h, "logger-z")
		p := w.node("worker-1")
		p.want(t, "worker-1", "+logger-z")
		z.want(t, "logger-z", "+worker-1")
		if live := p.Live(layout.Logger); len(live) != 1 || live[0].ID != z.id {
			t.Errorf("loggers: %v", live)
		}
		bus := p.driver.(backend.Logs)
		acks := make(chan backend.Ack, 100)
		if err := bus.Acks("worker-1", func(a backend.Ack) { acks <- a }); err != nil {
			t.Fatal(err)
		}
		send := func(seq uint64) backend.Ack {
			t.Helper()
			if err := bus.Send("logger-z", &record.Batch{Producer: "worker-1", Start: 5, Seq: seq, Records: 1, Stream: "S::LOG", Path: "s", Payload: []byte(fmt.Sprint(seq))}); err != nil {
				t.Fatal(err)
			}
			select {
			case a := <-acks:
				return a
			case <-time.After(aim):
				t.Fatal("no answer")
				return backend.Ack{}
			}
		}
		for i := range uint64(5) {
			if a := send(i + 1); !a.Unconfirmed || a.Err != "" || a.Seq != i+1 || a.Logger != "logger-z" {
				t.Errorf("ack %+v", a)
			}
		}
		for i, m := range lib.Recv("pull", 5) {
			if len(m) != 4 || string(m[0]) != "log-write" || string(m[2]) != "zeek-bin-serializer" || string(m[3]) != fmt.Sprint(i+1) {
				t.Errorf("got %q", m)
			}
		}
		lib.Kill()
		testenv.Eventually(t, aim, "nobody listens", func() bool { return send(9).Err == backend.NoListener })
	})
}

// TestLibzmq: a process that is nothing but libzmq and says what the recorded real
// node said takes part in a NATS cluster.
func TestLibzmq(t *testing.T) {
	onBoth(t, func(t *testing.T, w *town) {
		c := brokerbin.New()
		m := w.node("manager")
		if err := m.Subscribe("/gold/", "", func(e cluster.Event) { m.event(e.Sender + e.Topic + " " + e.Name) }); err != nil {
			t.Fatal(err)
		}
		frames := testenv.Frames(t, testenv.Shared(t, "golden", "events", "broker-bin-v1.jsonl"))
		ids := map[string]string{}
		for _, f := range frames {
			if id, ok := topic.NodeIDOf(string(f[0][min(1, len(f[0])):])); len(f) == 1 && ok {
				if len(ids) == 0 {
					ids["worker-2"] = id
				} else if id != ids["worker-2"] {
					ids["worker-1"] = id
				}
			}
		}
		w.layout.Nodes = append(w.layout.Nodes, layout.Node{Name: "worker-2", Role: layout.Worker})
		h := w.host("1")
		lib := libzmqtest.Start(t)
		lib.Socket("in", "XSUB", nil)
		lib.Socket("out", "XPUB", map[string]any{"XPUB_VERBOSE": 1})
		lib.Connect("in", h.xpub)
		lib.Connect("out", h.xsub)
		id := ids["worker-2"]
		for _, s := range append(cluster.Subscriptions("worker-2", id, layout.Worker), "to-zeek/") {
			lib.Subscribe("in", "XSUB", s)
		}
		// Its XPUB sees what a Zeek node sees: the manager's subscriptions. It greets each
		// node id, as the script does.
		greet := func(kind, to string) {
			e := event.New(kind, value.String("worker-2"), value.String(id))
			lib.Send("out", []byte(topic.NodeID(to)), []byte(id), []byte(c.Name()), encodedBy(t, c, e))
		}
		wanted := map[string]bool{"manager-id": true, "bridge-1": true}
		gold := false
		for len(wanted) > 0 || !gold {
			s := lib.Recv("out", 1)[0][0]
			if s[0] != 1 {
				continue
			}
			gold = gold || string(s[1:]) == "/gold/"
			if to, ok := topic.NodeIDOf(string(s[1:])); ok && to != id {
				if !wanted[to] {
					t.Errorf("node id %s is subscribed", to)
				}
				delete(wanted, to)
				greet("Cluster::Backend::ZeroMQ::hello", to)
			}
		}
		var said []string
		for len(said) < 3 {
			f := lib.Recv("in", 1)[0]
			e, err := c.Decode(f[3])
			if err != nil || string(f[0]) != topic.NodeID(id) {
				t.Fatalf("%q: %v", f, err)
			}
			said = append(said, e.Name+" "+e.Args[0].Str()+" "+string(f[1]))
		}
		slices.Sort(said)
		if want := []string{"Cluster::Backend::ZeroMQ::hello bridge bridge-1", "Cluster::Backend::ZeroMQ::hello manager manager-id", "Cluster::hello manager manager-id"}; !slices.Equal(said, want) {
			t.Errorf("it was greeted with %q, want %q", said, want)
		}
		greet("Cluster::hello", "manager-id")
		greet("Cluster::hello", "bridge-1")
		m.want(t, "manager", "+worker-2")
		// Its events reach the bus, whatever they hold.
		var want []string
		for _, f := range frames {
			if len(f) == 4 && bytes.HasPrefix(f[0], []byte("/gold/")) {
				e, err := c.Decode(f[3])
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, id+string(f[0])+" "+e.Name)
				lib.Send("out", f[0], []byte(id), f[2], f[3])
			}
		}
		testenv.Eventually(t, aim, "its events", func() bool { return slices.Equal(m.events(), want) })
		// ... and the bus's reach it, from whom they are.
		if err := m.Publish("to-zeek/x", numbered(7)); err != nil {
			t.Fatal(err)
		}
		f := lib.Recv("in", 1)[0]
		if e, err := c.Decode(f[3]); err != nil || e.Name != "My::event" || string(f[0]) != "to-zeek/x" || string(f[1]) != "manager-id" || string(f[2]) != c.Name() {
			t.Errorf("it got %q, %v", f, err)
		}
		lib.Kill()
		m.want(t, "manager", "-worker-2")
	})
}

func encodedBy(t testing.TB, c codec.Codec, e event.Event) []byte {
	t.Helper()
	b, err := c.Append(nil, &e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A bridge whose loggers never come ends in time, and its books name what is lost.
func TestEndWithoutLogger(t *testing.T) {
	w := newTown(t, "mem")
	at := freePort(t)
	h := w.host("1", Logger{"logger-1", []string{at}})
	lib := libzmqtest.Start(t)
	lib.Socket("push", "PUSH", nil)
	lib.Connect("push", at)
	frames := testenv.Frames(t, testenv.Shared(t, "golden", "log-batches", "wikipedia", "batches.jsonl"))
	for range 20 {
		for _, f := range frames {
			lib.Send("push", f...)
		}
	}
	testenv.Eventually(t, aim, "the queue is full", func() bool { all, _ := h.logs.ship.Pending(); return all >= 64 })
	begin := time.Now()
	h.stop()
	if d := time.Since(begin); d > 3*drainTime {
		t.Errorf("it took %s", d)
	}
	snap, err := h.led.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var dropped uint64
	for name, n := range snap.Counters {
		if strings.HasPrefix(name, "log.") && strings.Contains(name, ".dropped.") {
			dropped += n
		}
	}
	if n := snap.Counters[ledger.RecordsProduced]; n == 0 || n != dropped {
		t.Errorf("%d produced, %d dropped", n, dropped)
	}
}

// A Zeek logger that reads nothing does not keep the hub from ending.
func TestEndWithFullZeekLogger(t *testing.T) {
	w := newTown(t, "nats")
	lib := libzmqtest.Start(t)
	lib.Socket("pull", "PULL", map[string]any{"RCVHWM": 1})
	h := w.host("1", Logger{"logger-z", []string{lib.Bind("pull", "tcp://127.0.0.1:*")}})
	w.zeek(h, "logger-z")
	p := w.node("worker-1")
	p.want(t, "worker-1", "+logger-z")
	if err := p.driver.Acks("worker-1", func(backend.Ack) {}); err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("x"), 64<<10)
	for seq := range uint64(2000) {
		b := &record.Batch{Producer: "worker-1", Start: 5, Seq: seq + 1, Records: 1, Stream: "S::LOG", Path: "s", Payload: big}
		for err := p.driver.Send("logger-z", b); err != nil; err = p.driver.Send("logger-z", b) {
			time.Sleep(time.Millisecond)
		}
	}
	testenv.Eventually(t, aim, "its queue is full", func() bool { return h.logs.z.Status().Dropped[backend.DropFull] > 0 })
	begin := time.Now()
	h.stop()
	if d := time.Since(begin); d > 3*drainTime {
		t.Errorf("it took %s", d)
	}
}
