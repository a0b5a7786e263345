// Package files follows the files that protocols carry: which bytes belong to
// one, how many came and how many are missing, what type the first ones show,
// and when it is over.
//
// It stands between protocol analyzers, which hand it content, and policy: an
// Owner, one per connection and protocol, names the file at hand; the Handler
// hears of all files and puts analyzers onto them (hashes, extraction). It owns
// the state of files that are under way, by id, so that pieces of one file may
// come over several connections. It never looks at packets, writes no log and
// touches no disk.
//
// It follows Zeek 9's file analysis in what counts as a file, in its numbers,
// and in the ids, which are the same on every worker and in every run.
package files

import (
	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
)

// BOF is how many first bytes of a file its type is told from.
const BOF = 4096

// Handler is told of every file of a worker; policy implements it. It is called
// on the Table's goroutine.
type Handler interface {
	// New says that a file was found; nothing of it was looked at yet. Attach may
	// be called.
	New(f *File)
	// Sniffed says that the type is known, or is known not to be told: File.MIME.
	// Attach may be called.
	Sniffed(f *File)
	// Removed says that a file is over. f is valid until this returns.
	Removed(f *File)
}

// Owner is the protocol's side of a connection's files; its policy implements it.
type Owner interface {
	// FileHandle appends the name of the file that the next bytes of a side belong
	// to: bytes with the same name are of the same file, on whatever connection.
	// An empty name means that they are no file.
	FileHandle(c analyzer.Conn, orig bool, dst []byte) []byte
	// FileOver says that f is seen on the connection c for the first time. It may
	// set f.Name, f.Watcher and f.Mark.
	FileOver(c analyzer.Conn, f *File)
}

// Watcher is told what a file turned out to be.
type Watcher interface{ FileSniffed(f *File) }

// Config is what a Table is told. Default has Zeek's values, and limits where
// Zeek has none.
type Config struct {
	Salt    string  // digest_salt: ids are made with it
	Timeout float64 // seconds of silence after which a file is given up

	Reassembly      int // bytes out of order that one file may keep
	ReassemblyTotal int // bytes out of order that all may keep
	Files           int // files under way; more are not looked at
	Conns           int // connections noted for one file
	Buffered        int // bytes kept of the beginnings of all files
}

// Default returns the settings of Zeek's default scripts.
func Default() Config {
	return Config{
		Salt: "Please change this value.", Timeout: 120,
		Reassembly: 512 << 10, ReassemblyTotal: 64 << 20, Files: 100_000, Conns: 1000, Buffered: 64 << 20,
	}
}

// Stats counts what a Table did, and what limits made it shed, by name.
type Stats struct {
	Files           uint64 // found
	Active          int    // under way now
	TimedOut        uint64
	ReassemblyBytes int // kept out of order now
	BufferedBytes   int // kept of beginnings now

	ShedFiles  uint64 // not looked at: too many at once
	ShedBlocks uint64 // bytes out of order not kept
	ShedConns  uint64 // connections of a file not noted
	ShedSniffs uint64 // types told from less than there was
}

// What is kept for reuse: finished files, room for connections in each, and
// buffers for beginnings.
const (
	maxFree   = 1024
	keepConns = 16
	maxBufs   = 256
)

// Table holds a worker's files. One goroutine.
type Table struct {
	cfg      Config
	h        Handler
	key      [32]byte
	files    map[ID]*File
	queue    queue
	deadline analyzer.Deadline
	free     freelist.List[*File]
	bufs     freelist.List[[]byte] // for the beginnings of files
	handle   []byte                // scratch
	stats    Stats
	now      packet.Time
}

// New makes a Table.
func New(cfg Config, h Handler) *Table {
	d := Default()
	fill := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	fill(&cfg.Reassembly, d.Reassembly)
	fill(&cfg.ReassemblyTotal, d.ReassemblyTotal)
	fill(&cfg.Files, d.Files)
	fill(&cfg.Conns, d.Conns)
	fill(&cfg.Buffered, d.Buffered)
	if !(cfg.Timeout > 0) {
		cfg.Timeout = d.Timeout
	}
	t := &Table{cfg: cfg, h: h, key: newKey(cfg.Salt), files: map[ID]*File{},
		free: freelist.New[*File](maxFree), bufs: freelist.New[[]byte](maxBufs)}
	t.deadline = analyzer.Deadline{At: analyzer.Never, Fire: t.fire, Expire: t.expire}
	return t
}

// Stats returns the counters.
func (t *Table) Stats() Stats { return t.stats }

// Ref is an analyzer's memory of the file it is in; the zero Ref is none yet.
// It stays valid when the file is removed: more bytes then begin it again.
type Ref struct {
	id  ID
	f   *File
	gen uint64
}

// Side says where content comes from.
type Side struct {
	Source string // name of the analyzer: HTTP
	Owner  Owner
	Orig   bool // sent by the originator
}

// Data takes the next bytes of a file.
func (t *Table) Data(c analyzer.Conn, s *Side, r *Ref, data []byte) {
	f := t.get(c, s, r, false)
	if f == nil {
		return
	}
	f.chunk(data, f.offset)
	t.complete(f, r)
}

// DataAt takes bytes of a file at an offset.
func (t *Table) DataAt(c analyzer.Conn, s *Side, r *Ref, off uint64, data []byte) {
	f := t.get(c, s, r, true)
	if f == nil {
		return
	}
	f.chunk(data, off)
	t.complete(f, r)
}

// Whole takes a file that lies there whole and whose type the protocol knows.
func (t *Table) Whole(c analyzer.Conn, s *Side, mime string, data []byte) {
	var r Ref
	f := t.get(c, s, &r, false)
	if f == nil {
		return
	}
	if !f.sniffed {
		f.sniffed, f.bofFull, f.MIME = true, true, mime
		t.h.Sniffed(f)
		if f.Watcher != nil {
			f.Watcher.FileSniffed(f)
		}
	}
	f.chunk(data, f.offset)
	t.remove(f)
}

// Size says how many bytes a file has.
func (t *Table) Size(c analyzer.Conn, s *Side, r *Ref, n uint64) {
	f := t.get(c, s, r, true)
	if f == nil {
		return
	}
	f.Total, f.HasTotal = n, true
	t.complete(f, r)
}

// Gap says that n bytes at an offset will never come.
func (t *Table) Gap(c analyzer.Conn, s *Side, r *Ref, off, n uint64) {
	if f := t.get(c, s, r, true); f != nil {
		f.gap(off, n)
	}
}

// End says that a file is over. If r is none, that is the file which the owner
// names.
func (t *Table) End(c analyzer.Conn, s *Side, r *Ref) {
	id, f := r.id, t.deref(r)
	if id.IsZero() {
		id = t.identify(c, s)
	}
	if f == nil {
		f = t.files[id]
	}
	if f != nil {
		t.now = max(t.now, c.Now())
		t.remove(f)
	}
}

// complete removes a file whose last byte has come. What follows is a new one.
func (t *Table) complete(f *File, r *Ref) {
	if f.HasTotal && f.offset >= f.Total {
		t.remove(f)
		*r = Ref{}
	}
}

func (t *Table) deref(r *Ref) *File {
	if r.f != nil && r.f.gen == r.gen {
		return r.f
	}
	return nil
}

func (t *Table) identify(c analyzer.Conn, s *Side) ID {
	t.handle = s.Owner.FileHandle(c, s.Orig, t.handle[:0])
	if len(t.handle) == 0 {
		return ID{}
	}
	return t.id(t.handle)
}

// get finds the file of r, or of the name that the owner gives, or begins it.
// spread says that it may come over several connections.
func (t *Table) get(c analyzer.Conn, s *Side, r *Ref, spread bool) *File {
	t.now = max(t.now, c.Now())
	if f := t.deref(r); f != nil {
		f.LastActive = t.now
		if spread && f.over(c) {
			s.Owner.FileOver(c, f)
		}
		return f
	}
	if r.id.IsZero() {
		if r.id = t.identify(c, s); r.id.IsZero() {
			return nil
		}
	}
	f := t.files[r.id]
	if f != nil {
		f.LastActive = t.now
		if spread && f.over(c) {
			s.Owner.FileOver(c, f)
		}
	} else if f = t.begin(c, s, r.id); f == nil {
		*r = Ref{}
		return nil
	}
	r.f, r.gen = f, f.gen
	return f
}

func (t *Table) begin(c analyzer.Conn, s *Side, id ID) *File {
	if len(t.files) >= t.cfg.Files {
		t.stats.ShedFiles++
		return nil
	}
	f := t.take()
	f.ID, f.Source, f.Orig = id, s.Source, s.Orig
	f.First, f.LastActive = t.now, t.now
	t.files[id] = f
	t.stats.Files++
	t.stats.Active++
	t.schedule(f)
	f.over(c)
	t.h.New(f)
	s.Owner.FileOver(c, f)
	return f
}

func (t *Table) take() *File {
	if f := t.free.Take(); f != nil {
		return f
	}
	return &File{t: t}
}

// remove ends a file.
func (t *Table) remove(f *File) {
	if f.done {
		return
	}
	f.end()
	f.done = true
	t.h.Removed(f)
	delete(t.files, f.ID)
	t.unschedule(f)
	t.stats.Active--
	f.release()
	clear(f.analyzers)
	clear(f.Results)
	*f = File{t: t, gen: f.gen + 1, Conns: f.Conns[:0], analyzers: f.analyzers[:0], Results: f.Results[:0]}
	if cap(f.Conns) > keepConns {
		f.Conns = nil
	}
	t.free.Keep(f)
}
