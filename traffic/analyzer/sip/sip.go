// Package sip reads SIP over UDP: request and status lines, header fields, and
// where messages end.
//
// It stands between flow, which hands it datagrams, and policy, which implements
// Handler. It owns, per connection and direction, what a message that was cut
// leaves for the next datagram: at most one line. It never looks at bodies, and
// matches no reply to a request.
//
// It reads as Zeek 9.0 does. The bytes of a direction are one stream, whatever the
// datagrams: a body that is longer than its datagram goes on in the next one, and
// a message without a length has that of the one before. Which direction a
// datagram belongs to is told by its first bytes, not by who sent it. SIP over TCP
// is not read, as Zeek does not.
//
// Source: RFC 3261.
package sip

import (
	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/zeek/value"
)

// service is the name in conn.log's service column, name the analyzer's.
const service, name = "sip", "SIP"

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine. A Handler belongs to one connection at a time; after End
// it is given to another one. All slices are borrowed.
type Handler interface {
	// Request hands over a request line.
	Request(c analyzer.Conn, method, uri, version []byte)
	// Reply hands over a status line.
	Reply(c analyzer.Conn, version []byte, code int, reason []byte)
	// Header hands over a field of a request or a reply.
	Header(c analyzer.Conn, request bool, name, value []byte)
	// Done says that a message is over, with its body.
	Done(c analyzer.Conn, request bool)
	// End says that the connection is going.
	End(c analyzer.Conn)
}

const (
	// maxLine is the longest line that is put together from several datagrams.
	maxLine = 64 << 10
	// maxBody is the longest body that is waited for.
	maxBody = 10 << 20
	// keepLine is the largest buffer that a finished analyzer keeps.
	keepLine = 1 << 10
	// maxFree is how many finished analyzers are kept for reuse.
	maxFree = 1024
)

// Factory returns the factory of one worker; it and all its analyzers are used
// by one goroutine. newHandler is called for an analyzer that is made, not for
// one that is used again.
func Factory(newHandler func() Handler) analyzer.Factory {
	s := &shared{free: freelist.New[*sip](maxFree)}
	return analyzer.Factory{
		Name:       name,
		Ports:      []analyzer.Port{{Num: 5060, Proto: value.ProtoUDP}},
		Signatures: signatures.SIP(),
		New: func(proto value.Proto) analyzer.Analyzer {
			a := s.free.Take()
			if a == nil {
				a = &sip{s: s, h: newHandler()}
			}
			a.stream = proto == value.ProtoTCP
			return a
		},
	}
}

// shared is what the analyzers of a worker have in common.
type shared struct{ free freelist.List[*sip] }

// sip is the analyzer of one connection.
type sip struct {
	s      *shared
	h      Handler
	stream bool // a stream has no datagrams: it is not looked at
	sides  [2]side
}

// side is a direction: requests, or replies.
type side struct {
	state  state
	line   []byte // what there is of a line
	cr     bool   // the last line ended with CR; a LF behind it belongs to it
	length int    // of bodies, as was said last
	left   int    // of this body
}

// state is what comes next.
type state uint8

const (
	firstLine state = iota
	fields
	body
)

// Deliver implements analyzer.Analyzer.
func (a *sip) Deliver(c analyzer.Conn, _ bool, data []byte) {
	if a.stream || len(data) == 2 && data[0] == '\r' {
		return
	}
	request := len(data) <= 6 || string(data[:4]) != "SIP/"
	s := &a.sides[0]
	if !request {
		s = &a.sides[1]
	}
	if why := a.read(c, request, s, data); why != "" {
		// The rest is lost; the next datagram begins a message.
		*s = side{line: s.line[:0], length: s.length}
		c.Violation(service, why, nil)
	}
}

// read takes the bytes of a direction and returns what is wrong with them.
func (a *sip) read(c analyzer.Conn, request bool, s *side, data []byte) (why string) {
	for len(data) > 0 {
		if s.state == body {
			if s.cr && data[0] == '\n' {
				data = data[1:]
			}
			s.cr = false
			n := min(s.left, len(data))
			data, s.left = data[n:], s.left-n
			if s.left > 0 {
				return ""
			}
			s.state = firstLine
			a.h.Done(c, request)
			continue
		}
		line, rest, ok := s.next(data)
		if !ok {
			if len(s.line) > maxLine {
				return "line is too long"
			}
			return ""
		}
		data = rest
		if s.state == firstLine {
			why = a.first(c, request, line)
			s.state = fields
		} else if len(line) > 0 {
			why = a.field(c, request, s, line)
		} else {
			why = a.endOfFields(c, request, s)
		}
		s.line = s.line[:0]
		if why != "" {
			return why
		}
	}
	return ""
}

// next returns the next line without its end, which is CR, LF or both. What is
// cut is kept for later.
func (s *side) next(data []byte) (line, rest []byte, ok bool) {
	if s.cr && data[0] == '\n' {
		data = data[1:]
	}
	s.cr = false
	for i, c := range data {
		if c != '\r' && c != '\n' {
			continue
		}
		s.cr = c == '\r'
		line = data[:i]
		if len(s.line) > 0 {
			s.line = append(s.line, line...)
			line = s.line
		}
		return line, data[i+1:], true
	}
	s.line = append(s.line, data[:min(len(data), maxLine+1)]...)
	return nil, nil, false
}

// endOfFields begins the body.
func (a *sip) endOfFields(c analyzer.Conn, request bool, s *side) string {
	if s.length < 0 || s.length > maxBody {
		return "length of the body"
	}
	s.left = s.length
	if s.state = body; s.left == 0 {
		// The LF that may be left belongs to no line.
		s.state = firstLine
		a.h.Done(c, request)
	}
	return ""
}

// Gap implements analyzer.Analyzer; there are none in UDP.
func (a *sip) Gap(analyzer.Conn, bool, uint64) {}

// End implements analyzer.Analyzer.
func (a *sip) End(c analyzer.Conn) {
	a.h.End(c)
	fresh := sip{s: a.s, h: a.h}
	for i := range a.sides {
		if l := a.sides[i].line; cap(l) <= keepLine {
			fresh.sides[i].line = l[:0]
		}
	}
	*a = fresh
	a.s.free.Keep(a)
}
