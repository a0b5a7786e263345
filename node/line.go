package node

import (
	"context"
	"fmt"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/logs/batch"
	"github.com/picket-nsm/picket/logs/ship"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// line is a node's way for records, from a row to a logger: streams, batches,
// ship. open, tick and flush belong to the goroutine that writes rows.
type line struct {
	batcher *batch.Batcher
	ship    *ship.Ship
	err     error // of the first stream that could not be opened
	// cut, if not nil, is told of rows that exceeded a limit of logs, by the stream's
	// name.
	cut func(stream string, strings, containers int)
}

// newLine puts the stations together; carrier is the bus, and columns nil where all
// loggers are ours. With block set, a
// full queue holds the writer up (files); else the newest batch is dropped and
// counted (live capture).
func newLine(l *ledger.Ledger, carrier ship.Carrier, written func(string, *record.Batch) (bool, bool), columns *columns, block bool, deps *Deps) *line {
	cfg := ship.Default()
	cfg.Block = block
	to := ship.Deps{Ledger: l, Carrier: carrier, Written: written, Now: deps.Now, Log: deps.Log}
	if columns != nil {
		to.Takes = columns.takes
	}
	s := ship.New(cfg, to)
	offer := s.Offer
	if columns != nil {
		offer = func(b *record.Batch) {
			if columns.nobody(b) != nil {
				l.DropHeld(b.Path, ledger.StageShip, ledger.ReasonRefused, b.Records)
				return
			}
			s.Offer(b)
		}
	}
	way := &line{ship: s}
	way.batcher = batch.New(batch.Default(), batch.Deps{Ledger: l, Out: offer, Limit: carrier.Limit, Cut: func(s *batch.Stream, strings, containers int) {
		if way.cut != nil {
			way.cut(s.Schema.Stream, strings, containers)
		}
	}})
	way.batcher.Tick(deps.Now())
	return way
}

// open implements builtin.Open. A schema that cannot be opened is a
// programmer's mistake; check tells of it once all are opened.
func (l *line) open(s *record.Schema) func([]value.Value) {
	stream, err := l.batcher.Stream(s)
	if err != nil {
		if l.err == nil {
			l.err = err
		}
		return func([]value.Value) {}
	}
	return stream.Write
}

func (l *line) check() error { return l.err }

// Answers returns what takes loggers' answers from the bus to a ship.
func Answers(s *ship.Ship) func(backend.Ack) {
	return func(a backend.Ack) {
		switch {
		case a.Err == backend.NoListener:
			s.Missed(a.Logger, a.Start, a.Seq)
		case a.Unconfirmed:
			s.Passed(a.Logger, a.Start, a.Seq)
		default:
			s.Acked(a.Logger, a.Start, a.Seq, a.Err)
		}
	}
}

// drain hands on what is left and waits until every batch has an answer or
// patience is over.
func (l *line) drain(patience time.Duration) error {
	l.batcher.Flush()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.ship.Drain(ctx); err != nil {
		return fmt.Errorf("drain records: %w", err)
	}
	return nil
}

// limit ends the wait for loggers when patience is over after stop: a full queue
// may hold the writer up in the middle of a row. It returns with down.
func (l *line) limit(stop, down context.Context, patience time.Duration) error {
	select {
	case <-stop.Done():
	case <-down.Done():
		return nil
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-late.C:
		if err := l.ship.Drain(stop); err != nil {
			return fmt.Errorf("drain records: %w", err)
		}
	case <-down.Done():
	}
	return nil
}
