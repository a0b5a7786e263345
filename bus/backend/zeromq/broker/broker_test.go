package broker

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/internal/testenv"
)

const aim = time.Minute

func local(cfg Config) Config {
	cfg.XPUB, cfg.XSUB = []string{"tcp://127.0.0.1:0"}, []string{"tcp://127.0.0.1:0"}
	return cfg
}

func startBroker(t testing.TB, cfg Config) (b *Broker, xpub, xsub []string) {
	t.Helper()
	b, err := New(local(cfg), Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if xpub, xsub, err = b.Listen(); err != nil {
		t.Fatal(err)
	}
	testenv.Run(t, b.Run)
	return b, xpub, xsub
}

// node is the pair of sockets that a cluster node has.
type node struct {
	in, out *zmtp.Socket
	stop    func()

	mu   sync.Mutex
	got  []string
	subs []string // "+topic", "-topic"
}

func startNode(t testing.TB, b *Broker, xpub, xsub []string) *node {
	t.Helper()
	n := &node{}
	var err error
	n.in, err = zmtp.New(zmtp.Config{Type: zmtp.XSUB, Connect: xpub}, zmtp.Deps{Hooks: zmtp.Hooks{
		Receive: func(*zmtp.Peer) zmtp.Receiver {
			return zmtp.ReceiveFunc(func(m zmtp.Message) {
				n.mu.Lock()
				defer n.mu.Unlock()
				n.got = append(n.got, string(m.Parts()[len(m.Parts())-1]))
			})
		}}})
	if err != nil {
		t.Fatal(err)
	}
	n.out, err = zmtp.New(zmtp.Config{Type: zmtp.XPUB, Connect: xsub, Verbose: true, Full: zmtp.Refuse}, zmtp.Deps{Hooks: zmtp.Hooks{
		Subscription: func(_ *zmtp.Peer, e zmtp.Subscription) {
			n.mu.Lock()
			defer n.mu.Unlock()
			sign := "-"
			if e.Subscribe {
				sign = "+"
			}
			n.subs = append(n.subs, sign+e.Topic)
		}}})
	if err != nil {
		t.Fatal(err)
	}
	stopIn, stopOut := testenv.Run(t, n.in.Run), testenv.Run(t, n.out.Run)
	n.stop = func() { stopIn(); stopOut() }
	testenv.Eventually(t, aim, "node connected", func() bool { return n.in.Peers() == 1 && n.out.Peers() == 1 })
	return n
}

func (n *node) seen() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.subs)
}

func (n *node) messages() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.got)
}

func (n *node) send(t testing.TB, topic, body string) {
	t.Helper()
	if err := n.out.Send([]byte(topic), []byte("id"), []byte("broker-bin-v1"), []byte(body)); err != nil {
		t.Fatal(err)
	}
}

func wantSubs(t *testing.T, n *node, want ...string) {
	t.Helper()
	testenv.Eventually(t, aim, fmt.Sprint("subscriptions ", want), func() bool { return len(n.seen()) >= len(want) })
	if got := n.seen(); !slices.Equal(got, want) {
		t.Errorf("saw %q, want %q", got, want)
	}
}

// TestSubscriptions is wire.md 1.5, point by point.
func TestSubscriptions(t *testing.T) {
	b, xpub, xsub := startBroker(t, Config{})
	a := startNode(t, b, xpub, xsub)
	a.in.Subscribe("t.")
	wantSubs(t, a, "+t.") // a node sees its own
	c := startNode(t, b, xpub, xsub)
	wantSubs(t, c, "+t.") // replayed to who comes late
	c.in.Subscribe("t.")
	wantSubs(t, a, "+t.", "+t.") // duplicates are forwarded
	wantSubs(t, c, "+t.", "+t.")
	a.in.Unsubscribe("t.") // one is left: nobody sees it
	a.in.Subscribe("u.")
	wantSubs(t, c, "+t.", "+t.", "+u.")
	c.in.Unsubscribe("t.")
	wantSubs(t, a, "+t.", "+t.", "+u.", "-t.")
	c.in.Subscribe("node.c.")
	c.in.Subscribe("node.c.") // repeated: libzmq would never report its end
	wantSubs(t, a, "+t.", "+t.", "+u.", "-t.", "+node.c.", "+node.c.")
	c.stop()
	wantSubs(t, a, "+t.", "+t.", "+u.", "-t.", "+node.c.", "+node.c.", "-node.c.")
	late := startNode(t, b, xpub, xsub)
	wantSubs(t, late, "+u.")
	if n := b.Status().Topics; n != 1 {
		t.Errorf("%d topics, want 1", n)
	}
}

func TestForward(t *testing.T) {
	b, xpub, xsub := startBroker(t, Config{})
	a, c := startNode(t, b, xpub, xsub), startNode(t, b, xpub, xsub)
	a.in.Subscribe("x")
	a.in.Subscribe("xy")
	c.in.Subscribe("")
	testenv.Eventually(t, aim, "subscribed", func() bool { return len(c.seen()) == 3 && len(a.seen()) == 3 })
	const n = 5000
	for i := range n {
		topic := "xyz"
		if i%2 == 1 {
			topic = "other"
		}
		for a.out.Send([]byte(topic), []byte("id"), []byte("codec"), []byte(fmt.Sprint(i))) != nil {
			time.Sleep(time.Millisecond)
		}
	}
	testenv.Eventually(t, aim, "all to c", func() bool { return len(c.messages()) == n })
	testenv.Eventually(t, aim, "half to a", func() bool { return len(a.messages()) == n/2 })
	for i, m := range c.messages() {
		if m != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, m)
		}
	}
	s := b.Status()
	if s.Proxy.FrontendMessagesReceived != 4*n || s.Proxy.BackendMessagesSent != 4*n || s.Proxy.BackendMessagesReceived != 3 {
		t.Errorf("statistics %+v", s.Proxy)
	}
	if got := s.XPUB.Total().Sent; got != n+n/2 {
		t.Errorf("sent %d messages to subscribers, want %d", got, n+n/2)
	}
}

type taker struct {
	mu   sync.Mutex
	got  []string
	subs []string
}

func (k *taker) Message(m zmtp.Message) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.got = append(k.got, string(m.Parts()[len(m.Parts())-1]))
}
func (k *taker) Flush() {}
func (k *taker) Subscription(topic string, subscribe bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	sign := "-"
	if subscribe {
		sign = "+"
	}
	k.subs = append(k.subs, sign+topic)
}
func (k *taker) saw() (got, subs []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.got), slices.Clone(k.subs)
}

func TestLink(t *testing.T) {
	b, xpub, xsub := startBroker(t, Config{})
	a := startNode(t, b, xpub, xsub)
	a.in.Subscribe("a.")
	wantSubs(t, a, "+a.")
	k, k2 := &taker{}, &taker{}
	l, l2 := b.Link(k), b.Link(k2)
	l.Subscribe("l.")
	wantSubs(t, a, "+a.", "+l.")
	if _, subs := k.saw(); !slices.Equal(subs, []string{"+a."}) {
		t.Errorf("link saw %q", subs)
	}
	if _, subs := k2.saw(); !slices.Equal(subs, []string{"+a.", "+l."}) {
		t.Errorf("second link saw %q", subs)
	}
	a.send(t, "l.x", "to link")
	testenv.Eventually(t, aim, "message to link", func() bool { got, _ := k.saw(); return slices.Equal(got, []string{"to link"}) })
	if err := l.Publish([]byte("a.x"), []byte("id"), []byte("codec"), []byte("from link")); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, aim, "message from link", func() bool { return slices.Equal(a.messages(), []string{"from link"}) })
	if err := l2.Publish([]byte("l."), []byte("link to link")); err != nil {
		t.Fatal(err)
	}
	if err := l.Publish([]byte("l."), []byte("to itself")); err != nil {
		t.Fatal(err)
	}
	if got, _ := k.saw(); !slices.Equal(got, []string{"to link", "link to link"}) {
		t.Errorf("link got %q", got)
	}
	l2.Subscribe("a.")
	a.in.Unsubscribe("a.")
	testenv.Eventually(t, aim, "removal at the link that wants it too", func() bool {
		_, subs := k2.saw()
		return slices.Equal(subs, []string{"+a.", "+l.", "-a."})
	})
	if _, subs := k.saw(); !slices.Equal(subs, []string{"+a.", "+a."}) {
		t.Errorf("link saw %q: the other link still wants a.", subs)
	}
	l2.Close()
	l.Close()
	wantSubs(t, a, "+a.", "+l.", "+a.", "-a.", "-l.")
	if n := b.Status().Topics; n != 0 {
		t.Errorf("%d topics left", n)
	}
}
