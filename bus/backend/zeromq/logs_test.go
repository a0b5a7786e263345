package zeromq

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/internal/libzmqtest"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/record"
)

// ackBox gathers acknowledgements.
type ackBox struct {
	mu  sync.Mutex
	all []backend.Ack
}

func (b *ackBox) take(a backend.Ack) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, a)
}

func (b *ackBox) list() []backend.Ack {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.all)
}

func producerNode(t testing.TB, h *hub, to ...Logger) (*node, *ackBox) {
	t.Helper()
	n := startNode(t, Config{Name: "worker-1", ID: zid("worker-1", "N1"), ConnectXPUB: h.cfg.XSUB[0], ConnectXSUB: h.cfg.XPUB[0], Loggers: to}, nil)
	b := &ackBox{}
	if err := n.Acks("worker-1", b.take); err != nil {
		t.Fatal(err)
	}
	n.flush(t)
	return n, b
}

func numbered(i int) *record.Batch {
	return &record.Batch{Producer: "worker-1", Start: 5, Seq: uint64(i), Records: 1, Stream: "S::LOG", Path: "s", Payload: []byte(fmt.Sprint(i))}
}

// TestToZeekLogger: a libzmq PULL gets exactly a Zeek worker's four frames, and a
// batch counts as handed over when it left, never as written.
func TestToZeekLogger(t *testing.T) {
	h := startHub(t, Keys{})
	lib := libzmqtest.Start(t)
	lib.Socket("pull", "PULL", nil)
	n, acks := producerNode(t, h, Logger{"logger-1", lib.Bind("pull", "tcp://127.0.0.1:*")})
	for i := range 10 {
		if err := n.Send("logger-1", numbered(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	for i, m := range lib.Recv("pull", 10) {
		want := [][]byte{[]byte("log-write"), []byte(n.cfg.ID), []byte("zeek-bin-serializer"), []byte(fmt.Sprint(i + 1))}
		if !slices.EqualFunc(m, want, bytes.Equal) {
			t.Errorf("got %q, want %q", m, want)
		}
	}
	testenv.Eventually(t, aim, "answers", func() bool { return len(acks.list()) == 10 })
	for i, a := range acks.list() {
		if want := (backend.Ack{Logger: "logger-1", Producer: "worker-1", Start: 5, Seq: uint64(i + 1), Unconfirmed: true}); a != want {
			t.Errorf("ack %+v, want %+v", a, want)
		}
	}
	lib.Kill()
	testenv.Eventually(t, aim, "nobody listens", func() bool {
		before := len(acks.list())
		if err := n.Send("logger-1", numbered(99)); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, aim, "an answer", func() bool { return len(acks.list()) > before })
		return acks.list()[before].Err == backend.NoListener
	})
}

// TestForeign: what waits for a logger that turns out to be a real Zeek's is given
// back, so that its sender can ask whether it fits; from then on it is sent.
func TestForeign(t *testing.T) {
	h := startHub(t, Keys{})
	lib := libzmqtest.Start(t)
	lib.Socket("pull", "PULL", nil)
	n, err := New(Config{Name: "worker-1", ID: zid("worker-1", "N1"), ConnectXPUB: h.cfg.XSUB[0], ConnectXSUB: h.cfg.XPUB[0], GiveBack: true, Loggers: []Logger{{"logger-1", lib.Bind("pull", "tcp://127.0.0.1:*")}}}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	acks := &ackBox{}
	if err := n.Acks("worker-1", acks.take); err != nil {
		t.Fatal(err)
	}
	if err := n.Send("logger-1", numbered(1)); err != nil {
		t.Fatal(err)
	}
	if n.Foreign("logger-1") || n.Foreign("logger-2") {
		t.Error("known before anybody could know")
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- n.Run(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	testenv.Eventually(t, aim, "an answer", func() bool { return len(acks.list()) == 1 })
	if a := acks.list()[0]; a.Seq != 1 || a.Err != backend.NoListener {
		t.Errorf("%+v", a)
	}
	testenv.Eventually(t, aim, "it is found out", func() bool { return n.Foreign("logger-1") })
	if err := n.Send("logger-1", numbered(2)); err != nil {
		t.Fatal(err)
	}
	if m := lib.Recv("pull", 1)[0]; string(m[3]) != "2" {
		t.Errorf("got %q", m)
	}
	testenv.Eventually(t, aim, "an answer", func() bool { return len(acks.list()) == 2 })
	if a := acks.list()[1]; a.Seq != 2 || !a.Unconfirmed {
		t.Errorf("%+v", a)
	}
}

// TestFromZeekWorker: what real workers sent arrives whole, in order, from a
// libzmq PUSH, with what the header says in the envelope, and no number.
func TestFromZeekWorker(t *testing.T) {
	for _, keys := range []Keys{{}, newKeys(t)} {
		h := startHub(t, keys)
		at := fmt.Sprintf("tcp://127.0.0.1:%d", testenv.Ports(t, 1))
		l := startNode(t, Config{Name: "logger-1", ID: zid("logger-1", "N1"), ConnectXPUB: h.cfg.XSUB[0], ConnectXSUB: h.cfg.XPUB[0], ListenLog: []string{at}, Keys: keys}, nil)
		var mu sync.Mutex
		var got []*record.Batch
		if err := l.Listen("logger-1", func(b *record.Batch) {
			mu.Lock()
			got = append(got, b)
			mu.Unlock()
		}); err != nil {
			t.Fatal(err)
		}
		lib := libzmqtest.Start(t)
		opts := map[string]any{}
		if keys != (Keys{}) {
			opts = map[string]any{"CURVE_SERVERKEY": keys.ServerPublic, "CURVE_PUBLICKEY": keys.ClientPublic, "CURVE_SECRETKEY": keys.ClientSecret}
		}
		lib.Socket("push", "PUSH", opts)
		lib.Connect("push", at)
		frames := testenv.Frames(t, testenv.Shared(t, "golden", "log-batches", "wikipedia", "batches.jsonl"))
		lib.Send("push", []byte("log-write"), []byte("id"), []byte("ZEEK_BIN_V1"), frames[0][3]) // wrong serializer
		lib.Send("push", frames[0][:3]...)
		lib.Send("push", []byte("log-write"), []byte("id"), []byte(zeekBin), frames[0][3][:50]) // cut
		for _, f := range frames {
			lib.Send("push", f...)
		}
		testenv.Eventually(t, aim, "all batches", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == len(frames) })
		for i, b := range got {
			c, err := record.Open(frames[i][3])
			if err != nil {
				t.Fatal(err)
			}
			if b.Producer != "worker-1" || b.Seq != 0 || b.Records != c.Records() || b.Stream != c.Schema().Stream || b.Path != c.Schema().Path || !bytes.Equal(b.Payload, frames[i][3]) {
				t.Errorf("batch %d: %s %s %s, %d records, %d bytes", i, b.Producer, b.Stream, b.Path, b.Records, len(b.Payload))
			}
		}
		if n := l.Status().Dropped[backend.DropBad]; n != 3 {
			t.Errorf("%d bad batches, want 3", n)
		}
		if err := l.Ack(backend.Ack{Producer: "worker-1"}); err != nil {
			t.Error(err) // real Zeek is told nothing
		}
	}
}

// TestLoggerEnds: a logger that ends in order says which batches it took; the others
// are free for another logger. One that is killed says nothing, and nothing is made
// up.
func TestLoggerEnds(t *testing.T) {
	h := startHub(t, Keys{})
	dir := t.TempDir()
	at := Logger{"logger-1", "ipc://" + filepath.Join(dir, "l")}
	l := startNode(t, Config{Name: "logger-1", ID: zid("logger-1", "N1"), ConnectXPUB: h.cfg.XSUB[0], ConnectXSUB: h.cfg.XPUB[0], ListenLog: []string{at.Endpoint}}, nil)
	var mu sync.Mutex
	written := map[uint64]bool{}
	if err := l.Listen("logger-1", func(b *record.Batch) {
		time.Sleep(200 * time.Microsecond)
		mu.Lock()
		written[b.Seq] = true
		mu.Unlock()
		if err := l.Ack(backend.Ack{Logger: "logger-1", Producer: b.Producer, Start: b.Start, Seq: b.Seq}); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	n, acks := producerNode(t, h, at)
	const all = 2000
	var full int
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range all {
			for n.Send("logger-1", numbered(i+1)) != nil {
				full++
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	testenv.Eventually(t, aim, "some are written", func() bool { return len(acks.list()) > 100 })
	l.stop()
	<-done
	testenv.Eventually(t, aim, "an answer for each", func() bool { return len(acks.list()) == all })
	ok := 0
	for _, a := range acks.list() {
		switch {
		case a.Err == "" && written[a.Seq]:
			ok++
		case a.Err == backend.NoListener && !written[a.Seq]:
		default:
			t.Fatalf("batch %d, written %v: %+v", a.Seq, written[a.Seq], a)
		}
	}
	if ok != len(written) || ok == all || full != int(n.Status().Dropped[backend.DropFull]) {
		t.Errorf("%d acknowledged, %d written of %d; %d times full", ok, len(written), all, full)
	}
}

// TestBrokerAway: batches and their answers need no broker.
func TestBrokerAway(t *testing.T) {
	h := startHub(t, Keys{})
	at := Logger{"logger-1", "ipc://" + filepath.Join(t.TempDir(), "l")}
	l := startNode(t, Config{Name: "logger-1", ID: zid("logger-1", "N1"), ConnectXPUB: h.cfg.XSUB[0], ConnectXSUB: h.cfg.XPUB[0], ListenLog: []string{at.Endpoint}}, nil)
	if err := l.Listen("logger-1", func(b *record.Batch) {
		if err := l.Ack(backend.Ack{Logger: "logger-1", Producer: b.Producer, Start: b.Start, Seq: b.Seq}); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	n, acks := producerNode(t, h, at)
	h.stop()
	testenv.Eventually(t, aim, "the broker is missed", func() bool { return !n.Status().Connected })
	for i := range 20 {
		if err := n.Send("logger-1", numbered(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Eventually(t, aim, "answers", func() bool { return len(acks.list()) == 20 })
	if a := acks.list()[19]; a.Err != "" || a.Unconfirmed {
		t.Errorf("%+v", a)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := n.Flush(ctx); err == nil || !strings.Contains(err.Error(), "not connected") {
		t.Errorf("flush: %v", err)
	}
}
