package batch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

var schema = record.New("Conn::LOG", "conn",
	record.Of("n", value.KindCount), record.Of("s", value.KindString),
	record.Of("v", value.KindVector, value.KindString))

type kit struct {
	led *ledger.Ledger
	out []*record.Batch
	b   *Batcher
	s   *Stream
}

func newKit(t testing.TB, cfg Config, limit int) *kit {
	k := &kit{}
	k.led, _ = ledger.New("worker-1", "worker", 7)
	k.b = New(cfg, Deps{Ledger: k.led, Out: func(b *record.Batch) { k.out = append(k.out, b) }, Limit: func() int { return limit }})
	k.b.Tick(time.Unix(100, 0))
	var err error
	if k.s, err = k.b.Stream(schema); err != nil {
		t.Fatal(err)
	}
	return k
}

func row(n int, s string) []value.Value {
	return []value.Value{value.Count(uint64(n)), value.String(s), {}}
}

// all returns the numbers of all rows handed on, and checks each batch against its envelope.
func (k *kit) all(t testing.TB) (out []uint64) {
	t.Helper()
	for _, b := range k.out {
		c, err := record.Open(b.Payload)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for c.Next() {
			out = append(out, c.Field(0).Count())
			n++
		}
		if c.Err() != nil || n != b.Records || b.Producer != "worker-1" || b.Start != 7 || b.Path != c.Schema().Path || b.Stream != c.Schema().Stream {
			t.Errorf("%+v: %d rows, %v", b, n, c.Err())
		}
	}
	return out
}

func TestFull(t *testing.T) {
	for _, c := range []struct {
		name  string
		rows  int
		width int
		limit int
		sizes []int // of the batches before Flush
	}{
		{"records", 2500, 1, 0, []int{1000, 1000}},
		{"bytes", 200, 4000, 0, []int{65, 65, 65}},
		{"limit", 200, 4000, 40000, []int{9, 9, 9, 9, 9, 9, 9, 2, 9, 9, 9, 9, 9, 9, 9, 2, 9, 9, 9, 9, 9, 9, 9, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKit(t, Default(), c.limit)
			for i := range c.rows {
				k.s.Write(row(i, strings.Repeat("x", c.width)))
			}
			var sizes []int
			for _, b := range k.out {
				sizes = append(sizes, b.Records)
				if c.limit > 0 && len(b.Payload) > c.limit {
					t.Errorf("%d bytes above the limit", len(b.Payload))
				}
			}
			if fmt.Sprint(sizes) != fmt.Sprint(c.sizes) {
				t.Errorf("batches %v, want %v", sizes, c.sizes)
			}
			k.b.Flush()
			k.b.Flush()
			for i, n := range k.all(t) {
				if uint64(i) != n {
					t.Fatalf("row %d is %d", i, n)
				}
			}
			if got := k.led.Counter(ledger.Produced("conn")).Load(); got != uint64(c.rows) || len(k.all(t)) != c.rows {
				t.Errorf("%d produced, %d handed on", got, len(k.all(t)))
			}
		})
	}
}

func TestDelay(t *testing.T) {
	k := newKit(t, Default(), 0)
	at := time.Unix(100, 0)
	for i := range 10 {
		k.b.Tick(at.Add(time.Duration(i) * 300 * time.Millisecond))
		k.s.Write(row(i, "x"))
	}
	// Written at 0, 0.3 ... ; a batch goes at the first tick a second after its first row.
	if len(k.out) != 2 || k.out[0].Records != 4 || k.out[1].Records != 4 {
		t.Errorf("%d batches", len(k.out))
	}
}

func TestHook(t *testing.T) {
	k := newKit(t, Default(), 0)
	odd, err := k.b.Stream(record.New("Conn::ODD", "odd", schema.Fields))
	if err != nil {
		t.Fatal(err)
	}
	k.s.Hook = func(s *Stream, r []value.Value) *Stream {
		switch n := r[0].Count(); {
		case n%5 == 0:
			return nil
		case n%2 == 1:
			r[0] = value.Count(1000 + n)
			return odd
		}
		return s
	}
	for i := range 10 {
		k.s.Write(row(i, "x"))
	}
	k.b.Flush()
	if got := fmt.Sprint(k.all(t)); got != "[2 4 6 8 1001 1003 1007 1009]" {
		t.Errorf("%s", got)
	}
	s, _ := k.led.Snapshot()
	if s.Counters[ledger.Produced("conn")] != 4 || s.Counters[ledger.Produced("odd")] != 4 || s.Counters[ledger.RecordsVetoed] != 2 {
		t.Errorf("%v", s.Counters)
	}
}

func TestBadRows(t *testing.T) {
	k := newKit(t, Default(), 8000)
	cut := 0
	k.b.deps.Cut = func(_ *Stream, s, c int) { cut += s + c }
	k.s.Write([]value.Value{value.String("no count"), value.String(""), {}})
	k.s.Write(nil)
	k.s.Write(row(1, strings.Repeat("x", 5000))) // cut to 4096
	var many []value.Value
	for range 300 {
		many = append(many, value.String("e"))
	}
	k.s.Write([]value.Value{value.Count(2), value.String("y"), value.Vector(many)})
	k.s.Limits = record.Limits{}
	k.s.Write(row(3, strings.Repeat("x", 9000))) // above the backend's limit alone
	k.b.Flush()
	if got := fmt.Sprint(k.all(t)); got != "[1 2]" {
		t.Errorf("%s", got)
	}
	s, _ := k.led.Snapshot()
	if s.Counters[ledger.Produced("conn")] != 5 || s.Counters["records.dropped.batch.invalid"] != 2 ||
		s.Counters["records.dropped.batch.too_large"] != 1 || s.Counters[ledger.RecordsLimited] != 2 || cut != 2 {
		t.Errorf("%v, cut %d", s.Counters, cut)
	}
	if _, err := k.b.Stream(record.New("X", strings.Repeat("p", 90))); err == nil {
		t.Error("a path that cannot be counted is accepted")
	}
}

func TestAllocs(t *testing.T) {
	k := newKit(t, Default(), 0)
	k.b.deps.Out = func(*record.Batch) {}
	r := row(1, "some string")
	for range 5000 { // Let the encoder learn its size.
		k.s.Write(r)
	}
	if n := testing.AllocsPerRun(20000, func() { k.s.Write(r) }); n > 0 {
		t.Errorf("%v allocations per row", n)
	}
}

func BenchmarkWrite(b *testing.B) {
	k := newKit(b, Default(), 0)
	k.b.deps.Out = func(*record.Batch) {}
	r := row(1, "some string")
	b.ReportAllocs()
	for b.Loop() {
		k.s.Write(r)
	}
}
