package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/mem"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/logs/logger"
	dhcplog "github.com/picket-nsm/picket/policy/builtin/dhcp"
	"github.com/picket-nsm/picket/policy/builtin/weird"
	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/capture/pcapfile"
	"github.com/picket-nsm/picket/traffic/capture/share"
)

// ReadConfig is what picket read is told.
type ReadConfig struct {
	Capture Capture // Files and what goes with them; Share and Of are not used
	Workers int     // at least 1
	Dir     string  // where the logs go
	Format  string  // tsv or json

	// Progress, if not nil, is told now and then how many bytes of the files were
	// read, and how many there are (0: not known).
	Progress func(read, total int64)
	// Cut, if not nil, is told of a file that ends in the middle of a packet.
	Cut func(error)
}

// maxOnce bounds the memory of what is reported once: hosts with a weird.
const maxOnce = 1 << 20

// onceCost is about what one of them takes, in bytes.
const onceCost = 256

// standalone is the peer column of a Zeek that is no cluster node.
const standalone = "zeek"

// A disk that is full holds the workers up, for as long as the logger tries.
const (
	readGiveUp   = time.Minute      // then the logger has failed, and reading ends
	readPatience = 10 * time.Second // what is on the way when reading ends early
)

// Read is a cluster in one process, over the mem bus: it spreads the capture
// over workers by flow, writes the logs, and returns the settled books. The
// stations are those of a cluster of processes (wire.go).
func Read(ctx context.Context, cfg ReadConfig, deps Deps) (*ledger.Report, error) {
	var cuts []error
	var cutsMu sync.Mutex
	src, err := pcapfile.OpenAll(cfg.Capture.Files, pcapfile.Options{
		Pace: cfg.Capture.Pace,
		Truncated: func(err error) {
			cutsMu.Lock()
			defer cutsMu.Unlock()
			cuts = append(cuts, err)
			if cfg.Cut != nil {
				cfg.Cut(err)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	defer src.Close()

	r := &reading{cfg: cfg, deps: deps, bus: mem.NewBus(mem.Config{Policy: mem.Block})}
	if cfg.Capture.Seed == "" {
		// All workers share one key, else a flow's UID depends on its worker.
		var seed [16]byte
		if _, err := deps.Rand.Read(seed[:]); err != nil {
			return nil, fmt.Errorf("key for uids: %w", err)
		}
		r.cfg.Capture.Seed = fmt.Sprintf("%x", seed)
	}
	return r.run(ctx, src)
}

// reading is one Read.
type reading struct {
	cfg     ReadConfig
	deps    Deps
	bus     *mem.Bus
	ledgers []*ledger.Ledger
	running group // bus, ships and logger
	stop    context.CancelFunc
}

func (r *reading) run(ctx context.Context, src *pcapfile.Source) (*ledger.Report, error) {
	// Downstream first: the bus and the logger outlive the workers.
	down, stopDown := context.WithCancel(context.Background())
	defer stopDown()
	ctx, r.stop = context.WithCancel(ctx)
	defer r.stop()
	kept, err := filtered(src, r.cfg.Capture.Filter)
	if err != nil {
		return nil, err
	}
	shares, pump := []capture.Source{kept}, func(context.Context) error { return nil }
	if r.cfg.Workers > 1 {
		shares, pump = share.Split(kept, r.cfg.Workers, isControl)
	}
	workers, err := r.wire(ctx, down, shares)
	if err == nil {
		err = r.read(ctx, src, workers, pump)
	}
	// Upstream first: answers, then files, then the bus.
	for _, w := range workers {
		err = errors.Join(err, w.line.drain(time.Minute))
	}
	stopDown()
	err = errors.Join(err, r.running.wait())
	if len(workers) < len(shares) {
		return nil, err
	}
	report, settleErr := r.settle()
	return report, errors.Join(err, settleErr)
}

// wire makes the logger and a worker per share. On an error it returns the
// workers it has made.
func (r *reading) wire(ctx, down context.Context, shares []capture.Source) (workers []*worker, err error) {
	if err := r.logger(down); err != nil {
		return nil, err
	}
	most := maxOnce
	if n := memoryLimit() / 16 / onceCost; n > 0 {
		most = min(most, int(n))
	}
	once := weird.NewShared(len(shares), weird.Day, most)
	leases := dhcplog.NewShared(len(shares))
	news := newSharedNews(len(shares))
	for i, s := range shares {
		w, err := r.worker(down, i, s, once.Worker(i), leases.Worker(i), news)
		if err != nil {
			return workers, err
		}
		r.running.start(func() error { return w.line.limit(ctx, down, readPatience) })
		workers = append(workers, w)
	}
	return workers, nil
}

// read runs the workers until the capture ends or ctx does, which is no error.
func (r *reading) read(ctx context.Context, src *pcapfile.Source, workers []*worker, pump func(context.Context) error) error {
	stopProgress := r.progress(src)
	defer stopProgress()
	var g group
	g.start(func() error {
		if err := pump(ctx); ctx.Err() == nil {
			return err
		}
		return nil
	})
	for _, w := range workers {
		g.start(func() error { return w.run(ctx) })
	}
	return g.wait()
}

// logger starts the one logger and its end of the bus.
func (r *reading) logger(ctx context.Context) error {
	format, err := r.deps.format(r.cfg.Format)
	if err != nil {
		return err
	}
	const name = "logger-1"
	books, err := r.book(name, "logger")
	if err != nil {
		return err
	}
	end := r.bus.Endpoint(name)
	cfg := logger.Default()
	cfg.Dir, cfg.Format, cfg.Overwrite, cfg.GiveUp = r.cfg.Dir, format, true, readGiveUp
	l, err := logger.New(cfg, logger.Deps{
		Ledger: books, Now: r.deps.Now, Log: r.deps.Log,
		Answer: func(a logger.Answer) { _ = end.Ack(toAck(a)) },
	})
	if err != nil {
		return err
	}
	if err := end.Listen(name, l.Receive); err != nil {
		return err
	}
	r.running.start(func() error {
		err := l.Run(ctx)
		if err != nil {
			r.stop()
		}
		return err
	})
	r.running.start(func() error { return end.Run(ctx) })
	return nil
}

// worker makes one worker with its end of the bus.
func (r *reading) worker(ctx context.Context, i int, src capture.Source, once weird.Once, leases dhcplog.Place, news *sharedNews) (*worker, error) {
	name := fmt.Sprintf("worker-%d", i+1)
	var room newsroom
	if len(news.ends) > 1 {
		room = news.ends[i]
	}
	books, err := r.book(name, "worker")
	if err != nil {
		return nil, err
	}
	end := r.bus.Endpoint(name)
	out := newLine(books, end, nil, nil, true, &r.deps)
	if err := end.Acks(name, Answers(out.ship)); err != nil {
		return nil, err
	}
	out.ship.Loggers([]string{"logger-1"})
	w, err := wireWorker(wiring{
		capture: r.cfg.Capture, peer: standalone, source: src, line: out, ledger: books, once: once, dhcp: leases, news: room, deps: &r.deps,
		memory: memoryLimit() / int64(r.cfg.Workers),
	})
	if err != nil {
		return nil, err
	}
	r.running.start(func() error { return end.Run(ctx) })
	r.running.start(func() error { return out.ship.Run(ctx) })
	return w, nil
}

func (r *reading) book(name, role string) (*ledger.Ledger, error) {
	l, err := ledger.New(name, role, uint64(r.deps.Now().UnixNano()))
	if err == nil {
		r.ledgers = append(r.ledgers, l)
	}
	return l, err
}

// settle closes the books.
func (r *reading) settle() (*ledger.Report, error) {
	var snaps []*ledger.Snapshot
	for _, l := range r.ledgers {
		l.SetState(ledger.Stopped, r.deps.Now())
		s, err := l.Snapshot()
		if err != nil {
			return nil, err
		}
		snaps = append(snaps, s)
	}
	return ledger.Settle(snaps, ledger.Options{})
}

// progress tells how far the reading is, until stop is called.
func (r *reading) progress(src *pcapfile.Source) (stop func()) {
	if r.cfg.Progress == nil {
		return func() {}
	}
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.cfg.Progress(src.Progress())
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-over }
}

// toAck is a logger's answer as the bus carries it.
func toAck(a logger.Answer) backend.Ack {
	return backend.Ack{Logger: a.Logger, Producer: a.Producer, Start: a.Start, Seq: a.Seq, Err: a.Refusal}
}
