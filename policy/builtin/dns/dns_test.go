package dns

import (
	"path/filepath"
	"testing"

	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/dns"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return wire.Factory(wire.Default(), New(rowstest.Note(rec, Schema())).Handler)
		},
		Allocs: 60, // many ids, many answers: such state is not kept for reuse
		State:  160 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// The header is the one that real Zeek sends, column by column.
func TestRecordedHeader(t *testing.T) { rowstest.SameHeader(t, Schema(), "dns53") }

// TestHeld lets replies with much text wait on one connection: they are written
// before they fill the memory.
func TestHeld(t *testing.T) {
	rows := 0
	log := New(func([]value.Value) { rows++ })
	a := wire.Factory(wire.Default(), log.Handler).New(value.ProtoUDP)
	rec := &analyzertest.Recorder{Quiet: true}
	msg := []byte{0, 0, 0x80, 0, 0, 0, 0, 16, 0, 0, 0, 0}
	for range 16 {
		msg = append(msg, 0, 0, 16, 0, 1, 0, 0, 0, 0, 0x0f, 0xff, 254)
		msg = append(msg, make([]byte, 0x0ffe)...)
	}
	for n := range 100 {
		msg[1] = byte(n)
		a.Deliver(rec, true, msg)
	}
	if log.Flushed() == 0 || rows == 0 {
		t.Errorf("%d flushed, %d rows, want some", log.Flushed(), rows)
	}
	a.End(rec)
	if rows != 100 {
		t.Errorf("%d rows in the end, want 100", rows)
	}
}

// BenchmarkPair is what a query with its reply costs from payload to encoded row.
func BenchmarkPair(b *testing.B) {
	all := analyzertest.Load(b, filepath.Join("testdata"))
	for _, c := range all {
		if c.Name != "pairs" {
			continue
		}
		var enc record.Encoder
		enc.Reset(Schema())
		log := New(func(row []value.Value) {
			if err := enc.Append(row); err != nil {
				b.Fatal(err)
			}
			if enc.Records() == 1000 {
				enc.Give(enc.Finish())
			}
		})
		rec := &analyzertest.Recorder{Quiet: true}
		f := wire.Factory(wire.Default(), log.Handler)
		b.ReportAllocs()
		for b.Loop() {
			a := f.New(value.ProtoUDP)
			a.Deliver(rec, true, c.Turns[0].Data)
			a.Deliver(rec, false, c.Turns[2].Data)
			a.End(rec)
		}
	}
}
