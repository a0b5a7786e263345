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
	i    *info
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

func (t *table) get(e endpoint, now packet.Time) *info {
	w, ok := t.list[e]
	if !ok || w.used+patience <= now {
		return nil
	}
	if w.used != now {
		w.used = now
		t.list[e] = w
	}
	return w.i
}

// channel takes what one direct connection brings.
type channel struct {
	log      *Log
	expected bool // it was when it began
	to       endpoint
	i        *info // whose file it is
}

// Begin implements the analyzer's DataHandler.
func (d *channel) Begin(c analyzer.Conn) {
	id := c.ID()
	d.to = endpoint{id.Resp, id.RespP}
	if d.expected = d.log.expected.get(d.to, c.Now()) != nil; d.expected {
		c.Confirm("irc-dcc-data")
	}
}

// FileHandle implements files.Owner.
func (d *channel) FileHandle(c analyzer.Conn, orig bool, dst []byte) []byte {
	id := c.ID()
	dst = text.AppendDouble(append(dst, "Analyzer::ANALYZER_IRC_DATA"...), float64(id.Start))
	dst = text.AppendConnID(dst, netip.AddrFrom16(id.Orig).Unmap(), id.OrigP, netip.AddrFrom16(id.Resp).Unmap(), id.RespP, id.Proto)
	if orig {
		return append(dst, 'T')
	}
	return append(dst, 'F')
}

// FileOver implements files.Owner.
func (d *channel) FileOver(c analyzer.Conn, f *files.File) {
	if d.i = d.log.expected.get(d.to, c.Now()); d.i == nil {
		return
	}
	d.i.file = f.ID
	if d.i.fileName.set {
		f.Name, f.HasName = string(d.i.fileName.b), true
	}
	f.Watcher = d
}

// FileSniffed implements files.Watcher: the row is written when the type is known,
// or known not to be told.
func (d *channel) FileSniffed(f *files.File) {
	if d.i != nil && f.MIME != "" {
		d.i.fileType.put([]byte(f.MIME))
	}
	i := d.log.expected.get(d.to, f.Now())
	if i == nil {
		return
	}
	command := i.command
	i.command = field{set: true, b: []byte("DCC")}
	d.log.emit(i)
	if len(command.b) > 0 && command.set {
		i.command = command
	}
	i.fileName.set, i.fileType.set, i.hasSize = false, false, false
	delete(d.log.expected.list, d.to)
}

// End implements the analyzer's DataHandler: the next connection there is another
// one.
func (d *channel) End(analyzer.Conn) {
	if d.expected {
		delete(d.log.expected.list, d.to)
	}
	*d = channel{log: d.log}
}
