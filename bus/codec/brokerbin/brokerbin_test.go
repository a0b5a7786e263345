package brokerbin_test

import (
	"encoding/hex"
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/bus/codec/codectest"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

func TestKit(t *testing.T) {
	codectest.Run(t, brokerbin.New(), codectest.Features{Name: "broker-bin-v1", Golden: true, MaxBytes: 81})
}

func FuzzDecode(f *testing.F) { codectest.Fuzz(f, brokerbin.New()) }

// Vectors of wire.md appendix A.1.
func TestValues(t *testing.T) {
	subnet := func(s string, bits uint8) value.Value { return value.Subnet(netip.MustParseAddr(s).As16(), bits) }
	str, n := value.String, value.Count
	for _, c := range []struct {
		v   value.Value
		hex string
	}{
		{value.Value{}, "00"},
		{value.Bool(true), "0101"},
		{n(42), "02000000000000002a"},
		{value.Int(-1), "03ffffffffffffffff"},
		{value.Double(1.5), "043ff8000000000000"},
		{str("foo"), "0503666f6f"},
		{value.Addr(netip.MustParseAddr("192.168.1.1")), "0600000000000000000000ffffc0a80101"},
		{value.Addr(netip.MustParseAddr("2001:db8::1")), "0620010db8000000000000000000000001"},
		{subnet("10.0.0.0", 104), "0700000000000000000000ffff0a00000068"},
		{subnet("2001:db8::", 32), "0720010db800000000000000000000000020"},
		{value.Port(80, value.ProtoTCP), "08005001"},
		{value.Port(53, value.ProtoUDP), "08003502"},
		{value.Port(8, value.ProtoICMP), "08000803"},
		{value.Port(0, value.ProtoUnknown), "08000000"},
		{value.TimeNanos(1577934245678000000), "0915e5f2d6108fa780"},
		{value.IntervalNanos(1500000000), "0a0000000059682f00"},
		{value.Enum("Conn::LOG"), "0b09436f6e6e3a3a4c4f47"},
		{value.Set([]value.Value{n(1), n(2)}), "0c02020000000000000001020000000000000002"},
		{value.Table([]value.Value{str("a"), n(1)}), "0d01050161020000000000000001"},
		{value.Vector([]value.Value{value.Bool(true), {}}), "0e02010100"},
		{value.Vector([]value.Value{str("^?(foo)$?"), str(`^?(.|\n)*(foo)`)}), "0e0205095e3f28666f6f29243f050e5e3f282e7c5c6e292a28666f6f29"},
		{str(strings.Repeat("a", 200)), "05c801" + strings.Repeat("61", 200)},
		{value.Double(math.Inf(1)), "04fff0000000000000"},
		{value.Double(math.Inf(-1)), "047ff0000000000000"},
	} {
		b, err := brokerbin.AppendValue(nil, c.v)
		if err != nil || hex.EncodeToString(b) != c.hex {
			t.Errorf("got %x, want %s (%v)", b, c.hex, err)
		}
		got, err := brokerbin.DecodeValue(b)
		if err != nil || !reflect.DeepEqual(got, c.v) {
			t.Errorf("%s: got %+v, want %+v (%v)", c.hex, got, c.v, err)
		}
	}
}

// Reals that differ from IEEE 754 (wire.md section 2.3).
func TestReals(t *testing.T) {
	for hexIn, want := range map[string]float64{
		"047ff8000000000000": math.Inf(1), // a usual NaN
		"04fff8000000000000": math.Inf(-1),
		"040000000000000001": 0,
		"048000000000000000": math.Copysign(0, -1),
	} {
		b, _ := hex.DecodeString(hexIn)
		v, err := brokerbin.DecodeValue(b)
		if err != nil || v.Float() != want {
			t.Errorf("%s: %v %v", hexIn, v.Float(), err)
		}
	}
	for f, want := range map[float64]string{5e-324: "040000000000000000", -5e-324: "048000000000000000"} {
		if b, err := brokerbin.AppendValue(nil, value.Double(f)); err != nil || hex.EncodeToString(b) != want {
			t.Errorf("%g: %x %v", f, b, err)
		}
	}
	if b, err := brokerbin.AppendValue(nil, value.Double(math.NaN())); err != nil || hex.EncodeToString(b) != "04ffffffffffffffff" {
		t.Errorf("NaN: %x %v", b, err)
	}
}

// Events of wire.md appendix A.2.
func TestEvents(t *testing.T) {
	str := value.String
	const id = "zeromq_worker-1_host_123_Nabc"
	for _, c := range []struct {
		e   event.Event
		hex string
	}{
		{event.Event{Name: "Supervisor::node_status", Args: []value.Value{str("TEST"), value.Count(42)}, Meta: []event.Meta{{ID: 1, Value: value.TimeNanos(0)}}},
			"0e030200000000000000010200000000000000010e03051753757065727669736f723a3a6e6f64655f7374617475730e0205045445535402000000000000002a0e010e02020000000000000001090000000000000000"},
		{event.New("Cluster::Backend::ZeroMQ::hello", str("worker-1"), str(id)),
			"0e030200000000000000010200000000000000010e02051f436c75737465723a3a4261636b656e643a3a5a65726f4d513a3a68656c6c6f0e020508776f726b65722d31051d7a65726f6d715f776f726b65722d315f686f73745f3132335f4e616263"},
		{event.New("Cluster::hello", str("worker-1"), str(id)),
			"0e030200000000000000010200000000000000010e02050e436c75737465723a3a68656c6c6f0e020508776f726b65722d31051d7a65726f6d715f776f726b65722d315f686f73745f3132335f4e616263"},
	} {
		b, err := brokerbin.New().Append(nil, &c.e)
		if err != nil || hex.EncodeToString(b) != c.hex {
			t.Errorf("%s:\ngot  %x\nwant %s (%v)", c.e.Name, b, c.hex, err)
		}
	}
}

func TestCorrupt(t *testing.T) {
	deep := strings.Repeat("0e01", 200) + "00"
	for name, in := range map[string]string{
		"empty":            "",
		"unknown tag":      "0f",
		"transport":        "08005004",
		"same element":     "0c0201010101",
		"same key":         "0d02010100010100",
		"trailing":         "0000",
		"claimed elements": "0effffffff0f00",
		"claimed string":   "05ffffffff0f00",
		"endless length":   "05808080808080808080808000",
		"length over 2^32": "05ffffffff7f00",
		"deep":             deep,
		"subnet":           "0700000000000000000000ffff0a00000008",
		"subnet too long":  "0720010db8000000000000000000000000ff",
		"not an envelope":  "02000000000000002a",
		"version":          "0e030200000000000000020200000000000000010e02050161" + "0e00",
		"log write":        "0e030200000000000000010200000000000000030e02050161" + "0e00",
		"unset argument":   "0e030200000000000000010200000000000000010e02050161" + "0e0100",
		"metadata":         "0e030200000000000000010200000000000000010e03050161" + "0e000e0100",
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(in, " ", ""))
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := brokerbin.New().Decode(b); !errors.Is(err, codec.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ok, _ := hex.DecodeString("0e030200000000000000010200000000000000010e02050161" + "0e00")
	if e, err := brokerbin.New().Decode(ok); err != nil || e.Name != "a" {
		t.Errorf("%+v %v", e, err)
	}
}

func BenchmarkHello(b *testing.B) {
	e := event.New("Cluster::hello", value.String("worker-1"), value.String("zeromq_worker-1_host_123_Nabc"))
	c := brokerbin.New()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = c.Append(buf[:0], &e); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Decode(buf); err != nil {
			b.Fatal(err)
		}
	}
}
