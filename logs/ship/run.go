package ship

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
)

// Run sends until ctx ends. It does not wait for answers (Drain does), but
// before it returns, what has none is dropped or given up, and counted.
func (s *Ship) Run(ctx context.Context) error {
	tick := time.NewTicker(s.period())
	defer tick.Stop()
	for {
		s.Tick(s.deps.Now())
		for s.Step(s.deps.Now()) {
			if ctx.Err() != nil {
				break
			}
		}
		select {
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			if err := s.end(); err != nil {
				s.deps.Log.Error("stopped before all was written", "err", err)
			}
			return nil
		case <-s.wake:
		case <-tick.C:
		}
	}
}

func (s *Ship) period() time.Duration {
	return max(time.Millisecond, min(s.cfg.Resend, s.cfg.Away, s.cfg.Retry, s.cfg.Probe, 100*time.Millisecond))
}

// Tick looks for answers that are late and loggers that stay away. Run calls
// it; tests with a clock of their own may.
func (s *Ship) Tick(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.peers {
		if p.live {
			if len(p.owes) > 0 && !p.owes[0].again && now.Sub(p.owes[0].sentAt) >= max(p.owes[0].wait, s.cfg.Resend) {
				// The first answer is late. All that follow are sent again behind it,
				// so that the logger sees one order.
				for _, it := range p.owes {
					it.again = true
					it.wait = min(max(2*it.wait, 2*s.cfg.Resend), s.cfg.MaxWait)
				}
				s.poke()
			}
			continue
		}
		if s.deps.Written != nil && len(p.owes) > 0 && now.Sub(p.gone) >= s.cfg.Away && !now.Before(p.ask) {
			p.ask = now.Add(time.Second)
			s.settle(p)
		}
	}
}

// settle asks the ledger of a logger that is gone for what it had written.
func (s *Ship) settle(p *peer) {
	for _, it := range slices.Clone(p.owes) {
		written, known := s.deps.Written(p.name, it.b)
		switch {
		case !known:
		case written:
			s.take(it)
			s.deps.Ledger.Acked(it.entry)
			s.resolved()
		default:
			s.metrics.moved.Add(1)
			s.free(it)
		}
	}
}

// Step sends one batch, and reports whether there may be another. Run calls it;
// tests that want one goroutine may, instead of Run.
func (s *Ship) Step(now time.Time) bool {
	s.mu.Lock()
	it := s.pick(now)
	if it == nil {
		s.mu.Unlock()
		return false
	}
	p := it.peer
	it.sends++
	it.sentAt, it.again = now, false
	s.sending++
	it.last = s.sending
	first := it.sends == 1
	if first {
		it.first = it.last
	}
	b := it.b
	tooLarge := first && len(b.Payload) > s.deps.Carrier.Limit()
	var err error
	if !tooLarge {
		// Noted as sent before it is: whoever reads the ledger after a kill then
		// asks the logger.
		err = s.deps.Ledger.Sent(it.entry, p.name)
	}
	s.mu.Unlock()
	if err == nil && !tooLarge {
		err = s.deps.Carrier.Send(p.name, b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case it.answer || it.peer != p:
		// The answer was faster than Send.
	case tooLarge:
		s.take(it)
		s.deps.Log.Error("batch above the bus's limit", "path", b.Path, "bytes", len(b.Payload), "limit", s.deps.Carrier.Limit())
		s.deps.Ledger.Dropped(it.entry, ledger.StageShip, ledger.ReasonTooLarge)
		s.resolved()
	case err != nil:
		it.sends--
		s.pauseTo = now.Add(s.cfg.Retry)
		if it.sends == 0 {
			s.free(it)
		} else {
			it.again = true
		}
		return false
	default:
		s.metrics.sent.Add(1)
		if !first {
			s.metrics.resent.Add(1)
		}
	}
	return true
}

// pick chooses what to send next: first what a live logger must get again, in
// its order, then the queue's head for the next live logger with credit.
func (s *Ship) pick(now time.Time) *item {
	if s.closed || now.Before(s.pauseTo) {
		return nil
	}
	for _, n := range s.order {
		p := s.peers[n]
		if now.Before(p.avoid) {
			continue
		}
		for _, it := range p.owes {
			if it.again {
				return it
			}
		}
	}
	if len(s.queue) == 0 {
		return nil
	}
	for range s.order {
		p := s.peers[s.order[s.next%len(s.order)]]
		s.next++
		if len(p.owes) >= s.cfg.Credit || now.Before(p.avoid) {
			continue
		}
		i := s.firstFor(p)
		if i < 0 {
			continue
		}
		it := s.queue[i]
		s.queue = slices.Delete(s.queue, i, i+1)
		s.metrics.queue.Set(uint64(len(s.queue)))
		it.peer = p
		p.owes = append(p.owes, it)
		s.change()
		return it
	}
	return nil
}

// end resolves what has no answer and takes nothing any more.
func (s *Ship) end() error {
	if s.closed {
		return nil
	}
	s.closed = true
	defer s.change()
	var errs []error
	if n := len(s.queue); n > 0 {
		rows := 0
		for _, it := range s.queue {
			rows += it.b.Records
			s.deps.Ledger.Dropped(it.entry, ledger.StageShip, ledger.ReasonDeadline)
		}
		errs = append(errs, fmt.Errorf("drain ship: %d batches with %d records had no logger", n, rows))
		s.queue = nil
		s.metrics.queue.Set(0)
	}
	names := make([]string, 0, len(s.peers))
	for n := range s.peers {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		p := s.peers[n]
		if len(p.owes) == 0 {
			continue
		}
		var which []string
		for _, it := range p.owes {
			s.deps.Ledger.GaveUp(it.entry)
			if len(which) < 3 {
				which = append(which, fmt.Sprintf("%d (%s, %d records)", it.b.Seq, it.b.Path, it.b.Records))
			}
		}
		errs = append(errs, fmt.Errorf("drain ship: %s owes the answer for %d batches: %s", n, len(p.owes), strings.Join(which, ", ")))
		p.owes = nil
	}
	s.pending = 0
	return errors.Join(errs...)
}
