package zmtp

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/libzmqtest"
	"github.com/picket-nsm/picket/internal/testenv"
)

// curveOptions are our keys as options of the libzmq socket on the other side.
func curveOptions(mine, theirs *Curve) map[string]any {
	if mine == nil {
		return nil
	}
	if theirs.Server {
		return map[string]any{"CURVE_SERVER": 1, "CURVE_SECRETKEY": theirs.Secret.Text(), "CURVE_PUBLICKEY": theirs.Secret.Public().String()}
	}
	return map[string]any{"CURVE_SERVERKEY": mine.Secret.Public().String(), "CURVE_SECRETKEY": theirs.Secret.Text(), "CURVE_PUBLICKEY": theirs.Secret.Public().String()}
}

func with(m map[string]any, k string, v any) map[string]any {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]any{}
	}
	m[k] = v
	return m
}

// events gathers what Monitor is told.
type events struct {
	mu  sync.Mutex
	all []Event
}

func (e *events) add(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

func (e *events) count(k EventKind) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, ev := range e.all {
		if ev.Kind == k {
			n++
		}
	}
	return n
}

func (e *events) has(k EventKind, err error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.all, func(ev Event) bool { return ev.Kind == k && errors.Is(ev.Err, err) })
}

// wishes gathers subscriptions as "+topic" and "-topic".
type wishes struct {
	mu  sync.Mutex
	all []string
}

func (w *wishes) add(_ *Peer, s Subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	sign := "-"
	if s.Subscribe {
		sign = "+"
	}
	w.all = append(w.all, sign+s.Topic)
}

func (w *wishes) want(t testing.TB, want ...string) {
	t.Helper()
	get := func() []string {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.Clone(w.all)
	}
	testenv.Eventually(t, aim, fmt.Sprint("subscriptions ", want), func() bool { return len(get()) >= len(want) })
	if got := get(); !slices.Equal(got, want) {
		t.Errorf("saw %q, want %q", got, want)
	}
}

// TestLibzmqPairs lets each kind of socket talk to libzmq's: both directions,
// both roles, with and without encryption.
func TestLibzmqPairs(t *testing.T) {
	py := libzmqtest.Start(t)
	pairs := []struct{ ours, theirs Type }{
		{PUB, SUB}, {PUB, XSUB}, {XPUB, SUB}, {XPUB, XSUB}, {PUSH, PULL},
		{SUB, PUB}, {SUB, XPUB}, {XSUB, PUB}, {XSUB, XPUB}, {PULL, PUSH},
	}
	n := 0
	for _, p := range pairs {
		for _, bind := range []bool{true, false} {
			for _, curve := range []string{"", "server", "client"} {
				n++
				id := fmt.Sprint("s", n)
				t.Run(fmt.Sprintf("%s-%s/bind=%v/curve=%s", p.ours, p.theirs, bind, curve), func(t *testing.T) {
					testLibzmqPair(t, py.For(t), id, p.ours, p.theirs, bind, curve)
				})
			}
		}
	}
}

func testLibzmqPair(t *testing.T, py *libzmqtest.Process, id string, ours, theirs Type, bind bool, curve string) {
	cfg := Config{Type: ours}
	var mine, other *Curve
	if curve != "" {
		server, client := testCurve(t)
		mine, other = server, client
		if curve == "client" {
			mine, other = client, server
		}
		cfg.Curve = mine
	}
	py.Socket(id, theirs.String(), curveOptions(mine, other))
	defer py.Close(id)
	box := make(inbox, 100)
	var s *Socket
	if bind {
		cfg.Bind = []string{"tcp://127.0.0.1:0"}
		var bound []string
		s, bound, _ = run(t, cfg, box.hooks())
		py.Connect(id, bound[0])
	} else {
		cfg.Connect = []string{py.Bind(id, "tcp://127.0.0.1:*")}
		s, _, _ = run(t, cfg, box.hooks())
	}
	testenv.Eventually(t, aim, "connection", func() bool { return s.Peers() == 1 })
	big := bytes.Repeat([]byte("0123456789abcdef"), 300<<10/16)
	messages := [][][]byte{
		{[]byte("a"), nil, []byte("x")},
		{[]byte("ab"), big, []byte("end")},
		{[]byte("a"), big[:255], big[:256], big[:257], {}},
	}
	same := func(got, want [][]byte) {
		t.Helper()
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("got %d parts, other than the %d sent", len(got), len(want))
		}
	}
	switch {
	case ours.publishes():
		py.Subscribe(id, theirs.String(), "a")
		// libzmq sends it when the socket is used and the connection is up for it, too.
		testenv.Eventually(t, aim, "subscription", func() bool { py.Poke(id); return s.Has("a") })
	case ours.subscribes():
		s.Subscribe("a")
		if theirs == XPUB {
			same(py.Recv(id, 1)[0], [][]byte{[]byte("\x01a")})
		} else {
			// libzmq's PUB does not tell; send until one comes through.
			for len(box) == 0 {
				py.Send(id, []byte("a probe"))
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	if ours == PUB || ours == XPUB || ours == PUSH {
		if err := s.Send([]byte("b")); err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if err := s.Send(m...); err != nil {
				t.Fatal(err)
			}
		}
		if ours == PUSH {
			messages = slices.Insert(messages, 0, [][]byte{[]byte("b")})
		}
		for i, got := range py.Recv(id, len(messages)) {
			same(got, messages[i])
		}
	} else {
		for _, m := range messages {
			py.Send(id, m...)
		}
		for _, want := range messages {
			got := box.take(t)
			for string(got[0]) == "a probe" {
				got = box.take(t)
			}
			same(got, want)
		}
	}
	switch {
	case ours.publishes():
		py.Unsubscribe(id, theirs.String(), "a")
		testenv.Eventually(t, aim, "removal", func() bool { py.Poke(id); return !s.Has("a") })
	case theirs == XPUB:
		s.Unsubscribe("a")
		same(py.Recv(id, 1)[0], [][]byte{[]byte("\x00a")})
	}
}

// TestLibzmqReconnect kills either side and lets it come back.
func TestLibzmqReconnect(t *testing.T) {
	endpoint := fmt.Sprintf("tcp://127.0.0.1:%d", testenv.Ports(t, 1))

	t.Run("we connect", func(t *testing.T) {
		box := make(inbox, 100)
		s, _, _ := run(t, Config{Type: XSUB, Connect: []string{endpoint}, RetryMax: 200 * time.Millisecond}, box.hooks())
		s.Subscribe("a")
		s.Subscribe("b")
		s.Unsubscribe("b")
		for range 3 {
			py := libzmqtest.Start(t)
			py.Socket("p", "XPUB", nil)
			py.Bind("p", endpoint)
			if got := py.Recv("p", 1)[0]; string(got[0]) != "\x01a" {
				t.Fatalf("replayed %q", got)
			}
			py.Send("p", []byte("a"), []byte("1"))
			box.take(t)
			py.Kill()
			testenv.Eventually(t, aim, "gone", func() bool { return s.Peers() == 0 })
		}
	})

	t.Run("they connect", func(t *testing.T) {
		py := libzmqtest.Start(t)
		for _, kind := range []string{"SUB", "XSUB"} {
			py.Socket(kind, kind, nil)
			py.Subscribe(kind, kind, "a")
			py.Connect(kind, endpoint)
			py.Subscribe(kind, kind, "b")
			py.Subscribe(kind, kind, "c")
			py.Unsubscribe(kind, kind, "c")
		}
		for range 3 {
			w := &wishes{}
			s, _, stop := run(t, Config{Type: XPUB, Bind: []string{endpoint}, Verboser: true}, Hooks{Subscription: w.add})
			testenv.Eventually(t, aim, "both, with both topics", func() bool {
				py.Poke("SUB")
				py.Poke("XSUB")
				n := 0
				for _, p := range s.Status().Peers {
					if p.Subscriptions == 2 {
						n++
					}
				}
				return n == 2
			})
			if err := s.Send([]byte("b"), []byte("1")); err != nil {
				t.Fatal(err)
			}
			py.Recv("SUB", 1)
			py.Recv("XSUB", 1)
			stop()
		}
	})

	t.Run("push keeps its queue", func(t *testing.T) {
		s, _, _ := run(t, Config{Type: PUSH, Connect: []string{endpoint}, Full: Refuse}, Hooks{})
		for i := range 100 {
			if err := s.Send([]byte(fmt.Sprint(i)), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		py := libzmqtest.Start(t)
		py.Socket("p", "PULL", nil)
		py.Bind("p", endpoint)
		for i, m := range py.Recv("p", 100) {
			if string(m[0]) != fmt.Sprint(i) {
				t.Fatalf("message %d is %s", i, m[0])
			}
		}
	})
}

// TestLibzmqHeartbeat: libzmq pings us between the frames of messages too, and
// ends the connection if we do not answer.
func TestLibzmqHeartbeat(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	py := libzmqtest.Start(t)
	box := make(inbox, 10000)
	ev := &events{}
	hooks := box.hooks()
	hooks.Monitor = ev.add
	_, bound, _ := run(t, Config{Type: PULL, Bind: []string{"tcp://127.0.0.1:0"}, Heartbeat: 2 * time.Second}, hooks)
	py.Socket("p", "PUSH", map[string]any{"HEARTBEAT_IVL": 20, "HEARTBEAT_TIMEOUT": 10000, "SNDHWM": 10000})
	py.Connect("p", bound[0])
	frames := make([][]byte, 100)
	for i := range frames {
		frames[i] = bytes.Repeat([]byte{byte(i)}, 1000)
	}
	py.SendMany("p", 300, frames...)
	for range 300 {
		if m := box.take(t); !slices.EqualFunc(m, frames, bytes.Equal) {
			t.Fatal("message differs")
		}
	}
	time.Sleep(11 * time.Second) // longer than it waits for an answer
	if ev.count(Connected) != 1 || ev.count(Gone) != 0 {
		t.Errorf("connection did not live through heartbeats: %v", ev.all)
	}
}

// TestLibzmqStopped: a stopped subscriber costs only itself, and gets whole
// messages when it goes on.
func TestLibzmqStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	slow, fast := libzmqtest.Start(t), libzmqtest.Start(t)
	var dropped int
	s, bound, _ := run(t, Config{Type: XPUB, Bind: []string{"tcp://127.0.0.1:0"}, Queue: 500}, Hooks{Dropped: func(*Peer, []byte) { dropped++ }})
	for _, p := range []*libzmqtest.Process{slow, fast} {
		p.Socket("s", "SUB", map[string]any{"RCVHWM": 1000})
		p.Connect("s", bound[0])
		p.Subscribe("s", "SUB", "a")
	}
	testenv.Eventually(t, aim, "both", func() bool {
		n := 0
		for _, p := range s.Status().Peers {
			n += p.Subscriptions
		}
		return n == 2
	})
	if err := syscall.Kill(slow.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 2000)
	const rounds, each = 100, 100
	var slowest time.Duration
	for range rounds {
		for range each {
			if err := s.Send([]byte("a"), body, body, body); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		fast.Recv("s", each)
		slowest = max(slowest, time.Since(start))
	}
	t.Logf("slowest %d messages: %s", each, slowest)
	if dropped == 0 {
		t.Error("nothing was dropped")
	}
	if err := syscall.Kill(slow.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	got, whole := slow.Drain("s", 4, 1000)
	if !whole || got+dropped != rounds*each {
		t.Errorf("got %d + dropped %d of %d, whole %v", got, dropped, rounds*each, whole)
	}
	if c := s.Status().Total(); c.Dropped != uint64(dropped) || c.Accepted != c.Sent {
		t.Errorf("counts %+v, dropped %d", c, dropped)
	}
}

// TestLibzmqWrongKeys: nobody gets in with wrong keys, in either role, and both
// sides say so.
func TestLibzmqWrongKeys(t *testing.T) {
	py := libzmqtest.Start(t)
	_, strangeSecret, err := NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	strange := strangeSecret.Public()
	cases := []struct {
		name   string
		server bool // we are
		spoil  func(mine, theirs *Curve, o map[string]any) map[string]any
		want   error
		failed bool // libzmq must report a failed login
	}{
		{"client that we do not know", true, func(_, _ *Curve, o map[string]any) map[string]any {
			o = with(o, "CURVE_SECRETKEY", strangeSecret.Text())
			return with(o, "CURVE_PUBLICKEY", strange.String())
		}, ErrUnknown, true},
		{"client with another server key", true, func(_, _ *Curve, o map[string]any) map[string]any {
			return with(o, "CURVE_SERVERKEY", strange.String())
		}, ErrKey, false},
		{"client without encryption", true, func(_, _ *Curve, o map[string]any) map[string]any { return nil }, ErrMechanism, false},
		{"server that has another key", false, func(mine, _ *Curve, o map[string]any) map[string]any {
			mine.ServerKey = strange
			return o
		}, nil, false},
		{"server without encryption", false, func(_, _ *Curve, o map[string]any) map[string]any { return nil }, nil, false},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			py := py.For(t)
			server, client := testCurve(t)
			mine, theirs := client, server
			if c.server {
				mine, theirs = server, client
			}
			o := c.spoil(mine, theirs, curveOptions(mine, theirs))
			id, mon := fmt.Sprint("k", i), fmt.Sprint("m", i)
			socket := map[string]any{"op": "socket", "id": id, "type": "PUSH", "opts": o, "linger": 0}
			if c.failed {
				socket["monitor"] = mon
			}
			py.Do(socket)
			defer py.Close(id)
			ev := &events{}
			cfg := Config{Type: PULL, Curve: mine, Bind: []string{"tcp://127.0.0.1:0"}}
			if !c.server {
				cfg.Bind, cfg.Connect = nil, []string{py.Bind(id, "tcp://127.0.0.1:*")}
			}
			box := make(inbox, 1)
			hooks := box.hooks()
			hooks.Monitor = ev.add
			s, bound, _ := run(t, cfg, hooks)
			if c.server {
				py.Connect(id, bound[0])
			}
			testenv.Eventually(t, aim, "failed handshake", func() bool { return ev.count(Failed) > 0 })
			if c.want != nil && !ev.has(Failed, c.want) {
				t.Errorf("events %v, want %v", ev.all, c.want)
			}
			if s.Peers() != 0 || ev.count(Connected) != 0 {
				t.Error("somebody got in")
			}
			if c.failed {
				seen := ""
				for !strings.Contains(seen, "\x00\x40") { // ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, little-endian
					a := py.Do(map[string]any{"op": "recv", "id": mon, "timeout": 5000})
					if a.Timeout {
						t.Fatalf("libzmq reported no failed login: %q", seen)
					}
					seen += string(a.Messages[0][0][:2]) + " "
				}
			}
		})
	}
}
