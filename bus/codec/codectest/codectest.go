// Package codectest is the kit every event codec passes.
package codectest

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// Features says what differs between codecs.
type Features struct {
	Name     string
	Millis   bool // times keep milliseconds, doubles six decimals, and no NaN or infinity
	Golden   bool // there is a recording of real Zeek
	MaxBytes int  // most that the hello event may take
}

func addr(s string) value.Value { return value.Addr(netip.MustParseAddr(s)) }

func subnet(s string, bits uint8) value.Value {
	return value.Subnet(netip.MustParseAddr(s).As16(), bits)
}

// Values are values of each kind that come back as they went.
func Values() map[string]value.Value {
	str, cnt := value.String, value.Count
	long := bytes.Repeat([]byte("a"), 20000)
	return map[string]value.Value{
		"bool": value.Bool(true), "false": value.Bool(false),
		"count": cnt(42), "count max": cnt(math.MaxUint64),
		"int": value.Int(-1), "int min": value.Int(math.MinInt64),
		"real": value.Double(1.5), "zero": value.Double(0), "minus zero": value.Double(math.Copysign(0, -1)), "1e20": value.Double(1e20),
		"string": str("foo"), "empty": str(""), "any bytes": str("\x00\xff\"\\\b\f\n\r\t\v\x1f\x7fé/"),
		"127": str(string(long[:127])), "128": str(string(long[:128])), "16383": str(string(long[:16383])), "16384": str(string(long[:16384])),
		"addr4": addr("192.168.1.1"), "addr6": addr("2001:db8::1"), "addr low": addr("::1.2.3.4"),
		"subnet4": subnet("10.0.0.0", 104), "subnet6": subnet("2001:db8::", 32), "subnet all": subnet("::", 0), "subnet all4": subnet("0.0.0.0", 96),
		"tcp": value.Port(80, value.ProtoTCP), "udp": value.Port(53, value.ProtoUDP), "icmp": value.Port(8, value.ProtoICMP), "unknown": value.Port(0, 0),
		"time": value.TimeNanos(1577934245678000000), "epoch": value.TimeNanos(0),
		"span": value.IntervalNanos(1500000000), "span ns": value.IntervalNanos(-1), "span us": value.IntervalNanos(2000), "span 0": value.IntervalNanos(0),
		"span min": value.IntervalNanos(math.MinInt64),
		"enum":     value.Enum("Conn::LOG"),
		"set":      value.Set([]value.Value{cnt(1), cnt(2)}), "empty set": value.Set(nil),
		"table":  value.Table([]value.Value{str("a"), cnt(1), str("b"), value.Vector(nil)}),
		"vector": value.Vector([]value.Value{value.Bool(true), {}}), "empty vector": value.Vector(nil),
		"set of lists": value.Set([]value.Value{value.Vector([]value.Value{str("a")}), value.Vector([]value.Value{str("a"), cnt(1)}), value.Vector([]value.Value{str("b")})}),
		"mixed set":    value.Set([]value.Value{value.Bool(false), value.Bool(true), cnt(9), value.Int(-2), value.Double(1), str("b"), addr("1.2.3.4"), value.Enum("A")}),
	}
}

// Run runs the kit.
func Run(t *testing.T, c codec.Codec, feat Features) {
	if c.Name() != feat.Name {
		t.Errorf("name %q", c.Name())
	}
	for name, v := range Values() {
		t.Run(name, func(t *testing.T) {
			e := event.New("Kit::e", v, value.Vector([]value.Value{v}))
			b := encode(t, c, &e)
			if got := decode(t, c, b); !reflect.DeepEqual(got, e) {
				t.Errorf("got  %+v\nwant %+v", got, e)
			}
			truncate(t, c, b)
		})
	}
	t.Run("metadata", func(t *testing.T) { metadata(t, c) })
	t.Run("one-way kinds", func(t *testing.T) { oneWay(t, c) })
	t.Run("canonical order", func(t *testing.T) { order(t, c) })
	t.Run("refused", func(t *testing.T) { refused(t, c) })
	t.Run("keeps nothing of the payload", func(t *testing.T) {
		e := event.New("Kit::e", value.String("s"), value.Enum("E"))
		b := encode(t, c, &e)
		got := decode(t, c, b)
		for i := range b {
			b[i] = 0xa5
		}
		if !reflect.DeepEqual(got, e) {
			t.Error("the event changed with the payload")
		}
	})
	t.Run("depth", func(t *testing.T) { depth(t, c) })
	t.Run("size", func(t *testing.T) {
		e := event.New("Cluster::hello", value.String("worker-1"), value.String("zeromq_worker-1_host_123_Nabc"))
		if n := len(encode(t, c, &e)); n > feat.MaxBytes {
			t.Errorf("hello takes %d bytes, want at most %d", n, feat.MaxBytes)
		}
	})
	t.Run("special doubles", func(t *testing.T) {
		for _, f := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
			e := event.New("Kit::e", value.Double(f))
			b, err := c.Append(nil, &e)
			if feat.Millis {
				if !errors.Is(err, codec.ErrInvalid) {
					t.Errorf("%v: %v", f, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := decode(t, c, b).Args[0].Float(); got != f && !(math.IsNaN(got) && math.IsNaN(f)) {
				t.Errorf("%v comes back as %v", f, got)
			}
		}
	})
	t.Run("as real Zeek", func(t *testing.T) {
		if !feat.Golden {
			t.Skip("no recording")
		}
		golden(t, c, feat)
	})
}

func encode(t testing.TB, c codec.Codec, e *event.Event) []byte {
	t.Helper()
	b, err := c.Append([]byte("x"), e)
	if err != nil {
		t.Fatal(err)
	}
	if b[0] != 'x' {
		t.Fatal("Append overwrites")
	}
	return b[1:]
}

func decode(t testing.TB, c codec.Codec, b []byte) event.Event {
	t.Helper()
	e, err := c.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// truncate cuts an event at each byte: an error of kind Corrupt, never a panic.
func truncate(t *testing.T, c codec.Codec, b []byte) {
	step := max(1, len(b)/500)
	for n := 0; n < len(b); n += step {
		if _, err := c.Decode(b[:n]); !errors.Is(err, codec.ErrCorrupt) {
			t.Fatalf("%d of %d bytes: %v", n, len(b), err)
		}
	}
	if _, err := c.Decode(append(bytes.Clone(b), 'x')); !errors.Is(err, codec.ErrCorrupt) {
		t.Errorf("bytes after the event: %v", err)
	}
}

func metadata(t *testing.T, c codec.Codec) {
	for _, meta := range [][]event.Meta{
		nil, {},
		{{ID: event.MetaNetworkTime, Value: value.TimeNanos(0)}},
		{{ID: event.MetaNetworkTime, Value: value.TimeNanos(1e9)}, {ID: event.MetaSequence, Value: value.Count(7)}},
	} {
		e := event.Event{Name: "Kit::e", Args: []value.Value{value.Count(1)}, Meta: meta}
		got := decode(t, c, encode(t, c, &e))
		if !reflect.DeepEqual(got, e) {
			t.Errorf("got %+v, want %+v", got, e)
		}
	}
	e := event.Event{Name: "Kit::e", Meta: []event.Meta{{ID: 200, Value: value.Count(7)}}}
	if e.MetaOf(200).Count() != 7 || e.MetaOf(1).IsSet() {
		t.Error("MetaOf")
	}
}

// oneWay sends kinds whose type does not travel.
func oneWay(t *testing.T, c codec.Codec) {
	str := value.String
	for name, v := range map[string][2]value.Value{
		"record":  {value.Record([]value.Value{value.Count(1), {}}), value.Vector([]value.Value{value.Count(1), {}})},
		"pattern": {value.Pattern("^?(foo)$?", "x"), value.Vector([]value.Value{str("^?(foo)$?"), str("x")})},
		"func":    {value.Func("Mod::f"), value.Vector([]value.Value{str("Mod::f")})},
		"file":    {value.File("/tmp/x"), str("/tmp/x")},
		"time":    {value.Time(1.25), value.TimeNanos(1250000000)},
		"span":    {value.Interval(-1.25), value.IntervalNanos(-1250000000)},
	} {
		e := event.New("Kit::e", v[0])
		if got := decode(t, c, encode(t, c, &e)).Args[0]; !reflect.DeepEqual(got, v[1]) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func order(t *testing.T, c codec.Codec) {
	n := value.Count
	one := event.New("Kit::e", value.Set([]value.Value{n(3), n(1), n(2)}), value.Table([]value.Value{n(2), n(20), n(1), n(10)}))
	two := event.New("Kit::e", value.Set([]value.Value{n(1), n(2), n(3)}), value.Table([]value.Value{n(1), n(10), n(2), n(20)}))
	if !bytes.Equal(encode(t, c, &one), encode(t, c, &two)) {
		t.Error("the order of a set shows in the bytes")
	}
	if one.Args[0].Elems()[0].Count() != 3 {
		t.Error("encoding sorted the caller's set")
	}
}

func refused(t *testing.T, c codec.Codec) {
	n := value.Count
	for name, e := range map[string]event.Event{
		"no name":       {},
		"unset":         event.New("Kit::e", value.Value{}),
		"unset meta":    {Name: "Kit::e", Meta: []event.Meta{{ID: 1}}},
		"same element":  event.New("Kit::e", value.Set([]value.Value{n(1), n(1)})),
		"same key":      event.New("Kit::e", value.Table([]value.Value{n(1), n(1), n(1), n(2)})),
		"key alone":     event.New("Kit::e", value.Table([]value.Value{n(1)})),
		"transport":     event.New("Kit::e", value.Port(1, 7)),
		"prefix length": event.New("Kit::e", subnet("10.0.0.0", 8)),
	} {
		b, err := c.Append([]byte("x"), &e)
		if !errors.Is(err, codec.ErrInvalid) || string(b) != "x" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

func depth(t *testing.T, c codec.Codec) {
	v := value.Vector(nil)
	for range 20 {
		v = value.Vector([]value.Value{v})
	}
	e := event.New("Kit::e", v)
	b := encode(t, c, &e)
	if !reflect.DeepEqual(decode(t, c, b), e) {
		t.Error("20 levels do not come back")
	}
	for range codec.MaxDepth {
		v = value.Vector([]value.Value{v})
	}
	e = event.New("Kit::e", v)
	if _, err := c.Append(nil, &e); !errors.Is(err, codec.ErrInvalid) {
		t.Errorf("too deep: %v", err)
	}
}

// golden compares with the frames of a real worker: one event per type, in
// the order of GoldenArgs, and hellos.
func golden(t *testing.T, c codec.Codec, feat Features) {
	want := GoldenArgs(feat.Millis)
	seen := 0
	for _, frames := range testenv.Frames(t, testenv.Shared(t, "golden", "events", c.Name()+".jsonl")) {
		if len(frames) != 4 {
			continue // a subscription
		}
		e := decode(t, c, frames[3])
		if got := encode(t, c, &e); !bytes.Equal(got, frames[3]) {
			t.Errorf("%s:\ngot  %q\nwant %q", e.Name, got, frames[3])
		}
		topic := filepath.Base(string(frames[0]))
		if e.Name != "Gold::e_"+topic {
			continue
		}
		seen++
		if !reflect.DeepEqual(e.Args, want[topic]) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", e.Name, e.Args, want[topic])
		}
	}
	if seen != len(want) {
		t.Errorf("%d events, want %d", seen, len(want))
	}
}

// GoldenArgs are the arguments that events.zeek publishes, by the last part of
// the topic, as far as the codec keeps them.
func GoldenArgs(millis bool) map[string][]value.Value {
	str, n := value.String, value.Count
	vec := func(v ...value.Value) value.Value { return value.Vector(v) }
	set := func(v ...value.Value) value.Value { return value.Set(v) }
	tab := func(v ...value.Value) value.Value { return value.Table(v) }
	at, pi := int64(1700000000123456000), 3.14159
	if millis {
		at -= 456000
	}
	return map[string][]value.Value{
		"none":     nil,
		"bool":     {value.Bool(true), value.Bool(false)},
		"count":    {n(0), n(math.MaxUint64)},
		"int":      {value.Int(-42), value.Int(math.MaxInt64)},
		"double":   {value.Double(pi), value.Double(-0.5), value.Double(1e20)},
		"string":   {str(""), str("tab\there \x00\xff\"q\" é")},
		"addr":     {addr("192.168.1.1"), addr("2001:db8::1")},
		"subnet":   {subnet("10.0.0.0", 104), subnet("2001:db8::", 32)},
		"port":     {value.Port(80, value.ProtoTCP), value.Port(53, value.ProtoUDP), value.Port(8, value.ProtoICMP)},
		"time":     {value.TimeNanos(at), value.TimeNanos(0)},
		"interval": {value.IntervalNanos(1500000000), value.IntervalNanos(-7200e9)},
		"enum":     {value.Enum("Gold::GREEN"), value.Enum("udp")},
		"set":      {set(n(1), n(2), n(3)), set(vec(str("a"), value.Port(80, value.ProtoTCP)), vec(str("b"), value.Port(53, value.ProtoUDP)))},
		"table":    {tab(str("x"), n(1), str("y"), n(2)), tab(vec(n(1), str("k")), addr("10.0.0.1"))},
		"vector":   {vec(str("p"), str("q")), vec(vec(n(1), n(2)), vec(n(3)))},
		"pattern":  {vec(str("(?i:^?(foo.*bar)$?)"), str(`(?i:^?(.|\n)*(foo.*bar))`))},
		"record":   {vec(value.Int(-1), vec(n(7), value.Value{}, value.Double(2.5)), vec(str("u")), set(addr("1.2.3.4")), tab(str("k"), n(9)))},
		"any":      {n(5), str("five")},
	}
}

// Fuzz feeds hostile bytes: an error, or an event that encodes to bytes which
// decode and encode to themselves.
func Fuzz(f *testing.F, c codec.Codec, seeds ...[]byte) {
	for _, v := range Values() {
		e := event.New("Kit::e", v)
		b, err := c.Append(nil, &e)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) < 1000 {
			f.Add(b)
		}
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := c.Decode(in)
		if err != nil {
			if !errors.Is(err, codec.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		one, err := c.Append(nil, &e)
		if err != nil {
			return // what a lossy text cannot hold
		}
		again, err := c.Decode(one)
		if err != nil {
			return // two elements that became the same
		}
		two, err := c.Append(nil, &again)
		if err != nil || !bytes.Equal(one, two) {
			t.Fatalf("%v\n%q\n%q", err, one, two)
		}
	})
}
