package backendtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/record"
)

// logger is a node that keeps what it is sent and acknowledges it.
type logger struct {
	*node
	name string
	mu   sync.Mutex
	got  []*record.Batch
}

func (b Bus) logger(t testing.TB, name string, write func(*record.Batch)) *logger {
	t.Helper()
	l := &logger{node: b.make(t, name, Options{}), name: name}
	must(t, l.Listen(name, func(bt *record.Batch) {
		if write != nil {
			write(bt)
		}
		l.mu.Lock()
		l.got = append(l.got, bt)
		l.mu.Unlock()
		if err := l.Ack(backend.Ack{Logger: name, Producer: bt.Producer, Start: bt.Start, Seq: bt.Seq}); err != nil && !errors.Is(err, backend.ErrClosed) {
			t.Errorf("ack: %v", err)
		}
	}))
	l.start(t)
	l.flush(t)
	return l
}

func (l *logger) batches() []*record.Batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*record.Batch(nil), l.got...)
}

// producer is a node that keeps its acks.
type producer struct {
	*node
	mu   sync.Mutex
	acks []backend.Ack
}

func (b Bus) producer(t testing.TB, name string) *producer {
	t.Helper()
	p := &producer{node: b.make(t, name, Options{})}
	must(t, p.Acks(name, func(a backend.Ack) {
		p.mu.Lock()
		p.acks = append(p.acks, a)
		p.mu.Unlock()
	}))
	p.start(t)
	p.flush(t)
	return p
}

func (p *producer) all() []backend.Ack {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]backend.Ack(nil), p.acks...)
}

func (p *producer) awaitAcks(t testing.TB, n int) []backend.Ack {
	t.Helper()
	testenv.Eventually(t, patience, fmt.Sprintf("%d acks for %s", n, p.id), func() bool { return len(p.all()) >= n })
	return p.all()
}

func (k kit) logsAck(t *testing.T) {
	const n = 50
	b := k.open(t)
	var written []uint64
	var mu sync.Mutex
	l := b.logger(t, "logger-1", func(bt *record.Batch) {
		time.Sleep(time.Millisecond) // the write
		mu.Lock()
		written = append(written, bt.Seq)
		mu.Unlock()
	})
	p, other := b.producer(t, "worker-1"), b.producer(t, "worker-10")
	for i := range n {
		must(t, p.Send("logger-1", batch("worker-1", uint64(i+1), text(i))))
	}
	for len(p.all()) < n {
		acks := p.awaitAcks(t, len(p.all())+1)
		mu.Lock()
		for _, a := range acks {
			if !slices.Contains(written, a.Seq) {
				t.Fatalf("batch %d acknowledged before it was written", a.Seq)
			}
		}
		mu.Unlock()
	}
	for i, a := range p.all() {
		want := backend.Ack{Logger: "logger-1", Producer: "worker-1", Start: 1700000000_000000001, Seq: uint64(i + 1)}
		if a != want {
			t.Errorf("ack %+v, want %+v", a, want)
		}
	}
	for i, bt := range l.batches() {
		if string(bt.Payload) != text(i) {
			t.Errorf("batch %d: %q", i, bt.Payload)
		}
	}
	if got := other.all(); len(got) != 0 {
		t.Errorf("another producer got %v", got)
	}
	must(t, l.Ack(backend.Ack{Logger: "logger-1", Producer: "worker-1", Start: 7, Seq: 8, Err: "disk full: no space"}))
	if a := p.awaitAcks(t, n+1)[n]; a.Err != "disk full: no space" || a.Start != 7 || a.Seq != 8 {
		t.Errorf("refused batch: %+v", a)
	}
}

func (k kit) logsSeveral(t *testing.T) {
	b := k.open(t)
	names := []string{"logger-1", "logger-10", "logger.2", "log * >", "日"}
	loggers := map[string]*logger{}
	for _, name := range names {
		loggers[name] = b.logger(t, name, nil)
	}
	producers := []*producer{b.producer(t, "worker-1"), b.producer(t, "worker.*"), b.producer(t, "w/ 3")}
	for i := range 20 {
		for _, name := range names {
			for _, p := range producers {
				must(t, p.Send(name, batch(p.id, uint64(i), name)))
			}
		}
	}
	for _, p := range producers {
		if got := p.awaitAcks(t, 20*len(names)); len(got) != 20*len(names) {
			t.Errorf("%s: %d acks", p.id, len(got))
		}
	}
	for name, l := range loggers {
		if got := l.batches(); len(got) != 20*len(producers) {
			t.Errorf("%s got %d batches", name, len(got))
		}
		for _, bt := range l.batches() {
			if string(bt.Payload) != name {
				t.Errorf("%s got a batch for %s", name, bt.Payload)
			}
		}
	}
}

func (k kit) logsSelf(t *testing.T) {
	b := k.open(t)
	both := &producer{node: b.make(t, "logger-1", Options{})}
	must(t, both.Acks("logger-1", func(a backend.Ack) {
		both.mu.Lock()
		both.acks = append(both.acks, a)
		both.mu.Unlock()
	}))
	must(t, both.Listen("logger-1", func(bt *record.Batch) {
		if err := both.Ack(backend.Ack{Logger: "logger-1", Producer: bt.Producer, Start: bt.Start, Seq: bt.Seq}); err != nil {
			t.Error(err)
		}
	}))
	both.start(t)
	both.flush(t)
	must(t, both.Send("logger-1", batch("logger-1", 1, "own record")))
	both.awaitAcks(t, 1)
}

func (k kit) logsNobody(t *testing.T) {
	b := k.open(t)
	p := b.producer(t, "worker-1")
	must(t, p.Send("logger-9", batch("worker-1", 3, "to nobody")))
	a := p.awaitAcks(t, 1)[0]
	want := backend.Ack{Logger: "logger-9", Producer: "worker-1", Start: 1700000000_000000001, Seq: 3, Err: backend.NoListener}
	if a != want {
		t.Errorf("ack %+v, want %+v", a, want)
	}
}

func (k kit) logsGone(t *testing.T) {
	b := k.open(t)
	l := b.logger(t, "logger-1", func(*record.Batch) { time.Sleep(time.Millisecond) })
	p := b.producer(t, "worker-1")
	for i := range 30 {
		must(t, p.Send("logger-1", batch("worker-1", uint64(i+1), "x")))
	}
	p.awaitAcks(t, 1)
	l.stop() // in good order: whatever reached it is written and acknowledged
	must(t, p.Send("logger-1", batch("worker-1", 31, "x")))
	acks := p.awaitAcks(t, 31)
	for _, a := range acks {
		if a.Seq <= uint64(len(l.batches())) && a.Err != "" || a.Seq == 31 && a.Err != backend.NoListener {
			t.Errorf("%d batches were written; ack %+v", len(l.batches()), a)
		}
	}
	b.logger(t, "logger-1", nil)
	must(t, p.Send("logger-1", batch("worker-1", 32, "x")))
	if a := p.awaitAcks(t, 32)[31]; a.Seq != 32 || a.Err != "" {
		t.Errorf("after the logger came back: %+v", a)
	}
}

func (k kit) logsLimit(t *testing.T) {
	b := k.open(t)
	l := b.logger(t, "logger-1", nil)
	p := b.producer(t, "worker-1")
	n := p.Limit()
	if n < 256<<10 {
		t.Fatalf("limit %d is below one batch of 256 KiB", n)
	}
	must(t, p.Send("logger-1", batch("worker-1", 1, strings.Repeat("x", n))))
	if err := p.Send("logger-1", batch("worker-1", 2, strings.Repeat("x", n+1))); !errors.Is(err, backend.ErrTooLarge) {
		t.Errorf("a batch above the limit: %v", err)
	}
	p.awaitAcks(t, 1)
	if got := l.batches(); len(got) != 1 || len(got[0].Payload) != n {
		t.Errorf("the batch at the limit did not arrive whole")
	}
}

// logsBlocked: a logger whose disk hangs holds up neither events nor other loggers,
// and loses nothing of what credit allows.
func (k kit) logsBlocked(t *testing.T) {
	const n = 64
	b := k.open(t)
	release := make(chan struct{})
	stuck := b.logger(t, "stuck", func(*record.Batch) { <-release })
	must(t, stuck.Subscribe("ping"))
	stuck.flush(t)
	b.logger(t, "good", nil)
	p := b.producer(t, "worker-1")
	for i := range n {
		must(t, p.Send("stuck", batch("worker-1", uint64(i), strings.Repeat("y", 128<<10))))
	}
	for i := range n {
		must(t, p.Send("good", batch("worker-1", uint64(n+i), "x")))
	}
	p.awaitAcks(t, n)
	p.pub(t, "ping", "still there?")
	stuck.await(t, "still there?")
	close(release)
	p.awaitAcks(t, 2*n)
	if got := stuck.batches(); len(got) != n {
		t.Errorf("%d of %d batches", len(got), n)
	}
}

func (k kit) logsEnvelope(t *testing.T) {
	b := k.open(t)
	l := b.logger(t, "logger-1", nil)
	p := b.producer(t, "worker-1")
	want := []record.Batch{
		{Producer: "worker-1", Start: 1<<64 - 1, Seq: 1<<64 - 1, Records: 1000, Stream: "DNS::LOG", Path: "dns", Payload: []byte{0, 1, 2, 255}},
		{Producer: "worker-1", Start: 0, Seq: 0, Records: 0, Stream: "", Path: "", Payload: []byte{}},
		{Producer: "worker-1", Start: 1, Seq: 2, Records: 3, Stream: "a:b\r\nc", Path: " x/y \x00é\xff%", Payload: []byte("x")},
	}
	for i := range want {
		c := want[i]
		must(t, p.Send("logger-1", &c))
	}
	p.awaitAcks(t, len(want))
	for i, got := range l.batches() {
		w := want[i]
		if got.Producer != w.Producer || got.Start != w.Start || got.Seq != w.Seq || got.Records != w.Records ||
			got.Stream != w.Stream || got.Path != w.Path || string(got.Payload) != string(w.Payload) {
			t.Errorf("got %+v, want %+v", *got, w)
		}
	}
}
