package ftp

import (
	"net/netip"

	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/ftp"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/text"
)

// endpoint is where a data connection goes to.
type endpoint struct {
	host packet.Addr
	port uint16
}

// awaited is a data connection to come, or under way.
type awaited struct {
	s          *session // whose it is, as long as that has the generation
	generation uint64
	uid        string // or of another worker: of that control connection
	used       packet.Time
}

// table holds the data connections to come, until they are over or nobody has
// asked for them for some time.
type table struct {
	max  int // 0: no limit
	list map[endpoint]awaited
	next packet.Time // when to look for what is too old
}

// sweepEvery is how many seconds lie between two such looks.
const sweepEvery = 10

func newTable(max int) table { return table{max: max, list: map[endpoint]awaited{}} }

// put adds a connection. ok is false if there are too many; n is how many there
// are.
func (t *table) put(e endpoint, w awaited) (n int, ok bool) {
	if w.used >= t.next {
		t.next = w.used + sweepEvery
		for k, old := range t.list {
			if old.used+patience <= w.used {
				delete(t.list, k)
			}
		}
	}
	if _, known := t.list[e]; !known && t.max > 0 && len(t.list) >= t.max {
		return len(t.list), false
	}
	t.list[e] = w
	return len(t.list), true
}

// get returns whose data connection goes to e.
func (t *table) get(e endpoint, now packet.Time) (w awaited, ok bool) {
	w, ok = t.list[e]
	if !ok || w.used+patience <= now {
		return awaited{}, false
	}
	if w.used < now {
		w.used = now
		t.list[e] = w
	}
	if w.s != nil && w.s.generation != w.generation {
		w.s = nil // that session is over
	}
	return w, true
}

// channel takes what one data connection brings.
type channel struct {
	log      *Log
	expected bool // it was when it began
}

var _ wire.DataHandler = (*channel)(nil)

func (d *channel) find(c analyzer.Conn) (awaited, bool) {
	id := c.ID()
	return d.log.expected.get(endpoint{id.Resp, id.RespP}, c.Now())
}

// Begin implements the analyzer's DataHandler.
func (d *channel) Begin(c analyzer.Conn) {
	if _, d.expected = d.find(c); d.expected {
		c.Confirm("ftp-data")
	}
}

// Looked implements the analyzer's DataHandler.
func (d *channel) Looked(c analyzer.Conn, mime string) {
	if mime == "" {
		mime = "<unknown>"
	}
	switch w, _ := d.find(c); {
	case w.s != nil:
		w.s.mime.Put([]byte(mime))
	case w.uid != "":
		d.log.tellType(w.uid, mime, c.Now())
	}
}

// FileHandle implements files.Owner: a connection that nobody expects any more
// has no file.
func (d *channel) FileHandle(c analyzer.Conn, orig bool, dst []byte) []byte {
	if _, ok := d.find(c); !ok {
		return dst
	}
	id := c.ID()
	dst = text.AppendDouble(append(dst, "Analyzer::ANALYZER_FTP_DATA"...), float64(id.Start))
	dst = text.AppendConnID(dst, netip.AddrFrom16(id.Orig).Unmap(), id.OrigP, netip.AddrFrom16(id.Resp).Unmap(), id.RespP, id.Proto)
	return text.AppendBool(dst, orig)
}

// FileOver implements files.Owner.
func (d *channel) FileOver(c analyzer.Conn, f *files.File) {
	switch w, _ := d.find(c); {
	case w.s != nil:
		w.s.fuid = f.ID
		f.Watcher, f.Mark = w.s, w.s.generation
	case w.uid != "":
		d.log.tellFile(w.uid, f.ID, c.Now())
		f.Watcher = distant{d.log, w.uid}
	}
}

// End implements the analyzer's DataHandler: the next connection there is
// another one.
func (d *channel) End(c analyzer.Conn) {
	if d.expected {
		id := c.ID()
		e := endpoint{id.Resp, id.RespP}
		delete(d.log.expected.list, e)
		d.log.tellOver(e, c.Now())
	}
	d.expected = false
}
