// Package ledger keeps a node's books in memory that outlives the process: one
// shared-mapped file per life of the node, in the node's folder.
//
// It stands beside the data path, not in it: capture and flow count packets,
// the batcher and ship note what became of each batch, the logger notes what it
// writes before and after the write. Whoever reads it (status, settlement, the
// logger's next life) sees the state at the last instruction before a SIGKILL.
// Loss is settled from what both sides noted, never by subtracting one total
// from another node's (docs/adr, decision 4).
//
// It owns the file's layout and the order of stores that keeps it true at every
// instant. It never sends, retries or writes logs, and it does not protect
// against loss of power: pages reach the disk when the kernel likes.
package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// ErrCorrupt is wrapped by errors about files that are no ledger or a damaged one.
var ErrCorrupt = errors.New("corrupt ledger")

// ErrFull is wrapped by errors about tables that have no room left. A logger's
// next life has: it takes over only the newest life of each producer.
var ErrFull = errors.New("ledger full")

const prefix = "ledger."

// Ledger is one life's books, open for writing by the process that lives it.
// All methods may be called from any goroutine; Counter.Add costs one atomic
// instruction, everything else takes a lock and happens per batch or rarer.
type Ledger struct {
	Node  string
	Role  string
	Start uint64
	Path  string // the file; empty for a ledger in memory

	mem    []byte
	unmap  func() error
	heap   []uint64 // keeps a ledger in memory alive
	logger bool
	stored func() // see OnStore

	mu       sync.Mutex
	counters map[string]*Counter
	names    map[string]uint32
	free     []uint32 // free ring slots
	low      uint64   // no unresolved batch is below
	lives    map[lifeKey]uint32
	cells    map[uint64]uint32
}

type lifeKey struct {
	producer string
	start    uint64
}

// HasLogger reports whether a role's ledger has the logger's part.
func HasLogger(role string) bool {
	return role == "logger" || role == "standalone" || role == "read"
}

// Create makes the ledger of a new life, dir/ledger.START, and maps it. Ledgers
// of earlier lives stay beside it and stay readable; Prune removes them. start
// is the life's number, unix nanoseconds. The file is given its room on disk at
// once, so that a full disk is an error here and not a crash later.
func Create(dir, node, role string, start uint64) (*Ledger, error) {
	l, size, err := blank(node, role, start)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create ledger %s: %w", node, err)
	}
	l.Path = filepath.Join(dir, prefix+fmt.Sprintf("%020d", start))
	if _, err := os.Lstat(l.Path); err == nil {
		return nil, fmt.Errorf("create ledger %s: %s exists: two lives with one start number", node, l.Path)
	}
	tmp := l.Path + ".new"
	l.mem, l.unmap, err = mapNew(tmp, size)
	if err != nil {
		return nil, fmt.Errorf("create ledger %s: %w", node, err)
	}
	l.header()
	if err := os.Rename(tmp, l.Path); err != nil {
		return nil, errors.Join(fmt.Errorf("create ledger %s: %w", node, err), l.Close())
	}
	return l, nil
}

// New makes a ledger in memory, for tests and for a reader that leaves nothing
// behind. It can do all that one in a file can but survive.
func New(node, role string, start uint64) (*Ledger, error) {
	l, size, err := blank(node, role, start)
	if err != nil {
		return nil, err
	}
	l.heap = make([]uint64, size/8)
	l.mem = unsafe.Slice((*byte)(unsafe.Pointer(&l.heap[0])), size)
	l.unmap = func() error { return nil }
	l.header()
	return l, nil
}

func blank(node, role string, start uint64) (*Ledger, int, error) {
	if node == "" || len(node) > maxName || len(role) >= lenRole || strings.IndexByte(node, 0) >= 0 {
		return nil, 0, fmt.Errorf("create ledger %q role %q: a name has 1 to %d bytes", node, role, maxName)
	}
	l := &Ledger{
		Node: node, Role: role, Start: start, logger: HasLogger(role),
		counters: map[string]*Counter{}, names: map[string]uint32{},
		lives: map[lifeKey]uint32{}, cells: map[uint64]uint32{}, low: 1,
	}
	for i := ringSize - 1; i >= 0; i-- {
		l.free = append(l.free, uint32(i))
	}
	if l.logger {
		return l, sizeLogger, nil
	}
	return l, sizeProducer, nil
}

func (l *Ledger) header() {
	copy(l.mem[offNode:offNode+lenNode], l.Node)
	copy(l.mem[offRole:offRole+lenRole], l.Role)
	l.put32(offVersion, version)
	l.put32(offSize, uint32(len(l.mem)))
	l.put64(offStart, l.Start)
	l.put32(offPid, uint32(os.Getpid()))
	if l.logger {
		l.put32(offLogger, 1)
	}
	l.put64(offHeartbeat, l.Start)
	l.put64(offChanged, l.Start)
	copy(l.mem, magic)
	l.Counter(Overflow)
}

// Close unmaps the file. Nothing of the ledger may be used afterwards, counters
// included. It does not change the state.
func (l *Ledger) Close() error {
	if l.unmap == nil {
		return nil
	}
	err := l.unmap()
	l.unmap, l.mem = nil, nil
	return err
}

// SetState notes the state and when it began. now is wall-clock time.
func (l *Ledger) SetState(s State, now time.Time) {
	l.put64(offChanged, uint64(now.UnixNano()))
	l.put32(offState, uint32(s))
	l.Heartbeat(now)
}

// State returns the state last noted.
func (l *Ledger) State() State { return State(l.get32(offState)) }

// Heartbeat notes that the node's main loop turned.
func (l *Ledger) Heartbeat(now time.Time) { l.put64(offHeartbeat, uint64(now.UnixNano())) }

// Counter is one number in the ledger.
type Counter struct {
	v     *uint64
	index uint32
}

// Add adds n. It does not allocate.
func (c *Counter) Add(n uint64) { atomic.AddUint64(c.v, n) }

// Set makes the counter n: for gauges and for numbers counted elsewhere.
func (c *Counter) Set(n uint64) { atomic.StoreUint64(c.v, n) }

// Load returns the value.
func (c *Counter) Load() uint64 { return atomic.LoadUint64(c.v) }

// Counter returns the counter of that name and makes it if it is new. Names
// have at most 80 bytes. It never returns nil: what finds no room counts on
// Overflow, where status shows it.
func (l *Ledger) Counter(name string) *Counter {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counter(name)
}

func (l *Ledger) counter(name string) *Counter {
	if c := l.counters[name]; c != nil {
		return c
	}
	n := l.get32(offCounters)
	if n >= maxCounters || len(name) > maxCounter || name == "" {
		return l.counters[Overflow]
	}
	at := tabCounters + int(n)*szCounter
	l.put16(at+8, uint16(len(name)))
	copy(l.mem[at+16:at+16+maxCounter], name)
	l.put32(offCounters, n+1)
	c := &Counter{v: l.p64(at), index: n}
	l.counters[name] = c
	return c
}

// CheckPath returns an error if a log path cannot have counters of its own.
func CheckPath(path string) error {
	if path == "" || len(Dropped(path, StageShip, ReasonTooLarge)) > maxCounter || strings.IndexByte(path, 0) >= 0 {
		return fmt.Errorf("ledger path %q: a log path has 1 to %d bytes", path, maxCounter-len(Dropped("", StageShip, ReasonTooLarge)))
	}
	return nil
}

// name returns the index of a name in the table of names. Names are never removed.
func (l *Ledger) name(s string) (uint32, error) {
	if i, ok := l.names[s]; ok {
		return i, nil
	}
	n := l.get32(offNames)
	if len(s) > maxName {
		return 0, fmt.Errorf("ledger name %q: longer than %d bytes", s, maxName)
	}
	if n >= maxNames {
		return 0, fmt.Errorf("ledger name %q: %w: %d names of nodes and paths", s, ErrFull, maxNames)
	}
	at := tabNames + int(n)*szName
	l.mem[at] = byte(len(s))
	copy(l.mem[at+1:at+szName], s)
	l.put32(offNames, n+1)
	l.names[s] = n
	return n, nil
}

// Lives returns the ledger files in a node's folder, oldest life first.
func Lives(dir string) ([]string, error) {
	ents, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list ledgers %s: %w", dir, err)
	}
	type life struct {
		start uint64
		path  string
	}
	var found []life
	for _, e := range ents {
		s, ok := strings.CutPrefix(e.Name(), prefix)
		if !ok {
			continue
		}
		if start, err := strconv.ParseUint(s, 10, 64); err == nil {
			found = append(found, life{start, filepath.Join(dir, e.Name())})
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].start < found[j].start })
	paths := make([]string, len(found))
	for i, f := range found {
		paths[i] = f.path
	}
	return paths, nil
}

// Prune removes the ledgers of all lives but the newest keep, and what a crash
// during Create left. Only call it when nothing is left to be settled.
func Prune(dir string, keep int) error {
	paths, err := Lives(dir)
	if err != nil {
		return err
	}
	var errs []error
	for len(paths) > keep {
		errs = append(errs, os.Remove(paths[0]))
		paths = paths[1:]
	}
	if left, _ := filepath.Glob(filepath.Join(dir, prefix+"*.new")); keep == 0 {
		for _, p := range left {
			errs = append(errs, os.Remove(p))
		}
	}
	return errors.Join(errs...)
}

// SetAside keeps damaged ledgers of a folder under another name and returns
// that of the last, empty where none is damaged. No process may write there.
func SetAside(dir string) (string, error) {
	paths, err := Lives(dir)
	if err != nil {
		return "", err
	}
	aside := ""
	for _, p := range paths {
		r, err := Open(p)
		if err != nil {
			return "", err
		}
		_, err = r.Snapshot()
		_ = r.Close()
		if !errors.Is(err, ErrCorrupt) {
			continue
		}
		aside = filepath.Join(dir, "damaged-"+filepath.Base(p))
		if err := os.Rename(p, aside); err != nil {
			return "", fmt.Errorf("set ledger aside: %w", err)
		}
	}
	return aside, nil
}

func (l *Ledger) p64(at int) *uint64 { return (*uint64)(unsafe.Pointer(&l.mem[at])) }
func (l *Ledger) p32(at int) *uint32 { return (*uint32)(unsafe.Pointer(&l.mem[at])) }

func (l *Ledger) get64(at int) uint64 { return atomic.LoadUint64(l.p64(at)) }
func (l *Ledger) get32(at int) uint32 { return atomic.LoadUint32(l.p32(at)) }
func (l *Ledger) put64(at int, v uint64) {
	if l.stored != nil {
		l.stored()
		defer l.stored()
	}
	atomic.StoreUint64(l.p64(at), v)
}
func (l *Ledger) put32(at int, v uint32) {
	if l.stored != nil {
		l.stored()
		defer l.stored()
	}
	atomic.StoreUint32(l.p32(at), v)
}

// OnStore has f called before and after each store, but for Counter.Add. Tests
// panic in it to die at every possible instant; the ledger is unusable then,
// but for being read, as after a kill.
func (l *Ledger) OnStore(f func())       { l.stored = f }
func (l *Ledger) put16(at int, v uint16) { l.mem[at], l.mem[at+1] = byte(v), byte(v>>8) }
