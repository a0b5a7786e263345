package zmtp

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/testenv"
)

// stuck is a subscriber of everything that reads nothing.
func stuck(t *testing.T, s *Socket, bound string) net.Conn {
	t.Helper()
	before := s.Peers()
	c := rawPeer(t, bound, rawGreeting(1, mechNull), rawReady(SUB), appendSubscription(nil, true, false, ""))
	testenv.Eventually(t, aim, "subscriber", func() bool {
		st := s.Status()
		return len(st.Peers) == before+1 && st.Peers[before].Subscriptions == 1
	})
	return c
}

func body(i int) []byte { return binary.BigEndian.AppendUint64(make([]byte, 1000), uint64(i)) }

// readMessages reads so many whole messages, and more if they come at once, and
// returns the number in each.
func readMessages(t *testing.T, c net.Conn, skip, want int) (got []int) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(aim))
	readN(t, c, skip)
	in := input{maxMessage: 1 << 20, maxParts: 16}
	for {
		k, m, _, err := in.next()
		switch {
		case err != nil:
			t.Fatal(err)
		case k == aMessage:
			if len(m.Parts()) != 4 {
				t.Fatalf("message of %d parts", len(m.Parts()))
			}
			p := m.Parts()[3]
			got = append(got, int(binary.BigEndian.Uint64(p[len(p)-8:])))
		case k == nothing:
			wait := aim
			if len(got) >= want {
				wait = 300 * time.Millisecond // for those too many
			}
			_ = c.SetReadDeadline(time.Now().Add(wait))
			if in.fill(c) != nil {
				return got
			}
		}
	}
}

const shakenBytes = greetingSize + 28 // greeting and READY of a four letter socket

func TestDrop(t *testing.T) {
	var dropped atomic.Uint64
	s, bound, _ := run(t, Config{Type: XPUB, Bind: []string{"tcp://127.0.0.1:0"}, Queue: 100}, Hooks{Dropped: func(_ *Peer, topic []byte) {
		if string(topic) != "topic" {
			t.Errorf("dropped %q", topic)
		}
		dropped.Add(1)
	}})
	c := stuck(t, s, bound[0])
	sent := 0
	for ; dropped.Load() < 50; sent++ {
		if err := s.Send([]byte("topic"), nil, []byte("codec"), body(sent)); err != nil {
			t.Fatal(err)
		}
	}
	st := s.Status().Peers[0]
	if st.Accepted+st.Dropped != uint64(sent) || st.Dropped != dropped.Load() || uint64(st.Queued)+st.Sent != st.Accepted || st.Queued > 200 {
		t.Errorf("%d sent, dropped %d: %+v", sent, dropped.Load(), st)
	}
	got := readMessages(t, c, shakenBytes, int(st.Accepted))
	if uint64(len(got)) != st.Accepted {
		t.Errorf("%d arrived of %d accepted", len(got), st.Accepted)
	}
	for i := 1; i < len(got); i++ {
		if got[i] <= got[i-1] {
			t.Fatalf("message %d after %d", got[i], got[i-1])
		}
	}
}

func TestRefuse(t *testing.T) {
	s, bound, _ := run(t, Config{Type: XPUB, Bind: []string{"tcp://127.0.0.1:0"}, Queue: 100, Full: Refuse}, Hooks{})
	c, other := stuck(t, s, bound[0]), stuck(t, s, bound[0])
	go io.Copy(io.Discard, other)
	sent, refused := 0, 0
	for ; refused < 50; sent++ {
		switch err := s.Send([]byte("topic"), nil, []byte("codec"), body(sent)); {
		case errors.Is(err, ErrFull):
			refused++
		case err != nil:
			t.Fatal(err)
		}
	}
	st := s.Status()
	if st.Refused != 50 || st.Peers[0].Accepted != uint64(sent-50) || st.Peers[1].Accepted != uint64(sent-50) {
		t.Errorf("%d sent, %d refused: %+v", sent, refused, st)
	}
	if got := readMessages(t, c, shakenBytes, sent-refused); len(got) != sent-refused {
		t.Errorf("%d arrived of %d", len(got), sent-refused)
	}
}

func TestBlock(t *testing.T) {
	s, bound, stop := run(t, Config{Type: XPUB, Bind: []string{"tcp://127.0.0.1:0"}, Queue: 100, Full: Block}, Hooks{})
	c := stuck(t, s, bound[0])
	const all = 20000
	var sent atomic.Int64
	done := make(chan error, 1)
	go func() {
		x := s.Sender() // which never flushes before it must wait
		for i := range all {
			if err := x.Send([]byte("topic"), nil, []byte("codec"), body(i)); err != nil {
				done <- err
				return
			}
			sent.Add(1)
		}
		x.Flush()
		done <- nil
	}()
	var at int64
	testenv.Eventually(t, aim, "blocked", func() bool {
		time.Sleep(100 * time.Millisecond)
		now := sent.Load()
		still := now == at && now > 0
		at = now
		return still
	})
	if at == all {
		t.Fatal("nothing blocked")
	}
	got := readMessages(t, c, shakenBytes, all)
	if err := <-done; err != nil || len(got) != all {
		t.Fatalf("%d arrived of %d, %v", len(got), all, err)
	}
	for i, n := range got {
		if n != i {
			t.Fatalf("message %d is %d", i, n)
		}
	}
	c.Close()
	testenv.Eventually(t, aim, "gone", func() bool { return s.Peers() == 0 })
	// A waiting sender goes on when the peer goes, and when the socket closes.
	for _, how := range []string{"peer gone", "closed"} {
		c := stuck(t, s, bound[0])
		go func() {
			for {
				if err := s.Send([]byte("topic"), nil, []byte("codec"), body(0)); err != nil {
					done <- err
					return
				}
				if how == "peer gone" && s.Peers() == 0 {
					done <- nil
					return
				}
			}
		}()
		time.Sleep(200 * time.Millisecond)
		if how == "closed" {
			stop()
		} else {
			c.Close()
		}
		select {
		case err := <-done:
			if how == "closed" != errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v", how, err)
			}
		case <-time.After(aim):
			t.Fatalf("%s: still waits", how)
		}
	}
}

// TestPush: in turn to those with room, whole messages once, over a death and
// a linger.
func TestPush(t *testing.T) {
	var at [2]string
	var count [2]atomic.Int64
	var pull [2]*Socket
	for i := range pull {
		s, bound, _ := run(t, Config{Type: PULL, Bind: []string{"tcp://127.0.0.1:0"}}, Hooks{Receive: func(*Peer) Receiver {
			return ReceiveFunc(func(Message) { count[i].Add(1) })
		}})
		pull[i], at[i] = s, bound[0]
	}
	s, _, stop := run(t, Config{Type: PUSH, Connect: at[:], Full: Refuse}, Hooks{})
	testenv.Eventually(t, aim, "both", func() bool { return s.Peers() == 2 })
	for i := range 1000 {
		if err := s.Send([]byte("log-write"), body(i)); err != nil {
			t.Fatal(err)
		}
	}
	stop() // lingers
	testenv.Eventually(t, aim, "all", func() bool { return count[0].Load()+count[1].Load() == 1000 })
	if count[0].Load() != 500 {
		t.Errorf("%d and %d", count[0].Load(), count[1].Load())
	}
	if err := s.Send([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Errorf("send after the end: %v", err)
	}
	st := s.Status().Total()
	if st.Accepted != 1000 || st.Sent != 1000 || st.Lost != 0 {
		t.Errorf("%+v", st)
	}
}

func TestPushNobody(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want error
	}{
		{Config{Type: PUSH, Full: Refuse}, ErrNoPeer},
		{Config{Type: PUSH, Full: Refuse, Immediate: true, Connect: []string{"tcp://127.0.0.1:1"}}, ErrNoPeer},
		{Config{Type: PUSH, Full: Refuse, Queue: 1, Connect: []string{"tcp://127.0.0.1:1"}}, nil},
	} {
		s, _, stop := run(t, c.cfg, Hooks{})
		if err := s.Send([]byte("x")); !errors.Is(err, c.want) {
			t.Errorf("%v, want %v", err, c.want)
		}
		if c.want == nil {
			if err := s.Send([]byte("x")); !errors.Is(err, ErrFull) {
				t.Errorf("%v, want ErrFull", err)
			}
		}
		stop()
		if st := s.Status(); st.Total().Lost != st.Total().Accepted {
			t.Errorf("%+v", st)
		}
	}
}

// TestPushCut: the receiver's connection ends in the middle of a batch. What did
// not leave whole is sent again on the next connection, and nothing twice.
func TestPushCut(t *testing.T) {
	for _, curve := range []bool{false, true} {
		t.Run(fmt.Sprint(curve), func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			cfg := Config{Type: PUSH, Connect: []string{"tcp://" + l.Addr().String()}, Queue: 100000, RetryMin: time.Millisecond}
			server := Config{Type: PULL}
			if curve {
				server.Curve, cfg.Curve = testCurve(t)
			}
			s, _, _ := run(t, cfg, Hooks{})
			const all = 20000
			for i := range all {
				if err := s.Send([]byte("log-write"), nil, nil, body(i)); err != nil {
					t.Fatal(err)
				}
			}
			seen, lost, next := 0, 0, 0
		rounds:
			for next < all {
				conn, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				_ = conn.SetDeadline(time.Now().Add(aim))
				far := &link{conn: conn, in: input{maxMessage: 1 << 20, maxParts: 4}}
				h, err := far.handshake(&server, rand.Reader)
				if err != nil {
					t.Fatal(err)
				}
				far.in.session = h.session
				for n := 0; n < 3000 && next < all; {
					_ = conn.SetReadDeadline(time.Now().Add(2 * time.Second))
					k, m, _, err := far.in.next()
					if err != nil {
						t.Fatal(err)
					}
					if k == aMessage {
						p := m.Parts()[3]
						i := int(binary.BigEndian.Uint64(p[len(p)-8:]))
						if i < next {
							t.Fatalf("message %d again", i)
						}
						lost += i - next
						next = i + 1
						seen++
						n++
					} else if err := far.in.fill(conn); errors.Is(err, os.ErrDeadlineExceeded) && s.Status().Total().Sent < all {
						continue // a slow machine
					} else if errors.Is(err, os.ErrDeadlineExceeded) {
						lost += all - next // all of it was on the wire the last time
						_ = conn.Close()
						break rounds
					} else if err != nil {
						t.Fatal(err)
					}
				}
				// What the kernel had taken is gone, and counted as sent.
				_ = conn.Close()
			}
			testenv.Eventually(t, aim, "all is sent", func() bool { return s.Status().Total().Sent == all })
			st := s.Status().Total()
			t.Logf("%d arrived, %d were on the wire when it was cut, %d connections", seen, lost, st.Connects)
			if seen+lost != all || st.Lost != 0 {
				t.Errorf("%d + %d of %d: %+v", seen, lost, all, st)
			}
		})
	}
}

func TestMaxPeers(t *testing.T) {
	ev := &events{}
	s, bound, _ := run(t, Config{Type: PULL, Bind: []string{"tcp://127.0.0.1:0"}, MaxPeers: 2}, Hooks{Monitor: ev.add})
	a := rawPeer(t, bound[0])
	rawPeer(t, bound[0], rawGreeting(1, mechNull), rawReady(PUSH))
	testenv.Eventually(t, aim, "one peer", func() bool { return s.Peers() == 1 })
	c := rawPeer(t, bound[0])
	if n, err := io.Copy(io.Discard, c); n != 0 || err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("the third got %d bytes, %v", n, err)
	}
	testenv.Eventually(t, aim, "told", func() bool { return ev.count(TooMany) == 1 })
	a.Close()
	testenv.Eventually(t, aim, "room again", func() bool {
		rawPeer(t, bound[0], rawGreeting(1, mechNull), rawReady(PUSH))
		time.Sleep(5 * time.Millisecond)
		return s.Peers() == 2
	})
}

// TestHandshakes: who begins a handshake and says no more keeps nobody out, and
// those that are in stay.
func TestHandshakes(t *testing.T) {
	ev := &events{}
	s, bound, _ := run(t, Config{Type: PULL, Bind: []string{"tcp://127.0.0.1:0"}, Handshakes: 2, Handshake: aim}, Hooks{Monitor: ev.add})
	good := func() {
		t.Helper()
		before := s.Peers()
		rawPeer(t, bound[0], rawGreeting(1, mechNull), rawReady(PUSH))
		testenv.Eventually(t, aim, "one more peer", func() bool { return s.Peers() == before+1 })
	}
	good()
	var idle []net.Conn
	for range 5 {
		idle = append(idle, rawPeer(t, bound[0], rawGreeting(1, mechNull)[:20]))
	}
	for i := range 3 { // two more than there is room for, and which, is the order of accepting
		testenv.Eventually(t, aim, "one gives way", func() bool { return ev.count(TooMany) >= i+1 })
	}
	good()
	testenv.Eventually(t, aim, "one more gives way", func() bool { return ev.count(TooMany) == 4 })
	good()
	if n := s.Peers(); n != 3 {
		t.Errorf("%d peers, want 3", n)
	}
	open := 0
	for _, c := range idle {
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			open++
		}
	}
	if open != 1 {
		t.Errorf("%d idle ones are open, want 1", open)
	}
}

func TestIPC(t *testing.T) {
	path := "ipc://" + filepath.Join(t.TempDir(), "s")
	box := make(inbox, 10)
	s, _, _ := run(t, Config{Type: PUSH, Connect: []string{path}}, Hooks{})
	run(t, Config{Type: PULL, Bind: []string{path}}, box.hooks())
	if err := s.Send([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if m := box.take(t); string(m[0]) != "x" {
		t.Errorf("got %q", m)
	}
}

// TestManyEnds: a SUB with several endpoints, a PUB with several peers.
func TestManyEnds(t *testing.T) {
	var pubs [3]*Socket
	var at []string
	for i := range pubs {
		s, bound, _ := run(t, Config{Type: PUB, Bind: []string{"tcp://127.0.0.1:0", loopback6()}}, Hooks{})
		pubs[i] = s
		at = append(at, bound...)
	}
	box := make(inbox, 100)
	sub, _, _ := run(t, Config{Type: SUB, Connect: at}, box.hooks())
	sub.Subscribe("a")
	for i, p := range pubs {
		testenv.Eventually(t, aim, "two connections each", func() bool {
			n := 0
			for _, q := range p.Status().Peers {
				n += q.Subscriptions
			}
			return n == 2
		})
		if err := p.Send([]byte("a"), []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 {
		box.take(t)
	}
}

func TestFlush(t *testing.T) {
	s, bound, _ := run(t, Config{Type: XPUB, Bind: []string{"tcp://127.0.0.1:0"}, Queue: 1 << 20}, Hooks{})
	c := stuck(t, s, bound[0])
	for i := range 20000 {
		if err := s.Send([]byte("t"), nil, nil, body(i)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("flush to who does not read: %v", err)
	}
	go io.Copy(io.Discard, c)
	if err := s.Flush(context.Background()); err != nil {
		t.Error(err)
	}
	if n := s.Status().Total().Sent; n != 20000 {
		t.Errorf("%d sent after the flush", n)
	}
}

func TestEndpoints(t *testing.T) {
	good := []string{"tcp://127.0.0.1:5555", "tcp://[::1]:1", "tcp://localhost:80", "ipc:///tmp/x", "ipc://@abstract"}
	bad := []string{"", "127.0.0.1:1", "udp://127.0.0.1:1", "tcp://::1:5", "tcp://127.0.0.1", "tcp://127.0.0.1:x", "tcp://127.0.0.1:70000", "tcp://*:5", "tcp://h:0", "tcp://a:1;b:2", "ipc://"}
	for _, e := range good {
		if err := (Config{Type: SUB, Connect: []string{e}}).Default().Validate(); err != nil {
			t.Errorf("%s: %v", e, err)
		}
	}
	for _, e := range bad {
		if err := (Config{Type: SUB, Connect: []string{e}}).Default().Validate(); err == nil {
			t.Errorf("%q is taken", e)
		}
	}
	for _, e := range []string{"tcp://*:*", "tcp://*:0", "tcp://[::]:5"} {
		if err := (Config{Type: SUB, Bind: []string{e}}).Default().Validate(); err != nil {
			t.Errorf("%s: %v", e, err)
		}
	}
}

func TestZ85(t *testing.T) {
	// RFC 32 and libzmq's manual.
	k, err := ParseKey("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7")
	if err != nil {
		t.Fatal(err)
	}
	if k.String() != "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7" {
		t.Error(k)
	}
	s, err := ParseSecret("JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6")
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(s)+fmt.Sprintf("%#v", s) != "(secret key)(secret key)" {
		t.Error("a secret key prints")
	}
	for _, bad := range []string{"", "x", strings.Repeat("#", 40), strings.Repeat("~", 40), strings.Repeat("0", 41)} {
		if _, err := ParseKey(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestHeartbeat: a peer that does not answer is given up; one that does is not.
func TestHeartbeat(t *testing.T) {
	ev := &events{}
	cfg := Config{Type: XPUB, Bind: []string{"tcp://127.0.0.1:0"}, Heartbeat: time.Second}
	s, bound, _ := run(t, cfg, Hooks{Monitor: ev.add})
	run(t, Config{Type: SUB, Connect: bound}, Hooks{})
	testenv.Eventually(t, aim, "the living", func() bool { return s.Peers() == 1 })
	rawPeer(t, bound[0], rawGreeting(1, mechNull), rawReady(SUB))
	testenv.Eventually(t, aim, "the silent one gone", func() bool { return ev.has(Gone, ErrSilent) })
	if s.Peers() != 1 || ev.count(Gone) != 1 {
		t.Errorf("%d peers, %v", s.Peers(), ev.all)
	}
}
