package http

import (
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/line"
	"github.com/picket-nsm/picket/traffic/format/mime"
)

// What is known of a body when a message begins.
const (
	noBody    uint8 = iota
	hasBody         // until the end of the connection, if no length is given
	bodyMaybe       // only if headers say so
)

// message is a request or a reply under way: a tree of MIME parts, of which the
// path to the innermost open one is kept.
type message struct {
	h        *http
	orig     bool
	began    bool // there is one, perhaps over
	finished bool
	lines    *line.Splitter
	side     files.Side
	parts    []*entity // parts[0] is the whole
	open     int       // how many of them are in use
	current  int       // the one that began last and has not ended; -1: none
	body     int64
}

func (m *message) fileTable() *files.Table { return m.h.s.deps.Files }

// start begins a message. One that is under way is forgotten.
func (m *message) start(body uint8) {
	if m.began {
		if !m.finished {
			m.h.weird("HTTP_overlapping_messages", "")
		}
		m.reset()
	}
	m.began, m.finished, m.body = true, false, 0
	m.begin(body)
}

// reset forgets the message.
func (m *message) reset() {
	for m.open > 0 {
		m.drop()
	}
	m.began, m.finished = false, false
	if len(m.parts) > keepParts {
		clear(m.parts[keepParts:])
		m.parts = m.parts[:keepParts]
	}
}

// keepParts is how many parts a reused analyzer keeps.
const keepParts = 2

// begin adds a part below the innermost one.
func (m *message) begin(body uint8) {
	if m.open == len(m.parts) {
		m.parts = append(m.parts, &entity{})
	}
	e := m.parts[m.open]
	e.init(body)
	if m.open > 0 {
		e.encoding = m.parts[m.open-1].encoding
	}
	m.current = m.open
	m.open++
	m.h.h.Entity(m.h.c, m.orig, true)
}

// drop takes the innermost part away.
func (m *message) drop() {
	m.open--
	e := m.parts[m.open]
	m.endInflate(e)
	m.giveField(e)
	if cap(e.bound) > keepField {
		e.bound = nil
	}
}

// isParent reports whether part i has one below it.
func (m *message) isParent(i int) bool { return m.open > i+1 }

// end ends part i, and those below it.
func (m *message) end(i int) {
	e := m.parts[i]
	m.endInflate(e)
	e.pack = notPacked
	if e.ended {
		return
	}
	e.ended = true
	if e.inHeader {
		m.finishField(i)
		e.inHeader = false
		m.headersDone(i)
	} else {
		if m.isParent(i) {
			m.endChild(i)
		}
		if e.encoding == mime.Base64 {
			m.endBase64(i)
		}
	}
	m.endPart(i)
}

// endChild ends the part below part i.
func (m *message) endChild(i int) {
	m.end(i + 1)
	for m.open > i+1 {
		m.drop()
	}
}

// endPart tells of the end of part i.
func (m *message) endPart(i int) {
	h, e := m.h, m.parts[i]
	if i == 0 {
		m.body += e.body
	}
	h.h.Entity(h.c, m.orig, false)
	m.current = i - 1
	if i > 0 && m.parts[i-1].kind == mime.Multipart {
		m.lines.Quiet(false)
		m.lines.Strict(false)
	}
	switch {
	case i == 0:
		m.finish(false)
	case m.orig || h.code != 206:
		m.fileTable().End(h.c, &m.side, &e.file)
	}
}

// finish ends the message.
func (m *message) finish(interrupted bool) {
	if !m.began || m.finished {
		return
	}
	m.finished = true
	m.end(0)
	h := m.h
	if m.orig || h.code != 206 {
		// Ranges of a file may come over several connections.
		m.fileTable().End(h.c, &m.side, &m.parts[0].file)
	}
	h.s.done = Done{Orig: m.orig, Interrupted: interrupted, Body: uint64(max(m.body, 0))}
	h.h.Done(h.c, &h.s.done)
	if m.orig {
		h.requestMade(false)
	} else {
		h.replyMade(false)
	}
}
