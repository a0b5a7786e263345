package ledger

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Reader reads a ledger that another process writes, or wrote. It only reads
// the file, so it works while the node hangs and after it died.
type Reader struct{ f *os.File }

// Open opens a ledger for reading. Given a node's folder it takes the newest life.
func Open(path string) (*Reader, error) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		paths, err := Lives(path)
		if err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			return nil, fmt.Errorf("open ledger %s: %w", path, os.ErrNotExist)
		}
		path = paths[len(paths)-1]
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return &Reader{f}, nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.f.Close() }

// Snapshot is a ledger as it stood when it was read.
type Snapshot struct {
	Node      string            `json:"node"`
	Role      string            `json:"role"`
	Pid       int               `json:"pid"`
	Start     uint64            `json:"start"`
	State     State             `json:"-"`
	Changed   time.Time         `json:"changed"`
	Heartbeat time.Time         `json:"heartbeat"`
	Counters  map[string]uint64 `json:"counters"`

	Entries []Batch   `json:"-"` // unresolved batches of a producer
	Written []Tally   `json:"-"` // what a logger wrote in this life
	Files   []File    `json:"-"` // log files it has open
	Paths   []string  `json:"-"` // of records produced here
	file    string    // where it was read from
	flight  *InFlight // the write under way
	lives   []written
	names   []string

	continued bool
	logs      bool // has the logger's part
}

// Batch is an unresolved batch.
type Batch struct {
	Seq     uint64
	Path    string
	Records uint64
	Fate    Fate
	Logger  string
	Made    time.Time
}

// Tally is what a logger wrote of one life of a producer to one path.
type Tally struct {
	Producer string
	Start    uint64
	Path     string
	Records  uint64
	Batches  uint64
}

// InFlight is a write that had begun and not ended.
type InFlight struct {
	File          string
	Before, After int64
	Producer      string
	Start, Seq    uint64
	Path          string
	Records       uint64
	done          bool
	cell, cr, cb  uint64
	life          int
}

type written struct {
	Producer string
	Start    uint64
	high     uint64
	bits     []byte
}

func (w *written) has(seq uint64) bool {
	if seq == 0 || seq > w.high || w.high-seq >= Window {
		return false
	}
	i := seq % Window
	return binary.LittleEndian.Uint64(w.bits[i/64*8:])&(1<<(i%64)) != 0
}

// Wrote reports whether the logger had written a batch, in this life or an earlier one.
func (s *Snapshot) Wrote(producer string, start, seq uint64) bool {
	for i := range s.lives {
		if w := &s.lives[i]; w.Start == start && w.Producer == producer {
			return w.has(seq)
		}
	}
	return false
}

// Flight returns the write that was under way, or nil.
func (s *Snapshot) Flight() *InFlight { return s.flight }

// Snapshot reads the whole ledger and checks it.
func (r *Reader) Snapshot() (*Snapshot, error) {
	st, err := r.f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	if n := st.Size(); n != sizeProducer && n != sizeLogger {
		return nil, fmt.Errorf("read ledger %s: %w: %d bytes", r.f.Name(), ErrCorrupt, n)
	}
	mem := make([]byte, st.Size())
	if _, err := r.f.ReadAt(mem, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	s, err := Parse(mem)
	if err != nil {
		return nil, fmt.Errorf("read ledger %s: %w", r.f.Name(), err)
	}
	s.file, _ = filepath.Abs(r.f.Name())
	return s, nil
}

// Snapshot reads the ledger of this process.
func (l *Ledger) Snapshot() (*Snapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mem := make([]byte, len(l.mem))
	for at := 0; at < len(mem); at += 8 {
		binary.LittleEndian.PutUint64(mem[at:], l.get64(at))
	}
	s, err := Parse(mem)
	if err == nil {
		s.file = l.Path
	}
	return s, err
}

func u32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
func u64(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}

func corrupt(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, a...)...)
}

// Parse reads the bytes of a ledger file. Any bytes give a Snapshot or an error
// of kind ErrCorrupt.
func Parse(mem []byte) (*Snapshot, error) {
	if len(mem) != sizeProducer && len(mem) != sizeLogger || string(mem[:len(magic)]) != magic {
		return nil, corrupt("no ledger")
	}
	if v := u32(mem, offVersion); v != version {
		return nil, corrupt("version %d, this program reads %d", v, version)
	}
	if int(u32(mem, offSize)) != len(mem) || (u32(mem, offLogger) == 1) != (len(mem) == sizeLogger) {
		return nil, corrupt("size does not fit its contents")
	}
	s := &Snapshot{
		Node: text(mem[offNode : offNode+lenNode]), Role: text(mem[offRole : offRole+lenRole]),
		Pid: int(u32(mem, offPid)), Start: u64(mem, offStart), State: State(u32(mem, offState)),
		Changed: nanos(u64(mem, offChanged)), Heartbeat: nanos(u64(mem, offHeartbeat)),
		Counters: map[string]uint64{}, continued: u32(mem, offContinued) == 1,
	}
	if s.State > Stopped {
		return nil, corrupt("state %d", s.State)
	}
	if err := s.readNames(mem); err != nil {
		return nil, err
	}
	if err := s.readRing(mem); err != nil {
		return nil, err
	}
	if s.logs = len(mem) == sizeLogger; s.logs {
		if err := s.readLogger(mem); err != nil {
			return nil, err
		}
	}
	s.sum()
	return s, nil
}

func nanos(n uint64) time.Time { return time.Unix(0, int64(n)) }

func (s *Snapshot) readNames(mem []byte) error {
	nc, nn := int(u32(mem, offCounters)), int(u32(mem, offNames))
	if nc > maxCounters || nn > maxNames {
		return corrupt("%d counters, %d names", nc, nn)
	}
	for i := range nn {
		at := tabNames + i*szName
		n := int(mem[at])
		if n > maxName {
			return corrupt("name %d has %d bytes", i, n)
		}
		s.names = append(s.names, string(mem[at+1:at+1+n]))
	}
	fold := -1
	if u32(mem, foldActive) == 1 {
		fold = int(u32(mem, foldCounter))
		if fold >= nc || u32(mem, foldSlot) >= ringSize {
			return corrupt("fold of counter %d", fold)
		}
	}
	for i := range nc {
		at := tabCounters + i*szCounter
		n := int(mem[at+8]) | int(mem[at+9])<<8
		if n > maxCounter {
			return corrupt("counter %d: name of %d bytes", i, n)
		}
		v := u64(mem, at)
		if i == fold {
			v = u64(mem, foldValue)
		}
		s.Counters[string(mem[at+16:at+16+n])] = v
	}
	return nil
}

func (s *Snapshot) readRing(mem []byte) error {
	folded := uint64(0)
	if u32(mem, foldActive) == 1 {
		folded = u64(mem, foldSeq)
	}
	for i := range ringSize {
		at := tabRing + i*szEntry
		seq, where := u64(mem, at), u64(mem, at+8)
		if seq == 0 || folded != 0 && seq == folded && uint32(i) == u32(mem, foldSlot) {
			continue
		}
		e := Batch{Seq: seq, Fate: Fate(where >> 32), Records: uint64(u32(mem, at+16)), Made: nanos(u64(mem, at+24))}
		path, logger := int(u32(mem, at+20)), int(uint32(where))
		if path >= len(s.names) || e.Fate < Made || e.Fate > GaveUp || e.Fate != Made && logger >= len(s.names) {
			return corrupt("batch %d in slot %d", seq, i)
		}
		e.Path = s.names[path]
		if e.Fate != Made {
			e.Logger = s.names[logger]
		}
		s.Entries = append(s.Entries, e)
	}
	s.Counters[BatchesMade] = u64(mem, offSeq)
	s.Counters[BatchesOpen] = uint64(len(s.Entries))
	return nil
}

func (s *Snapshot) readLogger(mem []byte) error {
	nl, nc := int(u32(mem, offLives)), int(u32(mem, offCells))
	if nl > maxLives || nc > maxCells {
		return corrupt("%d lives, %d cells", nl, nc)
	}
	for i := range nl {
		at := tabLives + i*szLife
		p := int(u32(mem, at+16))
		if p >= len(s.names) {
			return corrupt("life %d", i)
		}
		bits := mem[tabBits+i*szBits : tabBits+(i+1)*szBits]
		s.lives = append(s.lives, written{s.names[p], u64(mem, at), u64(mem, at+8), bits})
	}
	for i := range nc {
		at := tabCells + i*szCell
		life, path := int(u32(mem, at)), int(u32(mem, at+4))
		if life >= nl || path >= len(s.names) {
			return corrupt("cell %d", i)
		}
		s.Written = append(s.Written, Tally{s.lives[life].Producer, s.lives[life].Start, s.names[path], u64(mem, at+8), u64(mem, at+16)})
	}
	for i := range uint32(maxFiles) {
		at := tabFiles + int(i)*szFile
		if st := u32(mem, at); st > fileClosing || st != fileFree && int(u32(mem, at+4)) >= len(s.names) {
			return corrupt("file %d", i)
		}
		if f, ok := readFile(mem, i, s.names); ok {
			s.Files = append(s.Files, f)
		}
	}
	return s.readFlight(mem)
}

// readFile reads one row of the table of files; its path's index has been checked.
func readFile(mem []byte, i uint32, names []string) (File, bool) {
	at := tabFiles + int(i)*szFile
	if len(mem) < sizeLogger || u32(mem, at) == fileFree {
		return File{}, false
	}
	str := func(at int) string {
		return string(mem[at+2 : at+2+min(maxFile, int(mem[at])|int(mem[at+1])<<8)])
	}
	f := File{
		Ref: FileRef{i}, Path: names[u32(mem, at+4)], Name: str(at + fileName), Size: int64(u64(mem, at+8)),
		Opened: nanos(u64(mem, at+16)), Schema: u64(mem, at+32),
	}
	if u32(mem, at) == fileClosing {
		f.Target, f.Closing = str(at+fileTo), nanos(u64(mem, at+24))
	}
	return f, true
}

func (s *Snapshot) readFlight(mem []byte) error {
	st := u32(mem, flightState)
	if st == flightNone {
		return nil
	}
	life, cell, slot := int(u32(mem, flightLife)), int(u32(mem, flightCell)), u32(mem, flightFile)
	if st > flightDone || life >= len(s.lives) || cell >= len(s.Written) || slot >= maxFiles {
		return corrupt("write under way")
	}
	f, ok := readFile(mem, slot, s.names)
	if !ok {
		return corrupt("write under way to a closed file")
	}
	s.flight = &InFlight{
		File: f.Name, Before: int64(u64(mem, flightBefore)), After: int64(u64(mem, flightAfter)),
		Producer: s.lives[life].Producer, Start: s.lives[life].Start, Seq: u64(mem, flightSeq),
		Path: s.Written[cell].Path, Records: u64(mem, flightRecords), done: st == flightDone,
		cell: uint64(cell), cr: u64(mem, flightCRecords), cb: u64(mem, flightCBatches), life: life,
	}
	if s.flight.done {
		s.land()
	}
	return nil
}

// land applies a flight that is in its file, as Ledger.land does.
func (s *Snapshot) land() {
	f := s.flight
	s.Written[f.cell].Records, s.Written[f.cell].Batches = f.cr, f.cb
	if w := &s.lives[f.life]; f.Seq != 0 {
		w.mark(f.Seq)
	}
	for i := range s.Files {
		if s.Files[i].Name == f.File {
			s.Files[i].Size = f.After
		}
	}
	s.flight = nil
}

func (w *written) mark(seq uint64) {
	if seq > w.high {
		for q := max(w.high, seq-min(seq, Window)) + 1; q <= seq; q++ {
			i := q % Window
			w.bits[i/8] &^= 1 << (i % 8)
		}
		w.high = seq
	}
	i := seq % Window
	w.bits[i/8] |= 1 << (i % 8)
}

// sum makes the totals that are not stored.
func (s *Snapshot) sum() {
	var open uint64
	for _, e := range s.Entries {
		open += e.Records
	}
	batched := open
	for name, v := range s.Counters {
		rest, ok := strings.CutPrefix(name, "log.")
		if !ok {
			continue
		}
		if path, ok := strings.CutSuffix(rest, ".produced"); ok {
			s.Paths = append(s.Paths, path)
			s.Counters[RecordsProduced] += v
		} else if strings.HasSuffix(rest, ".acked") {
			s.Counters[RecordsAcked] += v
			batched += v
		} else if _, why, ok := strings.Cut(rest, ".dropped."); ok {
			s.Counters["records.dropped."+why] += v
			if why == StageShip+"."+ReasonDeadline || why == StageLogger+"."+ReasonRefused {
				batched += v
			}
		}
	}
	s.Counters[RecordsBatched] = batched
	for _, t := range s.Written {
		s.Counters[Written(t.Path)] += t.Records
		s.Counters[RecordsWritten] += t.Records
		s.Counters[BatchesWritten] += t.Batches
	}
}
