package zeromq

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/backendtest"
	"github.com/picket-nsm/picket/bus/backend/zeromq/broker"
	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/internal/testenv"
)

// loggers are the names of loggers that the kit uses.
var loggers = []string{"logger-1", "logger-10", "logger.2", "log * >", "日", "stuck", "good"}

func TestKit(t *testing.T) {
	backendtest.Run(t, func(t testing.TB) backendtest.Bus { return open(t, Keys{}) }, backendtest.Features{Logs: true})
}

func TestKitCurve(t *testing.T) {
	if testing.Short() {
		t.Skip("the kit once more, encrypted")
	}
	backendtest.Run(t, func(t testing.TB) backendtest.Bus { return open(t, newKeys(t)) }, backendtest.Features{Logs: true})
}

func BenchmarkKit(b *testing.B) {
	backendtest.Bench(b, func(t testing.TB) backendtest.Bus { return open(t, Keys{}) })
}

func newKeys(t testing.TB) Keys {
	t.Helper()
	sp, ss, err := zmtp.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cp, cs, err := zmtp.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Keys{ServerPublic: sp.String(), ServerSecret: ss.Text(), ClientPublic: cp.String(), ClientSecret: cs.Text()}
}

// hub is a broker that can be stopped and started again.
type hub struct {
	cfg  broker.Config
	stop func()
}

func startHub(t testing.TB, keys Keys) *hub {
	t.Helper()
	curve, err := keys.Server()
	if err != nil {
		t.Fatal(err)
	}
	port := testenv.Ports(t, 2) // it comes back to them
	h := &hub{cfg: broker.Config{XPUB: []string{fmt.Sprintf("tcp://127.0.0.1:%d", port)}, XSUB: []string{fmt.Sprintf("tcp://127.0.0.1:%d", port+1)}, Curve: curve}}
	h.start(t)
	t.Cleanup(func() { h.stop() })
	return h
}

func (h *hub) start(t testing.TB) {
	b, err := broker.New(h.cfg, broker.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if h.cfg.XPUB, h.cfg.XSUB, err = b.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("broker: %v", err)
		}
	})
}

func open(t testing.TB, keys Keys) backendtest.Bus {
	h := startHub(t, keys)
	dir := t.TempDir()
	var at []Logger
	for i, name := range loggers {
		at = append(at, Logger{name, "ipc://" + filepath.Join(dir, fmt.Sprint(i))})
	}
	return backendtest.Bus{
		New: func(t testing.TB, id string, o backendtest.Options) backend.Driver {
			c, err := New(Config{
				ID: id, ConnectXPUB: h.cfg.XSUB[0], ConnectXSUB: h.cfg.XPUB[0], Keys: keys, Loggers: at, OnloopQueueHWM: o.Events,
			}, Deps{})
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		Break: func(t testing.TB) func() {
			h.stop()
			return func() { h.start(t) }
		},
	}
}
