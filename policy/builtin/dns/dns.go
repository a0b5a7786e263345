// Package dns writes dns.log: one row for each query with its reply, and for
// what stays alone.
//
// It stands behind the DNS analyzer, whose Handler it implements, and hands rows
// to the log stream. It owns, per connection, the queries and replies that wait
// for their other half; both are bounded in number and in bytes. It never looks
// at packets and never compares connections with each other.
//
// The rules are those of Zeek 9.0 (zeek-semantics.md section 5): messages are
// paired by transaction id within a connection, in the order they came;
// multicast ones are rows of their own; what waits is written when its
// connection goes.
package dns

import (
	wire "github.com/picket-nsm/picket/traffic/analyzer/dns"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

const (
	// maxPending is how many messages wait under one id, and how many ids wait,
	// before they are written unpaired.
	maxPending = 50
	// maxHeld is how many bytes of text may wait in one connection; more, and all
	// that waits is written unpaired.
	maxHeld = 1 << 20
	// maxAnswers and maxText are one more than what the log writers keep, so that
	// they still see that something was cut.
	maxAnswers = 101
	maxText    = 4097
	// maxFree and keepText bound what is kept for reuse.
	maxFree  = 1024
	keepText = 1024
)

// Schema returns the columns of dns.log.
func Schema() *record.Schema {
	return record.New("DNS::LOG", "dns",
		record.Conn(),
		record.Of("proto", value.KindEnum),
		record.Optional("trans_id", value.KindCount),
		record.Optional("rtt", value.KindInterval),
		record.Optional("query", value.KindString),
		record.Optional("qclass", value.KindCount),
		record.Optional("qclass_name", value.KindString),
		record.Optional("qtype", value.KindCount),
		record.Optional("qtype_name", value.KindString),
		record.Optional("rcode", value.KindCount),
		record.Optional("rcode_name", value.KindString),
		record.Optional("AA", value.KindBool),
		record.Optional("TC", value.KindBool),
		record.Optional("RD", value.KindBool),
		record.Optional("RA", value.KindBool),
		record.Optional("Z", value.KindCount),
		record.Optional("answers", value.KindVector, value.KindString),
		record.Optional("TTLs", value.KindVector, value.KindInterval),
		record.Optional("rejected", value.KindBool),
		record.Optional("opcode", value.KindCount),
		record.Optional("opcode_name", value.KindString),
	)
}

// Log makes the rows of one worker. One goroutine.
type Log struct {
	write   func(row []value.Value)
	row     []value.Value
	answers []value.Value
	ttls    []value.Value
	scratch []byte
	free    freelist.List[*info]
	flushed uint64
}

// New returns a Log that hands its rows to write, in the order of Schema. A row
// and its strings are valid until write returns.
func New(write func(row []value.Value)) *Log {
	return &Log{write: write, row: make([]value.Value, numColumns), free: freelist.New[*info](maxFree)}
}

// Handler returns what one connection's messages go to; it is what the DNS
// factory wants.
func (l *Log) Handler() wire.Handler { return &conn{log: l} }

// Flushed returns how often the messages waiting in a connection were written
// unpaired because they held too many bytes.
func (l *Log) Flushed() uint64 { return l.flushed }

func (l *Log) take() *info {
	if i := l.free.Take(); i != nil {
		return i
	}
	return &info{}
}

// drop gives up one reference to i.
func (l *Log) drop(i *info) {
	if i == nil {
		return
	}
	if i.refs--; i.refs > 0 {
		return
	}
	text, ends, ttls := i.text[:0], i.ends[:0], i.ttls[:0]
	if cap(text) > keepText {
		text, ends, ttls = nil, nil, nil
	}
	*i = info{text: text, ends: ends, ttls: ttls}
	l.free.Keep(i)
}

// followed reports whether a message's opcode opens rows. NetBIOS has more of
// them, which are seen but not logged.
func followed(m *wire.Msg) bool {
	return m.Opcode == wire.OpQuery || m.Opcode == wire.OpUpdate || m.Opcode == wire.OpNotify
}

// conn is the state of one connection. It implements the analyzer's Handler.
//
// cur is the row the last message belongs to. It is kept until a message's end
// completes it, also when the row was written meanwhile as unpaired, as Zeek
// keeps it: hence the references.
type conn struct {
	log     *Log
	cur     *info
	first   *info // the query that waits when only one does
	queries pending
	replies pending
	held    int // bytes of text
}

// Message implements the analyzer's Handler.
func (s *conn) Message(c analyzer.Conn, m *wire.Msg) {
	if followed(m) {
		s.open(c, m)
	}
	if s.cur != nil {
		for i := range m.Questions {
			switch {
			case !m.QR && followed(m):
				s.cur.question(m, &m.Questions[i])
			case m.Rejected():
				s.cur.rejected = true
			}
		}
		if m.QR && followed(m) {
			for i := range m.Records {
				s.cur.reply(c, m, &m.Records[i])
			}
		}
		if s.cur.waits {
			s.held += len(s.cur.text) - s.cur.counted
			s.cur.counted = len(s.cur.text)
		}
	}
	if !m.NoEnd {
		s.end(m)
	}
	if s.held > maxHeld {
		s.flush()
		s.log.flushed++
	}
}

// end finishes a message: the row is written once both halves were seen.
func (s *conn) end(m *wire.Msg) {
	i := s.cur
	if i == nil {
		return
	}
	if m.QR {
		i.sawReply = true
	} else {
		i.sawQuery = true
	}
	if i.sawQuery && i.sawReply {
		s.log.emit(i)
		s.setCur(nil)
	}
}

// End implements the analyzer's Handler.
func (s *conn) End(analyzer.Conn) {
	s.flush()
	s.setCur(nil)
}

// flush writes all that waits.
func (s *conn) flush() {
	if s.first != nil {
		s.release(s.first)
		s.first = nil
	}
	s.queries.flush(s)
	s.replies.flush(s)
}

// release writes a row that waited in vain.
func (s *conn) release(i *info) {
	s.log.emit(i)
	s.adopted(i)
}

// adopted says that a row no longer waits.
func (s *conn) adopted(i *info) {
	s.held -= i.counted
	i.waits, i.counted = false, 0
	s.log.drop(i)
}

func (s *conn) setCur(i *info) {
	if i != nil {
		i.refs++
	}
	s.log.drop(s.cur)
	s.cur = i
}

// open finds the row that a message belongs to, or starts one.
func (s *conn) open(c analyzer.Conn, m *wire.Msg) {
	id := c.ID()
	switch {
	case multicast(&id.Resp):
		i := s.start(c, &id, m)
		i.sawQuery, i.sawReply = true, true
		s.setCur(i)
		s.log.drop(i)
	case !m.QR:
		s.query(c, &id, m)
	default:
		s.answer(c, &id, m)
	}
	i := s.cur
	if m.QR {
		i.rcode, i.hasRcode = m.Rcode, true
		if m.Rcode != 0 && m.NumQuestions == 0 {
			i.rejected = true
		}
	}
	i.opcode, i.netbios = m.Opcode, m.NetBIOS
}

// query takes a waiting reply, or lets the query wait.
func (s *conn) query(c analyzer.Conn, id *analyzer.ID, m *wire.Msg) {
	if i := s.replies.pop(m.ID); i != nil {
		s.adopt(i)
		return
	}
	i := s.start(c, id, m)
	i.waits = true
	s.setCur(i)
	if s.first == nil {
		s.first = i
		return
	}
	s.queries.put(s, m.ID, i)
}

// answer takes a waiting query, or lets the reply wait.
func (s *conn) answer(c analyzer.Conn, id *analyzer.ID, m *wire.Msg) {
	switch {
	case s.first != nil && s.first.transID == m.ID:
		s.adopt(s.first)
		// The next query under this id moves up, else any other one.
		if s.first = s.queries.pop(m.ID); s.first == nil {
			s.first = s.queries.popAny()
		}
	default:
		if i := s.queries.pop(m.ID); i != nil {
			s.adopt(i)
			return
		}
		i := s.start(c, id, m)
		i.waits = true
		s.setCur(i)
		s.replies.put(s, m.ID, i)
	}
}

// adopt makes a row that no longer waits the current one.
func (s *conn) adopt(i *info) {
	s.setCur(i)
	s.adopted(i)
}

// start returns a new row with one reference, the caller's.
func (s *conn) start(c analyzer.Conn, id *analyzer.ID, m *wire.Msg) *info {
	i := s.log.take()
	i.refs = 1
	i.ts, i.id, i.transID = c.Now(), *id, m.ID
	i.text = append(i.text, id.UID...)
	i.uidLen, i.id.UID = len(id.UID), ""
	return i
}
