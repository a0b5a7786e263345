package nats

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/nats/server"
	"github.com/picket-nsm/picket/internal/testenv"
)

// run runs a connection until the test ends and waits until it is up.
func run(t testing.TB, c *Conn) *Conn {
	t.Helper()
	testenv.Run(t, c.Run)
	flush(t, c)
	return c
}

func flush(t testing.TB, c *Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Flush(ctx); err != nil {
		t.Fatalf("%s: %v", c.cfg.ID, err)
	}
}

// TestDeliveries counts what the server sends: an event for one node must not
// cost the other 127 anything. docs/adr/0001-topics-on-nats.md quotes it.
func TestDeliveries(t *testing.T) {
	s, err := server.Start(server.Options{Users: users})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	at := Config{URL: s.URL(), User: "node", Password: "secret"}
	const nodes = 128
	var all []*Conn
	for i := range nodes {
		role := []string{"worker", "worker", "worker", "worker", "worker", "worker", "proxy", "logger"}[i%8]
		name := fmt.Sprintf("%s-%d", role, i)
		at.ID = fmt.Sprintf("nats_%s_sensor7_%d_N%016x", name, 4000+i, i*7919)
		c := newConn(t, at)
		c.Receive(func(backend.Message) {})
		run(t, c)
		for _, p := range []string{"zeek/table/", "zeek.cluster.pool." + role, "zeek.cluster." + role, "zeek.cluster.nodeid." + at.ID + ".", "zeek.cluster.node." + name + "."} {
			if err := c.Subscribe(p); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, c)
	}
	at.ID = "nats_manager_1"
	manager := run(t, newConn(t, at))
	before, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d subscriptions for %d nodes", before.Subscriptions, nodes)
	for _, c := range []struct {
		topic string
		want  int64 // nodes that want it
		max   int64 // deliveries allowed
	}{
		{"zeek.cluster.node.worker-1.", 1, 2},
		{"zeek.cluster.node.worker-100.", 1, 2},
		{"zeek.cluster.node.worker-100.more", 1, 2},
		{"zeek.cluster.nodeid." + all[64].cfg.ID + ".", 1, 2},
		{"zeek.cluster.node.absent.", 0, 2},
		{"zeek.cluster.worker", 96, 96},
		{"zeek.cluster.worker-foo", 96, 96},
		{"zeek.cluster.pool.proxy", 16, 16},
		{"zeek.cluster.manager", 0, 2},
		{"zeek.zeromq.internal.x.1.", 0, 2},
		{"zeek/table/Known::hosts/", 128, 128},
	} {
		was, wasGiven := stats(t, s), given(all)
		const n = 10
		for range n {
			if err := manager.Publish(c.topic, "broker-bin-v1", make([]byte, 200)); err != nil {
				t.Fatal(err)
			}
		}
		flush(t, manager)
		for _, o := range all {
			flush(t, o) // a round trip: what the server sent before has arrived
		}
		deadline := time.Now().Add(time.Minute)
		for given(all)-wasGiven < uint64(n*c.want) && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		got, ours := stats(t, s)-was, given(all)-wasGiven
		t.Logf("%-60s %4d deliveries an event, %d of them wanted", c.topic, got/n, c.want)
		if got > n*c.max {
			t.Errorf("%s: %d deliveries for %d events", c.topic, got, n)
		}
		if ours != uint64(n*c.want) {
			t.Errorf("%s: handled %d times, want %d", c.topic, ours, n*c.want)
		}
	}
}

func stats(t *testing.T, s *server.Server) int64 {
	st, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return st.OutMsgs
}

func given(all []*Conn) (n uint64) {
	for _, c := range all {
		n += c.Status().Delivered
	}
	return n
}

func TestRefused(t *testing.T) {
	s, err := server.Start(server.Options{Users: users, Port: testenv.Ports(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	for _, c := range []Config{{}, {User: "node", Password: "wrong"}, {Token: "secret"}} {
		c.ID, c.URL = "someone", s.URL()
		conn := newConn(t, c)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if err := conn.Run(ctx); !errors.Is(err, backend.ErrRefused) {
			t.Errorf("%+v: %v", c, err)
		}
		if err := conn.Flush(ctx); err == nil {
			t.Error("flush works")
		}
		cancel()
	}
	// A hub that came back with other passwords ends a node, it does not hang it.
	conn := newConn(t, Config{ID: "n", URL: s.URL(), User: "node", Password: "secret"})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := make(chan error)
	go func() { done <- conn.Run(ctx) }()
	flush(t, conn)
	s.Stop()
	again, err := server.Start(server.Options{Port: s.Port(), Users: []server.User{{Name: "node", Password: "new"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Stop()
	if err := <-done; !errors.Is(err, backend.ErrRefused) {
		t.Errorf("after the password changed: %v", err)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		c    Config
		want string
	}{
		{Config{}, "bus nats: wrong bus settings: node id \"\": must have 1 to 255 bytes"},
		{Config{ID: "a", User: "u"}, "bus nats: wrong bus settings: user u without a password"},
		{Config{ID: "a", Token: "t", Creds: "c"}, "bus nats: wrong bus settings: more than one of user, token and creds"},
		{Config{ID: "a", Cert: "c"}, "bus nats: wrong bus settings: cert and key go together"},
		{Config{ID: "a", URL: "localhost:1"}, "bus nats: wrong bus settings: url \"localhost:1\": want nats://host:port or tls://host:port"},
		{Config{ID: "a", CA: "/nonexistent/ca"}, "bus nats: wrong bus settings: stat /nonexistent/ca: no such file or directory"},
	} {
		if _, err := New(c.c, func() int64 { return 0 }); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v, want %s", c.c, err, c.want)
		}
	}
}
