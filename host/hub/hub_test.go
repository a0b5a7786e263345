package hub

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/node"
)

func spec(t *testing.T) node.Spec {
	return node.Spec{
		Cluster: "test", Name: "hub", Dir: t.TempDir(),
		Bus: node.Bus{URL: "nats://127.0.0.1:0", User: "picket", Token: "let me in"},
	}
}

// start runs a hub and returns its URL, and how to end it.
func start(t *testing.T, s node.Spec) (string, func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	up, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- Run(ctx, s, Deps{Up: func(u string) { up <- u }}) }()
	select {
	case u := <-up:
		return u, func() error {
			cancel()
			return <-done
		}
	case err := <-done:
		cancel()
		t.Fatal(err)
		return "", nil
	}
}

func TestHubServesFriendsOnly(t *testing.T) {
	s := spec(t)
	url, end := start(t, s)
	nc, err := nats.Connect(url, nats.UserInfo("picket", "let me in"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, o := range []nats.Option{nats.UserInfo("picket", "wrong"), nats.UserInfo("", "")} {
		if c, err := nats.Connect(url, o); err == nil {
			c.Close()
			t.Error("a stranger came in")
		}
	}
	h, err := ledger.ReadHead(s.Dir)
	if err != nil || h.State != ledger.Ready || h.Role != Role {
		t.Errorf("ledger: %+v, %v", h, err)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if h, err = ledger.ReadHead(s.Dir); err != nil || h.State != ledger.Stopped {
		t.Errorf("ledger at the end: %+v, %v", h, err)
	}
}

// A hub that is started again listens on the same port, and its clients find it.
func TestHubComesBackOnItsPort(t *testing.T) {
	s := spec(t)
	url, end := start(t, s)
	back := make(chan struct{}, 1)
	nc, err := nats.Connect(url, nats.UserInfo("picket", "let me in"), nats.ReconnectWait(10*time.Millisecond), nats.MaxReconnects(-1),
		nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := end(); err != nil {
		t.Fatal(err)
	}
	s.Bus.URL = url
	_, end = start(t, s)
	select {
	case <-back:
	case <-time.After(30 * time.Second):
		t.Error("the client did not come back")
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
}

func TestHubErrors(t *testing.T) {
	ok := spec(t)
	url, end := start(t, ok)
	defer func() { _ = end() }()
	for name, change := range map[string]func(*node.Spec){
		"no user and password": func(s *node.Spec) { s.Bus.Token = "" },
		"want nats://":         func(s *node.Spec) { s.Bus.URL = "http://x:1" },
		"address already in":   func(s *node.Spec) { s.Bus.URL = url },
	} {
		s := spec(t)
		change(&s)
		if err := Run(t.Context(), s, Deps{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
