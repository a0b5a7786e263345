// Package ship brings a producer's batches to the loggers: it gives each batch
// its number, chooses the logger, keeps the batch until that logger says it is
// written, and sends it again when it does not.
//
// It stands between logs/batch and whatever carries batches (its Carrier; the
// node puts the bus there). It owns every batch it was offered until the batch
// is acknowledged, dropped with a reason, or given up at the end, and it notes
// each step in the ledger before taking it. It never gives a batch to a second
// logger unless the first provably has not written it and never will: that is
// what makes no row lost and no row twice hold at the same time.
package ship

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/zeek/record"
)

// Carrier takes batches to loggers, at most once, in order per logger. It is
// called from one goroutine and may block for a short time. An error means that
// the batch was not sent; ship tries again.
type Carrier interface {
	Send(logger string, b *record.Batch) error
	Limit() int // largest payload in bytes
}

// Config is how patient a ship is.
type Config struct {
	Credit int  // batches that one logger may owe an answer for
	Queue  int  // batches that wait for credit
	Block  bool // when the queue is full: wait (files) instead of dropping the newest (live)

	Resend  time.Duration // send again when there was no answer for so long; doubles up to MaxWait
	MaxWait time.Duration
	Away    time.Duration // how long a logger is gone before its batches are moved, given proof
	Retry   time.Duration // pause after the carrier refused a batch
	Probe   time.Duration // how often to try a logger of which the bus said that it does not listen
}

// Default fits a cluster on one machine. Block is off.
func Default() Config {
	return Config{
		Credit: 32, Queue: 64,
		Resend: 5 * time.Second, MaxWait: time.Minute, Away: 10 * time.Second, Retry: 50 * time.Millisecond,
		Probe: 500 * time.Millisecond,
	}
}

// Deps is what a Ship needs.
type Deps struct {
	Ledger  *ledger.Ledger
	Carrier Carrier
	// Written looks into a logger's ledger for a batch that was sent to it. known
	// is only true if the answer can not change any more, because the life of the
	// logger that may have got the batch is over (ledger.Proof does it). nil:
	// nothing is ever known and batches wait for their logger.
	Written func(logger string, b *record.Batch) (written, known bool)
	// Takes says whether a logger can write such rows: a real Zeek's knows its own
	// columns only. Others get them. Asked once for each batch and logger, and anew of a
	// batch that comes back; nil: all can.
	Takes func(logger string, b *record.Batch) bool
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: silent
}

// Ship is the machine. Offer may be called from any goroutine, as may the
// methods by which the node tells it what arrives.
type Ship struct {
	cfg  Config
	deps Deps

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when room or an end is reached: wakes waiters
	wake    chan struct{} // tells the sender that there may be something to send
	queue   []*item       // by number; not sent to anyone, or proven unwritten
	peers   map[string]*peer
	order   []string // live loggers, as told
	next    int      // round robin
	pauseTo time.Time
	sending uint64 // running number of sendings
	pending int    // batches without an answer, queue included
	closed  bool
	metrics metrics
}

// item is a batch on its way.
type item struct {
	b      *record.Batch
	entry  ledger.Entry
	peer   *peer // who has it; nil: nobody
	sends  int   // to this peer
	misses int   // of these, how many the bus said reached nobody
	sentAt time.Time
	wait   time.Duration
	again  bool            // to be sent again
	answer bool            // resolved while it was being sent
	takes  map[string]bool // what Deps.Takes said, by logger

	first, last uint64 // running numbers of its first and last sending to this peer
}

// peer is a logger, live or not.
type peer struct {
	name  string
	live  bool
	gone  time.Time // since when it is not live
	owes  []*item   // sent to it, in that order
	ask   time.Time // its ledger is not asked before
	avoid time.Time // the bus said that nobody listens: leave it alone until then
	deaf  bool      // ... and no answer has come since
}

// New builds a Ship. Run starts it.
func New(cfg Config, deps Deps) *Ship {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	return &Ship{
		cfg: cfg, deps: deps, peers: map[string]*peer{},
		changed: make(chan struct{}), wake: make(chan struct{}, 1),
		metrics: newMetrics(deps.Ledger),
	}
}

// Offer takes a batch and owns it from then on. It gives it its number. With
// Block it waits for room; else, and after the end, it drops the batch and
// counts its rows.
func (s *Ship) Offer(b *record.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.closed {
			s.deps.Ledger.DropHeld(b.Path, ledger.StageShip, ledger.ReasonDeadline, b.Records)
			return
		}
		if len(s.queue) < s.cfg.Queue {
			e, ok, err := s.deps.Ledger.Make(b.Path, b.Records, s.deps.Now().UnixNano())
			if err != nil {
				s.deps.Log.Error("batch without a place in the ledger", "path", b.Path, "err", err)
				s.deps.Ledger.DropHeld(b.Path, ledger.StageShip, ledger.ReasonInvalid, b.Records)
				return
			}
			if ok {
				b.Seq = e.Seq
				s.pending++
				s.enqueue(&item{b: b, entry: e})
				return
			}
		}
		if !s.cfg.Block {
			s.deps.Ledger.DropHeld(b.Path, ledger.StageShip, ledger.ReasonFull, b.Records)
			return
		}
		s.waitChange()
	}
}

// waitChange gives the lock away until something changed.
func (s *Ship) waitChange() {
	ch := s.changed
	s.mu.Unlock()
	<-ch
	s.mu.Lock()
}

func (s *Ship) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Ship) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// enqueue puts an item into the queue by its number.
func (s *Ship) enqueue(it *item) {
	i := len(s.queue)
	for i > 0 && s.queue[i-1].b.Seq > it.b.Seq {
		i--
	}
	s.queue = slices.Insert(s.queue, i, it)
	s.metrics.queue.Set(uint64(len(s.queue)))
	s.poke()
}

// Loggers tells which loggers are live now, in any order. One that comes back
// is sent again what it owes an answer for.
func (s *Ship) Loggers(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order = slices.Clone(names)
	slices.Sort(s.order)
	for _, n := range s.order {
		p := s.peer(n)
		if !p.live {
			p.live, p.avoid = true, time.Time{}
			s.again(p)
		}
	}
	for _, p := range s.peers {
		if p.live && !slices.Contains(s.order, p.name) {
			p.live, p.gone = false, s.deps.Now()
		}
	}
	s.poke()
}

// Reconnected tells that the bus was away: what it carried may be lost.
func (s *Ship) Reconnected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.peers {
		s.again(p)
	}
	s.poke()
}

// again has everything that a logger owes sent again, in order.
func (s *Ship) again(p *peer) {
	for _, it := range p.owes {
		it.again, it.wait = true, 0
	}
}

func (s *Ship) peer(name string) *peer {
	p := s.peers[name]
	if p == nil {
		p = &peer{name: name, gone: s.deps.Now()}
		s.peers[name] = p
	}
	return p
}

// Acked takes a logger's answer. refusal is empty if the batch is written, else
// why it never will be. Answers to what nobody asked are ignored.
func (s *Ship) Acked(logger string, start, seq uint64, refusal string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.find(logger, start, seq)
	if it == nil {
		return
	}
	s.overtaken(it)
	s.take(it)
	it.answer = true
	if refusal == "" {
		s.deps.Ledger.Acked(it.entry)
	} else {
		s.deps.Log.Warn("batch refused", "logger", logger, "batch", seq, "path", it.b.Path, "records", it.b.Records, "why", refusal)
		s.deps.Ledger.Dropped(it.entry, ledger.StageLogger, ledger.ReasonRefused)
	}
	s.resolved()
}

// Passed tells that a batch has left for a logger that does not answer, a real
// Zeek's. It is not sent again, and counts as handed over, not as written.
func (s *Ship) Passed(logger string, start, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.find(logger, start, seq)
	if it == nil {
		return
	}
	p := it.peer
	p.deaf, p.avoid = false, time.Time{}
	s.take(it)
	it.answer = true
	s.deps.Ledger.HandedOver(it.entry)
	s.resolved()
}

// overtaken has sent again what an answer shows to be lost: a logger takes and
// answers batches in order, so what it was sent before should be answered.
func (s *Ship) overtaken(it *item) {
	p := it.peer
	if p.deaf {
		p.deaf, p.avoid = false, time.Time{}
		s.again(p)
		return
	}
	for _, o := range p.owes {
		if o.last < it.first {
			o.again = true
		}
	}
}

// Missed tells that one sending of a batch reached nobody, as some buses can
// say. When all of them did, the batch is free for another logger.
func (s *Ship) Missed(logger string, start, seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.find(logger, start, seq)
	if it == nil {
		return
	}
	it.misses++
	p := it.peer
	p.avoid, p.deaf = s.deps.Now().Add(s.cfg.Probe), true
	if it.misses >= it.sends {
		s.free(it)
	}
	if len(p.owes) > 0 {
		p.owes[0].again = true // One is enough to see whether it is back.
	}
}

func (s *Ship) find(logger string, start, seq uint64) *item {
	p := s.peers[logger]
	if p == nil || start != s.deps.Ledger.Start {
		return nil
	}
	for _, it := range p.owes {
		if it.b.Seq == seq {
			return it
		}
	}
	return nil
}

// firstFor is the place of the first batch in the queue that a logger can write,
// or -1. All rows of a path are alike, so each path's keep their order.
func (s *Ship) firstFor(p *peer) int {
	for i, it := range s.queue {
		if s.deps.Takes == nil {
			return i
		}
		takes, asked := it.takes[p.name]
		if !asked {
			takes = s.deps.Takes(p.name, it.b)
			if it.takes == nil {
				it.takes = map[string]bool{}
			}
			it.takes[p.name] = takes
		}
		if takes {
			return i
		}
	}
	return -1
}

// take takes an item from the logger that has it.
func (s *Ship) take(it *item) {
	p := it.peer
	p.owes = slices.DeleteFunc(p.owes, func(o *item) bool { return o == it })
	it.peer, it.again = nil, false
	s.poke()
}

// free takes an item back from its logger, who has not written it and never will.
func (s *Ship) free(it *item) {
	s.take(it)
	it.sends, it.misses, it.wait, it.takes = 0, 0, 0, nil
	s.deps.Ledger.Unsent(it.entry)
	s.enqueue(it)
}

func (s *Ship) resolved() {
	s.pending--
	s.change()
}

// Pending returns how many batches wait for an answer, and how many of these
// wait for a logger's credit.
func (s *Ship) Pending() (all, queued int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending, len(s.queue)
}

// Drain waits until every batch is resolved. When ctx ends first, what was
// never sent is dropped, what was sent is left to the loggers' ledgers, and
// the error names it. Afterwards nothing is taken any more. Run must be running.
func (s *Ship) Drain(ctx context.Context) error {
	s.mu.Lock()
	for s.pending > 0 && !s.closed && ctx.Err() == nil {
		ch := s.changed
		s.mu.Unlock()
		select {
		case <-ch:
		case <-ctx.Done():
		}
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	return s.end()
}
