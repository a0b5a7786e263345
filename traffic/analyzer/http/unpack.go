package http

import "github.com/picket-nsm/picket/traffic/format/inflate"

// unpack takes bytes of a packed body.
func (m *message) unpack(i int, data []byte) {
	e := m.parts[i]
	if len(data) == 0 || e.stopped {
		return
	}
	if e.inflate == nil && !m.beginInflate(e) {
		return
	}
	before := e.packedIn
	e.packedIn += int64(len(data))
	if m.inflateAll(i, data) != inflate.Corrupt {
		if before < int64(len(e.lead)) {
			copy(e.lead[before:], data)
		}
		return
	}
	if !e.inflate.HeadBad() || e.bare {
		m.stopInflate(e)
		m.h.c.Weird("inflate_failed", "", "ZIP")
		return
	}
	// Some servers send bare deflate data: once more as such.
	e.bare = true
	e.inflate.Reset(inflate.Raw)
	st := inflate.More
	if before > 0 { // what came earlier of the first bytes
		st = m.inflateAll(i, e.lead[:min(before, int64(len(e.lead)))])
	}
	if st == inflate.More && e.inflate != nil {
		st = m.inflateAll(i, data)
	}
	if st == inflate.Corrupt {
		m.stopInflate(e)
		m.h.c.Weird("inflate_failed", "", "ZIP")
	}
}

// inflateAll unpacks data and hands on what comes out.
func (m *message) inflateAll(i int, data []byte) inflate.Status {
	e, s := m.parts[i], m.h.s
	for {
		out, n, st := e.inflate.Next(data)
		data = data[n:]
		if st == inflate.Corrupt && !s.cfg.Salvage {
			return st // with what came out in this step
		}
		e.packed += int64(len(out))
		if len(out) > 0 {
			m.content(i, out, false)
		}
		switch {
		case e.inflate == nil: // the part has ended
			return inflate.End
		case st == inflate.End:
			m.stopInflate(e)
			return st
		case st == inflate.Corrupt:
			return st
		case e.packed > int64(s.cfg.MaxInflate) && e.packed > 100*e.packedIn:
			s.stats.ShedBombs++
			m.stopInflate(e)
			return inflate.End
		case len(data) == 0 && len(out) < inflate.Step:
			return st
		}
	}
}

func (m *message) beginInflate(e *entity) bool {
	s := m.h.s
	if s.inflating >= s.cfg.Inflaters {
		s.stats.ShedInflate++
		e.stopped = true
		return false
	}
	s.inflating++
	if e.inflate = s.inflaters.Take(); e.inflate == nil {
		e.inflate = new(inflate.Decoder)
	}
	e.inflate.Reset(inflate.Auto)
	return true
}

// stopInflate unpacks no more of the body.
func (m *message) stopInflate(e *entity) {
	e.stopped = true
	m.endInflate(e)
}

func (m *message) endInflate(e *entity) {
	if e.inflate == nil {
		return
	}
	s := m.h.s
	s.inflating--
	s.inflaters.Keep(e.inflate)
	e.inflate = nil
}
