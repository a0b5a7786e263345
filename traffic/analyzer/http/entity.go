package http

import (
	"math"

	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/inflate"
	"github.com/picket-nsm/picket/traffic/format/mime"
	"github.com/picket-nsm/picket/zeek/text"
)

// entity is a message or a part of one.
type entity struct {
	inHeader bool
	ended    bool
	expects  uint8 // noBody, hasBody, bodyMaybe

	// The header field at hand: its lines, joined.
	field    []byte
	hasField bool
	folds    int
	counted  int // bytes of field that the budget has counted

	kind      mime.Kind
	bound     []byte // of a multipart body
	encoding  mime.Encoding
	base64    mime.Base64Decoder
	crlfLater bool // a line's end waits for more content: the last one is the boundary's

	chunks   uint8
	length   int64 // Content-Length; -1: not given
	ranged   int64 // length of the range; -1: none
	whole    int64 // length of the file that the range is of; -1: not given
	left     int64 // bytes still to come, of the body or of a chunk
	body     int64 // bytes that came, unpacked
	expects1 bool  // Expect: 100-continue
	partial  bool  // a range
	sendSize bool  // the file's size was not told yet
	offset   uint64
	file     files.Ref

	pack     uint8
	inflate  *inflate.Decoder
	packedIn int64   // bytes that went into it
	lead     [4]byte // the first of them
	bare     bool    // they are taken for deflate data without a header
	packed   int64   // bytes that came out of it
	stopped  bool    // no more is unpacked
}

// How a body is packed.
const (
	notPacked uint8 = iota
	gzip
	deflate
)

// States of chunked transfer.
const (
	notChunked uint8 = iota
	beforeChunks
	chunkSize
	chunkData
	chunkEnd // the line behind the data
	chunkTrailer
	chunksOver
)

func (e *entity) init(body uint8) {
	field, bound := e.field[:0], e.bound[:0]
	*e = entity{inHeader: true, expects: body, field: field, bound: bound, length: -1, ranged: -1, whole: -1, sendSize: true}
}

// untilEnd stands for the length of a body that the connection's end ends.
const untilEnd = math.MaxInt64

// deliver gives bytes to part i: a line, if crlf is set, or plain bytes.
func (m *message) deliver(i int, data []byte, crlf bool) {
	i = m.descend(i, data, crlf)
	e := m.parts[i]
	switch {
	case e.ended: // behind the end of the content
	case e.inHeader:
		if !crlf {
			m.h.weird("http_no_crlf_in_header_list", "")
		}
		m.headerLine(i, data)
	case e.kind == mime.Multipart || e.kind == mime.Message:
		m.packedBytes(i, data, crlf)
		if i == 0 && e.length > 0 {
			e.left -= int64(len(data))
			if crlf {
				e.left -= 2
			}
			if e.left <= 0 {
				m.lines.Plain(0)
				m.end(0)
			}
		}
	case e.chunks != notChunked:
		m.chunk(i, data)
	case e.length >= 0:
		m.packedBytes(i, data, false)
		if e.left -= int64(len(data)); e.left <= 0 {
			m.lines.Plain(0)
			m.lines.Size(-1)
			m.end(i)
		}
	default:
		m.packedBytes(i, data, crlf)
	}
}

// descend goes down from part i to the one that bytes are for, as far as it is
// plain to see: a line that is no boundary is for the innermost part.
func (m *message) descend(i int, data []byte, crlf bool) int {
	if len(data) >= 2 && data[0] == '-' && data[1] == '-' {
		return i
	}
	n := int64(len(data))
	if crlf {
		n += 2
	}
	for ; m.open > i+1; i++ {
		e := m.parts[i]
		if e.kind != mime.Multipart || e.pack != notPacked || e.inHeader || e.ended || i == 0 && e.length > 0 {
			break
		}
		e.body += n
	}
	return i
}

// chunk takes a line or data of chunked transfer.
func (m *message) chunk(i int, data []byte) {
	e := m.parts[i]
	switch e.chunks {
	case chunkSize:
		n, ok := number(data, 16)
		if !ok {
			m.h.weird("HTTP_bad_chunk_size", string(data))
			n = 0
		}
		if e.left = n; n > 0 {
			e.chunks = chunkData
			m.lines.Plain(n)
			return
		}
		e.inHeader, e.chunks = true, chunkTrailer
	case chunkData:
		if e.left -= int64(len(data)); e.left <= 0 {
			m.lines.Plain(0)
			e.chunks = chunkEnd
		}
		m.packedBytes(i, data, false)
	case chunkEnd:
		e.chunks = chunkSize
	}
}

// number reads as much of a number as b begins with, as std::from_chars does: a
// minus, digits. ok is false if there is none, or if it is too large.
func number(b []byte, base int64) (n int64, ok bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	for at, c := range b {
		d := int64(text.HexDigit(c))
		if d < 0 || d >= base {
			if at == 0 {
				return 0, false
			}
			break
		}
		if n > (math.MaxInt64-d)/base {
			return 0, false
		}
		n = n*base + d
	}
	if neg {
		n = -n
	}
	return n, len(b) > 0
}

// packedBytes takes content as it is transferred.
func (m *message) packedBytes(i int, data []byte, crlf bool) {
	if m.parts[i].pack != notPacked {
		m.unpack(i, data)
		return
	}
	m.content(i, data, crlf)
}

// content takes content that is not packed (any more).
func (m *message) content(i int, data []byte, crlf bool) {
	e := m.parts[i]
	e.body += int64(len(data))
	if crlf {
		e.body += 2
	}
	if e.inHeader {
		m.headerLine(i, data)
		return
	}
	if e.kind == mime.Multipart {
		switch mime.Delimits(data, e.bound) {
		case mime.PartBegins:
			if m.isParent(i) {
				m.endChild(i)
			}
			if !e.ended {
				m.beginChild(i)
			}
			return
		case mime.LastEnds:
			if m.isParent(i) {
				m.endChild(i)
			}
			m.end(i)
			return
		}
	}
	switch {
	case e.kind != mime.Multipart && e.kind != mime.Message:
		m.decode(i, data, crlf)
	case m.isParent(i): // what is before the first part is ignored
		m.deliver(i+1, data, crlf)
	}
}

// beginChild begins a part below part i.
func (m *message) beginChild(i int) {
	if limit := m.h.s.cfg.MaxDepth; limit > 0 && i >= limit {
		m.h.limit("exceeded_mime_max_depth", itoa(i))
		return
	}
	m.begin(hasBody)
}

// decode undoes the transfer encoding of a part and hands its content on.
func (m *message) decode(i int, data []byte, crlf bool) {
	e, s := m.parts[i], m.h.s
	switch e.encoding {
	case mime.Base64:
		var problem string
		s.scratch, problem = e.base64.Decode(s.scratch[:0], data)
		m.illegal(problem)
		m.submit(i, s.scratch)
	case mime.QuotedPrintable:
		if !crlf { // a piece of a line cannot be decoded by itself
			m.submit(i, data)
			return
		}
		s.scratch = mime.DecodeQuotedPrintable(s.scratch[:0], data)
		m.submit(i, s.scratch)
	default:
		m.identity(i, data, crlf)
	}
	if cap(s.scratch) > keepURI {
		s.scratch = nil
	}
}

// identity hands content on with the ends of lines that the splitter took away.
func (m *message) identity(i int, data []byte, crlf bool) {
	e, s := m.parts[i], m.h.s
	if !e.crlfLater && !crlf {
		m.submit(i, data)
		return
	}
	s.scratch = s.scratch[:0]
	if e.crlfLater {
		s.scratch = append(s.scratch, "\r\n"...)
		e.crlfLater = false
	}
	s.scratch = append(s.scratch, data...)
	if crlf {
		if i > 0 && m.parts[i-1].kind == mime.Multipart {
			e.crlfLater = true
		} else {
			s.scratch = append(s.scratch, "\r\n"...)
		}
	}
	m.submit(i, s.scratch)
}

func (m *message) endBase64(i int) {
	e, s := m.parts[i], m.h.s
	var problem string
	s.scratch, problem = e.base64.End(s.scratch[:0])
	m.illegal(problem)
	m.submit(i, s.scratch)
}

func (m *message) illegal(problem string) {
	if problem != "" {
		m.h.c.Weird("base64_illegal_encoding", problem, "")
	}
}

// submit hands content of part i to its file.
func (m *message) submit(i int, data []byte) {
	if len(data) == 0 {
		return
	}
	e, h, t := m.parts[i], m.h, m.fileTable()
	if e.pack != notPacked {
		e.sendSize = false // what the header says is not what comes out
	}
	size := e.length
	switch {
	case e.partial && e.offset+uint64(max(e.length, 0)) > uint64(max(e.whole, 0)):
		size = -1 // the range is not within the file
	case e.partial:
		size = e.whole
	case e.chunks != notChunked:
		size = -1 // chunks do not care for a length that is given beside them
	}
	if e.sendSize && size > 0 {
		t.Size(h.c, &m.side, &e.file, uint64(size))
	}
	e.sendSize = false
	if e.partial {
		t.DataAt(h.c, &m.side, &e.file, e.offset, data)
		e.offset += uint64(len(data))
		return
	}
	t.Data(h.c, &m.side, &e.file, data)
}

// gap says that n bytes are missing. It returns true if they are wholly in the
// body, so that what follows can be understood.
func (m *message) gap(n uint64) bool {
	i := max(m.current, 0)
	e := m.parts[i]
	if e.ended && e.inHeader || e.body == 0 {
		return false
	}
	m.fileTable().Gap(m.h.c, &m.side, &e.file, uint64(max(e.body, 0)), n)
	if e.partial {
		e.offset += n
	}
	inside := n <= math.MaxInt64 && e.left >= int64(n)
	switch {
	case e.chunks != notChunked:
		if e.chunks != chunkData || !inside {
			return false
		}
	case e.length < 0 || !inside:
		return false
	}
	e.body += int64(n)
	e.left -= int64(n)
	m.lines.Plain(e.left)
	if e.left > 0 {
		return true
	}
	if e.chunks != notChunked {
		e.chunks = chunkEnd
		return true
	}
	m.lines.Size(-1)
	m.end(i)
	return true
}
