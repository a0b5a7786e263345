package ledger

import (
	"encoding/json"
	"strings"
	"testing"
)

// town is a worker and a logger whose books a case fills in.
type town struct {
	w, l   *Ledger
	t      *testing.T
	length int64
	dead   map[string]bool
}

func (o *town) report() *Report {
	o.t.Helper()
	ws, err := o.w.Snapshot()
	if err != nil {
		o.t.Fatal(err)
	}
	ls, err := o.l.Snapshot()
	if err != nil {
		o.t.Fatal(err)
	}
	r, err := Settle([]*Snapshot{ws, ls}, Options{
		Length: func(string) (int64, error) { return o.length, nil },
		Over:   func(s *Snapshot) bool { return s.State == Stopped || o.dead[s.Node] },
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}

func (o *town) makeBatch(path string, rows int) Entry {
	o.t.Helper()
	o.w.Counter(Produced(path)).Add(uint64(rows))
	e, ok, err := o.w.Make(path, rows, 1)
	if !ok || err != nil {
		o.t.Fatal(ok, err)
	}
	return e
}

// write has the logger write a batch; half leaves it under way.
func (o *town) write(path string, seq uint64, rows int, half bool) {
	o.t.Helper()
	f, err := o.l.OpenFile(File{Path: path, Name: "/logs/" + path + ".log"})
	if err != nil {
		o.t.Fatal(err)
	}
	p, err := o.l.Life("worker-1", 7)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := o.l.Begin(Flight{File: f, Life: p, Path: path, Seq: seq, Rows: rows, Before: 100, After: 200}); err != nil {
		o.t.Fatal(err)
	}
	if !half {
		o.l.Commit()
	}
}

func TestSettle(t *testing.T) {
	for _, c := range []struct {
		name      string
		fill      func(o *town)
		wState    State
		lState    State
		dead      string
		length    int64
		text      string // the sum of conn
		remainder int64
		settled   bool
	}{
		{name: "all written", wState: Stopped, lState: Stopped, settled: true, text: "written 10",
			fill: func(o *town) { e := o.makeBatch("conn", 10); o.write("conn", e.Seq, 10, false); o.w.Acked(e) }},
		{name: "answered, not written", wState: Stopped, lState: Stopped, remainder: 10, text: "remainder 10",
			fill: func(o *town) { o.w.Acked(o.makeBatch("conn", 10)) }},
		{name: "written, never produced", wState: Stopped, lState: Stopped, remainder: 10, text: "",
			fill: func(o *town) { o.write("conn", 1, 10, false) }},
		{name: "vanished in the worker", wState: Stopped, lState: Stopped, remainder: 4, text: "remainder 4",
			fill: func(o *town) { o.w.Counter(Produced("conn")).Add(4) }},
		{name: "held at a death", dead: "worker-1", lState: Stopped, settled: true, text: "lost 4",
			fill: func(o *town) { o.w.Counter(Produced("conn")).Add(4) }},
		{name: "queued at a death", dead: "worker-1", lState: Stopped, settled: true, text: "lost 10",
			fill: func(o *town) { o.makeBatch("conn", 10) }},
		{name: "sent and written, then death before the answer", dead: "worker-1", lState: Stopped, settled: true, text: "written 10",
			fill: func(o *town) {
				e := o.makeBatch("conn", 10)
				o.w.Sent(e, "logger-1")
				o.write("conn", e.Seq, 10, false)
			}},
		{name: "both dead, in the file", dead: "worker-1 logger-1", length: 200, settled: true, text: "written 10",
			fill: func(o *town) {
				e := o.makeBatch("conn", 10)
				o.w.Sent(e, "logger-1")
				o.write("conn", e.Seq, 10, true)
			}},
		{name: "both dead, half in the file", dead: "worker-1 logger-1", length: 199, settled: true, text: "lost 10",
			fill: func(o *town) {
				e := o.makeBatch("conn", 10)
				o.w.Sent(e, "logger-1")
				o.write("conn", e.Seq, 10, true)
			}},
		{name: "worker dead, logger still at it", dead: "worker-1", text: "open 10",
			fill: func(o *town) { o.w.Sent(o.makeBatch("conn", 10), "logger-1") }},
		{name: "gave up, not written", wState: Stopped, lState: Stopped, settled: true, text: "dropped 10",
			fill: func(o *town) { e := o.makeBatch("conn", 10); o.w.Sent(e, "logger-1"); o.w.GaveUp(e) }},
		{name: "gave up, written", wState: Stopped, lState: Stopped, settled: true, text: "written 10",
			fill: func(o *town) {
				e := o.makeBatch("conn", 10)
				o.w.Sent(e, "logger-1")
				o.w.GaveUp(e)
				o.write("conn", e.Seq, 10, false)
			}},
		{name: "dropped", wState: Stopped, lState: Stopped, settled: true, text: "dropped 13",
			fill: func(o *town) {
				o.w.Dropped(o.makeBatch("conn", 10), StageLogger, ReasonRefused)
				o.w.Counter(Produced("conn")).Add(3)
				o.w.DropHeld("conn", StageShip, ReasonFull, 3)
			}},
		{name: "handed to a real Zeek", wState: Stopped, lState: Stopped, settled: true, text: "handed 10",
			fill: func(o *town) { o.w.HandedOver(o.makeBatch("conn", 10)) }},
		{name: "alive", text: "open 14",
			fill: func(o *town) { o.makeBatch("conn", 10); o.w.Counter(Produced("conn")).Add(4) }},
		{name: "stopped with a batch in hand", wState: Stopped, lState: Stopped, remainder: 10, text: "remainder 10",
			fill: func(o *town) { o.makeBatch("conn", 10) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := &town{t: t, length: c.length, dead: map[string]bool{}}
			o.w, _ = New("worker-1", "worker", 7)
			o.l, _ = New("logger-1", "logger", 7)
			c.fill(o)
			o.w.SetState(c.wState, at(0))
			o.l.SetState(c.lState, at(0))
			for _, d := range strings.Fields(c.dead) {
				o.dead[d] = true
			}
			r := o.report()
			if r.Remainder() != c.remainder || r.Settled != c.settled {
				t.Errorf("remainder %d, settled %v", r.Remainder(), r.Settled)
			}
			js, _ := json.Marshal(r)
			what, n, _ := strings.Cut(c.text, " ")
			l := r.RecordTotal
			got := map[string]int64{"written": int64(l.Written), "handed": int64(l.Handed), "dropped": int64(sum(l.Dropped)), "lost": int64(l.lost()), "open": l.Open, "remainder": l.Remainder}
			if want, err := json.Number(n).Int64(); what != "" && (err != nil || got[what] != want || int64(l.Produced) != want) {
				t.Errorf("%s", js)
			}
		})
	}
}

func TestReportText(t *testing.T) {
	o := &town{t: t, dead: map[string]bool{"worker-1": true}}
	o.w, _ = New("worker-1", "worker", 7)
	o.l, _ = New("logger-1", "logger", 7)
	o.w.Counter(PacketsReceived).Set(1000)
	o.w.Counter(PacketsAnalyzed).Set(998)
	o.w.Counter(PacketsKernel).Set(5)
	o.w.Counter(FlowsOpen).Set(40)
	for range 3 {
		e := o.makeBatch("conn", 100)
		o.write("conn", e.Seq, 100, false)
		o.w.Acked(e)
	}
	o.w.Acked(o.makeBatch("dns", 9))
	o.w.Counter(Produced("dns")).Add(1)
	o.w.DropHeld("dns", StageShip, ReasonFull, 1)
	o.w.Counter(Produced("conn")).Add(6)
	z, _ := o.l.Life("zeek-worker", 0)
	f, _ := o.l.OpenFile(File{Path: "http", Name: "/logs/http.log"})
	o.l.Begin(Flight{File: f, Life: z, Path: "http", Rows: 2, After: 10})
	o.l.Commit()
	o.l.SetState(Stopped, at(0))
	var b strings.Builder
	r := o.report()
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	want := `  packets  read  analyzed  dropped  lost  
      all  1005       998        5     2  

  records  produced  written  dropped  lost  
     conn       306      300        0     6  
      dns        10        0        1     0  
      all       316      300        1     6  
dropped: 5 packets, kernel
lost: 2 packets of worker-1, in its hands when it died
lost: about 40 connections of worker-1, open when it died; of those that went on, the rows begin later
dropped: 1 records, ship: full
lost: 6 records of worker-1, in its hands when it died
also written: 2 records of http from zeek-worker, whose books are not here
REMAINDER 9 dns records of worker-1 (life 7): nobody knows where they went; this is a mistake of picket
`
	clean := func(s string) (out []string) {
		for _, l := range strings.Split(s, "\n") {
			out = append(out, strings.Join(strings.Fields(l), " "))
		}
		return out
	}
	if got, want := strings.Join(clean(b.String()), "\n"), strings.Join(clean(want), "\n"); got != want {
		t.Errorf("%s", got)
	}
	if r.Settled {
		t.Error("settled")
	}
	o.w.SetState(Stopped, at(0))
	if r := o.report(); len(r.Connections) > 0 {
		t.Errorf("connections lost with a worker that stopped in order: %+v", r.Connections)
	}
}

func TestProof(t *testing.T) {
	dir := t.TempDir()
	proof := Proof(func(string) string { return dir })
	if _, known := proof("logger-1", "worker-1", 7, 3); known {
		t.Error("known without a ledger")
	}
	o := &town{t: t}
	o.l = create(t, dir, "logger-1", "logger", 1)
	o.write("conn", 3, 10, false)
	if _, known := proof("logger-1", "worker-1", 7, 3); known {
		t.Error("known while the logger lives")
	}
	o.l.SetState(Stopped, at(0))
	for seq, want := range map[uint64]bool{3: true, 4: false} {
		if written, known := proof("logger-1", "worker-1", 7, seq); !known || written != want {
			t.Errorf("batch %d: %v, %v", seq, written, known)
		}
	}
}
