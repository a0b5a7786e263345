// Package mail takes mails apart as they come: header fields, MIME parts, and
// the content of parts as files.
//
// It stands between an analyzer that carries mails (SMTP, POP3), which hands it
// their lines, and on the other side policy, which implements Handler, and the
// table of files. It owns the parts that are open, of which the path to the
// innermost one is kept, and the field at hand; both are bounded. It never looks
// at packets, keeps no content, and does not know why the mail is sent.
//
// It reads as Zeek 9.0 does, since file names, depths and sizes in logs depend on
// it. Sources: RFC 5322, 2045, 2046.
package mail

import (
	"strconv"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/line"
	"github.com/picket-nsm/picket/traffic/format/mime"
)

// Handler is told what a mail consists of. What it is given is borrowed.
type Handler interface {
	// Entity says that the mail, or a part of it, begins or ends.
	Entity(c analyzer.Conn, begins bool)
	// Header hands over a header field of the mail or of a part.
	Header(c analyzer.Conn, h *Header)
}

// Header is a header field. Folded lines are joined as they came.
type Header struct{ Name, Value []byte }

// Config bounds what mails may cost.
type Config struct {
	MaxDepth  int // how deep parts may nest (MIME::max_depth)
	MaxHeader int // bytes of a folded header field (MIME::max_header_bytes)
	MaxField  int // bytes of a header field altogether; what is over is cut
}

// Default returns Zeek's settings, and a limit where Zeek has none.
func Default() Config { return Config{MaxDepth: 100, MaxHeader: 65536, MaxField: 1 << 20} }

// Deps is what the program passes.
type Deps struct {
	Files  *files.Table // where content goes; nil: nowhere
	Budget *line.Budget // of fields that are large
}

// Stats counts what limits made mails shed.
type Stats struct {
	ShedFields uint64 // header fields cut
}

// Shared is what the mails of a worker's analyzers have in common. One goroutine.
type Shared struct {
	cfg    Config
	deps   Deps
	stats  Stats
	header Header
	// out is decoded content of the mail at hand: lines are short, files like
	// larger pieces. It is empty between calls of flow.
	out []byte
}

// New returns what the mails of one worker share.
func New(cfg Config, deps Deps) *Shared { return &Shared{cfg: cfg, deps: deps} }

// Stats returns the counters.
func (s *Shared) Stats() Stats { return s.stats }

// What is kept for reuse.
const (
	keepParts = 2
	keepField = 2048
	keepOut   = 16 << 10
	flushAt   = 4 << 10
)

// Mail is a mail of one connection, or the room for one. Init makes it ready.
type Mail struct {
	s    *Shared
	h    Handler
	side files.Side

	open   int     // parts in use; 0: there is no mail
	parts  []*part // parts[0] is the whole, the others each below the one before
	file   files.Ref
	length uint64 // of the part's content so far
}

// part is the mail or a part of it.
type part struct {
	inHeader  bool
	ended     bool
	kind      mime.Kind
	encoding  mime.Encoding
	bound     []byte // of a multipart body
	base64    mime.Base64Decoder
	crlfLater bool // a line's end waits for more content: the last one is the boundary's

	field    []byte // the field at hand: its lines, joined
	hasField bool
	counted  int // bytes of it that the budget has counted
}

// Init names who carries the mails and who is told of them; owner may be nil if
// there is no table of files.
func (m *Mail) Init(s *Shared, h Handler, source string, owner files.Owner) {
	*m = Mail{s: s, h: h, side: files.Side{Source: source, Owner: owner}}
}

// Open reports whether there is a mail.
func (m *Mail) Open() bool { return m.open > 0 }

// Begin begins a mail, sent by the originator or not. There must be none.
func (m *Mail) Begin(c analyzer.Conn, orig bool) {
	m.side.Orig = orig
	m.begin(c)
}

// Line takes a line of the mail without its end, or with crlf unset a piece of
// one.
func (m *Mail) Line(c analyzer.Conn, data []byte, crlf bool) {
	for i := 0; i < m.open; i++ {
		p := m.parts[i]
		if p.inHeader {
			m.headerLine(c, i, data)
			return
		}
		if p.kind == mime.Multipart {
			switch mime.Delimits(data, p.bound) {
			case mime.PartBegins:
				m.endChild(c, i)
				if !p.ended {
					m.beginChild(c, i)
				}
				return
			case mime.LastEnds:
				m.endChild(c, i)
				m.end(c, i)
				return
			}
		}
		if p.kind != mime.Multipart && p.kind != mime.Message {
			m.decode(c, i, data, crlf)
			return
		}
		// For the part below. What is before the first one is ignored.
	}
}

// Gap says that n bytes of the mail will never come.
func (m *Mail) Gap(c analyzer.Conn, n uint64) {
	m.Flush(c)
	if t := m.s.deps.Files; t != nil {
		t.Gap(c, &m.side, &m.file, m.length, n)
	}
}

// End ends the mail.
func (m *Mail) End(c analyzer.Conn) {
	m.end(c, 0)
	for m.open > 0 {
		m.drop()
	}
	if len(m.parts) > keepParts {
		clear(m.parts[keepParts:])
		m.parts = m.parts[:keepParts]
	}
}

// Flush hands on the content that waits. Who carries the mail calls it before it
// returns to flow.
func (m *Mail) Flush(c analyzer.Conn) {
	s := m.s
	if len(s.out) == 0 {
		return
	}
	m.submit(c, s.out)
	if s.out = s.out[:0]; cap(s.out) > keepOut {
		s.out = nil
	}
}

func (m *Mail) submit(c analyzer.Conn, data []byte) {
	if t := m.s.deps.Files; t != nil {
		t.Data(c, &m.side, &m.file, data)
	}
	m.length += uint64(len(data))
}

// begin adds a part below the innermost one.
func (m *Mail) begin(c analyzer.Conn) {
	if m.open == len(m.parts) {
		m.parts = append(m.parts, &part{})
	}
	p := m.parts[m.open]
	*p = part{inHeader: true, field: p.field[:0], bound: p.bound[:0]}
	if m.open > 0 {
		p.encoding = m.parts[m.open-1].encoding
	}
	m.open++
	m.file, m.length = files.Ref{}, 0
	m.h.Entity(c, true)
}

func (m *Mail) beginChild(c analyzer.Conn, i int) {
	if limit := m.s.cfg.MaxDepth; limit > 0 && i >= limit {
		m.limit(c, "exceeded_mime_max_depth", i)
		return
	}
	m.begin(c)
}

// endChild ends the part below part i, if there is one.
func (m *Mail) endChild(c analyzer.Conn, i int) {
	if m.open <= i+1 {
		return
	}
	m.end(c, i+1)
	for m.open > i+1 {
		m.drop()
	}
}

// end ends part i, and those below it.
func (m *Mail) end(c analyzer.Conn, i int) {
	p := m.parts[i]
	if p.ended {
		return
	}
	p.ended = true
	if p.inHeader {
		m.finishField(c, i)
		p.inHeader = false
	} else {
		m.endChild(c, i)
		if p.encoding == mime.Base64 {
			var problem string
			m.s.out, problem = p.base64.End(m.s.out)
			illegal(c, problem)
		}
	}
	m.Flush(c)
	if m.file != (files.Ref{}) {
		m.s.deps.Files.End(c, &m.side, &m.file)
		m.file = files.Ref{}
	}
	m.h.Entity(c, false)
}

// drop takes the innermost part away.
func (m *Mail) drop() {
	m.open--
	p := m.parts[m.open]
	m.giveField(p)
	if cap(p.bound) > keepField {
		p.bound = nil
	}
}

// decode undoes the transfer encoding of part i's content.
func (m *Mail) decode(c analyzer.Conn, i int, data []byte, crlf bool) {
	p, s := m.parts[i], m.s
	switch p.encoding {
	case mime.Base64:
		for len(data) > 0 {
			n := min(len(data), flushAt)
			var problem string
			s.out, problem = p.base64.Decode(s.out, data[:n])
			illegal(c, problem)
			data = data[n:]
			m.flushLarge(c)
		}
	case mime.QuotedPrintable:
		s.out = mime.DecodeQuotedPrintable(s.out, data)
		m.flushLarge(c)
	default:
		if p.crlfLater {
			s.out = append(s.out, '\r', '\n')
			p.crlfLater = false
		}
		if len(data) >= flushAt {
			m.Flush(c)
			m.submit(c, data)
		} else {
			s.out = append(s.out, data...)
		}
		if crlf {
			if i > 0 && m.parts[i-1].kind == mime.Multipart {
				p.crlfLater = true
			} else {
				s.out = append(s.out, '\r', '\n')
			}
		}
		m.flushLarge(c)
	}
}

func (m *Mail) flushLarge(c analyzer.Conn) {
	if len(m.s.out) >= flushAt {
		m.Flush(c)
	}
}

func illegal(c analyzer.Conn, problem string) {
	if problem != "" {
		c.Weird("base64_illegal_encoding", problem, "")
	}
}

// limit reports that a limit was reached.
func (m *Mail) limit(c analyzer.Conn, name string, n int) {
	c.Weird(name, strconv.Itoa(n), m.side.Source)
	analyzer.ReachLimit(c)
}
