package backendtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/internal/testenv"
)

// topics and prefixes are tried all against all: what arrives is what strings.HasPrefix says.
var topics = []string{
	"zeek.cluster.worker", "zeek.cluster.worker-foo", "zeek.cluster.work", "zeek.cluster.worker.", "zeek.cluster.worker/x",
	"zeek.cluster.manager", "zeek.cluster.node.worker-1.", "zeek.cluster.node.worker-10.", "zeek.cluster.node.worker-1",
	"zeek.cluster.nodeid.nats_worker-1_host_1_N.", "zeek.cluster.pool.worker", "zeek/cluster/node/worker-1/", "zeek/table/Known::hosts/",
	"zeek.", "zeek", "zee", ".", "..", "...", "/", "//", "a", "a.", "a..b", "a.b", "a/b", "a//b", ".a", "/a/",
	"a*b", "*", ">", "a.*.b", "a.>", "* >", "a b", " ", "\t\r\n", "a\x00b", "\x00", "\xff", "\xff\xfe", "sné\xff", "日本語.topic/東", "%", "%2E", ":", "a:b", "_", "$SYS.REQ", "_INBOX.x",
}

func (k kit) prefix(t *testing.T) {
	topics := append([]string{strings.Repeat("long", k.f.MaxTopic/4)}, topics...)
	b := k.open(t)
	pub := b.up(t, "pub")
	prefixes := append([]string{"", "zeek.cluster.", "zeek.cluster.node", "zeek.cluster.no", "long", "longlonglo", "absent"}, topics...)
	var subs []*node
	for i, p := range prefixes {
		n := b.up(t, "sub"+text(i), p)
		must(t, n.Subscribe("\x01done"))
		n.flush(t)
		subs = append(subs, n)
	}
	for _, topic := range topics {
		pub.pub(t, topic, topic)
	}
	pub.pub(t, "\x01done", "\x01done")
	for i, n := range subs {
		var want []string
		for _, topic := range topics {
			if strings.HasPrefix(topic, prefixes[i]) {
				want = append(want, topic)
			}
		}
		got := n.await(t, "\x01done")
		if !slices.Equal(texts(got), want) {
			t.Errorf("prefix %q\n got %q\nwant %q", prefixes[i], texts(got), want)
		}
		for _, m := range got {
			if m.Topic != string(m.Payload) || m.Sender != "pub" || m.Codec != "broker-bin-v1" {
				t.Errorf("message %q came as topic %q from %q with codec %q", m.Payload, m.Topic, m.Sender, m.Codec)
			}
		}
	}
}

func (k kit) anyBytes(t *testing.T) {
	b := k.open(t)
	pub, sub := b.up(t, "pub"), b.up(t, "sub", "x")
	for i := range 256 {
		pub.pub(t, "x"+string([]byte{byte(i)}), text(i))
		pub.pub(t, "x\xf0"+string([]byte{byte(i), byte(i), '.'}), text(i))
	}
	pub.pub(t, "x", "end")
	got := sub.await(t, "end")
	if len(got) != 512 {
		t.Fatalf("%d of 512 messages arrived", len(got))
	}
	for i, m := range got {
		c := byte(i / 2)
		want := "x" + string([]byte{c})
		if i%2 == 1 {
			want = "x\xf0" + string([]byte{c, c, '.'})
		}
		if m.Topic != want {
			t.Errorf("topic %q arrived as %q", want, m.Topic)
		}
	}
}

func (k kit) overlap(t *testing.T) {
	b := k.open(t)
	pub, sub := b.up(t, "pub"), b.up(t, "sub", "", "a", "a.", "a.b", "a.b.", "a.b.c", "a.b.c")
	for i := range 10 {
		pub.pub(t, "a.b.c", text(i))
	}
	pub.pub(t, "a.b.c", "end")
	if got := sub.await(t, "end"); len(got) != 10 {
		t.Errorf("10 messages arrived %d times: %q", len(got), texts(got))
	}
	must(t, sub.Unsubscribe("a.b.c"))
	sub.flush(t)
	pub.pub(t, "a.b.c", "other prefixes still hold")
	sub.await(t, "other prefixes still hold")
}

func (k kit) echo(t *testing.T) {
	b := k.open(t)
	one, two := b.up(t, "one", ""), b.up(t, "two", "")
	one.pub(t, "a", "of one")
	two.await(t, "of one")
	two.pub(t, "a", "of two")
	if got := one.await(t, "of two"); len(got) != 0 {
		t.Errorf("one got %q of its own", texts(got))
	}
}

func (k kit) order(t *testing.T) {
	const each = 500
	b := k.open(t)
	sub := b.up(t, "sub", "t.")
	pubs := []*node{b.up(t, "p0"), b.up(t, "p1"), b.up(t, "p2")}
	for _, p := range pubs {
		go func() {
			for i := range each {
				if err := p.Publish([]string{"t.a", "t.b/c", "t.a.d"}[i%3], "c", []byte(text(i))); err != nil {
					t.Errorf("publish: %v", err)
				}
			}
		}()
	}
	testenv.Eventually(t, patience, "all messages arrive", func() bool { return len(sub.messages()) == each*len(pubs) })
	next := map[string]int{}
	for _, m := range sub.messages() {
		if string(m.Payload) != text(next[m.Sender]) {
			t.Fatalf("from %s: %q instead of %q", m.Sender, m.Payload, text(next[m.Sender]))
		}
		next[m.Sender]++
	}
}

func (k kit) unsubscribe(t *testing.T) {
	b := k.open(t)
	pub, sub := b.up(t, "pub"), b.up(t, "sub", "a.", "z")
	pub.pub(t, "a.1", "1")
	pub.pub(t, "z", "seen")
	sub.await(t, "seen")
	must(t, sub.Unsubscribe("a."))
	must(t, sub.Unsubscribe("a."))
	must(t, sub.Unsubscribe("never asked for"))
	sub.flush(t)
	pub.pub(t, "a.1", "2")
	pub.pub(t, "z", "end")
	if got := texts(sub.await(t, "end")); !slices.Equal(got, []string{"1", "seen"}) {
		t.Errorf("got %q", got)
	}
	must(t, sub.Subscribe("a."))
	sub.flush(t)
	pub.pub(t, "a.1", "3")
	sub.await(t, "3")
}

func (k kit) beforeRun(t *testing.T) {
	b := k.open(t)
	sub := b.up(t, "sub", "")
	pub := b.make(t, "pub", Options{})
	must(t, pub.Subscribe("answers"))
	for i := range 20 {
		pub.pub(t, "early", text(i))
	}
	pub.start(t)
	pub.pub(t, "early", "end")
	pub.flush(t)
	got := sub.await(t, "end")
	if len(got) != 20 || string(got[0].Payload) != text(0) || string(got[19].Payload) != text(19) {
		t.Errorf("published before Run: %q", texts(got))
	}
	sub.pub(t, "answers", "yes")
	pub.await(t, "yes")
}

func (k kit) slowConsumer(t *testing.T) {
	const sent, queue = 2000, 64
	b := k.open(t)
	slow := b.make(t, "slow", Options{Events: queue})
	release := make(chan struct{})
	slow.hold = func(backend.Message) { <-release }
	slow.start(t)
	must(t, slow.Subscribe(""))
	slow.flush(t)
	good := b.up(t, "good", "")
	pub := b.up(t, "pub")
	for i := range sent {
		pub.pub(t, "t", text(i))
	}
	pub.pub(t, "t", "end")
	if got := good.await(t, "end"); len(got) != sent {
		t.Errorf("the other subscriber got %d of %d", len(got), sent)
	}
	testenv.Eventually(t, patience, "drops are counted", func() bool { return slow.Status().Dropped[backend.DropSlow] > 0 })
	close(release)
	all := func() uint64 { return slow.Status().Delivered + slow.Status().Dropped[backend.DropSlow] }
	testenv.Eventually(t, patience, "delivered + dropped = sent", func() bool { return all() == sent+1 })
	if n := slow.Status().Delivered; n < queue {
		t.Errorf("%d delivered, less than the queue holds", n)
	}
	pub.pub(t, "t", "after")
	slow.await(t, "after")
}

func (k kit) cancel(t *testing.T) {
	b := k.open(t)
	n := b.up(t, "n", "a")
	n.stop()
	if err := n.Publish("a", "c", nil); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("publish after Run: %v", err)
	}
	if err := n.Subscribe("b"); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("subscribe after Run: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Flush(ctx); !errors.Is(err, backend.ErrClosed) {
		t.Errorf("flush after Run: %v", err)
	}
	// The same id may come back.
	again := b.up(t, "n", "a")
	b.up(t, "pub").pub(t, "a", "hello again")
	again.await(t, "hello again")
}

func (k kit) drain(t *testing.T) {
	const n = 300
	b := k.open(t)
	sub := b.make(t, "sub", Options{})
	sub.hold = func(backend.Message) { time.Sleep(100 * time.Microsecond) }
	sub.start(t)
	must(t, sub.Subscribe(""))
	sub.flush(t)
	pub := b.up(t, "pub")
	for i := range n {
		pub.pub(t, "t", text(i))
	}
	pub.stop() // must send all of it
	testenv.Eventually(t, patience, "all arrives at the driver", func() bool { s := sub.Status(); return s.Delivered+uint64(s.Queued) >= n })
	sub.stop() // must deliver all of it
	if got := len(sub.messages()); got != n {
		t.Errorf("%d of %d delivered when Run returned", got, n)
	}
}

func (k kit) opaque(t *testing.T) {
	b := k.open(t)
	one, two, pub := b.up(t, "one", ""), b.up(t, "two", ""), b.up(t, "pub")
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	payloads := []string{"", "\x00", string(all), strings.Repeat("x", 64<<10), "\r\nMSG a 1 1\r\n"}
	for _, p := range payloads {
		pub.pub(t, "t", p)
	}
	pub.pub(t, "t", "end")
	for _, n := range []*node{one, two} {
		if got := texts(n.await(t, "end")); !slices.Equal(got, payloads) {
			t.Errorf("%s: payloads changed on the way", n.id)
		}
	}
}

// relay: what is published for another node carries that node's id, comes once and
// in order to all but the relay, and from two relays for two nodes.
func (k kit) relay(t *testing.T) {
	b := k.open(t)
	one, two, sub := b.up(t, "bridge-1", ""), b.up(t, "bridge-2", ""), b.up(t, "sub", "a.", "a.b")
	r1, ok := one.Driver.(backend.Relay)
	r2, _ := two.Driver.(backend.Relay)
	if !ok {
		t.Skip("no relay")
	}
	const n = 20
	for i := range n {
		payload := []byte(text(i))
		must(t, r1.PublishFor("zeek-1", "a.b", "broker-json-v1", payload))
		must(t, r2.PublishFor("zeek-2", "a.b", "broker-json-v1", payload))
		poison(payload)
	}
	one.pub(t, "a.b", "of bridge-1 itself")
	testenv.Eventually(t, patience, "all arrive", func() bool { return len(sub.messages()) >= 2*n+1 })
	next := map[string]int{}
	for _, m := range sub.messages() {
		via := map[string]string{"zeek-1": "bridge-1", "zeek-2": "bridge-2", "bridge-1": ""}[m.Sender]
		if m.Via != via || m.Topic != "a.b" || m.Sender != "bridge-1" && (m.Codec != "broker-json-v1" || string(m.Payload) != text(next[m.Sender])) {
			t.Errorf("%+v", m)
		}
		next[m.Sender]++
	}
	if next["zeek-1"] != n || next["zeek-2"] != n || len(sub.messages()) != 2*n+1 {
		t.Errorf("arrived: %v", next)
	}
	testenv.Eventually(t, patience, "each relay gets the other's", func() bool { return len(one.messages()) == n && len(two.messages()) == n+1 })
}

func (k kit) reconnect(t *testing.T) {
	b := k.open(t)
	if b.Break == nil {
		t.Skip("nothing can break")
	}
	sub, pub := b.up(t, "sub", "a."), b.up(t, "pub")
	pub.pub(t, "a.1", "before")
	sub.await(t, "before")
	repair := b.Break(t)
	testenv.Eventually(t, patience, "both notice", func() bool { return !sub.Status().Connected && !pub.Status().Connected })
	must(t, sub.Subscribe("b."))
	var queued, refused uint64
	for i := range 5000 {
		err := pub.Publish("away", "c", []byte(text(i)))
		switch {
		case err == nil:
			queued++
		case errors.Is(err, backend.ErrFull), errors.Is(err, backend.ErrDown):
			refused++
		default:
			t.Fatal(err)
		}
	}
	if got := pub.Status().Dropped[backend.DropFull]; got != refused {
		t.Errorf("%d refused while away, %d counted", refused, got)
	}
	repair()
	sub.flush(t)
	pub.flush(t)
	pub.pub(t, "a.1", "after")
	pub.pub(t, "b.1", "end")
	sub.await(t, "end")
	if got := texts(sub.messages()); !slices.Contains(got, "after") {
		t.Errorf("after the reconnect: %q", got)
	}
	if sub.Status().Reconnects == 0 {
		t.Error("the reconnect is not counted")
	}
	t.Logf("while away: %d queued, %d refused", queued, refused)
}
