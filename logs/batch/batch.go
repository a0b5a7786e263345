// Package batch is where a record becomes bytes: it takes rows from policy,
// passes each by the stream's hook, cuts what exceeds Zeek's limits, encodes it,
// and hands a batch on when it has 1000 records, 256 KiB, or is a second old.
//
// It stands between policy and the way to a logger (logs/ship). It runs on the
// worker's goroutine and owns the batches it is filling, nothing else; what
// happens to a full batch is its Out's business. It notes each row in the
// ledger as it comes in, so that what a killed process still held is known.
package batch

import (
	"fmt"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Out takes full batches, which have no number yet. It owns them from then on.
// It may block: that is how reading a file waits for a slow logger.
type Out func(*record.Batch)

// Hook sees each row of a stream before it is encoded. It may change values in
// place. Returning nil vetoes the row; returning another stream redirects it.
type Hook func(s *Stream, row []value.Value) *Stream

// Config says when a batch is full.
type Config struct {
	Records int           // rows of a batch
	Bytes   int           // size from which a batch is handed on
	Delay   time.Duration // how old a batch may get
	Limits  record.Limits // of each row; a stream may have others
}

// Default is Zeek's, with a bound on bytes.
func Default() Config {
	return Config{Records: 1000, Bytes: 256 << 10, Delay: time.Second, Limits: record.DefaultLimits()}
}

// Deps is what a Batcher needs.
type Deps struct {
	Ledger *ledger.Ledger
	Out    Out
	// Limit is the largest payload the way takes, in bytes; nil: any. It is asked
	// for each batch, because a bus may learn it late.
	Limit func() int
	// Cut is told when strings or containers of a row were cut: Zeek makes weirds
	// of it. May be nil. It may write to streams.
	Cut func(s *Stream, strings, containers int)
}

// Batcher fills batches for the streams of one node. All of it, its streams
// included, belongs to one goroutine.
type Batcher struct {
	cfg     Config
	deps    Deps
	streams []*Stream
	now     time.Time
	vetoed  *ledger.Counter
	limited *ledger.Counter
}

// Stream is one log stream of this node. One goroutine.
type Stream struct {
	Schema *record.Schema
	Hook   Hook // nil costs one branch
	Limits record.Limits

	b        *Batcher
	enc      record.Encoder
	since    time.Time // when the open batch got its first row
	produced *ledger.Counter
}

// New builds a Batcher.
func New(cfg Config, deps Deps) *Batcher {
	return &Batcher{
		cfg: cfg, deps: deps,
		vetoed:  deps.Ledger.Counter(ledger.RecordsVetoed),
		limited: deps.Ledger.Counter(ledger.RecordsLimited),
	}
}

// Stream adds a stream. The error says that the path cannot be counted.
func (b *Batcher) Stream(schema *record.Schema) (*Stream, error) {
	if err := ledger.CheckPath(schema.Path); err != nil {
		return nil, fmt.Errorf("stream %s: %w", schema.Stream, err)
	}
	s := &Stream{Schema: schema, Limits: record.StreamLimits(schema.Stream, b.cfg.Limits), b: b, produced: b.deps.Ledger.Counter(ledger.Produced(schema.Path))}
	s.enc.Reset(schema)
	b.streams = append(b.streams, s)
	return s, nil
}

// Write takes one row, a value per column. The row, and what its strings are
// borrowed from, is the caller's again when it returns; its values may have
// been changed. It does not allocate but for the buffer of each new batch.
func (s *Stream) Write(row []value.Value) {
	if s.Hook != nil {
		to := s.Hook(s, row)
		if to == nil {
			s.b.vetoed.Add(1)
			return
		}
		s = to
	}
	// First the count, then the row: killed in between, the row was held here.
	s.produced.Add(1)
	strings, containers := record.Limit(row, s.Limits)
	if err := s.enc.Append(row); err != nil {
		s.b.deps.Ledger.DropHeld(s.Schema.Path, ledger.StageBatch, ledger.ReasonInvalid, 1)
		return
	}
	switch {
	case s.enc.Records() >= s.b.cfg.Records || s.enc.Len() >= s.b.cfg.Bytes:
		s.flush()
	case s.enc.Records() == 1:
		s.since = s.b.now
	}
	if strings+containers > 0 {
		s.b.limited.Add(1)
		if s.b.deps.Cut != nil {
			s.b.deps.Cut(s, strings, containers)
		}
	}
}

// Tick tells the time, by the wall clock, and hands on batches that are old
// enough. Call it a few times per Delay.
func (b *Batcher) Tick(now time.Time) {
	b.now = now
	for _, s := range b.streams {
		if s.enc.Records() > 0 && now.Sub(s.since) >= b.cfg.Delay {
			s.flush()
		}
	}
}

// Flush hands on what there is.
func (b *Batcher) Flush() {
	for _, s := range b.streams {
		if s.enc.Records() > 0 {
			s.flush()
		}
	}
}

func (s *Stream) flush() {
	n, payload := s.enc.Records(), s.enc.Finish()
	if limit := s.b.limit(); limit <= 0 || len(payload) <= limit {
		s.out(payload, n)
		return
	}
	parts, tooLarge, err := record.Split(payload, s.b.limit())
	for _, p := range parts {
		s.out(p.Payload, p.Records)
		n -= p.Records
	}
	if tooLarge > 0 {
		s.b.deps.Ledger.DropHeld(s.Schema.Path, ledger.StageBatch, ledger.ReasonTooLarge, tooLarge)
		n -= tooLarge
	}
	if err != nil && n > 0 { // Our own bytes: cannot be, but would not go unnamed.
		s.b.deps.Ledger.DropHeld(s.Schema.Path, ledger.StageBatch, ledger.ReasonInvalid, n)
	}
}

func (b *Batcher) limit() int {
	if b.deps.Limit == nil {
		return 0
	}
	return b.deps.Limit()
}

func (s *Stream) out(payload []byte, n int) {
	l := s.b.deps.Ledger
	s.b.deps.Out(&record.Batch{
		Producer: l.Node, Start: l.Start, Records: n,
		Stream: s.Schema.Stream, Path: s.Schema.Path, Payload: payload,
	})
}
