package dns

// pending holds messages that wait for their other half, by transaction id. The
// few ids there are stand in the order they came.
type pending struct {
	ids []waiting
}

type waiting struct {
	id   uint16
	msgs []*info // never empty, the oldest first
}

func (p *pending) find(id uint16) int {
	for i := range p.ids {
		if p.ids[i].id == id {
			return i
		}
	}
	return -1
}

// put adds a message; where too many wait they are written and forgotten.
func (p *pending) put(s *conn, id uint16, m *info) {
	at := p.find(id)
	if at < 0 {
		if len(p.ids) > maxPending {
			p.flush(s)
		}
		n := len(p.ids)
		if n < cap(p.ids) {
			p.ids = p.ids[:n+1] // reuses the room of an earlier one
			p.ids[n].id, p.ids[n].msgs = id, append(p.ids[n].msgs[:0], m)
		} else {
			p.ids = append(p.ids, waiting{id, append([]*info(nil), m)})
		}
		return
	}
	w := &p.ids[at]
	if len(w.msgs) > maxPending {
		w.flush(s)
	}
	w.msgs = append(w.msgs, m)
}

// pop takes the oldest message under id, nil if there is none.
func (p *pending) pop(id uint16) *info {
	if at := p.find(id); at >= 0 {
		return p.take(at)
	}
	return nil
}

// popAny takes the oldest message of the oldest id.
func (p *pending) popAny() *info {
	if len(p.ids) == 0 {
		return nil
	}
	return p.take(0)
}

func (p *pending) take(at int) *info {
	w := &p.ids[at]
	m := w.msgs[0]
	copy(w.msgs, w.msgs[1:])
	w.msgs[len(w.msgs)-1] = nil
	if w.msgs = w.msgs[:len(w.msgs)-1]; len(w.msgs) == 0 {
		room := w.msgs
		copy(p.ids[at:], p.ids[at+1:])
		last := len(p.ids) - 1
		p.ids[last] = waiting{msgs: room}
		p.ids = p.ids[:last]
	}
	return m
}

// flush writes all.
func (p *pending) flush(s *conn) {
	for i := range p.ids {
		p.ids[i].flush(s)
	}
	if cap(p.ids) > 8 {
		p.ids = nil
	}
	p.ids = p.ids[:0]
}

func (w *waiting) flush(s *conn) {
	for i, m := range w.msgs {
		s.release(m)
		w.msgs[i] = nil
	}
	w.msgs = w.msgs[:0]
}
