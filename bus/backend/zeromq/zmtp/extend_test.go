package zmtp

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/testenv"
)

// TestProperties: what is told in the handshake is known, in clear and encrypted,
// and a peer with the property gets every message, before it says what it wants.
func TestProperties(t *testing.T) {
	for _, curve := range []bool{false, true} {
		t.Run(fmt.Sprint(curve), func(t *testing.T) {
			box := make(inbox, 100)
			in := Config{Type: XSUB, Bind: []string{"tcp://127.0.0.1:0"}, Properties: []Property{{"X-Who", "the broker"}}}
			out := Config{Type: XPUB, Unfiltered: "x-who", Verbose: true}
			if curve {
				in.Curve, out.Curve = testCurve(t)
			}
			hub, bound, stop := run(t, in, box.hooks())
			var mu sync.Mutex
			var subs []string
			var peer *Peer
			out.Connect = bound
			s, _, _ := run(t, out, Hooks{
				Receive: func(p *Peer) Receiver { mu.Lock(); peer = p; mu.Unlock(); return nil },
				Subscription: func(_ *Peer, e Subscription) {
					mu.Lock()
					subs = append(subs, e.Topic)
					mu.Unlock()
				}})
			testenv.Eventually(t, aim, "connection", func() bool { mu.Lock(); defer mu.Unlock(); return peer != nil })
			if v, ok := peer.Property("X-WHO"); !ok || v != "the broker" {
				t.Errorf("property %q, %v", v, ok)
			}
			if _, ok := peer.Property("X-Other"); ok {
				t.Error("a property that was not told")
			}
			if err := s.Send([]byte("unasked"), []byte("x")); err != nil {
				t.Fatal(err)
			}
			if got := box.take(t); string(got[0]) != "unasked" {
				t.Errorf("got %q", got)
			}
			hub.Subscribe("a")
			hub.Unsubscribe("a")
			hub.Subscribe("")
			testenv.Eventually(t, aim, "subscriptions", func() bool { mu.Lock(); defer mu.Unlock(); return len(subs) == 3 })
			if err := s.Send([]byte("once")); err != nil {
				t.Fatal(err)
			}
			if got := box.take(t); string(got[0]) != "once" {
				t.Errorf("got %q", got)
			}
			stop()
			testenv.Eventually(t, aim, "the end", func() bool { return s.Peers() == 0 })
			if err := s.Send([]byte("to nobody")); err != nil || s.Status().Unwanted != 1 {
				t.Errorf("%v, %d unwanted", err, s.Status().Unwanted)
			}
			if len(box) != 0 {
				t.Errorf("%d messages came twice", len(box))
			}
		})
	}
}

// TestCommands: own commands keep their place between messages, both ways.
func TestCommands(t *testing.T) {
	for _, curve := range []bool{false, true} {
		t.Run(fmt.Sprint(curve), func(t *testing.T) {
			log := make(chan string, 100)
			pull := Config{Type: PULL, Bind: []string{"tcp://127.0.0.1:0"}}
			push := Config{Type: PUSH}
			if curve {
				pull.Curve, push.Curve = testCurve(t)
			}
			_, bound, _ := run(t, pull, Hooks{Receive: func(p *Peer) Receiver {
				return ReceiveFunc(func(m Message) {
					if !p.Tell("X-ACK", m.Parts()[0]) {
						t.Error("not told")
					}
				})
			}})
			push.Connect = bound
			s, _, _ := run(t, push, Hooks{Command: func(_ *Peer, name string, data []byte) { log <- name + " " + string(data) }})
			for i := range 50 {
				if err := s.Send(fmt.Appendf(nil, "%d", i)); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 50 {
				select {
				case got := <-log:
					if want := fmt.Sprintf("X-ACK %d", i); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				case <-time.After(aim):
					t.Fatal("no command came")
				}
			}
		})
	}
}

// TestRoundTrip: after it, what was subscribed is in effect at the other side.
func TestRoundTrip(t *testing.T) {
	pub, bound, _ := run(t, Config{Type: XPUB, Bind: []string{"tcp://127.0.0.1:0"}}, Hooks{})
	sub, _, _ := run(t, Config{Type: XSUB, Connect: bound}, Hooks{})
	ctx, cancel := context.WithTimeout(context.Background(), aim)
	defer cancel()
	if err := sub.RoundTrip(ctx); err != nil {
		t.Error(err) // with nobody connected there is nothing to wait for
	}
	testenv.Eventually(t, aim, "connection", func() bool { return sub.Peers() == 1 })
	for i := range 200 {
		topic := fmt.Sprint(i)
		sub.Subscribe(topic)
		if err := sub.RoundTrip(ctx); err != nil {
			t.Fatal(err)
		}
		if !pub.Has(topic) {
			t.Fatalf("topic %s is not there after the round trip", topic)
		}
	}
}

// TestRedial: nobody waits for the next attempt longer than asked to.
func TestRedial(t *testing.T) {
	old, bound, stop := run(t, Config{Type: PULL, Bind: []string{"tcp://127.0.0.1:0"}}, Hooks{})
	failed := make(chan error, 100)
	s, _, _ := run(t, Config{Type: PUSH, Connect: bound, RetryMin: time.Hour}, Hooks{Monitor: func(e Event) {
		if e.Kind == DialFailed {
			failed <- e.Err
		}
	}})
	testenv.Eventually(t, aim, "connection", func() bool { return s.Peers() == 1 && old.Peers() == 1 })
	stop()
	testenv.Eventually(t, aim, "the end", func() bool { return s.Peers() == 0 })
	for range 3 {
		s.Redial()
		select {
		case <-failed:
		case <-time.After(aim):
			t.Fatal("a failed attempt was not told")
		}
	}
	run(t, Config{Type: PULL, Bind: bound}, Hooks{})
	s.Redial()
	testenv.Eventually(t, aim, "connection again", func() bool { return s.Peers() == 1 })
}
