package eventjson_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/picket-nsm/picket/zeek/declare"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/eventjson"
	"github.com/picket-nsm/picket/zeek/value"
)

func TestStrictAndNamedWriteJSON(t *testing.T) {
	for _, c := range []struct {
		v             value.Value
		strict, named string
	}{
		{value.String("s\x00\v\xffé\"\\\n\x7f/"), `{"@data-type":"string","data":"s\u0000\u000b\\xffé\"\\\n` + "\x7f" + `/"}`,
			`{"@data-type":"bytes","data":"cwAL/8OpIlwKfy8="}`},
		{value.String("\xed\xa0\x80"), `{"@data-type":"string","data":"\\xed\\xa0\\x80"}`, `{"@data-type":"bytes","data":"7aCA"}`},
		{value.String("a\uFFFDb\v"), `{"@data-type":"string","data":"a` + "\uFFFD" + `b\u000b"}`, ""},
		{value.Enum("E\xff"), `{"@data-type":"enum-value","data":"E\\xff"}`, ""},
		{value.Double(math.Inf(1)), `{"@data-type":"real","data":1e999}`, ""},
		{value.Double(math.Inf(-1)), `{"@data-type":"real","data":-1e999}`, ""},
		{value.Double(math.NaN()), `{"@data-type":"real","data":null}`, ""},
	} {
		for style, want := range map[eventjson.Style]string{eventjson.Strict: c.strict, eventjson.Named: c.named} {
			if want == "" {
				want = c.strict
			}
			got, err := eventjson.AppendValue([]byte("x"), c.v, style, nil)
			if err != nil || string(got[1:]) != want {
				t.Errorf("style %d: got %s, want %s (%v)", style, got[1:], want, err)
			}
			if !utf8.Valid(got) || !json.Valid(got[1:]) && !strings.Contains(want, "1e999") {
				t.Errorf("style %d: not JSON: %s", style, got[1:])
			}
		}
	}
}

const script = `
module M;
type Id: record { h: addr; p: port; };
type Rec: record { a: count; b: string &optional; ids: vector of Id; t: table[Id] of Id; s: set[Id, count]; };
global e: event(r: Rec, n: count);
`

// What Named writes with a declaration, Named and the declaration read back.
func TestNamedRoundTrip(t *testing.T) {
	decl, err := declare.Parse(declare.File{Name: "x.zeek", Text: script})
	if err != nil {
		t.Fatal(err)
	}
	vec := func(v ...value.Value) value.Value { return value.Vector(v) }
	id := func(n uint16) value.Value { return vec(value.Addr16([16]byte{15: 1}), value.Port(n, value.ProtoTCP)) }
	e := event.New("M::e", vec(value.Count(1), value.Value{}, vec(id(1), id(2)),
		value.Table([]value.Value{id(1), id(3)}), value.Set([]value.Value{vec(id(1), value.Count(7))})), value.Count(2))
	got, err := eventjson.AppendEvent(nil, "t/\xff", &e, eventjson.Named, decl.Event("M::e"))
	if err != nil {
		t.Fatal(err)
	}
	i := `{"@data-type":"record","data":{"h":{"@data-type":"address","data":"::1"},"p":{"@data-type":"port","data":"N/tcp"}}}`
	n := func(s string) string { return strings.ReplaceAll(i, "N", s) }
	want := `{"type":"data-message","topic":"t/\\xff","@data-type":"vector","data":[{"@data-type":"count","data":1},{"@data-type":"count","data":1},` +
		`{"@data-type":"vector","data":[{"@data-type":"string","data":"M::e"},{"@data-type":"vector","data":[{"@data-type":"record","data":{` +
		`"a":{"@data-type":"count","data":1},"ids":{"@data-type":"vector","data":[` + n("1") + `,` + n("2") + `]},` +
		`"t":{"@data-type":"table","data":[{"key":` + n("1") + `,"value":` + n("3") + `}]},` +
		`"s":{"@data-type":"set","data":[{"@data-type":"vector","data":[` + n("1") + `,{"@data-type":"count","data":7}]}]}}},` +
		`{"@data-type":"count","data":2}]}]}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	_, _, back, err := eventjson.ParseEvent(got, eventjson.Named)
	if err != nil {
		t.Fatal(err)
	}
	if declare.Positional(back.Args) {
		t.Error("came back by position")
	}
	if err := decl.Fit(&back); err != nil || !reflect.DeepEqual(back, e) {
		t.Errorf("got  %+v\nwant %+v (%v)", back, e, err)
	}
	if _, _, _, err := eventjson.ParseEvent(got, eventjson.Strict); !errors.Is(err, eventjson.ErrSyntax) {
		t.Errorf("v1 took a record by name: %v", err)
	}
}

// Every style reads what it writes, and every cut of it is an error.
func TestRoundTripAndCut(t *testing.T) {
	e := event.Event{Name: "a::b", Args: []value.Value{
		value.Bool(true), value.Count(1), value.Int(-1), value.Double(0.5), value.String("s\n"), value.Addr16([16]byte{10: 255, 11: 255, 12: 10, 15: 1}),
		value.Subnet([16]byte{0x20, 1}, 32), value.Port(443, value.ProtoTCP), value.TimeNanos(1700000000250e6), value.IntervalNanos(90e9),
		value.Set([]value.Value{value.Count(1), value.Count(2)}), value.Table([]value.Value{value.String("k"), value.Count(7)}),
		value.Vector([]value.Value{value.String("v"), {}}), value.Enum("udp"),
	}, Meta: []event.Meta{{ID: 1, Value: value.TimeNanos(0)}}}
	for _, style := range []eventjson.Style{eventjson.Zeek, eventjson.Strict, eventjson.Named} {
		b, err := eventjson.AppendEvent(nil, "/t", &e, style, nil)
		if err != nil {
			t.Fatal(err)
		}
		topic, topical, got, err := eventjson.ParseEvent(b, style)
		if err != nil || topic != "/t" || !topical || !reflect.DeepEqual(got, e) {
			t.Errorf("style %d: %q %v %+v %v", style, topic, topical, got, err)
		}
		for n := range b {
			if _, _, _, err := eventjson.ParseEvent(b[:n], style); err == nil {
				t.Fatalf("style %d: cut at %d is no error", style, n)
			}
		}
	}
}

func TestReads(t *testing.T) {
	for _, c := range []struct {
		text  string
		style eventjson.Style
		want  value.Value
		bad   bool
	}{
		{`{"data":5,"@data-type":"count"}`, 0, value.Count(5), false},
		{`{"data":[{"data":[{"data":1,"@data-type":"count"}],"@data-type":"vector"}],"@data-type":"set"}`, 0,
			value.Set([]value.Value{value.Vector([]value.Value{value.Count(1)})}), false},
		{`{"@data-type":"count","data":5,"data":"x","@data-type":7,"other":{"a":[1,"\""]}}`, 0, value.Count(5), false},
		{`{"@data-type":"real","data":42}`, eventjson.Strict, value.Value{}, true},
		{`{"@data-type":"real","data":42}`, eventjson.Named, value.Double(42), false},
		{`{"@data-type":"real","data":1e999}`, eventjson.Strict, value.Double(math.Inf(1)), false},
		{`{"@data-type":"real","data":null}`, eventjson.Strict, value.Value{}, true},
		{`{"@data-type":"string","data":"a\/b"}`, eventjson.Strict, value.String("a?b"), false},
		{`{"@data-type":"string","data":"a\/b"}`, eventjson.Named, value.String("a/b"), false},
		{`{"@data-type":"bytes","data":"/w=="}`, eventjson.Named, value.String("\xff"), false},
		{`{"@data-type":"bytes","data":"/w=="}`, eventjson.Strict, value.Value{}, true},
		{`{"@data-type":"record","data":{"a":{"@data-type":"count","data":1},"a":{"@data-type":"count","data":1}}}`, eventjson.Named, value.Value{}, true},
		{`{"data":5}`, 0, value.Value{}, true},
		{`{"@data-type":5,"data":5}`, 0, value.Value{}, true},
		{`{"@data-type":"count"}`, 0, value.Value{}, true},
		{`{"@data-type":"count","data":-1}`, 0, value.Value{}, true},
		{`{"@data-type":"count","data":5} x`, 0, value.Value{}, true},
		{"{\"@data-type\":\r\"count\",\"data\":5}", 0, value.Value{}, true},
	} {
		got, err := eventjson.ParseValue([]byte(c.text), c.style)
		if (err != nil) != c.bad || !c.bad && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
		if c.bad && !errors.Is(err, eventjson.ErrSyntax) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}

// Data before its type is read again, but not in so many levels that a short
// message would keep us busy.
func TestWrongOrderIsBounded(t *testing.T) {
	nested := func(levels, fill int) string {
		s := `{"data":"` + strings.Repeat("a", fill) + `","@data-type":"string"}`
		for range levels {
			s = `{"data":[` + s + `],"@data-type":"vector"}`
		}
		return s
	}
	if _, err := eventjson.ParseValue([]byte(nested(60, 100)), 0); err != nil {
		t.Errorf("a small one: %v", err)
	}
	if _, err := eventjson.ParseValue([]byte(nested(8, 1<<20)), 0); err != nil {
		t.Errorf("few levels: %v", err)
	}
	if _, err := eventjson.ParseValue([]byte(nested(60, 1<<20)), 0); err == nil {
		t.Error("60 levels of a megabyte were read")
	}
}

func TestMessages(t *testing.T) {
	ack := eventjson.AppendAck(nil, "n\"1", "9")
	if string(ack) != `{"type":"ack","endpoint":"n\"1","version":"9"}` {
		t.Errorf("%s", ack)
	}
	m, err := eventjson.ParseMessage(ack, eventjson.Zeek)
	if err != nil || m.Type != "ack" || m.Endpoint != "n\"1" || m.Version != "9" {
		t.Errorf("%+v, %v", m, err)
	}
	m, err = eventjson.ParseMessage(eventjson.AppendError(nil, "c", "x", "d"), eventjson.Zeek)
	if err != nil || m.Type != "error" || m.Code != "c" || m.Context != "x" || m.Detail != "d" {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{`{"type":"data-message","topic":"x"}`, `{}`, `[]`, ``, `{"type":"ack"`} {
		if _, err := eventjson.ParseMessage([]byte(bad), 0); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
	if got := string(eventjson.AppendSubscriptions(nil, []string{"a", "b\n"})); got != `["a","b\n"]` {
		t.Error(got)
	}
	_, topical, _, err := eventjson.ParseEvent([]byte(`{"@data-type":"vector","data":[{"@data-type":"count","data":1},{"@data-type":"count","data":1},{"@data-type":"vector","data":[{"@data-type":"string","data":"e"},{"@data-type":"vector","data":[]}]}],"topic":5}`), 0)
	if topical || err != nil {
		t.Errorf("a topic that is no text: %v %v", topical, err)
	}
}

// Whatever is read can be written, as JSON, and reads as the same.
func FuzzParseMessage(f *testing.F) {
	f.Add([]byte(`{"type":"data-message","topic":"/t","@data-type":"vector","data":[{"@data-type":"count","data":1},{"@data-type":"count","data":1},{"@data-type":"vector","data":[{"@data-type":"string","data":"e"},{"@data-type":"vector","data":[{"@data-type":"real","data":1.5e3},{"@data-type":"table","data":[{"key":{"@data-type":"none","data":{}},"value":{"@data-type":"string","data":"\u00e9\ud83d\ude00\q\v"}}]}]}]}]}`))
	f.Add([]byte(`{"data":[{"data":"90s","@data-type":"timespan"},{"@data-type":"record","data":{"a":{"@data-type":"bytes","data":"/w=="}}}],"@data-type":"vector"}`))
	f.Add([]byte(`{"type":"error","code":"c","context":"x"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, style := range []eventjson.Style{eventjson.Strict, eventjson.Named} {
			m, err := eventjson.ParseMessage(text, style)
			if err != nil {
				continue
			}
			_, _, _, _ = eventjson.ParseEvent(text, style)
			out, err := eventjson.AppendValue(nil, m.Data, style, nil)
			if err != nil {
				continue // deeper than we write, or a record by name
			}
			if !utf8.Valid(out) {
				t.Fatalf("not UTF-8: %q", out)
			}
			if _, err := eventjson.ParseValue(out, eventjson.Named); err != nil {
				t.Fatalf("%s reads as %v", out, err)
			}
			if !json.Valid(out) {
				t.Fatalf("not JSON: %s", out)
			}
		}
	})
}

var conn = event.New("Bench::conn", value.TimeNanos(1700000000250e6), value.String("CHhAvVGS1DHFjwGM9"), value.Addr16([16]byte{10: 255, 11: 255, 12: 10, 15: 1}),
	value.Port(50000, value.ProtoTCP), value.Count(1234567))

func BenchmarkAppendEvent(b *testing.B) {
	var buf []byte
	for b.Loop() {
		buf, _ = eventjson.AppendEvent(buf[:0], "bench/conn", &conn, eventjson.Strict, nil)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkParseEvent(b *testing.B) {
	buf, _ := eventjson.AppendEvent(nil, "bench/conn", &conn, eventjson.Strict, nil)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := eventjson.ParseEvent(buf, eventjson.Strict); err != nil {
			b.Fatal(err)
		}
	}
}
