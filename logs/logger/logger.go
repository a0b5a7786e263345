// Package logger writes batches to log files: it receives them from many
// producers, writes each exactly once and in order per producer and path, and
// answers after the write.
//
// It stands between the bus (by the node: Receive and Deps.Ack) and a format of
// logs/sink. It owns the files in its folder, when they are rotated and what
// they are called, and the note in the ledger before and after each write, by
// which a kill at any instant leaves neither a lost nor a doubled nor a torn
// row. It never chooses producers, never drops a batch it could write later,
// and never waits for the disk's platter.
package logger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/logs/sink"
	"github.com/picket-nsm/picket/zeek/record"
)

// Config is where and how a logger writes.
type Config struct {
	Dir     string       // where NAME.log grows
	Archive string       // where rotated files go; empty: they stay in Dir
	Format  sink.Factory // tsv or jsonl
	Rotate  Rotation
	// Tag is put into the names of growing files, NAME.TAG.log, and is needed where
	// several loggers share Dir. Without it a logger locks its folder.
	Tag string
	// Overwrite replaces a NAME.log that some earlier run left, as Zeek does.
	// Otherwise that file is given a rotated file's name first.
	Overwrite bool

	Queue   int           // batches received and not yet written
	Retry   time.Duration // first pause after a failed write; doubles up to MaxWait
	MaxWait time.Duration
	Drain   time.Duration // how long the stop may take when writing fails
	GiveUp  time.Duration // Run ends with the error when one batch could not be written for this long; 0: never
}

// Default writes without rotation.
func Default() Config {
	return Config{Dir: ".", Queue: 128, Retry: 100 * time.Millisecond, MaxWait: 5 * time.Second, Drain: 5 * time.Second}
}

// Validate says what is wrong with the settings.
func (c *Config) Validate() error {
	switch {
	case c.Format.New == nil:
		return errors.New("logger: no format")
	case c.Queue < 1:
		return fmt.Errorf("logger queue %d: must be at least 1", c.Queue)
	case c.Tag != "" && !goodName(c.Tag):
		return fmt.Errorf("logger tag %q: letters, digits, dot, dash and underscore only", c.Tag)
	}
	return c.Rotate.Validate()
}

// Answer tells a producer what became of its batch. Refusal is empty if the
// batch is written, else why it never will be.
type Answer struct {
	Logger   string
	Producer string
	Start    uint64
	Seq      uint64
	Refusal  string
}

// Deps is what a Logger needs.
type Deps struct {
	Ledger *ledger.Ledger // of the logger's part
	// LedgerDir is where the ledgers of the logger's earlier lives are; empty: it
	// has none to take over.
	LedgerDir string
	Answer    func(Answer)     // called from the goroutine of Run
	Now       func() time.Time // wall clock; nil: time.Now. Its location is what file names show
	Log       *slog.Logger     // nil: silent
	Wrote     func(Written)    // told of each batch after its write; may be nil
	// Open opens a log file for writing, made if it is missing and not cut; nil:
	// the disk's. Tests let it fail.
	Open func(name string) (File, error)
}

// Written is what one write was.
type Written struct {
	Path    string
	Records int
	Bytes   int
}

// Logger is the machine.
type Logger struct {
	cfg   Config
	deps  Deps
	queue chan *record.Batch
	over  chan struct{} // closed when Run has ended
	once  sync.Once

	files   map[string][]*file        // by path; more than one if schemas differ
	cursors map[string]*record.Cursor // by path: most batches repeat their path's header
	buf     []byte
	next    time.Time // of rotation
	written int       // batches in this life
	full    error     // the ledger has no room: this life ends
	gaveUp  error     // writing failed for too long: Run ends
	trouble error     // of the last write that failed
	lock    *os.File
	metrics metrics
}

// New builds a Logger. It touches no file; Open and Run do.
func New(cfg Config, deps Deps) (*Logger, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Open == nil {
		deps.Open = openFile
	}
	if deps.Wrote == nil {
		deps.Wrote = func(Written) {}
	}
	return &Logger{
		cfg: cfg, deps: deps, files: map[string][]*file{}, cursors: map[string]*record.Cursor{},
		queue: make(chan *record.Batch, cfg.Queue), over: make(chan struct{}),
		metrics: newMetrics(deps.Ledger),
	}, nil
}

// Receive takes a batch, from any goroutine, and keeps it unchanged. While the
// queue is full it blocks: producers feel it by their credit. After Run has
// ended, batches are forgotten without an answer; their producers still have them.
func (l *Logger) Receive(b *record.Batch) {
	select {
	case l.queue <- b:
		l.metrics.received.Add(1)
	case <-l.over:
	}
}

// Run takes over what the logger's last life left, then writes until ctx ends,
// then writes what it has received, and finishes the files. The error says that
// it could not start or had to leave batches unwritten.
func (l *Logger) Run(ctx context.Context) error {
	defer l.once.Do(func() { close(l.over) })
	if err := l.Open(); err != nil {
		return err
	}
	defer l.unlock()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case b := <-l.queue:
			l.handle(ctx, b)
		case <-tick.C:
		case <-ctx.Done():
		}
		l.metrics.queue.Set(uint64(len(l.queue)))
		if l.full != nil {
			// As if killed: files stay as they are, and the next life goes on.
			return fmt.Errorf("logger: %w; starting again makes room", l.full)
		}
		if l.gaveUp != nil {
			return errors.Join(l.gaveUp, l.finish())
		}
		l.Tick(l.deps.Now())
	}
	return l.stop()
}

// stop writes what was received before the end. Writes that fail are tried for Drain.
func (l *Logger) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), l.cfg.Drain)
	defer cancel()
	for left := len(l.queue); left > 0; left-- {
		l.handle(ctx, <-l.queue)
	}
	var err error
	if ctx.Err() != nil {
		err = errors.Join(l.trouble, errors.New("logger stop: not all that was received could be written; producers still have it"))
	}
	l.metrics.queue.Set(0)
	return errors.Join(err, l.finish())
}

// handle writes one batch and answers. It comes back when the batch is written
// or refused, or ctx has ended; a disk that fails is tried again and again.
func (l *Logger) handle(ctx context.Context, b *record.Batch) {
	life, c, why := l.examine(b)
	if l.full != nil {
		return // No answer: the next life gets it.
	}
	if why == "" && b.Seq != 0 {
		switch l.deps.Ledger.Knows(life, b.Seq) {
		case ledger.WasWritten:
			l.metrics.double.Add(1)
			l.answer(b, "")
			return
		case ledger.TooOld:
			why = "its number is too far behind"
		}
	}
	var f *file
	if why == "" && b.Records > 0 {
		f, why = l.render(b, c)
	}
	if why != "" {
		l.metrics.refused.Add(1)
		l.deps.Log.Warn("batch refused", "producer", b.Producer, "batch", b.Seq, "path", b.Path, "records", b.Records, "why", why)
		l.answer(b, why)
		return
	}
	wait, waited := l.cfg.Retry, time.Duration(0)
	for f != nil {
		err := l.write(f, life, b)
		if err == nil {
			break
		}
		if l.isFull(err) {
			return
		}
		if errors.Is(err, ledger.ErrFull) {
			l.metrics.refused.Add(1)
			l.answer(b, err.Error())
			return
		}
		l.metrics.errors.Add(1)
		l.trouble = err
		if waited >= l.cfg.GiveUp && l.cfg.GiveUp > 0 {
			l.gaveUp = fmt.Errorf("%w; given up after %v", err, l.cfg.GiveUp)
			return // No answer: the producer keeps the batch.
		}
		l.deps.Log.Error("write failed, trying again", "path", b.Path, "err", err, "in", wait)
		select {
		case <-ctx.Done():
			return // No answer: the producer keeps the batch.
		case <-time.After(wait):
		}
		waited += wait
		wait = min(2*wait, l.cfg.MaxWait)
	}
	l.answer(b, "")
}

func (l *Logger) answer(b *record.Batch, refusal string) {
	if b.Seq == 0 || l.deps.Answer == nil {
		return // Real Zeek numbers nothing and waits for nothing.
	}
	l.deps.Answer(Answer{Logger: l.deps.Ledger.Node, Producer: b.Producer, Start: b.Start, Seq: b.Seq, Refusal: refusal})
}

// examine checks a batch's envelope against its contents; the payload may come
// from anybody.
func (l *Logger) examine(b *record.Batch) (ledger.Life, *record.Cursor, string) {
	const maxCursors = 256
	c := l.cursors[b.Path]
	if c == nil {
		c = new(record.Cursor)
		if len(l.cursors) < maxCursors {
			l.cursors[b.Path] = c
		}
	}
	if err := c.Reset(b.Payload); err != nil {
		return ledger.Life{}, nil, err.Error()
	}
	s := c.Schema()
	switch {
	case s.Path != b.Path || s.Stream != b.Stream && b.Stream != "":
		return ledger.Life{}, nil, fmt.Sprintf("envelope says %s, batch says %s", b.Path, s.Path)
	case c.Records() != b.Records:
		return ledger.Life{}, nil, fmt.Sprintf("envelope says %d records, batch has %d", b.Records, c.Records())
	case !goodName(b.Path) || ledger.CheckPath(b.Path) != nil:
		return ledger.Life{}, nil, fmt.Sprintf("log path %q cannot be a file name", b.Path)
	case b.Producer == "":
		return ledger.Life{}, nil, "no producer"
	}
	life, err := l.deps.Ledger.Life(b.Producer, b.Start)
	if err != nil {
		l.isFull(err)
		return ledger.Life{}, nil, err.Error()
	}
	return life, c, ""
}

// isFull notes that the ledger's tables have no room left and that a next life
// would have it. A life that found them full already cannot help itself so.
func (l *Logger) isFull(err error) bool {
	if errors.Is(err, ledger.ErrFull) && l.deps.LedgerDir != "" && l.written > 0 {
		l.full = err
	}
	return l.full != nil
}

// goodName reports whether a name can be part of a file name without harm.
func goodName(s string) bool {
	for i := range len(s) {
		c := s[i]
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' && i > 0
		if !ok {
			return false
		}
	}
	return s != "" && len(s) <= 100
}
