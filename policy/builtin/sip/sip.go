// Package sip writes sip.log: a row for each reply, with the request that is
// pending, and at the end of a connection for what has no reply.
//
// It stands behind the SIP analyzer, whose Handler it implements, and hands rows
// to the log stream. It owns the rows in the making, of each connection a few. It
// never looks at packets.
//
// The rules are those of Zeek 9.0 (zeek-semantics section 5), which matches
// requests and replies by their order alone: a provisional reply leaves its row
// pending, so the final one's row holds the fields of both.
package sip

import (
	"slices"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/sip"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

const (
	// maxPath is the longest path (SIP::max_request_path_length).
	maxPath = 100
	// maxText is how much is kept of a text; the log holds less.
	maxText = 4 << 10
	// maxTexts is how much is kept of all texts of a row; the log holds less.
	maxTexts = 256 << 10
	// maxPending is how many rows a connection may have in the making. Two is the
	// most that any order of messages makes.
	maxPending = 4
	// maxFree is how many finished rows are kept for reuse, keepText the largest
	// text with them.
	maxFree, keepText = 256, 128
)

// Texts of a row, in the order of their columns.
const (
	method = iota
	uri
	date
	requestFrom
	requestTo
	responseFrom
	responseTo
	replyTo
	callID
	seq
	subject
	agent
	statusMsg
	warning
	contentType
	numTexts
)

// Schema returns the columns of sip.log.
func Schema() *record.Schema {
	return record.New("SIP::LOG", "sip",
		record.Conn(),
		record.Of("trans_depth", value.KindCount),
		record.Optional("method", value.KindString),
		record.Optional("uri", value.KindString),
		record.Optional("date", value.KindString),
		record.Optional("request_from", value.KindString),
		record.Optional("request_to", value.KindString),
		record.Optional("response_from", value.KindString),
		record.Optional("response_to", value.KindString),
		record.Optional("reply_to", value.KindString),
		record.Optional("call_id", value.KindString),
		record.Optional("seq", value.KindString),
		record.Optional("subject", value.KindString),
		record.Optional("request_path", value.KindVector, value.KindString),
		record.Optional("response_path", value.KindVector, value.KindString),
		record.Optional("user_agent", value.KindString),
		record.Optional("status_code", value.KindCount),
		record.Optional("status_msg", value.KindString),
		record.Optional("warning", value.KindString),
		record.Optional("request_body_len", value.KindCount),
		record.Optional("response_body_len", value.KindCount),
		record.Optional("content_type", value.KindString),
	)
}

// Write takes a row, which is valid until it returns.
type Write func(row []value.Value)

// Log makes the rows of one worker. One goroutine.
type Log struct {
	write Write
	row   []value.Value
	path  [2][]value.Value
	free  freelist.List[*info]
}

// New returns a Log.
func New(write Write) *Log { return &Log{write: write, free: freelist.New[*info](maxFree)} }

// Handler returns what one connection's messages go to; it is what the SIP
// factory wants.
func (l *Log) Handler() wire.Handler { return &conn{log: l} }

// info is a row in the making.
type info struct {
	rows.Conn
	number uint64 // under which it is pending
	depth  uint64
	texts  [numTexts][]byte
	set    uint32      // which texts are, by number
	paths  [2][][]byte // of request and response
	code   int
	lens   [2]uint64 // of the bodies
	hasLen [2]bool
	size   int // of all texts
}

func (i *info) has(n int) bool { return i.set&(1<<n) != 0 }

// cut returns as much of a text as is kept, and counts it.
func (i *info) cut(b []byte) []byte {
	b = b[:min(len(b), maxText, max(maxTexts-i.size, 0))]
	i.size += len(b)
	return b
}

func (i *info) put(n int, b []byte) {
	i.size -= len(i.texts[n])
	i.texts[n] = append(i.texts[n][:0], i.cut(b)...)
	i.set |= 1 << n
}

func (l *Log) fresh() *info {
	if i := l.free.Take(); i != nil {
		return i
	}
	return &info{}
}

func (l *Log) drop(i *info) {
	keep := func(b []byte) []byte { return rows.Emptied(b, keepText) }
	n := info{Conn: i.Conn.Emptied()}
	for k := range i.texts {
		n.texts[k] = keep(i.texts[k])
	}
	*i = n
	l.free.Keep(i)
}

// output writes a row.
func (l *Log) output(i *info) {
	str := func(n int) value.Value {
		if !i.has(n) {
			return value.Value{}
		}
		return value.String(value.Borrow(i.texts[n]))
	}
	var lens [2]value.Value
	for k := range lens {
		l.path[k] = l.path[k][:0]
		for _, p := range i.paths[k] {
			l.path[k] = append(l.path[k], value.String(value.Borrow(p)))
		}
		if i.hasLen[k] {
			lens[k] = value.Count(i.lens[k])
		}
	}
	var code value.Value
	if i.has(statusMsg) {
		code = value.Count(uint64(i.code))
	}
	l.row = append(i.Conn.Append(l.row[:0]),
		value.Count(i.depth), str(method), str(uri), str(date), str(requestFrom), str(requestTo), str(responseFrom),
		str(responseTo), str(replyTo), str(callID), str(seq), str(subject), value.Vector(l.path[0]), value.Vector(l.path[1]),
		str(agent), code, str(statusMsg), str(warning), lens[0], lens[1], str(contentType))
	l.write(l.row)
}

// conn is the state of one connection. It implements the analyzer's Handler.
type conn struct {
	log     *Log
	pending []*info   // by number
	current [2]uint64 // numbers of the request and of the response at hand
}

// at returns the row with a number, nil if there is none.
func (s *conn) at(number uint64) *info {
	for _, i := range s.pending {
		if i.number == number {
			return i
		}
	}
	return nil
}

// info returns the row of the request or the response at hand, and begins it if
// there is none.
func (s *conn) info(c analyzer.Conn, request bool) *info {
	n := s.current[side(request)]
	if i := s.at(n); i != nil {
		return i
	}
	if len(s.pending) >= maxPending {
		s.log.drop(s.pending[0])
		s.pending = slices.Delete(s.pending, 0, 1)
	}
	i := s.log.fresh()
	i.Conn.Begin(c)
	i.number, i.depth = n, s.current[0]
	s.pending = append(s.pending, i)
	slices.SortFunc(s.pending, func(a, b *info) int { return int(int64(a.number - b.number)) })
	return i
}

func side(request bool) int {
	if request {
		return 0
	}
	return 1
}

// Request implements the analyzer's Handler.
func (s *conn) Request(c analyzer.Conn, verb, target, _ []byte) {
	i := s.info(c, true)
	i.put(method, verb)
	i.put(uri, target)
	switch string(verb) {
	case "REGISTER", "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "NOTIFY", "SUBSCRIBE":
	default:
		c.Weird("unknown_SIP_method", value.Borrow(verb), "")
	}
}

// Reply implements the analyzer's Handler.
func (s *conn) Reply(c analyzer.Conn, _ []byte, code int, reason []byte) {
	i := s.info(c, false)
	i.code = code
	i.put(statusMsg, reason)
}

// Header implements the analyzer's Handler.
func (s *conn) Header(c analyzer.Conn, request bool, name, val []byte) {
	if k := side(request); s.at(s.current[k]) == nil {
		s.current[k]++
	}
	i := s.info(c, request)
	if request {
		i.client(c, name, val)
	} else {
		i.server(c, name, val)
	}
}

// Done implements the analyzer's Handler.
func (s *conn) Done(c analyzer.Conn, request bool) {
	i := s.info(c, request)
	if request {
		return
	}
	s.log.output(i)
	final := i.code < 100 || i.code >= 200
	over := !i.has(method) || string(i.texts[method]) == "BYE" && i.code >= 200 && i.code < 300
	if final {
		s.pending = slices.DeleteFunc(s.pending, func(x *info) bool { return x == i })
		s.log.drop(i)
	}
	if over {
		// Number 0 is not written here, nor later: that is how Zeek is.
		s.flush(1)
	}
}

// flush writes the rows from a number on, and forgets all.
func (s *conn) flush(from uint64) {
	for _, i := range s.pending {
		if i.number >= from {
			s.log.output(i)
		}
		s.log.drop(i)
	}
	clear(s.pending)
	s.pending, s.current = s.pending[:0], [2]uint64{}
}

// End implements the analyzer's Handler.
func (s *conn) End(analyzer.Conn) { s.flush(0) }
