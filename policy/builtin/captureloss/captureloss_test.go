package captureloss

import (
	"testing"

	"github.com/picket-nsm/picket/zeek/value"
)

func TestRows(t *testing.T) {
	type row struct {
		ts, delta  float64
		gaps, acks uint64
		lost       float64
	}
	var rows []row
	var acks, gaps uint64
	l := New(func(r []value.Value) {
		rows = append(rows, row{r[0].Float(), r[1].Float(), r[3].Count(), r[4].Count(), r[5].Float()})
	}, "worker-1", func() (uint64, uint64) { return acks, gaps })
	l.Advance(1000)
	acks, gaps = 200, 3
	l.Advance(1059)
	l.Advance(1060)
	l.Advance(1900)
	acks, gaps = 300, 3
	l.Advance(1960)
	l.Finish(1961)
	want := []row{{1060, 60, 3, 200, 1.5}, {1960, 900, 0, 100, 0}, {1961, 1, 0, 0, 0}}
	if len(rows) != len(want) {
		t.Fatalf("rows %v, want %v", rows, want)
	}
	for i := range want {
		if rows[i] != want[i] {
			t.Errorf("row %d: %v, want %v", i, rows[i], want[i])
		}
	}
}
