// Package sinktest is the kit every sink format passes: what its output must
// be like, whatever it looks like.
package sinktest

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/logs/sink"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/record/recordtest"
	"github.com/picket-nsm/picket/zeek/value"
)

// Features says what differs between formats.
type Features struct {
	Header   bool   // files begin with a header
	Footer   bool   // files end with a footer
	Recorded string // folder of what real Zeek wrote, beside batches.jsonl: tsv, json; empty: none
}

var opened = time.Date(2026, 11, 21, 20, 22, 12, 0, time.UTC)

// Run runs the kit.
func Run(t *testing.T, factory sink.Factory, feat Features) {
	t.Run("header and footer", func(t *testing.T) {
		f := factory.New()
		if got := len(f.Header(nil, Everything(), opened)) > 0; got != feat.Header {
			t.Errorf("has a header: %v", got)
		}
		if got := len(f.Footer(nil, opened)) > 0; got != feat.Footer {
			t.Errorf("has a footer: %v", got)
		}
		if ext := f.Ext(); len(ext) < 2 || ext[0] != '.' {
			t.Errorf("ext %q", ext)
		}
	})
	t.Run("appends", func(t *testing.T) {
		f := factory.New()
		got, n := rows(t, f, []byte("before"), batch(t, 3))
		if n != 3 || !bytes.HasPrefix(got, []byte("before")) {
			t.Errorf("%d rows, %q", n, got)
		}
		if !bytes.HasPrefix(f.Header([]byte("x"), Everything(), opened), []byte("x")) {
			t.Error("the header overwrites")
		}
	})
	t.Run("a row at a time is the same as all", func(t *testing.T) {
		whole, n := rows(t, factory.New(), nil, batch(t, 5))
		var single []byte
		f := factory.New()
		for i := range n {
			one, _ := rows(t, f, nil, part(t, i))
			single = append(single, one...)
		}
		if !bytes.Equal(whole, single) {
			t.Errorf("got\n%s\nwant\n%s", single, whole)
		}
	})
	t.Run("keeps nothing of a batch", func(t *testing.T) {
		f := factory.New()
		want, _ := rows(t, factory.New(), nil, batch(t, 2))
		p := batch(t, 2)
		c, err := record.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := f.Rows(nil, c)
		if err != nil {
			t.Fatal(err)
		}
		for i := range p {
			p[i] = 0xa5
		}
		if !bytes.Equal(got, want) {
			t.Error("the output changed with the batch")
		}
		if again, _ := rows(t, f, nil, batch(t, 2)); !bytes.Equal(again, want) {
			t.Error("the second batch is written differently")
		}
	})
	t.Run("another schema", func(t *testing.T) {
		f := factory.New()
		rows(t, f, nil, batch(t, 1))
		small := record.New("Small::LOG", "small", record.Of("n", value.KindCount))
		b := encode(t, small, []value.Value{value.Count(5)})
		got, _ := rows(t, f, nil, b)
		want, _ := rows(t, factory.New(), nil, b)
		if !bytes.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("cut batch", func(t *testing.T) { cut(t, factory) })
	t.Run("one line per row", func(t *testing.T) {
		got, n := rows(t, factory.New(), nil, batch(t, len(Rows())))
		if lines := bytes.Count(got, []byte("\n")); lines != n {
			t.Errorf("%d lines for %d rows", lines, n)
		}
	})
	t.Run("no allocation per row", func(t *testing.T) { allocs(t, factory) })
	t.Run("as real Zeek", func(t *testing.T) {
		if feat.Recorded == "" {
			t.Skip("Zeek does not write this format")
		}
		recorded(t, factory, feat.Recorded)
	})
}

// cut hands over batches that turn bad half-way: complete rows are counted and kept.
func cut(t *testing.T, factory sink.Factory) {
	p := batch(t, 4)
	three, _ := rows(t, factory.New(), nil, batch(t, 3))
	c, err := record.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.Next()
	}
	last := bytes.LastIndex(p, []byte("\x00\x00\x00\x05\x00\x00\x00\x00\x01")) // the last row's time
	p[last+3] = 99
	if err := c.Reset(p); err != nil {
		t.Fatal(err)
	}
	got, n, err := factory.New().Rows(nil, c)
	if !errors.Is(err, record.ErrCorrupt) || n != 3 || !bytes.Equal(got, three) {
		t.Errorf("%d rows, error %v", n, err)
	}
}

func allocs(t *testing.T, factory sink.Factory) {
	p := batch(t, 4)
	c, err := record.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	f, buf := factory.New(), make([]byte, 0, 1<<16)
	if n := testing.AllocsPerRun(100, func() {
		if err := c.Reset(p); err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.Rows(buf[:0], c); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for 4 rows", n)
	}
}

// recorded compares with the files of a real logger, #open and #close aside:
// each file is the rows of its path in the order of the batches.
func recorded(t *testing.T, factory sink.Factory, folder string) {
	root := testenv.Shared(t, "golden", "log-batches")
	names, err := filepath.Glob(filepath.Join(root, "*", folder, "*.log"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		dir := filepath.Dir(filepath.Dir(name))
		path := filepath.Base(name)
		path = path[:len(path)-len(".log")]
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f := factory.New()
		var got []byte
		for _, frames := range testenv.Frames(t, filepath.Join(dir, "batches.jsonl")) {
			c, err := record.Open(frames[3])
			if err != nil {
				t.Fatal(err)
			}
			if c.Schema().Path != path {
				continue
			}
			if got == nil {
				got = f.Header([]byte{}, c.Schema(), opened)
			}
			if got, _, err = f.Rows(got, c); err != nil {
				t.Fatal(err)
			}
		}
		got = f.Footer(got, opened)
		compare(t, name, lines(got), lines(want))
	}
}

func lines(b []byte) [][]byte {
	var out [][]byte
	for line := range bytes.Lines(b) {
		if !bytes.HasPrefix(line, []byte("#open")) && !bytes.HasPrefix(line, []byte("#close")) {
			out = append(out, line)
		}
	}
	return out
}

func compare(t *testing.T, name string, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d lines, want %d", name, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("%s line %d:\ngot  %s\nwant %s", name, i+1, got[i], want[i])
			return
		}
	}
}

// Everything is a schema with a column of each type.
func Everything() *record.Schema {
	return record.New("Every::LOG", "every thing",
		record.Optional("ts", value.KindTime), record.Optional("b", value.KindBool), record.Optional("i", value.KindInt),
		record.Optional("c", value.KindCount), record.Optional("d", value.KindDouble),
		record.Optional("iv", value.KindInterval), record.Optional("s", value.KindString),
		record.Optional("e", value.KindEnum), record.Optional("id.orig_p", value.KindPort),
		record.Optional("id.orig_h", value.KindAddr), record.Optional("net", value.KindSubnet),
		record.Optional("fn", value.KindFunc), record.Optional("file", value.KindFile),
		record.Optional("ss", value.KindSet, value.KindString), record.Optional("vc", value.KindVector, value.KindCount))
}

// Rows returns rows of that schema that are hard to write.
func Rows() [][]value.Value {
	s := value.String
	set := func(v ...value.Value) value.Value { return value.Set(v) }
	vec := func(v ...value.Value) value.Value { return value.Vector(v) }
	a4, a6 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")
	row := func(ts, d float64, str string, ss, vc value.Value) []value.Value {
		return []value.Value{value.Time(ts), value.Bool(true), value.Int(-5), value.Count(math.MaxUint64), value.Double(d), value.Interval(ts / 3),
			s(str), value.Enum("Notice::ACTION_LOG"), value.Port(443, value.ProtoTCP), value.Addr(a4),
			value.Subnet(a6.As16(), 32), value.Func("f"), value.File("/x"), ss, vc}
	}
	empty := make([]value.Value, len(Everything().Fields))
	empty[0] = value.Time(1)
	return [][]value.Value{
		row(1700000000.123456, 3, "plain", set(s("a"), s("b,c")), vec(value.Count(1), value.Value{})),
		empty,
		row(0, 0.1, "", set(), vec()),
		row(-1.5, -1e-7, "tab\tnewline\nback\\slash", set(s("-"), s("(empty)"), s("")), vec(value.Value{})),
		row(1e9, 1e300, "ñ\xff\x00 \u2028 \"quoted\"", set(s("ñ\n"), s("x\\ñ")), vec(value.Count(0))),
		row(1e9, math.Inf(-1), "-", set(s("\ufffd")), vec()),
		row(1e9, math.NaN(), "(empty)", set(s("#")), vec()),
	}
}

// Batch encodes rows of Everything; n above their number repeats them.
func batch(t testing.TB, n int) []byte {
	t.Helper()
	all := Rows()
	var rows [][]value.Value
	for i := range n {
		rows = append(rows, all[i%len(all)])
	}
	return encode(t, Everything(), rows...)
}

func part(t testing.TB, i int) []byte {
	t.Helper()
	return encode(t, Everything(), Rows()[i])
}

func encode(t testing.TB, s *record.Schema, rows ...[]value.Value) []byte {
	t.Helper()
	var e record.Encoder
	e.Reset(s)
	for _, row := range rows {
		if err := e.Append(row); err != nil {
			t.Fatal(err)
		}
	}
	return e.Finish()
}

func rows(t testing.TB, f sink.Format, dst, p []byte) ([]byte, int) {
	t.Helper()
	c, err := record.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	dst, n, err := f.Rows(dst, c)
	if err != nil {
		t.Fatal(err)
	}
	return dst, n
}

// Conn returns a batch of n conn.log rows, for benchmarks.
func Conn(t testing.TB, n int) []byte {
	t.Helper()
	s, row := recordtest.Conn()
	rows := make([][]value.Value, n)
	for i := range rows {
		r := slices.Clone(row)
		r[0] = value.Time(row[0].Float() + float64(i)*0.0371)
		r[2], r[3] = value.Addr(netip.AddrFrom4([4]byte{192, 168, byte(i >> 8), byte(i)})), value.Port(uint16(40000+i), value.ProtoTCP)
		r[8] = value.Interval(row[8].Float() + float64(i)/7)
		r[9], r[10] = value.Count(uint64(124+i*31)), value.Count(uint64(21530+i*977))
		rows[i] = r
	}
	return encode(t, s, rows...)
}

// Bench measures the way from an encoded batch to text.
func Bench(b *testing.B, factory sink.Factory) {
	const n = 1000
	p := Conn(b, n)
	c, err := record.Open(p)
	if err != nil {
		b.Fatal(err)
	}
	f := factory.New()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Reset(p); err != nil {
			b.Fatal(err)
		}
		if buf, _, err = f.Rows(buf[:0], c); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
}
