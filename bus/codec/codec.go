// Package codec is the contract between events and the bytes that carry them:
// Zeek's event serializers.
//
// It stands between bus/cluster and a backend. A codec is a pure function with
// a name: no state, no goroutine. It takes any bytes from a peer and answers
// with an event or an error, in bounded depth and memory; it looks up no names
// and converts no types.
package codec

import (
	"errors"
	"fmt"
	"slices"

	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// Kinds of error.
var (
	ErrCorrupt = errors.New("corrupt event")             // the peer's bytes are wrong
	ErrInvalid = errors.New("event cannot be published") // ours cannot be written: nothing was
)

// Bounds on what Decode builds and Append takes. Zeek has none.
const (
	MaxDepth  = 128     // values inside values, the envelope included
	MaxValues = 1 << 20 // values in one event: 64 MiB of memory
)

// Codec writes and reads events. Methods may be called from any goroutine.
type Codec interface {
	// Name is what frame 3 and the NATS header say: broker-bin-v1.
	Name() string
	// Append appends the encoded event. On an error, of kind ErrInvalid, dst
	// comes back as it was.
	Append(dst []byte, e *event.Event) ([]byte, error)
	// Decode returns the event, which owns its bytes. The error is of kind
	// ErrCorrupt. Records, patterns and functions come back as vectors: their
	// types do not travel. Sets and tables come back in canonical order.
	Decode(payload []byte) (event.Event, error)
}

// Streaming is an extra ability of a codec that sees many events.
type Streaming interface {
	// NewReader returns a reader for one goroutine.
	NewReader() Reader
}

// Reader reads one event after the other.
type Reader interface {
	// Read is Decode into e, but the first metadata MetaSequence, if it is a count,
	// comes apart from the others. Small events may share pieces of memory of at most
	// MaxShared bytes: whoever keeps an argument keeps no more beside it.
	Read(e *event.Event, payload []byte) (seq uint64, numbered bool, err error)
}

// MaxShared bounds the memory that what is kept of an event may keep of others.
const MaxShared = 2048

// NewReader returns a reader of any codec.
func NewReader(c Codec) Reader {
	if s, ok := c.(Streaming); ok {
		return s.NewReader()
	}
	return plainReader{c}
}

type plainReader struct{ Codec }

func (r plainReader) Read(e *event.Event, payload []byte) (seq uint64, numbered bool, err error) {
	if *e, err = r.Decode(payload); err == nil {
		seq, numbered = CutSequence(e)
	}
	return seq, numbered, err
}

// CutSequence takes the number off a decoded event.
func CutSequence(e *event.Event) (seq uint64, numbered bool) {
	for i := range e.Meta {
		if e.Meta[i].ID != event.MetaSequence {
			continue
		}
		if v := e.Meta[i].Value; v.Kind() == value.KindCount {
			e.Meta = slices.Delete(e.Meta, i, i+1)
			if len(e.Meta) == 0 {
				e.Meta = nil
			}
			return v.Count(), true
		}
		break
	}
	return 0, false
}

// Corrupt returns an error of kind ErrCorrupt.
func Corrupt(name, format string, args ...any) error {
	return fmt.Errorf("decode %s: %w: %s", name, ErrCorrupt, fmt.Sprintf(format, args...))
}

// Invalid returns an error of kind ErrInvalid.
func Invalid(name, format string, args ...any) error {
	return fmt.Errorf("encode %s: %w: %s", name, ErrInvalid, fmt.Sprintf(format, args...))
}

// Numbers in the envelope around an event (wire.md section 2.4).
const (
	version   = 1
	typeEvent = 1
)

// Wrap puts an event into its envelope: [1, 1, [name, args, metadata?]].
func Wrap(e *event.Event) (value.Value, error) {
	if e.Name == "" {
		return value.Value{}, fmt.Errorf("%w: no name", ErrInvalid)
	}
	for i := range e.Args {
		if !e.Args[i].IsSet() {
			return value.Value{}, fmt.Errorf("%w: argument %d of %s is unset", ErrInvalid, i+1, e.Name)
		}
	}
	inner := []value.Value{value.String(e.Name), value.Vector(e.Args)}
	if e.Meta != nil {
		meta := make([]value.Value, len(e.Meta))
		for i, m := range e.Meta {
			if !m.Value.IsSet() {
				return value.Value{}, fmt.Errorf("%w: metadata %d of %s is unset", ErrInvalid, m.ID, e.Name)
			}
			meta[i] = value.Vector([]value.Value{value.Count(m.ID), m.Value})
		}
		inner = append(inner, value.Vector(meta))
	}
	return value.Vector([]value.Value{value.Count(version), value.Count(typeEvent), value.Vector(inner)}), nil
}

// Unwrap takes an event out of its envelope.
func Unwrap(v value.Value) (event.Event, error) {
	bad := func(what string) (event.Event, error) {
		return event.Event{}, fmt.Errorf("%w: %s", ErrCorrupt, what)
	}
	outer := v.Elems()
	if v.Kind() != value.KindVector || len(outer) != 3 {
		return bad("not an envelope of 3")
	}
	if outer[0].Kind() != value.KindCount || outer[0].Count() != version {
		return bad("unknown protocol version")
	}
	if outer[1].Kind() != value.KindCount || outer[1].Count() != typeEvent {
		return bad("not an event")
	}
	inner := outer[2].Elems()
	if outer[2].Kind() != value.KindVector || len(inner) < 2 || len(inner) > 3 {
		return bad("content is not name, arguments, metadata")
	}
	if inner[0].Kind() != value.KindString || inner[0].Str() == "" || inner[1].Kind() != value.KindVector {
		return bad("content is not name, arguments, metadata")
	}
	e := event.Event{Name: inner[0].Str(), Args: inner[1].Elems()}
	for i := range e.Args {
		if !e.Args[i].IsSet() {
			return bad(fmt.Sprintf("argument %d is unset", i+1))
		}
	}
	if len(inner) == 2 {
		return e, nil
	}
	if inner[2].Kind() != value.KindVector {
		return bad("metadata is not a list")
	}
	meta := inner[2].Elems()
	e.Meta = make([]event.Meta, len(meta))
	for i, m := range meta {
		pair := m.Elems()
		if m.Kind() != value.KindVector || len(pair) != 2 || pair[0].Kind() != value.KindCount || !pair[1].IsSet() {
			return bad("metadata is not id and value")
		}
		e.Meta[i] = event.Meta{ID: pair[0].Count(), Value: pair[1]}
	}
	return e, nil
}
