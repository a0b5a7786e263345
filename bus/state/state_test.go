package state_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/mem"
	"github.com/picket-nsm/picket/bus/backend/nats"
	"github.com/picket-nsm/picket/bus/backend/nats/server"
	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/bus/state"
	"github.com/picket-nsm/picket/bus/state/statetest"
	"github.com/picket-nsm/picket/zeek/layout"
)

var proxies = []string{"proxy-1", "proxy-2", "proxy-3"}

func TestLocal(t *testing.T) {
	statetest.Run(t, func(*testing.T) statetest.Two {
		l := state.NewLocal(0)
		return statetest.Two{A: l, B: l}
	})
}

// running is what a test started; stop ends it and waits.
type running struct{ stop func() }

func run(t testing.TB, runs ...func(context.Context) error) running {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, r := range runs {
		wg.Go(func() {
			if err := r(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	stop := sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return running{stop}
}

func join(t testing.TB, d backend.Driver, name, id string, role layout.Role) *cluster.Cluster {
	c := cluster.New(cluster.Config{Name: name, ID: id, Role: role}, cluster.Deps{Events: d, Codec: brokerbin.New()})
	run(t, d.Run)
	run(t, c.Run)
	return c
}

func client(t testing.TB, d backend.Driver, name, id string) *state.Client {
	t.Helper()
	k, err := state.NewClient(state.ClientConfig{ID: id, Proxies: proxies, Resend: 20 * time.Millisecond, Now: time.Now}, join(t, d, name, id, layout.Worker))
	if err != nil {
		t.Fatal(err)
	}
	run(t, k.Run)
	return k
}

// lossy swallows a third of all events.
type lossy struct {
	backend.Driver
	mu sync.Mutex
	r  *rand.Rand
}

func (l *lossy) Publish(topic, codec string, payload []byte) error {
	l.mu.Lock()
	lost := l.r != nil && l.r.IntN(3) == 0
	l.mu.Unlock()
	if lost {
		return nil
	}
	return l.Driver.Publish(topic, codec, payload)
}

func open(t *testing.T, loses bool) statetest.Two {
	bus := mem.NewBus(mem.Config{Poison: true})
	end := func(id string) backend.Driver {
		l := &lossy{Driver: bus.Endpoint(id)}
		if loses {
			l.r = rand.New(rand.NewPCG(1, uint64(len(id))))
		}
		return l
	}
	for _, name := range proxies {
		o, err := state.NewOwner(state.OwnerConfig{Name: name, Dir: t.TempDir()}, join(t, end(name), name, name, layout.Proxy))
		if err != nil {
			t.Fatal(err)
		}
		run(t, o.Run)
	}
	a, b := client(t, end("w1"), "worker-1", "w1"), client(t, end("w2"), "worker-2", "w2")
	return statetest.Two{A: a, B: b, Settle: func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		for _, k := range []*state.Client{a, b} {
			if err := k.Wait(ctx); err != nil {
				t.Error(err)
			}
		}
	}}
}

func TestClient(t *testing.T) {
	statetest.Run(t, func(t *testing.T) statetest.Two { return open(t, false) })
}

// The same answers over a bus that loses every third event.
func TestClientLossyBus(t *testing.T) {
	statetest.Run(t, func(t *testing.T) statetest.Two { return open(t, true) })
}

func TestClientBounds(t *testing.T) {
	bus := mem.NewBus(mem.Config{})
	d := bus.Endpoint("w1")
	k, err := state.NewClient(state.ClientConfig{ID: "w1", Proxies: proxies, Outstanding: 10, Now: time.Now}, join(t, d, "worker-1", "w1", layout.Worker))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range 15 {
		k.Claim(state.Claim{Producer: "worker-1", Start: 1, Seq: uint64(i), Key: "k", TTL: 1}, func(ok bool) {
			if !ok {
				refused++
			}
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := k.Wait(ctx); err == nil {
		t.Error("nobody answers, but Wait is content")
	}
	if s := k.Status(); refused != 5 || s.Overflow != 5 || s.Waiting != 10 {
		t.Errorf("%d refused, %+v", refused, s)
	}
	if _, err := state.NewClient(state.ClientConfig{ID: "x"}, nil); err == nil {
		t.Error("a client without proxies")
	}
}

// TestMain is also the proxy that TestKilledProxy kills.
func TestMain(m *testing.M) {
	if os.Getenv("PICKET_TEST_PROXY") == "" {
		os.Exit(m.Run())
	}
	if err := proxy(os.Getenv("PICKET_TEST_PROXY"), os.Getenv("PICKET_TEST_DIR"), os.Getenv("PICKET_TEST_URL")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func proxy(name, dir, url string) error {
	id := cluster.NodeID("nats", name, "host", os.Getpid(), "N")
	d, err := connect(id, url)
	if err != nil {
		return err
	}
	c := cluster.New(cluster.Config{Name: name, ID: id, Role: layout.Proxy}, cluster.Deps{Events: d, Codec: brokerbin.New()})
	o, err := state.NewOwner(state.OwnerConfig{Name: name, Dir: dir}, c)
	if err != nil {
		return err
	}
	ctx := context.Background()
	go func() { _ = d.Run(ctx) }()
	go func() { _ = c.Run(ctx) }()
	return o.Run(ctx)
}

func connect(id, url string) (*nats.Conn, error) {
	return nats.New(nats.Config{Cluster: "c", ID: id, URL: url, User: "node", Password: "secret"}, func() int64 { return time.Now().UnixNano() })
}

// TestKilledProxy: proxies that are killed in the middle, time and again, give
// no key to two claims and no claim two answers.
func TestKilledProxy(t *testing.T) {
	s, err := server.Start(server.Options{Users: []server.User{{Name: "node", Password: "secret"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	dirs := map[string]string{}
	for _, name := range proxies {
		dirs[name] = t.TempDir()
	}
	start := func(name string) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PICKET_TEST_PROXY="+name, "PICKET_TEST_DIR="+dirs[name], "PICKET_TEST_URL="+s.URL())
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	live := map[string]*exec.Cmd{}
	for _, name := range proxies {
		live[name] = start(name)
	}
	t.Cleanup(func() {
		for _, c := range live {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	})
	var clients []*state.Client
	for i := range 2 {
		id := fmt.Sprint("w", i+1)
		d, err := connect(id, s.URL())
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, client(t, d, fmt.Sprint("worker-", i+1), id))
	}
	const keys, rounds = 300, 6
	granted, answers := map[string]string{}, map[string]bool{}
	check := func(id, key string) func(bool) {
		return func(ok bool) {
			if was, asked := answers[id]; asked && was != ok {
				t.Errorf("claim %s: %v, then %v", id, was, ok)
			}
			answers[id] = ok
			if !ok {
				return
			}
			if other := granted[key]; other != "" && other != id {
				t.Errorf("key %s: granted to %s and to %s", key, other, id)
			}
			granted[key] = id
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for round := range rounds {
		for n := range keys {
			for i, k := range clients {
				id, key := fmt.Sprintf("%d/%d/%d", i, round/2, n), fmt.Sprint("key ", round/2, n)
				// Every second round asks the same again.
				k.Claim(state.Claim{Producer: fmt.Sprint("worker-", i+1), Start: 1, Seq: uint64(round/2*keys + n), Key: key, TTL: 3600, Now: 1e9}, check(id, key))
			}
			if n == keys/2 {
				name := proxies[round%len(proxies)]
				_ = live[name].Process.Kill()
				_ = live[name].Wait()
				live[name] = start(name)
			}
		}
		for _, k := range clients {
			if err := k.Wait(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(granted) != keys*rounds/2 {
		t.Errorf("%d of %d keys granted", len(granted), keys*rounds/2)
	}
	t.Logf("%+v", clients[0].Status())
}

func BenchmarkClaim(b *testing.B) {
	l := state.NewLocal(0)
	for i := 0; b.Loop(); i++ {
		l.Claim(state.Claim{Producer: "worker-1", Start: 1, Seq: uint64(i), Key: "some weird 192.168.1.1", TTL: 86400, Now: 1e9}, func(bool) {})
	}
}
