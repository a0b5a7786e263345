package brokerbin

import (
	"encoding/binary"
	"fmt"

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
	// Its texts are cut from one piece.
	r := reader{p: payload, mem: &memory{text: min(len(payload), codec.MaxShared)}}
	var e event.Event
	if r.event(&e, nil) {
		return e, nil
	}
	return decodeSlow(payload)
}

// decodeSlow reads odd events, and says what is wrong with those that are none.
func decodeSlow(payload []byte) (event.Event, error) {
	v, err := DecodeValue(payload)
	if err != nil {
		return event.Event{}, err
	}
	e, err := codec.Unwrap(v)
	if err != nil {
		return e, fmt.Errorf("decode %s: %w", Name, err)
	}
	return e, nil
}

// number is an event's number, cut from its metadata.
type number struct {
	n  uint64
	is bool
}

// event reads an event in its usual form; false: it is of another, or corrupt.
// With num, its number goes there and not to the metadata.
func (r *reader) event(e *event.Event, num *number) bool {
	if len(r.p) < len(envelope)+2 || string(r.p[:len(envelope)]) != envelope {
		return false
	}
	parts := r.p[len(envelope)]
	r.at = len(envelope) + 1
	if parts != 2 && parts != 3 || r.u8() != tagString {
		return false
	}
	if e.Name = r.name(); e.Name == "" || r.u8() != tagVector {
		return false
	}
	n := r.count()
	if r.bad != "" || n > uint64(len(r.p)-r.at) {
		return false
	}
	r.seen = 7 // the values of the envelope
	if n <= firstElems {
		if n > 0 {
			e.Args = r.mem.list(int(n))
		}
		for i := range e.Args {
			if r.read(&e.Args[i], argDepth); r.bad != "" || !e.Args[i].IsSet() {
				return false
			}
		}
	} else {
		e.Args = make([]value.Value, 0, firstElems)
		for range n {
			var v value.Value
			if r.read(&v, argDepth); r.bad != "" || !v.IsSet() {
				return false
			}
			e.Args = append(e.Args, v)
		}
	}
	if parts == 2 {
		return r.at == len(r.p)
	}
	if r.u8() != tagVector {
		return false
	}
	n = r.count()
	if r.bad != "" || n > uint64(len(r.p)-r.at) {
		return false
	}
	if num != nil && n == 1 && r.onlyNumber(num) {
		return true
	}
	e.Meta = make([]event.Meta, 0, min(n, firstElems))
	for range n {
		if head := r.take(3); head == nil || string(head) != "\x0e\x02\x02" {
			return false
		}
		m := event.Meta{ID: r.u64()}
		r.seen += 2
		if r.read(&m.Value, metaDepth); r.bad != "" || !m.Value.IsSet() {
			return false
		}
		e.Meta = append(e.Meta, m)
	}
	if r.at != len(r.p) {
		return false
	}
	if num != nil {
		num.n, num.is = codec.CutSequence(e)
	}
	return true
}

// onlyNumber reads the rest of an event if it is nothing but its number.
func (r *reader) onlyNumber(num *number) bool {
	b := r.p[r.at:]
	if len(b) != len(sequence)+8 || string(b[:len(sequence)]) != sequence {
		return false
	}
	num.n, num.is = binary.BigEndian.Uint64(b[len(sequence):]), true
	return true
}

// sequence is how the metadata with an event's number begins.
const sequence = "\x0e\x02" + "\x02\x00\x00\x00\x00\x00\x00\x00\xc8" + "\x02"

// firstElems is what a list takes memory for before it has been read: a claim
// must not cost more than what is there.
const firstElems = 1024
