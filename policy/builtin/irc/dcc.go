package irc

import (
	"net/netip"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/text"
)

// endpoint is where a direct connection goes to.
type endpoint struct {
	host packet.Addr
	port uint16
}

// awaited is a direct connection to come, or under way.
type awaited struct {
	i    *info  // whose it is; nil: another worker's
	name string // then: of the file
	used packet.Time
}

// table holds them until their file is known, or nobody has asked for some time.
type table struct {
	list map[endpoint]awaited
	next packet.Time // when to look for what is too old
}

// sweepEvery is how many seconds lie between two such looks.
const sweepEvery = 10

// room reports whether one more may come.
func (t *table) room(limit int, now packet.Time) bool {
	if now >= t.next {
		t.next = now + sweepEvery
		for k, w := range t.list {
			if w.used+patience <= now {
				delete(t.list, k)
			}
		}
	}
	return limit <= 0 || len(t.list) < limit
}

func (t *table) get(e endpoint, now packet.Time) (w awaited, ok bool) {
	w, ok = t.list[e]
	if !ok || w.used+patience <= now {
		return awaited{}, false
	}
	if w.used < now {
		w.used = now
		t.list[e] = w
	}
	return w, true
}

// channel takes what one direct connection brings.
type channel struct {
	log      *Log
	expected bool // it was when it began
	to       endpoint
}

// Begin implements the analyzer's DataHandler.
func (d *channel) Begin(c analyzer.Conn) {
	id := c.ID()
	d.to = endpoint{id.Resp, id.RespP}
	if _, d.expected = d.log.expected.get(d.to, c.Now()); d.expected {
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
	w, ok := d.log.expected.get(d.to, c.Now())
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
	w, ok := d.log.expected.get(d.to, f.Now())
	switch {
	case !ok:
	case w.i == nil:
		d.log.tell(newsType, d.to, f.Now(), []byte(f.MIME))
		delete(d.log.expected.list, d.to)
	default:
		d.log.arrived(d.to, w.i, []byte(f.MIME))
		d.log.tell(newsOver, d.to, f.Now(), nil)
	}
}

// End implements the analyzer's DataHandler: the next connection there is another
// one.
func (d *channel) End(c analyzer.Conn) {
	if d.expected {
		delete(d.log.expected.list, d.to)
		d.log.tell(newsOver, d.to, c.Now(), nil)
	}
	*d = channel{log: d.log}
}
