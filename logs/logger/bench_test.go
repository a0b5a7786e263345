package logger

import (
	"context"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/logs/batch"
	"github.com/picket-nsm/picket/logs/ship"
	"github.com/picket-nsm/picket/logs/sink/tsv"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/record/recordtest"
)

// direct hands batches over within the process.
type direct struct{ l *Logger }

func (d direct) Send(_ string, b *record.Batch) error { d.l.Receive(b); return nil }
func (d direct) Limit() int                           { return 1 << 20 }

// BenchmarkWay is a conn row's whole way: encoded, batched, shipped, written as
// TSV to a file in memory, acknowledged.
func BenchmarkWay(b *testing.B) {
	dir := b.TempDir()
	if d, err := os.MkdirTemp("/dev/shm", "picket"); err == nil {
		dir = d
		defer os.RemoveAll(d)
	}
	wled, err := ledger.Create(dir+"/worker-1", "worker-1", "worker", 1)
	if err != nil {
		b.Fatal(err)
	}
	lled, err := ledger.Create(dir+"/logger-1", "logger-1", "logger", 1)
	if err != nil {
		b.Fatal(err)
	}
	var s *ship.Ship
	cfg := Default()
	cfg.Dir, cfg.Format = dir, tsv.Factory()
	l, err := New(cfg, Deps{Ledger: lled, LedgerDir: dir + "/logger-1", Answer: func(a Answer) { s.Acked(a.Logger, a.Start, a.Seq, a.Refusal) }})
	if err != nil {
		b.Fatal(err)
	}
	sc := ship.Default()
	sc.Block = true
	s = ship.New(sc, ship.Deps{Ledger: wled, Carrier: direct{l}})
	bt := batch.New(batch.Default(), batch.Deps{Ledger: wled, Out: s.Offer})
	schema, row := recordtest.Conn()
	st, err := bt.Stream(schema)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })
	wg.Go(func() { s.Run(ctx) })
	s.Loggers([]string{"logger-1"})
	b.ReportAllocs()
	cpu, begin := cpuTime(), time.Now()
	for b.Loop() {
		st.Write(row)
	}
	bt.Flush()
	if err := s.Drain(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "rows/s")
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/row")
	cancel()
	wg.Wait()
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
