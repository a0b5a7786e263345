package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend/zeromq/broker"
	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/internal/testenv"
)

func TestBrokerKeys(t *testing.T) {
	dir := t.TempDir()
	if err := writeCurveKeys(dir, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := writeCurveKeys(dir, io.Discard); err == nil || !strings.Contains(err.Error(), "existing keys are not replaced") {
		t.Errorf("keys made twice: %v", err)
	}
	none := func(string) string { return "" }
	k, err := curveKeys(dir, none)
	if err != nil || !k.Server || len(k.Clients) != 1 {
		t.Fatalf("%+v, %v", k, err)
	}
	env := func(vars map[string]string) func(string) string { return func(n string) string { return vars[n] } }
	good := map[string]string{envServerSecret: k.Secret.Text(), envClientPublic: k.Clients[0].String()}
	if e, err := curveKeys("", env(good)); err != nil || e.Secret != k.Secret {
		t.Errorf("from the environment: %v", err)
	}
	if e, err := curveKeys("", none); e != nil || err != nil {
		t.Errorf("without keys: %v, %v", e, err)
	}
	for _, c := range []struct {
		dir  string
		vars map[string]string
		says string
	}{
		{dir, good, "unset " + envServerSecret},
		{t.TempDir(), nil, "--new-keys"},
		{"", map[string]string{envServerSecret: k.Secret.Text()}, "needs both"},
		{"", map[string]string{envServerSecret: "short", envClientPublic: good[envClientPublic]}, envServerSecret + ": secret key of 5 characters"},
		{"", map[string]string{envServerSecret: good[envServerSecret], envClientPublic: "short"}, `key "short"`},
	} {
		if _, err := curveKeys(c.dir, env(c.vars)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want it to say %q", err, c.says)
		} else if strings.Contains(err.Error(), k.Secret.Text()) {
			t.Error("the message tells the secret key")
		}
	}
}

// TestBrokerStatistics runs the broker as the command does, with a node on it.
func TestBrokerStatistics(t *testing.T) {
	b, err := broker.New(broker.Config{XPUB: []string{"tcp://127.0.0.1:0"}, XSUB: []string{"tcp://127.0.0.1:0"}}, broker.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	xpub, _, err := b.Listen()
	if err != nil {
		t.Fatal(err)
	}
	sub, err := zmtp.New(zmtp.Config{Type: zmtp.SUB, Connect: xpub}, zmtp.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	sub.Subscribe("a")
	testenv.Run(t, sub.Run)
	done := make(chan error, 1)
	out := &testenv.Output{}
	brokerCtx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		done <- runBroker(brokerCtx, b, false, true, 10*time.Millisecond, slog.New(slog.DiscardHandler), out)
	}()
	for end := time.Now().Add(patience); b.Status().Proxy.BackendMessagesReceived == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the subscription does not come")
		}
	}
	lines := strings.Count(out.String(), "\n")
	for end := time.Now().Add(patience); strings.Count(out.String(), "\n") < lines+2 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	all := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(all) < 2 {
		t.Fatalf("%d lines", len(all))
	}
	seen := false
	for _, line := range all {
		var s brokerStats
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		seen = seen || s.Topics == 1 && len(s.Peers) == 1 && s.Peers[0].Side == "xpub" && s.Peers[0].Subscriptions == 1
	}
	if !seen {
		t.Errorf("no line shows the subscriber:\n%s", out.String())
	}
}

// TestBrokerMetrics: the broker's numbers are there under Zeek's names.
func TestBrokerMetrics(t *testing.T) {
	b, err := broker.New(broker.Config{XPUB: []string{"tcp://127.0.0.1:0"}, XSUB: []string{"tcp://127.0.0.1:0"}}, broker.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	shut, err := brokerMetrics("127.0.0.1:0", b, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer shut()
	_, url, _ := strings.Cut(strings.TrimSpace(log.String()), "url=")
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, side := range []string{"frontend", "backend"} {
		for _, what := range []string{"messages_received", "bytes_received", "messages_sent", "bytes_sent"} {
			if line := "zeek_cluster_zeromq_proxy_" + side + "_" + what + "_total{node=\"broker\"} 0\n"; !strings.Contains(string(text), line) {
				t.Errorf("no line %s", line)
			}
		}
	}
	if t.Failed() {
		t.Logf("%s", text)
	}
	if _, err := brokerMetrics(strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/metrics"), b, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "is taken") {
		t.Errorf("the same address again: %v", err)
	}
}

func TestBrokerLogIsBounded(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	l := &brokerLog{log: slog.New(slog.NewTextHandler(&out, nil)), now: func() time.Time { return now }}
	for range 500 {
		l.event(broker.XPUB, zmtp.Event{Kind: zmtp.Failed, Remote: "x", Err: zmtp.ErrProtocol})
	}
	now = now.Add(time.Second)
	l.event(broker.XSUB, zmtp.Event{Kind: zmtp.Connected})
	if n := strings.Count(out.String(), "\n"); n != brokerLinesPerSecond+2 || !strings.Contains(out.String(), "lines=480") {
		t.Errorf("%d lines: %s", n, out.String())
	}
}

func TestOnlyLocal(t *testing.T) {
	for e, want := range map[string]bool{"tcp://127.0.0.1:5": true, "tcp://[::1]:5": true, "ipc:///x": true, "tcp://0.0.0.0:5": false, "tcp://[::]:5": false, "tcp://10.0.0.1:5": false} {
		if onlyLocal(e) != want {
			t.Errorf("%s: %v", e, !want)
		}
	}
}
