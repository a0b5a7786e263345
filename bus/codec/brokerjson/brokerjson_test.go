package brokerjson_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/bus/codec/brokerjson"
	"github.com/picket-nsm/picket/bus/codec/codectest"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

func TestKit(t *testing.T) {
	codectest.Run(t, brokerjson.New(), codectest.Features{Name: "broker-json-v1", Millis: true, Golden: true, MaxBytes: 400})
}

const nodeStatus = `{"@data-type":"vector","data":[{"@data-type":"count","data":1},{"@data-type":"count","data":1},{"@data-type":"vector","data":[{"@data-type":"string","data":"Supervisor::node_status"},{"@data-type":"vector","data":[{"@data-type":"string","data":"TEST"},{"@data-type":"count","data":42}]},{"@data-type":"vector","data":[{"@data-type":"vector","data":[{"@data-type":"count","data":1},{"@data-type":"timestamp","data":"1970-01-01T00:00:00.000"}]}]}]}]}`

func FuzzDecode(f *testing.F) {
	codectest.Fuzz(f, brokerjson.New(), []byte(nodeStatus), []byte(`{"data":{"a":[1.5e3,"\u00e9\ud83d\ude00\q"]},"@data-type":"none"}`))
}

// The event of wire.md appendix A.2.
func TestEvent(t *testing.T) {
	e := event.Event{Name: "Supervisor::node_status", Args: []value.Value{value.String("TEST"), value.Count(42)}, Meta: []event.Meta{{ID: 1, Value: value.TimeNanos(0)}}}
	b, err := brokerjson.New().Append(nil, &e)
	if err != nil || string(b) != nodeStatus {
		t.Errorf("got  %s\nwant %s (%v)", b, nodeStatus, err)
	}
}

func TestWrites(t *testing.T) {
	for _, c := range []struct {
		v    value.Value
		want string
	}{
		{value.Value{}, `{"@data-type":"none","data":{}}`},
		{value.Double(1e-7), `{"@data-type":"real","data":0.000000}`},
		{value.String("\v\x01\xff/<"), `{"@data-type":"string","data":"\v` + "\x01\xff/<" + `"}`},
		{value.Port(7, 0), `{"@data-type":"port","data":"7/?"}`},
		{value.TimeNanos(-1), `{"@data-type":"timestamp","data":"1970-01-01T00:00:00.000"}`},
		{value.TimeNanos(1999999), `{"@data-type":"timestamp","data":"1970-01-01T00:00:00.001"}`},
		{value.IntervalNanos(0), `{"@data-type":"timespan","data":"0s"}`},
		{value.IntervalNanos(60e9), `{"@data-type":"timespan","data":"60s"}`},
		{value.IntervalNanos(1500), `{"@data-type":"timespan","data":"1500ns"}`},
		{value.Table([]value.Value{value.Count(1), value.Bool(true)}), `{"@data-type":"table","data":[{"key":{"@data-type":"count","data":1},"value":{"@data-type":"boolean","data":true}}]}`},
		{value.Func("f"), `{"@data-type":"vector","data":[{"@data-type":"string","data":"f"}]}`},
	} {
		if b, err := brokerjson.AppendValue(nil, c.v); err != nil || string(b) != c.want {
			t.Errorf("got %s, want %s (%v)", b, c.want, err)
		}
	}
	if b, err := brokerjson.AppendValue(nil, value.Double(1e300)); err != nil || len(b) != len(`{"@data-type":"real","data":}`)+301+7 {
		t.Errorf("1e300: %s (%v)", b, err)
	}
}

// What is read beyond what is written (wire.md section 2.6).
func TestReads(t *testing.T) {
	one := func(typ, data string) string { return `{"@data-type":"` + typ + `","data":` + data + `}` }
	for _, c := range []struct {
		in   string
		want value.Value
	}{
		{one("none", `[1,{"a":null}]`), value.Value{}},
		{" {\t\"data\" :\n1 , \"x\":[], \"@data-type\":\"count\" } \n", value.Count(1)},
		{one("integer", "-0"), value.Int(0)},
		{one("real", "1e3"), value.Double(1000)},
		{one("real", "-2.50"), value.Double(-2.5)},
		{one("real", "1e999"), value.Double(math.Inf(1))},
		{one("real", "-inf"), value.Double(math.Inf(-1))},
		{one("string", `"\u00e9\u003C\ud83d\ude00\ud800x\v\q\/`+"\x01\xff"+`"`), value.String("é<😀\ufffdx\v??\x01\xff")},
		{one("port", `"80"`), value.Port(80, value.ProtoTCP)},
		{one("port", `"80/?"`), value.Port(80, value.ProtoUnknown)},
		{one("timestamp", `"2020-01-02T03:04:05"`), value.TimeNanos(1577934245e9)},
		{one("timestamp", `"2020-01-02T03:04:05.678Z"`), value.TimeNanos(1577934245678e6)},
		{one("timestamp", `"2020-01-02T05:04:05.678000001+02:00"`), value.TimeNanos(1577934245678000001)},
		{one("timespan", `"2min"`), value.IntervalNanos(120e9)},
		{one("timespan", `"-3h"`), value.IntervalNanos(-3 * 3600e9)},
		{one("address", `"::ffff:1.2.3.4"`), value.Addr16([16]byte{10: 255, 11: 255, 12: 1, 13: 2, 14: 3, 15: 4})},
		{one("set", "["+one("count", "2")+","+one("count", "1")+"]"), value.Set([]value.Value{value.Count(1), value.Count(2)})},
		{`{"type":"data-message","topic":"/t","@data-type":"count","data":5}`, value.Count(5)},
	} {
		got, err := brokerjson.DecodeValue([]byte(c.in))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v (%v)", c.in, got, c.want, err)
		}
	}
}

func TestRefuses(t *testing.T) {
	one := func(typ, data string) string { return `{"@data-type":"` + typ + `","data":` + data + `}` }
	for _, in := range []string{
		"", "{", "[]", "42", "null", `{}`, `{"@data-type":"count"}`, `{"data":1}`,
		one("count", "-1"), one("count", "1.0"), one("count", "18446744073709551616"), one("count", `"1"`),
		one("integer", "9223372036854775808"), one("real", "42"), one("real", "1."), one("real", "1e"), one("boolean", "1"), one("boolean", "tru"),
		one("string", `"a`), one("string", `"\u12"`), one("string", `"\uzzzz"`), one("string", "a"),
		one("address", `"1.2.3"`), one("address", `"fe80::1%eth0"`), one("subnet", `"10.0.0.0"`), one("subnet", `"10.0.0.0/33"`), one("subnet", `"10.0.0.0/-1"`),
		one("port", `"80/sctp"`), one("port", `"65536/tcp"`), one("timestamp", `"yesterday"`), one("timestamp", `"9999-01-01T00:00:00"`), one("timestamp", `"2020-01-02T03:04:05.0000000001"`),
		one("timespan", `"1.5s"`), one("timespan", `"1d"`), one("timespan", `"9223372036854775807s"`), one("timespan", `"s"`),
		one("set", "["+one("count", "1")+","+one("count", "1")+"]"), one("set", "{}"), one("vector", "[1]"), one("table", `[{"key":{}}]`), one("table", "["+one("count", "1")+"]"),
		one("pattern", `"x"`), one("count", "1") + "x", "{\r}", one("count", "1,"), `[1,]`,
		strings.Repeat("[", 200), strings.Repeat(`{"a":`, 200), one("none", strings.Repeat("[", 130)+strings.Repeat("]", 130)),
	} {
		if v, err := brokerjson.DecodeValue([]byte(in)); !errors.Is(err, codec.ErrCorrupt) {
			t.Errorf("%s: %+v, %v", in, v, err)
		}
	}
	if _, err := brokerjson.DecodeValue([]byte("[" + strings.Repeat("0,", 3<<20) + "0]")); !errors.Is(err, codec.ErrCorrupt) {
		t.Errorf("too many values: %v", err)
	}
}
