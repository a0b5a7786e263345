package brokerbin

import (
	"strings"

	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// NewReader implements codec.Streaming.
func (Codec) NewReader() codec.Reader {
	return &stream{memory{text: codec.MaxShared / 2, args: codec.MaxShared / 2 / valueSize}}
}

// stream reads events one after the other, and takes memory for several at once.
type stream struct{ mem memory }

// Read implements codec.Reader.
func (s *stream) Read(e *event.Event, payload []byte) (seq uint64, numbered bool, err error) {
	r := reader{p: payload, mem: &s.mem}
	*e = event.Event{}
	var n number
	if r.event(e, &n) {
		return n.n, n.is, nil
	}
	if *e, err = decodeSlow(payload); err == nil {
		seq, numbered = codec.CutSequence(e)
	}
	return seq, numbered, err
}

// memory is what short texts and lists of arguments are cut from, so that not each
// of them is a piece of its own.
type memory struct {
	text, args int    // bytes and values that are taken at once
	name       string // of the last event, which often is the next one's too
	texts      strings.Builder
	values     []value.Value
}

const (
	shortText = 256
	shortArgs = 4
	valueSize = 64 // bytes
)

// cut returns b as a string.
func (m *memory) cut(b []byte) string {
	if len(b) > min(shortText, m.text) {
		return string(b)
	}
	if m.texts.Cap()-m.texts.Len() < len(b) {
		m.texts = strings.Builder{}
		m.texts.Grow(m.text)
	}
	from := m.texts.Len()
	m.texts.Write(b)
	return m.texts.String()[from:]
}

// list returns n unset values.
func (m *memory) list(n int) []value.Value {
	if n > min(shortArgs, m.args) {
		return make([]value.Value, n)
	}
	if len(m.values) < n {
		m.values = make([]value.Value, m.args)
	}
	a := m.values[:n:n]
	m.values = m.values[n:]
	return a
}

// name reads an event's name.
func (r *reader) name() string {
	b := r.take(r.count())
	m := r.mem
	if string(b) != m.name {
		if len(b) > shortText {
			return string(b)
		}
		m.name = m.cut(b)
	}
	return m.name
}
