package ledger

import (
	"errors"
	"fmt"
	"os"
)

// Known is what a logger's ledger says of a batch.
type Known int

// The three answers.
const (
	Unwritten Known = iota
	WasWritten
	TooOld // so far behind the newest that nothing is remembered of it
)

// Life is a producer's life as the logger's ledger knows it.
type Life struct {
	Producer string
	Start    uint64
	index    uint32
}

// Life finds or notes a producer's life.
func (l *Ledger) Life(producer string, start uint64) (Life, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.life(producer, start)
}

func (l *Ledger) life(producer string, start uint64) (Life, error) {
	if i, ok := l.lives[lifeKey{producer, start}]; ok {
		return Life{producer, start, i}, nil
	}
	n := l.get32(offLives)
	if !l.logger {
		return Life{}, fmt.Errorf("ledger of %s: role %s writes no logs", l.Node, l.Role)
	}
	if n >= maxLives {
		return Life{}, fmt.Errorf("ledger of %s: %w: %d lives of producers", l.Node, ErrFull, maxLives)
	}
	p, err := l.name(producer)
	if err != nil {
		return Life{}, err
	}
	at := tabLives + int(n)*szLife
	l.put64(at, start)
	l.put64(at+8, 0)
	l.put32(at+16, p)
	l.put32(offLives, n+1)
	l.lives[lifeKey{producer, start}] = n
	return Life{producer, start, n}, nil
}

// Knows says whether this logger, in this or an earlier life, has written a batch.
func (l *Ledger) Knows(p Life, seq uint64) Known {
	high := l.get64(tabLives + int(p.index)*szLife + 8)
	switch {
	case seq > high:
		return Unwritten
	case high-seq >= Window:
		return TooOld
	}
	if l.get64(bitWord(p.index, seq))&(1<<(seq%64)) != 0 {
		return WasWritten
	}
	return Unwritten
}

func bitWord(life uint32, seq uint64) int {
	return tabBits + int(life)*szBits + int(seq%Window)/64*8
}

// Flight is a batch that is being written.
type Flight struct {
	File   FileRef
	Life   Life
	Path   string
	Seq    uint64 // 0: the producer numbers nothing (real Zeek)
	Rows   int
	Before int64 // length of the file before
	After  int64 // and after
}

// Begin notes the write that is about to happen. One at a time.
func (l *Ledger) Begin(f Flight) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.get32(flightState) != flightNone {
		return fmt.Errorf("ledger of %s: two writes at a time", l.Node)
	}
	p, err := l.name(f.Path)
	if err != nil {
		return err
	}
	cell, err := l.cell(f.Life.index, p)
	if err != nil {
		return err
	}
	at := tabCells + int(cell)*szCell
	l.put32(flightFile, f.File.slot)
	l.put32(flightLife, f.Life.index)
	l.put32(flightCell, cell)
	l.put64(flightSeq, f.Seq)
	l.put64(flightBefore, uint64(f.Before))
	l.put64(flightAfter, uint64(f.After))
	l.put64(flightRecords, uint64(f.Rows))
	l.put64(flightCRecords, l.get64(at+8)+uint64(f.Rows))
	l.put64(flightCBatches, l.get64(at+16)+1)
	l.put32(flightState, flightWriting)
	return nil
}

func (l *Ledger) cell(life, path uint32) (uint32, error) {
	key := uint64(life)<<32 | uint64(path)
	if i, ok := l.cells[key]; ok {
		return i, nil
	}
	n := l.get32(offCells)
	if n >= maxCells {
		return 0, fmt.Errorf("ledger of %s: %w: %d pairs of producer and path", l.Node, ErrFull, maxCells)
	}
	at := tabCells + int(n)*szCell
	l.put32(at, life)
	l.put32(at+4, path)
	l.put64(at+8, 0)
	l.put64(at+16, 0)
	l.put32(offCells, n+1)
	l.cells[key] = n
	return n, nil
}

// Commit notes that the write is wholly in the file.
func (l *Ledger) Commit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.get32(flightState) == flightWriting {
		l.put32(flightState, flightDone)
		l.land()
	}
}

// Abort notes that nothing of the write is in the file any more.
func (l *Ledger) Abort() { l.put32(flightState, flightNone) }

// land brings the ledger up to date with a flight that is done. Doing it twice
// is harmless: that is what a life after a crash does.
func (l *Ledger) land() {
	life, seq := l.get32(flightLife), l.get64(flightSeq)
	if seq != 0 {
		l.mark(life, seq)
	}
	at := tabCells + int(l.get32(flightCell))*szCell
	l.put64(at+8, l.get64(flightCRecords))
	l.put64(at+16, l.get64(flightCBatches))
	l.put64(tabFiles+int(l.get32(flightFile))*szFile+8, l.get64(flightAfter))
	l.put32(flightState, flightNone)
}

// mark sets a batch's bit. The bits that come into the window are cleared
// before the window moves.
func (l *Ledger) mark(life uint32, seq uint64) {
	at := tabLives + int(life)*szLife + 8
	if high := l.get64(at); seq > high {
		for s := max(high, seq-min(seq, Window)) + 1; s <= seq; s++ {
			w := bitWord(life, s)
			l.put64(w, l.get64(w)&^(1<<(s%64)))
		}
		l.put64(at, seq)
	}
	w := bitWord(life, seq)
	l.put64(w, l.get64(w)|1<<(seq%64))
}

// Length tells how long a file is; os.Stat's answer, or a test's.
type Length func(path string) (int64, error)

// FileLength is the Length of real files; a missing file is empty.
func FileLength(path string) (int64, error) {
	st, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// Continue takes over from the logger's last life, whose ledger lies in the
// same folder: it finishes that life's books (a batch whose bytes are wholly in
// the file is written, any other is not) and copies what has been written and
// which files are open. Until it has returned, this life counts as not begun.
// The caller then cuts each file in Files back to its Size, which removes what
// a torn write left.
func (l *Ledger) Continue(dir string, length Length) error {
	if !l.logger {
		return fmt.Errorf("continue ledger %s: role %s writes no logs", l.Node, l.Role)
	}
	paths, err := Lives(dir)
	if err != nil {
		return err
	}
	for i := len(paths) - 1; i >= 0; i-- {
		if paths[i] == l.Path {
			continue
		}
		done, err := l.takeOver(paths[i], length)
		if errors.Is(err, ErrCorrupt) {
			// A ledger nobody can read proves nothing, but must not stop the logger for
			// ever: report it and look further back is the caller's choice.
			return fmt.Errorf("continue ledger %s: %w; move the file away to start without it", l.Node, err)
		}
		if err != nil {
			return fmt.Errorf("continue ledger %s: %w", l.Node, err)
		}
		if done {
			break
		}
	}
	l.put32(offContinued, 1)
	return nil
}

func (l *Ledger) takeOver(path string, length Length) (bool, error) {
	old, err := Open(path)
	if err != nil {
		return false, err
	}
	snap, err := old.Snapshot() // Checks every index in the file.
	err = errors.Join(err, old.Close())
	if err != nil {
		return false, err
	}
	if snap.Node != l.Node || !snap.continued || snap.Start >= l.Start {
		return false, nil
	}
	mem, unmap, err := mapOld(path)
	if err != nil {
		return false, err
	}
	dead := &Ledger{Node: snap.Node, Start: snap.Start, mem: mem, unmap: unmap, logger: true}
	defer dead.Close()
	if dead.get32(flightState) != flightNone {
		if err := dead.settleFlight(snap, length); err != nil {
			return false, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	newest := map[string]uint64{}
	for _, w := range snap.lives {
		newest[w.Producer] = max(newest[w.Producer], w.Start)
	}
	for i, w := range snap.lives {
		// Only the newest life of a producer can still send. What older ones had
		// written stays readable in the dead ledger.
		if w.Start != newest[w.Producer] {
			continue
		}
		p, err := l.life(w.Producer, w.Start)
		if err != nil {
			return false, err
		}
		from, to := tabBits+i*szBits, tabBits+int(p.index)*szBits
		for o := 0; o < szBits; o += 8 {
			l.put64(to+o, dead.get64(from+o))
		}
		l.put64(tabLives+int(p.index)*szLife+8, dead.get64(tabLives+i*szLife+8))
	}
	for i := range maxFiles {
		from := tabFiles + i*szFile
		if dead.get32(from) == fileFree {
			continue
		}
		p, err := l.name(snap.names[dead.get32(from+4)])
		if err != nil {
			return false, err
		}
		copy(l.mem[from+8:from+szFile], mem[from+8:from+szFile])
		l.put32(from+4, p)
		l.put32(from, dead.get32(from))
	}
	return true, nil
}

func (l *Ledger) settleFlight(snap *Snapshot, length Length) error {
	if l.get32(flightState) == flightWriting {
		n, err := length(snap.flight.File)
		if err != nil {
			return err
		}
		if n < snap.flight.After {
			l.put32(flightState, flightNone)
			return nil
		}
		l.put32(flightState, flightDone)
	}
	l.land()
	return nil
}
