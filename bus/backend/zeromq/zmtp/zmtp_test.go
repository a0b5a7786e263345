package zmtp

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/testenv"
)

// aim is how long tests wait for what takes milliseconds.
const aim = time.Minute

// run starts a socket; it ends with the test, or when stop is called.
func run(t testing.TB, cfg Config, hooks Hooks) (s *Socket, bound []string, stop func()) {
	t.Helper()
	s, err := New(cfg, Deps{Hooks: hooks})
	if err != nil {
		t.Fatal(err)
	}
	if bound, err = s.Listen(); err != nil {
		t.Fatal(err)
	}
	return s, bound, testenv.Run(t, s.Run)
}

// inbox gathers what arrives.
type inbox chan [][]byte

func (b inbox) hooks() Hooks {
	return Hooks{Receive: func(*Peer) Receiver {
		return ReceiveFunc(func(m Message) { b <- m.Clone().Parts() })
	}}
}

func (b inbox) take(t testing.TB) [][]byte {
	t.Helper()
	select {
	case m := <-b:
		return m
	case <-time.After(aim):
		t.Fatal("no message came")
		return nil
	}
}

// loopback6 is an endpoint of IPv6, or of IPv4 where the machine has no other.
func loopback6() string {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return "tcp://127.0.0.1:0"
	}
	l.Close()
	return "tcp://[::1]:0"
}

func testCurve(t testing.TB) (server, client *Curve) {
	t.Helper()
	spub, ssec, err := NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cpub, csec, err := NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Curve{Server: true, Secret: ssec, Clients: []Key{cpub}}, &Curve{Secret: csec, ServerKey: spub}
}

func TestPairs(t *testing.T) {
	pairs := []struct{ send, recv Type }{{PUB, SUB}, {PUB, XSUB}, {XPUB, SUB}, {XPUB, XSUB}, {PUSH, PULL}}
	for _, p := range pairs {
		for _, sendBinds := range []bool{true, false} {
			for _, curve := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s-%s-%v-%v", p.send, p.recv, sendBinds, curve), func(t *testing.T) {
					testPair(t, p.send, p.recv, sendBinds, curve)
				})
			}
		}
	}
}

func testPair(t *testing.T, send, recv Type, sendBinds, curve bool) {
	sc, rc := Config{Type: send}, Config{Type: recv}
	if curve {
		sc.Curve, rc.Curve = testCurve(t)
	}
	box := make(inbox, 100)
	var sender, receiver *Socket
	if sendBinds {
		sc.Bind = []string{"tcp://127.0.0.1:0"}
		s, bound, _ := run(t, sc, Hooks{})
		rc.Connect = bound
		r, _, _ := run(t, rc, box.hooks())
		sender, receiver = s, r
	} else {
		rc.Bind = []string{loopback6()}
		r, bound, _ := run(t, rc, box.hooks())
		sc.Connect = bound
		s, _, _ := run(t, sc, Hooks{})
		sender, receiver = s, r
	}
	if recv.subscribes() {
		receiver.Subscribe("a")
		testenv.Eventually(t, aim, "subscription", func() bool { return sender.Has("a") })
	} else {
		testenv.Eventually(t, aim, "connection", func() bool { return sender.Peers() == 1 })
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 20000)
	sent := [][][]byte{
		{[]byte("a"), nil, []byte("x")},
		{[]byte("ab"), big},
		{[]byte("a"), big[:255], big[:256], big[:257], {}},
	}
	for _, m := range sent {
		if err := sender.Send(m...); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range sent {
		got := box.take(t)
		if len(got) != len(want) {
			t.Fatalf("got %d parts, want %d", len(got), len(want))
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("part %d: %d bytes differ from %d", i, len(got[i]), len(want[i]))
			}
		}
	}
	if recv.subscribes() {
		if err := sender.Send([]byte("b")); err != nil {
			t.Fatal(err)
		}
		if n := sender.Status().Unwanted; n != 1 {
			t.Errorf("unwanted %d, want 1", n)
		}
		receiver.Unsubscribe("a")
		testenv.Eventually(t, aim, "removal", func() bool { return !sender.Has("a") })
	}
	testenv.Eventually(t, aim, "counts", func() bool { return sender.Status().Total().Sent == 3 })
	testenv.Eventually(t, aim, "counts", func() bool { return receiver.Status().Total().Received == 3 })
}
