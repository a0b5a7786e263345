package http

import (
	"bytes"
	"math"
	"strconv"

	"github.com/picket-nsm/picket/traffic/format/mime"
)

func itoa(n int) string { return strconv.Itoa(n) }

// headerLine takes a line of part i's header, or of the trailer behind chunks.
func (m *message) headerLine(i int, l []byte) {
	e := m.parts[i]
	switch {
	case len(l) == 0 || l[0] == 0: // the end of the header
		m.finishField(i)
		e.inHeader = false
		m.headersDone(i)
		if !e.ended && e.kind == mime.Message {
			m.beginChild(i)
		}
	case !mime.IsBlank(l[0]):
		m.finishField(i)
		m.field(e, l, true)
	case !e.hasField: // the header begins with a folded line
		for len(l) > 0 && mime.IsBlank(l[0]) {
			l = l[1:]
		}
		if len(l) > 0 {
			m.field(e, l, true)
		}
	case m.h.s.cfg.MaxHeader > 0 && len(e.field) >= m.h.s.cfg.MaxHeader:
		m.h.limit("exceeded_mime_max_header_bytes", itoa(len(e.field)))
	default:
		m.field(e, l, false)
		e.folds++
	}
}

// field adds a line to the field at hand, or begins it.
func (m *message) field(e *entity, l []byte, begins bool) {
	s := m.h.s
	if begins {
		e.field, e.hasField, e.folds = e.field[:0], true, 0
	}
	if room := s.cfg.MaxField - len(e.field); len(l) > room {
		l = l[:max(room, 0)]
		s.stats.ShedFields++
	}
	if need := len(e.field) + len(l); need > cap(e.field) && need > keepField {
		if s.lines.Limit > 0 && s.lines.Used+need-e.counted > s.lines.Limit {
			s.stats.ShedFields++
			return
		}
		s.lines.Used += need - e.counted
		e.counted = need
	}
	e.field = append(e.field, l...)
}

// keepField is the largest buffer for fields that a part keeps, and that is not
// counted.
const keepField = 2048

// giveField gives a large buffer back.
func (m *message) giveField(e *entity) {
	m.h.s.lines.Used -= e.counted
	e.counted = 0
	if cap(e.field) > keepField {
		e.field = nil
	}
	e.hasField = false
}

// finishField reads the field at hand.
func (m *message) finishField(i int) {
	e := m.parts[i]
	if !e.hasField {
		return
	}
	name, v, ok := mime.Header(e.field)
	if ok {
		m.readField(i, name, v)
	}
	m.giveField(e)
}

// readField looks at fields that matter for what follows and hands the field on.
func (m *message) readField(i int, name, v []byte) {
	h, e := m.h, m.parts[i]
	switch {
	case mime.Is(name, "content-type"):
		m.contentType(e, v)
	case mime.Is(name, "content-transfer-encoding"):
		if enc, ok := mime.ParseEncoding(v); ok {
			e.encoding = enc
		}
	}
	if i == 0 && e.folds > 0 {
		h.weird("HTTP_obsolete_line_folding", string(name))
	}
	switch {
	case mime.Is(name, "content-length"):
		m.contentLength(e, v)
	case mime.Is(name, "content-range") && h.code == 206:
		if !m.contentRange(e, v) {
			return // nobody hears of it
		}
	case mime.Is(name, "transfer-encoding"):
		m.transferEncoding(i, v)
	case mime.Is(name, "content-encoding"):
		if word, _, ok := mime.Token(v); ok {
			switch {
			case mime.Is(word, "gzip"), mime.Is(word, "x-gzip"):
				e.pack = gzip
			case mime.Is(word, "deflate"):
				e.pack = deflate
			}
		}
	case mime.Is(name, "expect"):
		word, _, _ := mime.Token(v)
		if !mime.Is(word, "100-continue") {
			h.weird("HTTP_expect_not_100_continue", string(word))
		}
		e.expects1 = true
		m.expectsNothing(e)
	}
	m.connection(name, v)
	h.s.header = Header{Orig: m.orig, Name: name, Value: v}
	h.h.Header(h.c, &h.s.header)
}

// connection reads the fields that are about the connection.
func (m *message) connection(name, v []byte) {
	h := m.h
	switch {
	case mime.Is(name, "connection"):
		word, _, _ := mime.Token(v)
		switch {
		case m.orig && mime.Is(word, "keep-alive"):
			h.keepAlive = true
		case !m.orig && mime.Is(word, "close"):
			h.close = true
		case !m.orig && mime.Is(word, "upgrade"):
			h.upgrade = true
		}
	case !m.orig && mime.Is(name, "upgrade"):
		word, _, _ := mime.Token(v)
		h.protoLen = copy(h.protocol[:], word)
	}
}

func (m *message) contentType(e *entity, v []byte) {
	t, ok := mime.ParseContentType(v, nil)
	if !ok {
		return
	}
	e.kind = t.Kind
	if t.Kind == mime.Multipart {
		e.bound = append(e.bound[:0], t.Boundary...)
	}
}

func (m *message) expectsNothing(e *entity) {
	if e.length == 0 && e.expects1 {
		m.h.weird("HTTP_content_length_0_and_expect_100_cont", "")
	}
}

func (m *message) contentLength(e *entity, v []byte) {
	h := m.h
	if e.chunks != notChunked {
		h.weird("HTTP_content_length_and_chunked", "")
	}
	word, _, ok := mime.Token(v)
	if !ok {
		return
	}
	n, ok := number(word, 10)
	if !ok || n < 0 {
		h.weird("HTTP_bad_content_length", string(word))
		e.length = 0
		return
	}
	if n > 0 && word[0] == '0' {
		h.weird("HTTP_content_length_leading_zeros", string(word))
	}
	e.length = n
	if e.partial && e.ranged != e.length {
		h.weird("HTTP_range_not_matching_len", "")
		e.length = max(e.length, e.ranged) // the larger one leaves less room for evasion
	}
	m.expectsNothing(e)
}

// contentRange reads "bytes 0-99/1000". It returns false if that is wrong.
func (m *message) contentRange(e *entity, v []byte) bool {
	h := m.h
	if e.chunks != notChunked {
		h.weird("HTTP_content_range_and_chunked", "")
	}
	unit, rest, _ := mime.Token(v)
	text := bytes.ReplaceAll(rest, []byte(" "), nil)
	if string(unit) != "bytes" {
		h.weird("HTTP_content_range_unknown_byte_unit", "")
		return false
	}
	span, whole, ok := bytes.Cut(text, []byte("/"))
	if !ok {
		h.weird("HTTP_content_range_cannot_parse", "")
		return false
	}
	first, last, ok := bytes.Cut(span, []byte("-"))
	if !ok {
		h.weird("HTTP_content_range_cannot_parse", "")
		return false
	}
	from, ok1 := number(first, 10)
	to, ok2 := number(last, 10)
	switch {
	case !ok1 || !ok2:
		h.weird("HTTP_content_range_cannot_parse", string(text))
		return false
	case from < 0 || to < 0:
		h.weird("HTTP_content_range_invalid", string(text))
		return false
	case to < from:
		h.weird("HTTP_non_positive_content_range", string(text))
		return false
	case to-from == math.MaxInt64:
		h.weird("HTTP_content_range_overflow", string(text))
		return false
	}
	if string(whole) != "*" {
		if e.whole, ok = number(whole, 10); !ok {
			h.weird("HTTP_content_range_invalid_instance", string(text))
			e.whole = 0
		}
	}
	e.partial, e.offset, e.ranged = true, uint64(from), to-from+1
	switch {
	case e.length <= 0:
		e.length = e.ranged
	case e.length != e.ranged:
		h.weird("HTTP_range_not_matching_len", "")
		e.length = max(e.length, e.ranged)
	}
	return true
}

func (m *message) transferEncoding(i int, v []byte) {
	h, e := m.h, m.parts[i]
	if i > 0 {
		h.weird("HTTP_nested_transfer_encoding_header", "")
		return
	}
	version := h.dir[1].version
	if h.dir[0].ongoing {
		version = h.dir[0].version
	}
	word, rest, _ := mime.Token(v)
	if !mime.Is(word, "chunked") || version != (Version{1, 1}) {
		return
	}
	e.chunks = beforeChunks
	if len(rest) > 0 {
		h.weird("HTTP_chunked_multi", string(rest))
	}
	if e.length >= 0 {
		h.weird("HTTP_content_length_and_chunked", "")
	}
}

// headersDone decides how the body of part i is to be read.
func (m *message) headersDone(i int) {
	h, e := m.h, m.parts[i]
	if i > 0 && m.parts[i-1].kind == mime.Multipart {
		// Within a part only CR LF ends a line: the ends are given back.
		m.lines.Quiet(true)
		m.lines.Strict(true)
	}
	if e.chunks == chunkTrailer {
		e.chunks = chunksOver
		m.end(i)
		return
	}
	switch {
	case e.expects == noBody:
		m.end(i)
	case e.kind == mime.Multipart || e.kind == mime.Message:
		if e.chunks != notChunked {
			h.weird("HTTP_chunked_transfer_for_multipart_message", "")
		}
		if i == 0 && e.length > 0 {
			e.left = e.length
			m.lines.Size(e.length)
		} else if i == 0 && e.length == 0 {
			m.end(i)
		}
	case e.chunks != notChunked:
		e.chunks = chunkSize
	case e.length > 0:
		e.left = e.length
		m.lines.Plain(e.length)
	case e.length == 0:
		m.end(i)
	case h.close || e.pack != notPacked:
		e.left = untilEnd
		m.lines.Plain(untilEnd)
	case e.expects != hasBody:
		m.end(i)
	}
}
