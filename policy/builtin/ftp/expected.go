package ftp

import (
	"strconv"

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
func (t *table) put(e endpoint, s *session, now packet.Time) (n int, ok bool) {
	if now >= t.next {
		t.next = now + sweepEvery
		for k, w := range t.list {
			if w.used+patience <= now {
				delete(t.list, k)
			}
		}
	}
	if _, known := t.list[e]; !known && t.max > 0 && len(t.list) >= t.max {
		return len(t.list), false
	}
	t.list[e] = awaited{s, s.generation, now}
	return len(t.list), true
}

// get returns whose data connection goes to e; s is nil if that session is over.
func (t *table) get(e endpoint, now packet.Time) (s *session, ok bool) {
	w, ok := t.list[e]
	if !ok || w.used+patience <= now {
		return nil, false
	}
	if w.used != now {
		w.used = now
		t.list[e] = w
	}
	if w.s.generation != w.generation {
		return nil, true
	}
	return w.s, true
}

// channel takes what one data connection brings.
type channel struct {
	log      *Log
	expected bool // it was when it began
}

var _ wire.DataHandler = (*channel)(nil)

func (d *channel) find(c analyzer.Conn) (*session, bool) {
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
	s, _ := d.find(c)
	if s == nil {
		return
	}
	if mime == "" {
		mime = "<unknown>"
	}
	s.mime.put([]byte(mime))
}

// FileHandle implements files.Owner: a connection that nobody expects any more
// has no file.
func (d *channel) FileHandle(c analyzer.Conn, orig bool, dst []byte) []byte {
	if _, ok := d.find(c); !ok {
		return dst
	}
	id := c.ID()
	dst = text.AppendDouble(append(dst, "Analyzer::ANALYZER_FTP_DATA"...), float64(id.Start))
	dst = append(appendEnd(append(dst, '['), &id.Orig, id.OrigP), " > "...)
	dst = append(appendEnd(dst, &id.Resp, id.RespP), ']')
	return strconv.AppendBool(dst, orig)
}

// FileOver implements files.Owner.
func (d *channel) FileOver(c analyzer.Conn, f *files.File) {
	if s, _ := d.find(c); s != nil {
		s.fuid = f.ID
		f.Watcher, f.Mark = s, s.generation
	}
}

// End implements the analyzer's DataHandler: the next connection there is
// another one.
func (d *channel) End(c analyzer.Conn) {
	if d.expected {
		id := c.ID()
		delete(d.log.expected.list, endpoint{id.Resp, id.RespP})
	}
	d.expected = false
}
