package irc

import (
	"net/netip"

	"github.com/picket-nsm/picket/policy/await"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/text"
)

// awaited is a direct connection to come, or under way.
type awaited struct {
	i    *info  // whose it is; nil: another worker's
	name string // then: of the file
}

// channel takes what one direct connection brings.
type channel struct {
	log      *Log
	expected bool // it was when it began
	to       await.Endpoint
}

// Begin implements the analyzer's DataHandler.
func (d *channel) Begin(c analyzer.Conn) {
	d.to = await.To(c)
	if _, d.expected = d.log.expected.Get(d.to, c.Now()); d.expected {
		c.Confirm("irc-dcc-data")
	}
}

// FileHandle implements files.Owner.
func (d *channel) FileHandle(c analyzer.Conn, orig bool, dst []byte) []byte {
	id := c.ID()
	dst = text.AppendDouble(append(dst, "Analyzer::ANALYZER_IRC_DATA"...), float64(id.Start))
	dst = text.AppendConnID(dst, netip.AddrFrom16(id.Orig).Unmap(), id.OrigP, netip.AddrFrom16(id.Resp).Unmap(), id.RespP, id.Proto)
	return text.AppendBool(dst, orig)
}

// FileOver implements files.Owner.
func (d *channel) FileOver(c analyzer.Conn, f *files.File) {
	w, ok := d.log.expected.Get(d.to, c.Now())
	switch {
	case !ok:
		return
	case w.i == nil:
		f.Name, f.HasName = w.name, true
		d.log.tell(newsFile, d.to, c.Now(), f.ID.AppendBytes(nil))
	default:
		w.i.file = f.ID
		if w.i.fileName.Set {
			f.Name, f.HasName = string(w.i.fileName.B), true
		}
	}
	f.Watcher = d
}

// FileSniffed implements files.Watcher: the row is written when the type is known,
// or known not to be told.
func (d *channel) FileSniffed(f *files.File) {
	w, ok := d.log.expected.Get(d.to, f.Now())
	switch {
	case !ok:
	case w.i == nil:
		d.log.tell(newsType, d.to, f.Now(), []byte(f.MIME))
		d.log.expected.Forget(d.to)
	default:
		d.log.arrived(d.to, w.i, []byte(f.MIME))
		d.log.tell(newsOver, d.to, f.Now(), nil)
	}
}

// End implements the analyzer's DataHandler: the next connection there is another
// one.
func (d *channel) End(c analyzer.Conn) {
	if d.expected {
		d.log.expected.Forget(d.to)
		d.log.tell(newsOver, d.to, c.Now(), nil)
	}
	*d = channel{log: d.log}
}
