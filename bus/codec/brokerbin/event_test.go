package brokerbin_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// FuzzEvent: an event read at once is what the envelope's values make of it, and
// written at once it is what they are written as.
func FuzzEvent(f *testing.F) {
	c := brokerbin.New()
	vector := value.Vector([]value.Value{value.Count(1), {}, value.Set([]value.Value{value.String("a")})})
	meta := []event.Meta{{ID: event.MetaNetworkTime, Value: value.TimeNanos(5)}, {ID: event.MetaSequence, Value: value.Count(9)}}
	for _, e := range []event.Event{
		{Name: "none"}, {Name: "empty", Meta: []event.Meta{}}, {Name: "one", Args: []value.Value{value.String("x")}, Meta: meta[:1]},
		{Name: "many", Args: []value.Value{value.Count(1), vector, value.Port(53, value.ProtoUDP), value.Bool(true)}, Meta: meta},
	} {
		b, err := c.Append(nil, &e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	reader := codec.NewReader(c)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := c.Decode(b)
		var want event.Event
		v, slow := brokerbin.DecodeValue(b)
		if slow == nil {
			want, slow = codec.Unwrap(v)
		}
		if (err == nil) != (slow == nil) {
			t.Fatalf("%v, but %v", err, slow)
		}
		if err != nil {
			return
		}
		var num event.Event
		seq, numbered, err := reader.Read(&num, b)
		cut := want
		cut.Meta = append([]event.Meta(nil), want.Meta...)
		wantSeq, is := codec.CutSequence(&cut)
		if err != nil || is != numbered || wantSeq != seq || len(num.Meta) != len(cut.Meta) || len(num.Args) != len(want.Args) || num.Name != want.Name {
			t.Fatalf("numbered: %+v %d %v %v, want %+v %d %v", num, seq, numbered, err, cut, wantSeq, is)
		}
		if !reflect.DeepEqual(got, want) && len(b) < 1000 && !hasNaN(want.Args) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
		fast, err := c.Append(nil, &got)
		if err != nil {
			t.Fatal(err)
		}
		w, err := codec.Wrap(&got)
		if err != nil {
			t.Fatal(err)
		}
		if long, err := brokerbin.AppendValue(nil, w); err != nil || string(long) != string(fast) {
			t.Fatalf("%x, but %x (%v)", fast, long, err)
		}
	})
}

// hasNaN: such values are not equal to themselves, which is not what is tested.
func hasNaN(vs []value.Value) bool {
	for _, v := range vs {
		if v.Kind() == value.KindDouble && v.Float() != v.Float() || hasNaN(v.Elems()) {
			return true
		}
	}
	return false
}

// An event of the usual size costs no memory to write, and little to read.
func TestAllocations(t *testing.T) {
	c := brokerbin.New()
	e := event.New("my_event", value.Count(1), value.String("SeCrEt!!"))
	e.Meta = []event.Meta{{ID: event.MetaSequence, Value: value.Count(7)}}
	buf := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { buf, _ = c.Append(buf[:0], &e) }); n != 0 {
		t.Errorf("%v allocations to write", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Decode(buf) }); n > 3 {
		t.Errorf("%v allocations to read, want texts, arguments and metadata", n)
	}
	r := codec.NewReader(c)
	if n := testing.AllocsPerRun(100, func() {
		for range 8 {
			_, _, _ = r.Read(&e, buf)
		}
	}); n > 2 {
		t.Errorf("%v allocations to read eight", n)
	}
}

// What was read before stays what it was.
func TestStreamKeeps(t *testing.T) {
	c := brokerbin.New()
	r := codec.NewReader(c)
	var sent, got [200]event.Event
	for i := range sent {
		sent[i] = event.New("my_event", value.Count(uint64(i)), value.String(strings.Repeat("x", i*7%300)), value.Vector([]value.Value{value.Enum(fmt.Sprint(i))}))
		b, err := c.Append(nil, &sent[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Read(&got[i], b); err != nil {
			t.Fatal(err)
		}
		clear(b)
		if got[i].Args = append(got[i].Args, value.Bool(true)); i%2 == 0 {
			got[i].Args[3] = value.Bool(false)
		}
	}
	for i := range sent {
		if !reflect.DeepEqual(got[i].Args[:3], sent[i].Args) || got[i].Args[3].Bool() != (i%2 != 0) || got[i].Name != "my_event" {
			t.Errorf("%+v became %+v", sent[i], got[i])
		}
	}
}
