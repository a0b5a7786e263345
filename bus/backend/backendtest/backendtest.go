// Package backendtest is the kit that every bus backend passes: what
// bus/cluster and logs/ship may rely on, whatever carries their messages.
//
// A driver's test hands Run a way to open a bus and says in Features what the
// driver cannot do by its nature. The kit overwrites payloads after each
// handler returned, so a driver that shares its buffers is caught.
package backendtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/record"
)

// patience is how long the kit waits for what must happen.
const patience = time.Minute

// Options ask for a driver that is special in some way.
type Options struct {
	Events int // size of the queue of arrived events; 0: the driver's default
}

// Bus is one bus that the kit opened for one test.
type Bus struct {
	// New returns a driver for the node with this id. The kit runs it.
	New func(t testing.TB, id string, o Options) backend.Driver
	// Break cuts all connections to the bus, as its death does; the returned
	// function brings it back. nil where nothing can break.
	Break func(t testing.TB) (repair func())
}

// Features says what a driver can do.
type Features struct {
	Logs     bool // serves the Logs contract
	MaxTopic int  // longest topic in bytes that the kit may use; 0: 512
}

// Run runs the kit. open returns a new bus; it registers its clean-up with t.
func Run(t *testing.T, open func(testing.TB) Bus, f Features) {
	if f.MaxTopic == 0 {
		f.MaxTopic = 512
	}
	k := kit{open: open, f: f}
	t.Run("prefix", k.prefix)
	t.Run("bytes", k.anyBytes)
	t.Run("overlap", k.overlap)
	t.Run("echo", k.echo)
	t.Run("order", k.order)
	t.Run("unsubscribe", k.unsubscribe)
	t.Run("before-run", k.beforeRun)
	t.Run("slow-consumer", k.slowConsumer)
	t.Run("cancel", k.cancel)
	t.Run("drain", k.drain)
	t.Run("opaque", k.opaque)
	t.Run("reconnect", k.reconnect)
	t.Run("relay", k.relay)
	if f.Logs {
		t.Run("logs/ack", k.logsAck)
		t.Run("logs/several", k.logsSeveral)
		t.Run("logs/self", k.logsSelf)
		t.Run("logs/nobody", k.logsNobody)
		t.Run("logs/gone", k.logsGone)
		t.Run("logs/limit", k.logsLimit)
		t.Run("logs/blocked", k.logsBlocked)
		t.Run("logs/envelope", k.logsEnvelope)
	}
}

type kit struct {
	open func(testing.TB) Bus
	f    Features
}

// node is a running driver and what it has received.
type node struct {
	backend.Driver
	id   string
	stop func() // ends Run and waits for it

	mu   sync.Mutex
	got  []backend.Message // payloads copied
	when chan struct{}     // something arrived
	hold func(backend.Message)
}

func poison(b []byte) {
	for i := range b {
		b[i] = 0xdb
	}
}

// make returns a node that does not run yet.
func (b Bus) make(t testing.TB, id string, o Options) *node {
	n := &node{Driver: b.New(t, id, o), id: id, when: make(chan struct{}, 1), stop: func() {}}
	n.Receive(func(m backend.Message) {
		if n.hold != nil {
			n.hold(m)
		}
		c := m
		c.Payload = append([]byte(nil), m.Payload...)
		poison(m.Payload)
		n.mu.Lock()
		n.got = append(n.got, c)
		n.mu.Unlock()
		select {
		case n.when <- struct{}{}:
		default:
		}
	})
	return n
}

// start runs the node until the test ends.
func (n *node) start(t testing.TB) *node {
	n.stop = testenv.Run(t, n.Run)
	return n
}

// up makes a node that runs and has these subscriptions.
func (b Bus) up(t testing.TB, id string, prefixes ...string) *node {
	t.Helper()
	n := b.make(t, id, Options{}).start(t)
	for _, p := range prefixes {
		must(t, n.Subscribe(p))
	}
	n.flush(t)
	return n
}

func (n *node) flush(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Flush(ctx); err != nil {
		t.Fatalf("%s: flush: %v", n.id, err)
	}
}

func (n *node) pub(t testing.TB, topic, text string) {
	t.Helper()
	b := []byte(text)
	err := n.Publish(topic, "broker-bin-v1", b)
	poison(b)
	if err != nil {
		t.Fatalf("%s: publish to %q: %v", n.id, topic, err)
	}
}

func (n *node) messages() []backend.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]backend.Message(nil), n.got...)
}

// await waits until a message with this text arrived and returns all up to it, without it.
func (n *node) await(t testing.TB, text string) []backend.Message {
	t.Helper()
	limit := time.After(patience)
	for {
		all := n.messages()
		for i, m := range all {
			if string(m.Payload) == text {
				return all[:i]
			}
		}
		select {
		case <-n.when:
		case <-limit:
			t.Fatalf("%s: %q did not arrive; %d messages did", n.id, text, len(all))
		}
	}
}

func texts(ms []backend.Message) []string {
	var out []string
	for _, m := range ms {
		out = append(out, string(m.Payload))
	}
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func batch(producer string, seq uint64, payload string) *record.Batch {
	return &record.Batch{Producer: producer, Start: 1700000000_000000001, Seq: seq, Records: len(payload), Stream: "Conn::LOG", Path: "conn", Payload: []byte(payload)}
}

func text(i int) string { return fmt.Sprintf("message %d", i) }
