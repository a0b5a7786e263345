package bridge

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/zeromq"
	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

func newKeys(t testing.TB) zeromq.Keys {
	pair := func() (string, string) {
		p, s, err := zmtp.NewKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return p.String(), s.Text()
	}
	var k zeromq.Keys
	k.ServerPublic, k.ServerSecret = pair()
	k.ClientPublic, k.ClientSecret = pair()
	return k
}

// TestCurve: with keys all of it is encrypted: events, hellos, batches. Who has other
// keys is nobody.
func TestCurve(t *testing.T) {
	w := newTown(t, "nats")
	w.keys = newKeys(t)
	h := w.host("1", Logger{"logger-1", []string{freePort(t)}})
	m, n := w.node("manager"), w.node("logger-1")
	got := make(chan *record.Batch, 10)
	if err := n.driver.Listen("logger-1", func(b *record.Batch) {
		got <- b
		if err := n.driver.Ack(backend.Ack{Logger: "logger-1", Producer: b.Producer, Start: b.Start, Seq: b.Seq}); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	a := w.zeek(h, "zeek-a")
	m.want(t, "manager", "+logger-1", "+zeek-a")
	a.want(t, "zeek-a", "+manager", "+logger-1")
	if err := a.Acks("zeek-a", func(backend.Ack) {}); err != nil {
		t.Fatal(err)
	}
	schema := record.New("Cluster::LOG", "cluster", record.Of("node", value.KindString))
	var e record.Encoder
	e.Reset(schema)
	if err := e.Append([]value.Value{value.String("x")}); err != nil {
		t.Fatal(err)
	}
	if err := a.Send("logger-1", &record.Batch{Producer: "zeek-a", Start: 1, Seq: 1, Records: 1, Stream: "Cluster::LOG", Path: "cluster", Payload: e.Finish()}); err != nil {
		t.Fatal(err)
	}
	select {
	case b := <-got:
		if b.Path != "cluster" || b.Records != 1 || b.Producer != "hub-1" {
			t.Errorf("%+v", b)
		}
	case <-time.After(aim):
		t.Fatal("no batch")
	}
	stranger, err := zeromq.New(zeromq.Config{Name: "zeek-b", ID: zeekID("zeek-b"), ConnectXPUB: h.xsub, ConnectXSUB: h.xpub, Keys: newKeys(t)}, zeromq.Deps{Codec: w.codec})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = stranger.Run(ctx) // it tries again and again
	}()
	testenv.Eventually(t, aim, "trouble", func() bool { return stranger.Status().Trouble != "" })
	time.Sleep(500 * time.Millisecond)
	cancel()
	<-done
	if s := stranger.Status(); s.Connected || s.Reconnects > 0 || s.Trouble == "" {
		t.Errorf("a stranger: %+v", s)
	}
	if got := m.seen(); len(got) > 0 {
		t.Errorf("the manager saw %q", got)
	}
}
