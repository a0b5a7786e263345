package nats

import (
	"errors"
	"testing"

	"github.com/picket-nsm/picket/bus/backend"
)

// TestPacks: which events travel together, and when they may leave.
func TestPacks(t *testing.T) {
	var o packs
	o.init(10, 1<<20, 100, newSubjects("c"))
	put := func(topic string, size int) error {
		return o.put(topic, "id", "c", "", make([]byte, size), 1<<20)
	}
	next := uint64(100)
	must := func(n int, topic string) {
		t.Helper()
		p := o.take()
		if p.n != n || p.topic != topic || p.subject != "c.e."+topic+"._" {
			t.Fatalf("%d events to %s (%s) leave, want %d to %s", p.n, p.topic, p.subject, n, topic)
		}
		if num, _, _, _, _, _, err := cutFrame(p.data); num != next || err != nil {
			t.Fatalf("number %d, %v, want %d", num, err, next)
		}
		next += uint64(n)
		o.sent(p)
	}
	// Only the last message in the queue is joined: nothing overtakes.
	for _, s := range []string{"a", "a", "b", "a"} {
		if err := put(s, 10); err != nil {
			t.Fatal(err)
		}
	}
	must(2, "a")
	must(1, "b")
	must(1, "a")
	// A large event travels alone, and nothing joins it.
	for _, size := range []int{10, packSingle + 1, 10, 10} {
		if err := put("a", size); err != nil {
			t.Fatal(err)
		}
	}
	must(1, "a")
	must(1, "a")
	must(2, "a")
	// The queue is bounded in events, however they are packed.
	for i := range 12 {
		if err := put("a", 10); errors.Is(err, backend.ErrFull) != (i >= 10) {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	must(10, "a")
	if o.len() != 0 || o.bytes != 0 {
		t.Errorf("%d events, %d bytes are left", o.len(), o.bytes)
	}
	// While the server has not answered, one pack waits; a second one behind it lets it go.
	o.wait(true)
	left := make(chan *pack)
	go func() { left <- o.take() }()
	if err := put("a", 10); err != nil {
		t.Fatal(err)
	}
	select {
	case p := <-left:
		t.Fatalf("%d events left before the answer", p.n)
	default:
	}
	if err := put("b", 10); err != nil {
		t.Fatal(err)
	}
	if p := <-left; p.topic != "a" {
		t.Errorf("%s left", p.topic)
	}
	next++
	o.wait(false)
	must(1, "b")
	if n := o.taken(); n != next-100 {
		t.Errorf("%d taken, want %d", n, next-100)
	}
	o.close()
	if o.take() != nil || put("a", 1) == nil {
		t.Error("closed, and goes on")
	}
}

// TestInboxRoom: of a pack that does not fit, as many events are taken as do.
func TestInboxRoom(t *testing.T) {
	var b inbox
	b.init(3)
	p := packOf("1", "2", "3", "4", "5")
	if d := b.put(arrived{data: p.data[p.payload:], packed: true, n: 5}); d != 2 {
		t.Errorf("%d dropped", d)
	}
	if d := b.put(arrived{data: []byte("6"), n: 1}); d != 1 {
		t.Errorf("%d dropped when full", d)
	}
	b.close()
	var got string
	b.run(func(m backend.Message) { got += string(m.Payload) })
	if got != "123" {
		t.Errorf("got %s", got)
	}
}
