package mail

import (
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/format/mime"
)

// headerLine takes a line of part i's header.
func (m *Mail) headerLine(c analyzer.Conn, i int, l []byte) {
	p := m.parts[i]
	switch {
	case len(l) == 0 || l[0] == 0: // the end of the header
		m.finishField(c, i)
		p.inHeader = false
		if p.kind == mime.Message {
			m.beginChild(c, i)
		}
	case !mime.IsBlank(l[0]):
		m.finishField(c, i)
		m.field(p, l, true)
	case !p.hasField: // the header begins with a folded line
		for len(l) > 0 && mime.IsBlank(l[0]) {
			l = l[1:]
		}
		if len(l) > 0 {
			m.field(p, l, true)
		}
	case m.s.cfg.MaxHeader > 0 && len(p.field) >= m.s.cfg.MaxHeader:
		m.limit(c, "exceeded_mime_max_header_bytes", len(p.field))
	default:
		m.field(p, l, false)
	}
}

// field adds a line to the field at hand, or begins it.
func (m *Mail) field(p *part, l []byte, begins bool) {
	s := m.s
	if begins {
		p.field, p.hasField = p.field[:0], true
	}
	if room := s.cfg.MaxField - len(p.field); len(l) > room {
		l = l[:max(room, 0)]
		s.stats.ShedFields++
	}
	if need := len(p.field) + len(l); need > cap(p.field) && need > keepField {
		if b := s.deps.Budget; b != nil {
			if b.Limit > 0 && b.Used+need-p.counted > b.Limit {
				s.stats.ShedFields++
				return
			}
			b.Used += need - p.counted
			p.counted = need
		}
	}
	p.field = append(p.field, l...)
}

// giveField gives a large buffer back.
func (m *Mail) giveField(p *part) {
	if p.counted > 0 {
		m.s.deps.Budget.Used -= p.counted
		p.counted = 0
	}
	if cap(p.field) > keepField {
		p.field = nil
	}
	p.hasField = false
}

// finishField reads the field at hand.
func (m *Mail) finishField(c analyzer.Conn, i int) {
	p := m.parts[i]
	if !p.hasField {
		return
	}
	if name, v, ok := mime.Header(p.field); ok {
		switch {
		case mime.Is(name, "content-type"):
			if t, ok := mime.ParseContentType(v, nil); ok {
				p.kind = t.Kind
				if t.Kind == mime.Multipart {
					p.bound = append(p.bound[:0], t.Boundary...)
				}
			}
		case mime.Is(name, "content-transfer-encoding"):
			if enc, ok := mime.ParseEncoding(v); ok {
				p.encoding = enc
			}
		}
		m.s.header = Header{Name: name, Value: v}
		m.h.Header(c, &m.s.header)
		m.s.header = Header{}
	}
	m.giveField(p)
}
