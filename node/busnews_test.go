package node

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/policy/builtin"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// News wait until the worker's packets have come as far, though not for ever;
// what is none is dropped, and so is what comes when too many wait.
func TestBusNews(t *testing.T) {
	books, err := ledger.New("worker-1", "worker", 1)
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Unix(1000, 0)
	b := newBusNews(func() time.Time { return clock }, books)
	say := func(at float64, text string) {
		b.take([]value.Value{value.String("k"), value.Time(at), value.String(text)})
	}
	var got []string
	hear := func(n builtin.News) { got = append(got, fmt.Sprintf("%s %g %s", n.Kind, float64(n.At), n.Data)) }
	wants := func(want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
		got = nil
	}
	b.At(1, 10, 0, hear)
	wants()
	say(10, "a")
	say(12, "b")
	say(11, "c")
	b.At(1, 11, 0, hear)
	wants("k 10 a", "k 11 c")
	b.At(1, 11.5, 0, hear)
	b.Passed(1, hear)
	wants()
	b.At(1, 12, 0, hear)
	wants("k 12 b")

	say(99, "of a clock that is ahead")
	b.Passed(1, hear)
	wants()
	clock = clock.Add(2 * patientNews)
	b.Passed(1, hear)
	wants("k 99 of a clock that is ahead")

	b.take(nil)
	b.take([]value.Value{value.Count(1), value.Time(1), value.String("")})
	say(1, string(make([]byte, maxNewsData+1)))
	if n := b.dropped.Load(); n != 3 {
		t.Errorf("%d dropped, want 3", n)
	}
	for range maxNews + 5 {
		say(100, "x")
	}
	if n := b.dropped.Load(); n != 8 {
		t.Errorf("%d dropped, want 8", n)
	}
	b.Finish(hear)
	if len(got) != maxNews {
		t.Errorf("%d heard at the end, want %d", len(got), maxNews)
	}
}

func TestBegins(t *testing.T) {
	segment := func(from, to uint16, flags byte) *packet.Packet {
		b := make([]byte, 20)
		b[0], b[1], b[2], b[3], b[13] = byte(from>>8), byte(from), byte(to>>8), byte(to), flags
		return &packet.Packet{Proto: packet.TCP, Payload: b}
	}
	for _, x := range []struct {
		p    *packet.Packet
		want bool
	}{
		{segment(1000, 2000, 0x02), true},  // SYN
		{segment(1000, 2000, 0x12), false}, // its answer
		{segment(1000, 2000, 0x10), false},
		{segment(1000, 21, 0x10), false},
		{segment(21, 1000, 0x03), true},
		{&packet.Packet{Proto: packet.UDP, Payload: make([]byte, 20)}, false},
		{&packet.Packet{Proto: packet.TCP, Payload: make([]byte, 4)}, false},
	} {
		if got := begins(x.p); got != x.want {
			t.Errorf("%v: %v", x.p.Payload, got)
		}
	}
	said := func(from, to uint16, flags byte, text string) *packet.Packet {
		p := segment(from, to, flags)
		p.Payload[12] = 5 << 4
		p.Payload = append(p.Payload, text...)
		return p
	}
	for _, x := range []struct {
		p    *packet.Packet
		want bool
	}{
		{said(1000, 21, 0x18, "RETR x\r\n"), true},
		{said(1000, 21, 0x10, ""), false},
		{said(21, 1000, 0x18, "150 now\r\n"), false},
		{said(21, 1000, 0x11, ""), true},
		{said(21, 1000, 0x14, ""), true},
	} {
		if got := concludes(x.p); got != x.want {
			t.Errorf("%q: %v", x.p.Payload, got)
		}
	}
}
