package logger

import (
	"context"
	"net/netip"
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
	"github.com/picket-nsm/picket/zeek/value"
)

// connLike is a row with the columns of conn.log.
func connLike() (*record.Schema, []value.Value) {
	s := record.New("Conn::LOG", "conn",
		record.Conn(), record.Optional("proto", value.KindEnum), record.Optional("service", value.KindString),
		record.Optional("duration", value.KindInterval), record.Optional("orig_bytes", value.KindCount),
		record.Optional("resp_bytes", value.KindCount), record.Optional("conn_state", value.KindString),
		record.Optional("local_orig", value.KindBool), record.Optional("local_resp", value.KindBool),
		record.Optional("missed_bytes", value.KindCount), record.Optional("history", value.KindString),
		record.Optional("orig_pkts", value.KindCount), record.Optional("orig_ip_bytes", value.KindCount),
		record.Optional("resp_pkts", value.KindCount), record.Optional("resp_ip_bytes", value.KindCount),
		record.Optional("ip_proto", value.KindCount))
	a := value.Addr(netip.MustParseAddr("192.168.10.20"))
	return s, []value.Value{
		value.Time(1_700_000_000.123456), value.String("CHhAvVGS1DHFjwGM9"), a, value.Port(54321, value.ProtoTCP),
		a, value.Port(443, value.ProtoTCP), value.Enum("tcp"), value.String("ssl"), value.Interval(1.5), value.Count(1234),
		value.Count(56789), value.String("SF"), value.Bool(true), value.Bool(false), value.Count(0), value.String("ShADadFf"),
		value.Count(12), value.Count(1800), value.Count(50), value.Count(60000), value.Count(6),
	}
}

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
	schema, row := connLike()
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
