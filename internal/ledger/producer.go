package ledger

import "fmt"

// Entry is a batch in the ring of its producer's ledger. Valid until the batch
// is resolved.
type Entry struct {
	Seq  uint64
	slot uint32
	path string
}

// Make gives a batch its number and notes it: from here on it is made and must
// be resolved. ok is false while the ring has no room, that is, while Open
// batches wait for an answer or the newest would be Window ahead of the oldest;
// the caller waits or drops. now is unix nanoseconds.
func (l *Ledger) Make(path string, records int, now int64) (e Entry, ok bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, err := l.name(path)
	if err != nil {
		return Entry{}, false, err
	}
	seq := l.get64(offSeq) + 1
	if len(l.free) == 0 || seq-l.low >= Window && seq-l.lowest() >= Window {
		return Entry{}, false, nil
	}
	slot := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	at := tabRing + int(slot)*szEntry
	l.put64(at+8, uint64(Made)<<32)
	l.put32(at+16, uint32(records))
	l.put32(at+20, p)
	l.put64(at+24, uint64(now))
	// The number is the last store: it makes the entry exist. The newest number
	// comes first, so that no number is given twice.
	l.put64(offSeq, seq)
	l.put64(at, seq)
	return Entry{Seq: seq, slot: slot, path: path}, true, nil
}

func (l *Ledger) lowest() uint64 {
	low := l.get64(offSeq) + 1
	for i := range ringSize {
		if s := l.get64(tabRing + i*szEntry); s != 0 && s < low {
			low = s
		}
	}
	l.low = low
	return low
}

// Sent notes which logger the batch is given to, before it is given.
func (l *Ledger) Sent(e Entry, logger string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.name(logger)
	if err != nil {
		return err
	}
	l.put64(tabRing+int(e.slot)*szEntry+8, uint64(Sent)<<32|uint64(n))
	return nil
}

// Unsent notes that the batch did not leave and waits again.
func (l *Ledger) Unsent(e Entry) { l.put64(tabRing+int(e.slot)*szEntry+8, uint64(Made)<<32) }

// GaveUp notes that the producer stops without an answer. The entry stays, for
// the logger may have written the batch: its ledger decides.
func (l *Ledger) GaveUp(e Entry) {
	at := tabRing + int(e.slot)*szEntry + 8
	l.put64(at, uint64(GaveUp)<<32|l.get64(at)&0xffffffff)
}

// Acked resolves a batch: its logger has written it.
func (l *Ledger) Acked(e Entry) { l.resolve(e, Acked(e.path)) }

// HandedOver resolves a batch: it has left for a logger that does not answer.
func (l *Ledger) HandedOver(e Entry) { l.resolve(e, Handed(e.path)) }

// Dropped resolves a batch: nobody will ever write it.
func (l *Ledger) Dropped(e Entry, stage, reason string) {
	l.resolve(e, Dropped(e.path, stage, reason))
}

// resolve moves a batch's records from the ring to a counter. The journal says
// what is being done, so that a kill in between counts them once.
func (l *Ledger) resolve(e Entry, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := tabRing + int(e.slot)*szEntry
	if l.get64(at) != e.Seq {
		return
	}
	c := l.counter(name)
	l.put32(foldSlot, e.slot)
	l.put32(foldCounter, c.index)
	l.put64(foldSeq, e.Seq)
	l.put64(foldValue, c.Load()+uint64(l.get32(at+16)))
	l.put32(foldActive, 1)
	l.put64(tabCounters+int(c.index)*szCounter, l.get64(foldValue))
	l.put64(at, 0)
	l.put32(foldActive, 0)
	l.free = append(l.free, e.slot)
}

// Open returns how many batches wait for an answer.
func (l *Ledger) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return ringSize - len(l.free)
}

// Capacity is how many batches may wait for an answer at once.
const Capacity = ringSize

func (e Entry) String() string { return fmt.Sprintf("batch %d of %s", e.Seq, e.path) }

// DropHeld counts rows that were produced and dropped before their batch got a number.
func (l *Ledger) DropHeld(path, stage, reason string, rows int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counter(Dropped(path, stage, reason)).Add(uint64(rows))
}
