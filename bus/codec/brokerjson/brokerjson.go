// Package brokerjson is Zeek's other event serializer, broker-json-v1: every
// value an object {"@data-type":T,"data":V}.
//
// It stands between bus/cluster and a backend, keeps no state and starts
// nothing; zeek/eventjson does the work. What it writes is not always JSON: a
// \v and raw bytes stand in strings, as Zeek writes them (wire.md section 2.6,
// docs/formats/broker-json.md).
package brokerjson

import (
	"fmt"

	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/eventjson"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is what frame 3 and headers say.
const Name = "broker-json-v1"

// Codec implements codec.Codec. Its zero value is ready.
type Codec struct{}

// New returns the codec.
func New() codec.Codec { return Codec{} }

// Name returns broker-json-v1.
func (Codec) Name() string { return Name }

// Append appends the encoded event. See codec.Codec. Doubles keep six
// decimals and times milliseconds; what is no number is refused, because Zeek
// would write it as text that nobody reads.
func (Codec) Append(dst []byte, e *event.Event) ([]byte, error) {
	v, err := codec.Wrap(e)
	if err != nil {
		return dst, fmt.Errorf("encode %s: %w", Name, err)
	}
	out, err := eventjson.AppendValue(dst, v, eventjson.Zeek, nil)
	if err != nil {
		return dst, codec.Invalid(e.Name, "%v", err)
	}
	return out, nil
}

// Decode returns the event. See codec.Codec.
func (Codec) Decode(payload []byte) (event.Event, error) {
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

// AppendValue appends one value without an envelope.
func AppendValue(dst []byte, v value.Value) ([]byte, error) {
	out, err := eventjson.AppendValue(dst, v, eventjson.Zeek, nil)
	if err != nil {
		return dst, codec.Invalid("value", "%v", err)
	}
	return out, nil
}

// DecodeValue returns the one value that payload holds. Other keys beside
// @data-type and data are ignored. The error is of kind codec.ErrCorrupt.
func DecodeValue(payload []byte) (value.Value, error) {
	v, err := eventjson.ParseValue(payload, eventjson.Zeek)
	if err != nil {
		return value.Value{}, codec.Corrupt(Name, "%v", err)
	}
	return v, nil
}
