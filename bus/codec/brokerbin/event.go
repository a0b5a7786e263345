package brokerbin

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// Events are by far the most of what this codec sees, so their envelope
// (codec.Wrap, codec.Unwrap) is written and read here without making values of it.

// envelope is how every event begins: a vector of three with version and type;
// the third is a vector of name, arguments and perhaps metadata.
const envelope = "\x0e\x03" + "\x02\x00\x00\x00\x00\x00\x00\x00\x01" + "\x02\x00\x00\x00\x00\x00\x00\x00\x01" + "\x0e"

// Depths of values in an event, as Wrap would have them.
const (
	argDepth  = 4
	metaDepth = 5
)

// appendEvent appends the event, or says what is wrong with it.
func appendEvent(dst []byte, e *event.Event) (out []byte, bad string) {
	if e.Name == "" {
		return dst, "no name"
	}
	parts := byte(2)
	if e.Meta != nil {
		parts = 3
	}
	dst = append(append(dst, envelope...), parts, tagString)
	if dst, bad = appendString(dst, e.Name); bad != "" {
		return dst, bad
	}
	dst = binary.AppendUvarint(append(dst, tagVector), uint64(len(e.Args)))
	for i := range e.Args {
		if !e.Args[i].IsSet() {
			return dst, "unset argument"
		}
		if dst, bad = appendValue(dst, &e.Args[i], argDepth); bad != "" {
			return dst, bad
		}
	}
	if e.Meta == nil {
		return dst, ""
	}
	dst = binary.AppendUvarint(append(dst, tagVector), uint64(len(e.Meta)))
	for i := range e.Meta {
		m := &e.Meta[i]
		if !m.Value.IsSet() {
			return dst, "unset metadata"
		}
		dst = binary.BigEndian.AppendUint64(append(dst, tagVector, 2, tagCount), m.ID)
		if dst, bad = appendValue(dst, &m.Value, metaDepth); bad != "" {
			return dst, bad
		}
	}
	return dst, ""
}

// Decode returns the event. See codec.Codec.
func (Codec) Decode(payload []byte) (event.Event, error) {
	r := reader{p: payload}
	if len(payload) <= maxShared {
		r.text = string(payload)
		// The reader's bytes are those of its string now, which nobody changes.
		r.p = unsafe.Slice(unsafe.StringData(r.text), len(r.text))
	}
	var e event.Event
	if ok := r.event(&e); ok {
		return e, nil
	}
	// Odd ones are read the long way, which says what is wrong.
	v, err := DecodeValue(payload)
	if err != nil {
		return event.Event{}, err
	}
	e, err = codec.Unwrap(v)
	if err != nil {
		return e, fmt.Errorf("decode %s: %w", Name, err)
	}
	return e, nil
}

// maxShared is the size of events up to which all of an event's strings are
// cut from one copy of it: whoever keeps one keeps no more than this.
const maxShared = 2048

// event reads an event in its usual form; false: it is of another, or corrupt.
func (r *reader) event(e *event.Event) bool {
	if len(r.p) < len(envelope)+2 || string(r.p[:len(envelope)]) != envelope {
		return false
	}
	parts := r.p[len(envelope)]
	r.at = len(envelope) + 1
	if parts != 2 && parts != 3 || r.u8() != tagString {
		return false
	}
	if e.Name = r.str(); e.Name == "" || r.u8() != tagVector {
		return false
	}
	n := r.count()
	if r.bad != "" || n > uint64(len(r.p)-r.at) {
		return false
	}
	r.seen = 7 // the values of the envelope
	// Most events have few arguments and one number: one piece of memory for both.
	var few *small
	if n <= uint64(len(few.args)) {
		few = new(small)
		e.Args = few.args[:n:n]
	} else {
		e.Args = make([]value.Value, 0, min(n, firstElems))
		for range n {
			e.Args = append(e.Args, value.Value{})
			r.read(&e.Args[len(e.Args)-1], argDepth)
			if r.bad != "" || !e.Args[len(e.Args)-1].IsSet() {
				return false
			}
		}
		n = 0
	}
	for i := range n {
		r.read(&e.Args[i], argDepth)
		if r.bad != "" || !e.Args[i].IsSet() {
			return false
		}
	}
	if len(e.Args) == 0 {
		e.Args = nil
	}
	if parts == 2 {
		return r.at == len(r.p) && r.bad == ""
	}
	if r.u8() != tagVector {
		return false
	}
	n = r.count()
	if r.bad != "" || n > uint64(len(r.p)-r.at) {
		return false
	}
	if few != nil && n == 1 {
		e.Meta = few.meta[:0:1]
	} else {
		e.Meta = make([]event.Meta, 0, min(n, firstElems))
	}
	for range n {
		if head := r.take(3); head == nil || string(head) != "\x0e\x02\x02" {
			return false
		}
		e.Meta = append(e.Meta, event.Meta{ID: r.u64()})
		m := &e.Meta[len(e.Meta)-1]
		r.seen += 2
		r.read(&m.Value, metaDepth)
		if r.bad != "" || !m.Value.IsSet() {
			return false
		}
	}
	return r.at == len(r.p) && r.bad == "" && r.seen <= codec.MaxValues
}

type small struct {
	args [3]value.Value
	meta [1]event.Meta
}

// firstElems is what a list takes memory for before it has been read: a claim
// must not cost more than what is there.
const firstElems = 1024

// text of the reader's next n bytes.
func (r *reader) str() string {
	n := r.count()
	from := r.at
	b := r.take(n)
	if r.text != "" {
		return r.text[from : from+len(b)]
	}
	return string(b)
}
