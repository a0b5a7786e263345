package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/zeromq"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/logs/ship"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/record"
)

// logs carries batches. Zeek workers find us where the layout says that the cluster's
// loggers are; from here on a batch is the hub's, with a number, and is brought to a
// logger as any producer's. Batches for a Zeek logger come over the bus to us in its
// name, and leave as a Zeek worker's.
type logs struct {
	z      *zeromq.Conn // PULL in place of our loggers, PUSH to Zeek's
	ship   *ship.Ship
	zeeks  map[string]backend.Driver // an end of the bus for each Zeek logger
	taken  *ledger.Counter
	broken *ledger.Counter
	late   atomic.Bool // the end does not wait for full Zeek loggers any more
}

// drainTime is how long the end waits for loggers to answer.
const drainTime = 5 * time.Second

func (l *logs) open(b *Bridge) error {
	cfg := zeromq.Config{ID: b.cfg.ID + "-logs", ConnectXSUB: b.cfg.XPUB, ConnectXPUB: b.cfg.XSUB, Keys: b.cfg.Keys, Plain: true}
	l.zeeks = map[string]backend.Driver{}
	for _, to := range b.cfg.Loggers {
		if len(to.At) == 0 {
			continue
		}
		if !slices.Contains(b.cfg.Zeek, to.Name) {
			cfg.ListenLog = append(cfg.ListenLog, to.At...)
			continue
		}
		cfg.Loggers = append(cfg.Loggers, zeromq.Logger{Name: to.Name, Endpoint: to.At[0]})
		bus, err := b.deps.Connect(b.cfg.ID + "-" + to.Name)
		if err != nil {
			return err
		}
		l.zeeks[to.Name] = bus
	}
	l.taken, l.broken = b.deps.Ledger.Counter(Batches), b.deps.Ledger.Counter(BatchesBad)
	var err error
	if l.z, err = zeromq.New(cfg, zeromq.Deps{Now: b.deps.Now}); err != nil {
		return err
	}
	sc := ship.Default()
	sc.Block = true // Zeek workers feel it by TCP
	l.ship = ship.New(sc, ship.Deps{Ledger: b.deps.Ledger, Carrier: b.bus, Written: b.deps.Written, Takes: b.deps.Takes, Now: b.deps.Now, Log: b.deps.Log})
	if err := b.bus.Acks(b.deps.Ledger.Node, node.Answers(l.ship)); err != nil {
		return err
	}
	if err := l.z.Acks("bridge", l.handed); err != nil {
		return err
	}
	if len(cfg.ListenLog) > 0 {
		if err := l.z.Listen("bridge", func(r *record.Batch) { l.take(b, r) }); err != nil {
			return fmt.Errorf("%w; is a logger of another cluster running?", err)
		}
	}
	for name, bus := range l.zeeks {
		if err := bus.Listen(name, func(r *record.Batch) { l.hand(name, r) }); err != nil {
			return err
		}
	}
	return nil
}

// start runs it all. stop hands on what was taken, for a bounded time, and waits.
func (l *logs) start(b *Bridge, base context.Context) (stop func()) {
	var push, pull, shipping sync.WaitGroup
	pullCtx, stopPull := context.WithCancel(base)
	pushCtx, stopPush := context.WithCancel(base)
	shipCtx, stopShip := context.WithCancel(base)
	run := func(g *sync.WaitGroup, ctx context.Context, what string, f func(context.Context) error) {
		g.Go(func() {
			if err := f(ctx); err != nil {
				b.deps.Log.Error("log batches", "of", what, "err", err)
			}
		})
	}
	run(&pull, pullCtx, "Zeek workers", l.z.Run)
	for name, bus := range l.zeeks {
		run(&push, pushCtx, name, bus.Run)
	}
	run(&shipping, shipCtx, "the hub", l.ship.Run)
	tick := time.NewTicker(time.Second)
	shipping.Go(func() {
		var reconnects uint64
		for {
			select {
			case <-shipCtx.Done():
				return
			case <-tick.C:
				if n := b.bus.Status().Reconnects; n != reconnects {
					reconnects = n
					l.ship.Reconnected()
				}
			}
		}
	})
	return func() {
		// Nothing new for Zeek loggers; what they were given has left before the sockets go.
		late := time.AfterFunc(drainTime, func() { // or it would wait for room for ever
			l.late.Store(true)
			stopShip()
		})
		defer late.Stop()
		stopPush()
		push.Wait()
		stopPull()
		pull.Wait()
		ctx, cancel := context.WithTimeout(base, drainTime)
		defer cancel()
		if err := l.ship.Drain(ctx); err != nil {
			b.deps.Log.Error("stopped before all was written", "err", err)
		}
		stopShip()
		shipping.Wait()
		tick.Stop()
	}
}

// take makes a Zeek worker's batch the hub's.
func (l *logs) take(b *Bridge, r *record.Batch) {
	l.taken.Add(1)
	led := b.deps.Ledger
	if slices.Contains(b.cfg.Zeek, r.Producer) {
		led.Counter(ledger.Link(r.Producer, ledger.LinkBatches)).Add(1)
		led.Counter(ledger.Link(r.Producer, ledger.LinkRecords)).Add(uint64(r.Records))
	}
	if ledger.CheckPath(r.Path) != nil {
		l.broken.Add(1)
		return
	}
	parts, tooLarge, err := record.Split(r.Payload, b.bus.Limit())
	if err != nil {
		// Rows behind a broken one are lost, as they would be in a Zeek logger.
		l.broken.Add(1)
		return
	}
	rows := tooLarge
	for _, p := range parts {
		rows += p.Records
	}
	led.Counter(ledger.Produced(r.Path)).Add(uint64(rows))
	if tooLarge > 0 {
		led.DropHeld(r.Path, ledger.StageBatch, ledger.ReasonTooLarge, tooLarge)
	}
	for _, p := range parts {
		l.ship.Offer(&record.Batch{Producer: led.Node, Start: led.Start, Records: p.Records, Stream: r.Stream, Path: r.Path, Payload: p.Payload})
	}
}

// changed tells the ship which loggers are live.
func (l *logs) changed(b *Bridge) {
	var live []string
	for _, n := range b.members.Live(layout.Logger) {
		live = append(live, n.Name)
	}
	l.ship.Loggers(live)
}

// hand gives a batch to a Zeek logger. It waits while its queue is full: producers
// feel it by their credit.
func (l *logs) hand(logger string, r *record.Batch) {
	for {
		err := l.z.Send(logger, r)
		if err == nil {
			return // the answer comes by handed
		}
		if !errors.Is(err, backend.ErrFull) || l.late.Load() {
			_ = l.zeeks[logger].Ack(backend.Ack{Logger: logger, Producer: r.Producer, Start: r.Start, Seq: r.Seq, Err: backend.NoListener})
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// handed passes on what became of a batch for a Zeek logger.
func (l *logs) handed(a backend.Ack) {
	if bus := l.zeeks[a.Logger]; bus != nil {
		_ = bus.Ack(a) // an answer that gets lost is asked for again
	}
}
