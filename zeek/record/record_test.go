package record_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/record/recordtest"
	"github.com/picket-nsm/picket/zeek/value"
)

// The batch of wire.md appendix A.4: subtype 22 on a scalar column, no subtypes in values.
const goldenUnknown = "0000000c4c6f673a3a554e4b4e4f574e000000104c6f673a3a5752495445525f4e4f4e450000000764656661756c74000000076d792d706174680000000100000000027473000000050000001600000000020000000500000016013ff00000000000000000000500000016014000000000000000"

const goldenCluster = "0000000c436c75737465723a3a4c4f47000000114c6f673a3a5752495445525f41534349490000000764656661756c7400000007636c7573746572000000030000000002747300000005000000000000000000046e6f646500000007000000000000000000076d6573736167650000000700000000000000000100000005000000000141d954fc4020000000000007000000000100000008776f726b65722d310000000700000000010000001a676f742068656c6c6f2066726f6d206d616e6167657220287829"

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenCluster(t *testing.T) {
	want := unhex(t, goldenCluster)
	s := record.New("Cluster::LOG", "cluster",
		record.Of("ts", value.KindTime),
		record.Of("node", value.KindString),
		record.Of("message", value.KindString))
	var e record.Encoder
	e.Reset(s)
	row := []value.Value{value.Time(1700000000.5), value.String("worker-1"), value.String("got hello from manager (x)")}
	if err := e.Append(row); err != nil {
		t.Fatal(err)
	}
	if got := e.Finish(); !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	c, err := record.Open(want)
	if err != nil || !c.Next() {
		t.Fatal(err)
	}
	if got := c.Row(nil); !reflect.DeepEqual(got, row) {
		t.Errorf("got %v, want %v", got, row)
	}
	if c.Next() || c.Err() != nil {
		t.Error("more than one row", c.Err())
	}
}

// The odd subtype stays in the header; in values it is ignored and written as 0.
func TestOddSubtype(t *testing.T) {
	in := unhex(t, goldenUnknown)
	c, err := record.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	if c.Schema().Stream != "Log::UNKNOWN" || c.Schema().Writer != "Log::WRITER_NONE" || c.Schema().Path != "my-path" || c.Records() != 2 {
		t.Errorf("schema %+v, %d records", c.Schema(), c.Records())
	}
	got := recode(t, in)
	want := bytes.ReplaceAll(in, []byte("\x00\x00\x00\x05\x00\x00\x00\x16\x01"), []byte("\x00\x00\x00\x05\x00\x00\x00\x00\x01"))
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// recode decodes a batch into values and encodes these.
func recode(t testing.TB, in []byte) []byte {
	t.Helper()
	c, err := record.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	var e record.Encoder
	e.Reset(c.Schema())
	var row []value.Value
	for c.Next() {
		row = c.Row(row[:0])
		if err := e.Append(row); err != nil {
			t.Fatal(err)
		}
	}
	if c.Err() != nil {
		t.Fatal(c.Err())
	}
	return e.Finish()
}

func addr(s string) value.Value { return value.Addr(netip.MustParseAddr(s)) }

// one is a schema with one column.
func one(k, elem value.Kind) *record.Schema {
	return record.New("X::LOG", "x", record.Columns{{Name: "f", Kind: k, Elem: elem}})
}

// Values of wire.md appendix A.4.
var valueCases = []struct {
	name string
	kind value.Kind
	elem value.Kind
	v    value.Value
	hex  string
}{
	{"bool", value.KindBool, 0, value.Bool(true), "0000000100000000010000000000000001"},
	{"int", value.KindInt, 0, value.Int(-2), "000000020000000001fffffffffffffffe"},
	{"count", value.KindCount, 0, value.Count(7), "0000000300000000010000000000000007"},
	{"port", value.KindPort, 0, value.Port(443, value.ProtoTCP), "0000000a000000000100000000000001bb00000001"},
	{"addr4", value.KindAddr, 0, addr("10.0.0.1"), "0000000b0000000001040a000001"},
	{"addr6", value.KindAddr, 0, addr("2001:db8::1"), "0000000b00000000010620010db8000000000000000000000001"},
	{"subnet", value.KindSubnet, 0, value.Subnet(netip.MustParseAddr("10.0.0.0").As16(), 104), "0000000c000000000168040a000000"},
	{"subnet6", value.KindSubnet, 0, value.Subnet(netip.MustParseAddr("2001:db8::").As16(), 32), "0000000c0000000001200620010db8000000000000000000000000"},
	{"enum", value.KindEnum, 0, value.Enum("Conn::LOG"), "00000009000000000100000009436f6e6e3a3a4c4f47"},
	{"set", value.KindSet, value.KindString, value.Set([]value.Value{value.String("a"), value.String("b")}), "0000000e0000000001000000000000000200000007000000000100000001610000000700000000010000000162"},
	{"vector", value.KindVector, value.KindCount, value.Vector([]value.Value{value.Count(1), {}}), "00000013000000000100000000000000020000000300000000010000000000000001000000030000000000"},
	{"unset", value.KindString, 0, value.Value{}, "000000070000000000"},
	{"func", value.KindFunc, 0, value.Func("f"), "0000001100000000010000000166"},
	{"file", value.KindFile, 0, value.File("f"), "0000001200000000010000000166"},
	{"double", value.KindDouble, 0, value.Double(1.5), "0000000400000000013ff8000000000000"},
	{"interval", value.KindInterval, 0, value.Interval(-1), "000000060000000001bff0000000000000"},
}

func TestValues(t *testing.T) {
	for _, c := range valueCases {
		t.Run(c.name, func(t *testing.T) {
			var e record.Encoder
			e.Reset(one(c.kind, c.elem))
			if err := e.Append([]value.Value{c.v}); err != nil {
				t.Fatal(err)
			}
			b := e.Finish()
			if got := hex.EncodeToString(b); !strings.HasSuffix(got, "00000001"+c.hex) {
				t.Errorf("got  %s\nwant ...%s", got, c.hex)
			}
			cur, err := record.Open(append(b, "trailing"...))
			if err != nil || !cur.Next() {
				t.Fatal(err, cur.Err())
			}
			if got := cur.Row(nil); !reflect.DeepEqual(got, []value.Value{c.v}) {
				t.Errorf("got %+v, want %+v", got, c.v)
			}
			// Cut anywhere: an error, never a row.
			for n := range b {
				cur, err := record.Open(b[:n])
				if err == nil {
					for cur.Next() {
						t.Fatalf("row out of %d of %d bytes", n, len(b))
					}
					err = cur.Err()
				}
				if !errors.Is(err, record.ErrCorrupt) {
					t.Errorf("%d of %d bytes: %v", n, len(b), err)
				}
			}
		})
	}
}

func TestRefused(t *testing.T) {
	var e record.Encoder
	for _, c := range []struct {
		name       string
		kind, elem value.Kind
		v          value.Value
	}{
		{"kind", value.KindCount, 0, value.Int(1)},
		{"element", value.KindSet, value.KindString, value.Set([]value.Value{value.Count(1)})},
		{"pattern", value.KindPattern, 0, value.Pattern("a", "b")},
		{"record", value.KindRecord, 0, value.Record(nil)},
		{"nested", value.KindVector, value.KindVector, value.Vector([]value.Value{value.Vector(nil)})},
		{"transport", value.KindPort, 0, value.Port(1, 9)},
		{"prefix", value.KindSubnet, 0, value.Subnet(netip.MustParseAddr("10.0.0.0").As16(), 8)},
	} {
		e.Reset(one(c.kind, c.elem))
		if err := e.Append([]value.Value{c.v}); !errors.Is(err, record.ErrKind) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := e.Append(nil); !errors.Is(err, record.ErrKind) {
			t.Errorf("%s: short row: %v", c.name, err)
		}
		if e.Len() != 0 || e.Records() != 0 || e.Finish() != nil {
			t.Errorf("%s: something was written", c.name)
		}
		if err := e.Append([]value.Value{{}}); err != nil || e.Records() != 1 {
			t.Errorf("%s: after an error: %v", c.name, err)
		}
	}
}

// Hostile bytes from wire.md section 3.5: each is one value of one column.
func TestCorrupt(t *testing.T) {
	for _, c := range []struct {
		name       string
		kind, elem value.Kind
		hex        string
	}{
		{"other type", value.KindCount, 0, "0000000200000000010000000000000007"},
		{"negative length", value.KindString, 0, "000000070000000001ffffffff"},
		{"long string", value.KindString, 0, "000000070000000001000000056162"},
		{"family", value.KindAddr, 0, "0000000b0000000001050a000001"},
		{"subnet length", value.KindSubnet, 0, "0000000c000000000108040a000000"},
		{"transport", value.KindPort, 0, "0000000a000000000100000000000001bb00000004"},
		{"port", value.KindPort, 0, "0000000a000000000100000000000101bb00000001"},
		{"elements", value.KindVector, value.KindCount, "0000001300000000017fffffffffffffff"},
		{"negative elements", value.KindVector, value.KindCount, "000000130000000001ffffffffffffffff"},
		{"element type", value.KindVector, value.KindCount, "0000001300000000010000000000000001000000070000000000"},
		{"nested", value.KindVector, value.KindVector, "0000001300000000010000000000000001000000130000000000"},
		{"pattern", value.KindPattern, 0, "0000000800000000010000000000000000"},
	} {
		var e record.Encoder
		e.Reset(one(c.kind, c.elem))
		if err := e.Append([]value.Value{{}}); err != nil {
			t.Fatal(err)
		}
		b := e.Finish()
		b = append(b[:len(b)-9], unhex(t, c.hex)...)
		cur, err := record.Open(b)
		if err != nil {
			t.Fatal(err)
		}
		if cur.Next() || !errors.Is(cur.Err(), record.ErrCorrupt) {
			t.Errorf("%s: %v", c.name, cur.Err())
		}
	}
	// Claims that cannot be met are refused at once.
	head := unhex(t, goldenCluster)
	for _, at := range []int{bytes.Index(head, []byte("\x00\x00\x00\x03\x00\x00\x00\x00\x02ts")), bytes.LastIndex(head, []byte("\x00\x00\x00\x01\x00\x00\x00\x05"))} {
		b := bytes.Clone(head)
		copy(b[at:], "\xff\xff\xff\xff")
		if _, err := record.Open(b); !errors.Is(err, record.ErrCorrupt) {
			t.Errorf("claim at %d: %v", at, err)
		}
	}
}

func TestSplit(t *testing.T) {
	s, row := recordtest.Conn()
	var e record.Encoder
	e.Reset(s)
	for i := range 100 {
		row[9] = value.Count(uint64(i))
		if i == 50 {
			row[1] = value.String(strings.Repeat("x", 5000)) // too large alone
		} else {
			row[1] = value.String("CUID")
		}
		if err := e.Append(row); err != nil {
			t.Fatal(err)
		}
	}
	b := e.Finish()
	parts, tooLarge, err := record.Split(b, 4000)
	if err != nil || tooLarge != 1 || len(parts) < 2 {
		t.Fatal(len(parts), tooLarge, err)
	}
	seen := 0
	for _, p := range parts {
		if len(p.Payload) > 4000 {
			t.Errorf("part of %d bytes", len(p.Payload))
		}
		c, err := record.Open(p.Payload)
		if err != nil || c.Records() != p.Records {
			t.Fatal(err)
		}
		for c.Next() {
			if seen == 50 {
				seen++
			}
			if got := c.Field(9).Count(); got != uint64(seen) {
				t.Errorf("row %d is %d", seen, got)
			}
			seen++
		}
		if c.Err() != nil {
			t.Error(c.Err())
		}
	}
	if seen != 100 {
		t.Errorf("%d rows", seen)
	}
	if parts, _, _ := record.Split(b, 1<<20); len(parts) != 1 || parts[0].Records != 100 {
		t.Error("a batch that fits was split")
	}
}

func TestLimit(t *testing.T) {
	long := value.String(strings.Repeat("a", 10))
	row := []value.Value{long, value.Count(1), value.Set([]value.Value{long, value.String("b"), value.String("c")}), {}, value.Vector([]value.Value{value.Count(1), value.Count(2)})}
	s, c := record.Limit(row, record.Limits{String: 8, Strings: 12, Elems: 2, AllElems: 3})
	if s != 3 || c != 2 {
		t.Errorf("%d strings, %d containers", s, c)
	}
	want := []value.Value{value.String("aaaaaaaa"), value.Count(1), value.Set([]value.Value{value.String("aaaa"), value.String("")}), {}, value.Vector([]value.Value{value.Count(1)})}
	for i := range want {
		if i == 2 || i == 4 {
			if !reflect.DeepEqual(row[i].Elems(), want[i].Elems()) {
				t.Errorf("column %d: %v", i, row[i].Elems())
			}
		} else if row[i].Str() != want[i].Str() {
			t.Errorf("column %d: %q", i, row[i].Str())
		}
	}
	row[0] = long
	if s, c := record.Limit(row, record.DefaultLimits()); s+c != 0 || row[0].Str() != long.Str() {
		t.Error("a short row was cut")
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	s, row := recordtest.Conn()
	var e record.Encoder
	e.Reset(s)
	e.Give(make([]byte, 0, 1<<20))
	if n := testing.AllocsPerRun(500, func() {
		if err := e.Append(row); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per row", n)
	}
}

func BenchmarkEncodeConn(b *testing.B) {
	s, row := recordtest.Conn()
	var e record.Encoder
	e.Reset(s)
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Append(row); err != nil {
			b.Fatal(err)
		}
		if e.Records() == 1000 {
			e.Give(e.Finish())
		}
	}
}

func BenchmarkCursorConn(b *testing.B) {
	s, row := recordtest.Conn()
	var e record.Encoder
	e.Reset(s)
	for range 1000 {
		if err := e.Append(row); err != nil {
			b.Fatal(err)
		}
	}
	p := e.Finish()
	c, err := record.Open(p)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !c.Next() {
			if err := c.Reset(p); err != nil {
				b.Fatal(err)
			}
		}
	}
}
