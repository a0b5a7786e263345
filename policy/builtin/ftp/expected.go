package ftp

import (
	"net/netip"

	"github.com/picket-nsm/picket/policy/await"
	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/ftp"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/text"
)

// awaited is a data connection to come, or under way.
type awaited struct {
	s          *session // whose it is, as long as that has the generation
	generation uint64
	uid        string // or of another worker: of that control connection
}

// channel takes what one data connection brings.
type channel struct {
	log      *Log
	expected bool // it was when it began
}

var _ wire.DataHandler = (*channel)(nil)

// find returns whose data connection c is.
func (d *channel) find(c analyzer.Conn) (awaited, bool) {
	w, ok := d.log.expected.Get(await.To(c), c.Now())
	if w.s != nil && w.s.generation != w.generation {
		w.s = nil // that session is over
	}
	return w, ok
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
		to := await.To(c)
		d.log.expected.Forget(to)
		d.log.tellOver(to, c.Now())
	}
	d.expected = false
}
