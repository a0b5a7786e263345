package files

import (
	"math"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files/magic"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// Analyzer looks at the content of one file. It is called on the worker's
// goroutine; data is borrowed.
type Analyzer interface {
	// Data takes the next bytes in order. It returns false when it wants no more.
	Data(f *File, data []byte) bool
	// Gap says that n bytes are missing. It returns false when it wants no more.
	Gap(f *File, n uint64) bool
	// End says that the file is over, or that the analyzer wanted no more.
	End(f *File)
}

// File is one file under way, or at its end. It belongs to its Table; what a
// Handler or Watcher is given is valid until the call returns.
type File struct {
	ID                ID
	Source            string // name of the protocol's analyzer
	Orig              bool   // sent by the originator
	First, LastActive packet.Time

	Seen     uint64 // bytes delivered in order
	Missing  uint64 // bytes that never came
	Overflow uint64 // bytes that came and could not be put in order
	Total    uint64 // if HasTotal
	HasTotal bool
	TimedOut bool

	MIME    string // empty: not told
	Name    string // file name that the protocol gave, if HasName; the owner sets it
	HasName bool
	Depth   uint64 // within its source; the owner sets it
	Parent  ID
	Conns   []ConnID
	Local   bool // the sender is in the local networks, if LocalKnown
	Results []Result

	LocalKnown bool

	// Watcher is told the type; Mark is its own.
	Watcher Watcher
	Mark    uint64

	t          *Table
	gen        uint64
	offset     uint64      // of the next byte in order
	checkAt    packet.Time // when to look for silence
	prev, next *File
	bof        []byte // the first bytes, until the type was told
	bofFull    bool
	sniffed    bool
	done       bool
	analyzers  []attached
	order      *order
}

// ConnID is a connection that a file came over.
type ConnID struct {
	Orig, Resp   packet.Addr
	OrigP, RespP uint16
	Proto        value.Proto
	start        packet.Time
	uid          [32]byte
	uidLen       uint8
}

// UID returns the connection's name, borrowed from c.
func (c *ConnID) UID() string { return value.Borrow(c.uid[:c.uidLen]) }

// Result is what an analyzer found: md5, d41d8cd9... Flag and Count are for
// those that have more to say.
type Result struct {
	Name, Text string
	Flag       bool
	Count      uint64
}

// attached is an analyzer of a file.
type attached struct {
	a      Analyzer
	name   string
	caught bool // it has got what came before it
	over   bool
}

// Attach puts an analyzer onto the file. It gets the content from the first byte
// on. The name is shown in the analyzers column; a second one of the same name
// is not attached.
func (f *File) Attach(name string, a Analyzer) bool {
	if f.done {
		return false
	}
	for i := range f.analyzers {
		if f.analyzers[i].name == name {
			return false
		}
	}
	f.analyzers = append(f.analyzers, attached{a: a, name: name, caught: len(f.bof) == 0})
	return true
}

// Analyzers calls yield for the names of all analyzers the file has had.
func (f *File) Analyzers(yield func(name string)) {
	for i := range f.analyzers {
		yield(f.analyzers[i].name)
	}
}

// AddResult notes what an analyzer found.
func (f *File) AddResult(r Result) { f.Results = append(f.Results, r) }

// Now is the time of the packet at hand.
func (f *File) Now() packet.Time { return f.t.now }

// over notes a connection; it reports whether it is a new one.
func (f *File) over(c analyzer.Conn) bool {
	id := c.ID()
	for i := range f.Conns {
		k := &f.Conns[i]
		if k.start == id.Start && k.OrigP == id.OrigP && k.RespP == id.RespP && k.Orig == id.Orig && k.Resp == id.Resp {
			return false
		}
	}
	if l, ok := c.(analyzer.Local); ok {
		orig, resp, known := l.Local()
		f.Local, f.LocalKnown = resp, known
		if f.Orig {
			f.Local = orig
		}
	}
	if len(f.Conns) >= f.t.cfg.Conns {
		f.t.stats.ShedConns++
		return false
	}
	k := ConnID{Orig: id.Orig, Resp: id.Resp, OrigP: id.OrigP, RespP: id.RespP, Proto: id.Proto, start: id.Start}
	k.uidLen = uint8(copy(k.uid[:], id.UID))
	f.Conns = append(f.Conns, k)
	return true
}

// chunk takes bytes at an offset: they are delivered, kept for later, or lost.
func (f *File) chunk(data []byte, off uint64) {
	if math.MaxUint64-off < uint64(len(data)) {
		data = data[:math.MaxUint64-off]
	}
	switch {
	case f.order != nil:
		if f.t.cfg.Reassembly < f.order.held {
			f.Overflow += f.flush()
		}
		f.newBlock(off, data)
	case off == f.offset:
		f.deliver(data)
	default:
		f.order = &order{at: f.offset, trimmed: f.offset}
		f.newBlock(off, data)
	}
}

// deliver takes the next bytes in order.
func (f *File) deliver(data []byte) {
	before := len(f.bof)
	if !f.bofFull {
		f.buffer(data)
	}
	if !f.sniffed && f.bofFull {
		f.sniff(f.bof)
	}
	for i := 0; i < len(f.analyzers); i++ {
		a := &f.analyzers[i]
		if a.over {
			continue
		}
		if !a.caught {
			a.caught = true
			if before > 0 && !a.a.Data(f, f.bof[:before]) {
				f.finish(i)
				continue
			}
		}
		if len(data) > 0 && !a.a.Data(f, data) {
			f.finish(i)
		}
	}
	f.offset += uint64(len(data))
	f.Seen += uint64(len(data))
	if f.sniffed {
		f.release()
	}
}

// release gives the buffer of the first bytes back.
func (f *File) release() {
	if f.bof == nil {
		return
	}
	t := f.t
	t.stats.BufferedBytes -= BOF
	t.bufs.Keep(f.bof[:0])
	f.bof = nil
}

// finish ends the analyzer at place i.
func (f *File) finish(i int) {
	a := &f.analyzers[i]
	a.over = true
	a.a.End(f)
}

// buffer keeps the first bytes. Where there is no room for them, the type is
// told from the bytes at hand.
func (f *File) buffer(data []byte) {
	t := f.t
	if f.bof == nil && len(data) > 0 {
		if t.stats.BufferedBytes+BOF > t.cfg.Buffered {
			t.stats.ShedSniffs++
			f.bofFull = true
			f.sniff(data[:min(len(data), BOF)])
			return
		}
		t.stats.BufferedBytes += BOF
		if f.bof = t.bufs.Take(); f.bof == nil {
			f.bof = make([]byte, 0, BOF)
		}
	}
	f.bof = append(f.bof, data[:min(len(data), BOF-len(f.bof))]...)
	f.bofFull = len(f.bof) == BOF
}

// sniff tells the type from the first bytes.
func (f *File) sniff(bof []byte) {
	f.sniffed = true
	if len(bof) == 0 {
		return
	}
	f.MIME = magic.Detect(bof)
	f.t.h.Sniffed(f)
	if f.Watcher != nil {
		f.Watcher.FileSniffed(f)
	}
}

// full ends the collecting of first bytes, whatever there is.
func (f *File) full() {
	if !f.bofFull {
		f.bofFull = true
		f.deliver(nil)
	}
}

// gap says that n bytes at off will never come.
func (f *File) gap(off, n uint64) {
	if f.order != nil && !f.order.flushing {
		f.flushTo(max(off, off+n)) // where it would overflow: as far as it goes
		return
	}
	f.full()
	for i := 0; i < len(f.analyzers); i++ {
		if a := &f.analyzers[i]; !a.over && !a.a.Gap(f, n) {
			f.finish(i)
		}
	}
	f.offset += n
	f.Missing += n
}

// end delivers what is left and ends the analyzers.
func (f *File) end() {
	if f.order != nil {
		f.flush()
		f.t.stats.ReassemblyBytes -= f.order.held + len(f.order.blocks)*blockCost
	}
	f.full()
	for i := 0; i < len(f.analyzers); i++ {
		if !f.analyzers[i].over {
			f.finish(i)
		}
	}
}
