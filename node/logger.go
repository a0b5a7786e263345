package node

import (
	"context"
	"slices"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/logs/logger"
	"github.com/picket-nsm/picket/logs/sink"
	"github.com/picket-nsm/picket/zeek/record"
)

// wireLogger puts the lower half of the data path together (wire.go): batches
// from the bus to the logger, rows to files by the format, answers back to the
// bus.
func (n *node) wireLogger() (*logger.Logger, error) {
	format, err := n.deps.format(n.spec.Logs.Format)
	if err != nil {
		return nil, err
	}
	l, err := logger.New(loggerConfig(n.spec.Logs, format), logger.Deps{
		Ledger: n.books, LedgerDir: n.spec.Dir, Now: n.deps.Now, Log: n.deps.Log,
		Answer: func(a logger.Answer) {
			// An answer that gets lost is asked for again: the batch is sent once more.
			_ = n.bus.Ack(toAck(a))
		},
	})
	if err != nil {
		return nil, err
	}
	return l, n.bus.Listen(n.spec.Name, func(b *record.Batch) {
		if b.Seq == 0 && slices.Contains(n.spec.Zeek, b.Producer) {
			n.books.Counter(ledger.Link(b.Producer, ledger.LinkBatches)).Add(1)
			n.books.Counter(ledger.Link(b.Producer, ledger.LinkRecords)).Add(uint64(b.Records))
		}
		l.Receive(b)
	})
}

func loggerConfig(s Logs, format sink.Factory) logger.Config {
	cfg := logger.Default()
	cfg.Dir, cfg.Archive, cfg.Format = s.Dir, s.Archive, format
	cfg.Tag = s.Tag
	cfg.Rotate = logger.Rotation{Every: s.Rotate, At: s.RotateAt, Queue: s.Archiver, Suffix: s.Suffix}
	return cfg
}

// runLogger writes what the others send until ctx ends, then what has arrived.
func (n *node) runLogger(ctx context.Context) error {
	l, err := n.wireLogger()
	if err != nil {
		return err
	}
	if err := n.join(ctx); err != nil {
		return err
	}
	n.ready()
	err = l.Run(ctx)
	// The last answers are still in the bus's queue.
	flush, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = n.bus.Flush(flush)
	return err
}
