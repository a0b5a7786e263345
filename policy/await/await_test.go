package await

import (
	"testing"

	"github.com/picket-nsm/picket/traffic/packet"
)

// More connections than may be are refused until the old ones are too old.
func TestTable(t *testing.T) {
	table := New[int](100)
	now := packet.Time(1e9)
	for i := range 200 {
		if ok := table.Put(Endpoint{Port: uint16(i)}, i, now); ok != (i < 100) {
			t.Fatalf("connection %d: %v", i, ok)
		}
	}
	if !table.Full(now) {
		t.Error("there is room")
	}
	if !table.Put(Endpoint{Port: 5}, 6, now+5) {
		t.Error("one that is there already was refused")
	}
	if x, ok := table.Get(Endpoint{Port: 5}, now+6); !ok || x != 6 {
		t.Errorf("got %d, %t", x, ok)
	}
	if x, ok := table.Get(Endpoint{Port: 7}, now+299); !ok || x != 7 {
		t.Errorf("one was gone early, or is another: %d", x)
	}
	if x, ok := table.Get(Endpoint{Port: 8}, now+Patience); ok || x != 0 {
		t.Errorf("one that is too old is there: %d", x)
	}
	if !table.Put(Endpoint{Port: 1000}, 1, now+301) {
		t.Error("a new one was refused when the old ones were too old")
	}
	if n := table.Len(); n != 3 { // 5, 7, 1000
		t.Errorf("%d are left, want 3", n)
	}
	table.Forget(Endpoint{Port: 5})
	if _, ok := table.Get(Endpoint{Port: 5}, now+301); ok || table.Len() != 2 {
		t.Error("one that is over is still there")
	}
}

func TestNoLimit(t *testing.T) {
	table := New[int](0)
	for i := range 1000 {
		if !table.Put(Endpoint{Port: uint16(i)}, i, 1) {
			t.Fatalf("number %d was refused", i)
		}
	}
}

func TestEndpointInNews(t *testing.T) {
	e := Endpoint{packet.Addr{0: 0x20, 15: 9}, 0x1234}
	b := append(e.Append([]byte("e")), "rest"...)
	for n := range len(b) - 1 {
		got, rest, ok := ParseEndpoint(b[1 : 1+n])
		if want := n >= 18; ok != want {
			t.Errorf("%d bytes: %t", n, ok)
		} else if ok && (got != e || string(rest) != string(b[19:1+n])) {
			t.Errorf("%d bytes: %v, %q", n, got, rest)
		}
	}
}
