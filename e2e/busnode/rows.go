package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/logs/batch"
	"github.com/picket-nsm/picket/logs/logger"
	"github.com/picket-nsm/picket/logs/ship"
	"github.com/picket-nsm/picket/logs/sink/tsv"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/record/recordtest"
)

// theLogger is the name of the only one.
const theLogger = "logger-1"

// life runs a driver until stop, which waits.
func life(bus backend.Driver) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := bus.Run(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "busnode:", err)
		}
	})
	limit, done := context.WithTimeout(context.Background(), 20*time.Second)
	defer done()
	return func() { cancel(); wg.Wait() }, bus.Flush(limit)
}

// takeRows is a logger that writes to dir until its input ends.
func takeRows(url, dir string) error {
	books, err := ledger.Create(filepath.Join(dir, theLogger), theLogger, "logger", uint64(time.Now().UnixNano()))
	if err != nil {
		return err
	}
	me, err := newNode(url, theLogger, nil)
	if err != nil {
		return err
	}
	bus := me.bus
	var first, last atomic.Int64 // when the first batch came, and the last was written
	var batches, answers, rows atomic.Int64
	cfg := logger.Default()
	cfg.Dir, cfg.Format = dir, tsv.Factory()
	l, err := logger.New(cfg, logger.Deps{Ledger: books, LedgerDir: filepath.Join(dir, theLogger), Answer: func(a logger.Answer) {
		last.Store(time.Now().UnixNano())
		answers.Add(1)
		_ = bus.Ack(backend.Ack{Logger: a.Logger, Producer: a.Producer, Start: a.Start, Seq: a.Seq, Err: a.Refusal}) // lost: sent again
	}})
	if err != nil {
		return err
	}
	if err := bus.Listen(theLogger, func(b *record.Batch) {
		first.CompareAndSwap(0, time.Now().UnixNano())
		batches.Add(1)
		rows.Add(int64(b.Records))
		l.Receive(b)
	}); err != nil {
		return err
	}
	if err := me.start(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Run(ctx) })
	fmt.Println("ready")
	lines(func(string) {})
	for answers.Load() < batches.Load() || rows.Load() < int64(setting("ROWS", 0)) {
		time.Sleep(time.Millisecond)
	}
	cancel()
	wg.Wait()
	me.stop()
	fmt.Printf("%.0f rows/s; logger %s\n", float64(rows.Load())/time.Duration(last.Load()-first.Load()).Seconds(), cpu())
	return books.Close()
}

// makeRows is a worker that makes n conn rows, and waits until all are written.
func makeRows(url, dir string, n int) error {
	const name = "worker-1"
	books, err := ledger.Create(filepath.Join(dir, name), name, "worker", uint64(time.Now().UnixNano()))
	if err != nil {
		return err
	}
	bus, err := connect(url, name, name+"-id")
	if err != nil {
		return err
	}
	cfg := ship.Default()
	cfg.Block = true
	s := ship.New(cfg, ship.Deps{Ledger: books, Carrier: bus})
	if err := bus.Acks(name, func(a backend.Ack) { s.Acked(a.Logger, a.Start, a.Seq, a.Err) }); err != nil {
		return err
	}
	stop, err := life(bus)
	if err != nil {
		return err
	}
	b := batch.New(batch.Default(), batch.Deps{Ledger: books, Out: s.Offer, Limit: bus.Limit})
	schema, row := recordtest.Conn()
	stream, err := b.Stream(schema)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { s.Run(ctx) })
	s.Loggers([]string{theLogger})
	start := time.Now()
	for range n {
		stream.Write(row)
	}
	b.Flush()
	if err := s.Drain(context.Background()); err != nil {
		return err
	}
	fmt.Printf("%.0f rows/s; worker %s\n", float64(n)/time.Since(start).Seconds(), cpu())
	cancel()
	wg.Wait()
	stop()
	return books.Close()
}
