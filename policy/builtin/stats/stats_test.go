package stats

import (
	"testing"

	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Rows hold differences for counters and the state for gauges, each in its
// column, and fit the schema.
func TestRows(t *testing.T) {
	var rows [][]value.Value
	c := Counts{MemoryMB: 10, Packets: 100, Bytes: 1000, ActiveTCP: 3, TCP: 5, Timers: 7, ActiveTimers: 2, ReassemTCP: 9}
	l := New(func(row []value.Value) {
		var e record.Encoder
		e.Reset(Schema())
		if err := e.Append(row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, append([]value.Value(nil), row...))
	}, "worker-1", false, func() Counts { return c })
	l.Advance(1000)
	l.Advance(1299)
	if len(rows) != 0 {
		t.Fatalf("a row before the interval was over")
	}
	l.Advance(1300)
	c.Packets, c.TCP, c.ActiveTCP = 150, 6, 1
	l.Finish(1310)
	if len(rows) != 2 {
		t.Fatalf("%d rows, want 2", len(rows))
	}
	want := []map[string]uint64{
		{"mem": 10, "pkts_proc": 100, "bytes_recv": 1000, "active_tcp_conns": 3, "tcp_conns": 5, "timers": 7, "active_timers": 2, "reassem_tcp_size": 9, "files": 0},
		{"mem": 10, "pkts_proc": 50, "bytes_recv": 0, "active_tcp_conns": 1, "tcp_conns": 1, "timers": 0, "active_timers": 2, "reassem_tcp_size": 9, "udp_conns": 0},
	}
	s := Schema()
	for i, w := range want {
		for name, n := range w {
			if got := rows[i][s.Index(name)].Count(); got != n {
				t.Errorf("row %d: %s = %d, want %d", i, name, got, n)
			}
		}
		if rows[i][s.Index("pkt_lag")].IsSet() {
			t.Errorf("row %d: pkt_lag is set for a capture file", i)
		}
	}
}
