// Package brokerjson is Zeek's other event serializer, broker-json-v1: every
// value an object {"@data-type":T,"data":V}.
//
// It stands between bus/cluster and a backend, and behind the WebSocket door.
// It keeps no state and starts nothing. What it writes is not always JSON: a
// \v and raw bytes stand in strings, as Zeek writes them (wire.md section 2.6,
// docs/formats/broker-json.md).
package brokerjson

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/text"
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
	n := len(dst)
	out, bad := appendValue(dst, v, 1)
	if bad != "" {
		return dst[:n], codec.Invalid(e.Name, "%s", bad)
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
	n := len(dst)
	out, bad := appendValue(dst, v, 1)
	if bad != "" {
		return dst[:n], codec.Invalid("value", "%s", bad)
	}
	return out, nil
}

func open(dst []byte, typ string) []byte {
	dst = append(dst, `{"@data-type":"`...)
	dst = append(dst, typ...)
	return append(dst, `","data":`...)
}

// appendValue returns what is wrong with the value, if anything. depth counts
// levels of JSON, of which readers take 128: a value is an object, which may
// hold an array of values, or of objects of values.
func appendValue(dst []byte, v value.Value, depth int) (out []byte, bad string) {
	if depth+1 > codec.MaxDepth {
		return dst, "values are nested too deep"
	}
	switch v.Kind() {
	case value.KindVoid:
		dst = append(open(dst, "none"), '{', '}')
	case value.KindBool:
		dst = strconv.AppendBool(open(dst, "boolean"), v.Bool())
	case value.KindCount:
		dst = strconv.AppendUint(open(dst, "count"), v.Count(), 10)
	case value.KindInt:
		dst = strconv.AppendInt(open(dst, "integer"), v.Int(), 10)
	case value.KindDouble:
		f := v.Float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return dst, "NaN and infinity cannot be written as JSON"
		}
		dst = text.AppendFixed6(open(dst, "real"), f)
	case value.KindString, value.KindFile:
		dst = appendString(open(dst, "string"), v.Str())
	case value.KindAddr:
		dst = append(text.AppendAddr(append(open(dst, "address"), '"'), v.Addr()), '"')
	case value.KindSubnet:
		bits := int(v.Bits())
		if v.Is4() {
			bits -= 96
		}
		if bits < 0 || bits > 128 {
			return dst, "impossible prefix length"
		}
		dst = append(text.AppendSubnet(append(open(dst, "subnet"), '"'), v.Addr(), bits), '"')
	case value.KindPort:
		n, p := v.Port()
		if p > value.ProtoICMP {
			return dst, "unknown transport"
		}
		dst = strconv.AppendUint(append(open(dst, "port"), '"'), uint64(n), 10)
		dst = append(append(dst, protoNames[p]...), '"')
	case value.KindTime:
		dst = appendTime(append(open(dst, "timestamp"), '"'), v.Nanos())
		dst = append(dst, '"')
	case value.KindInterval:
		dst = append(appendSpan(append(open(dst, "timespan"), '"'), v.Nanos()), '"')
	case value.KindEnum:
		dst = appendString(open(dst, "enum-value"), v.Str())
	case value.KindFunc:
		dst, bad = appendList(open(dst, "vector"), []value.Value{value.String(v.Str())}, depth)
	case value.KindSet:
		elems, unique := codec.Sorted(v.Elems())
		if !unique {
			return dst, "the same element twice in a set"
		}
		dst, bad = appendList(open(dst, "set"), elems, depth)
	case value.KindTable:
		dst, bad = appendTable(open(dst, "table"), v.Elems(), depth)
	case value.KindVector, value.KindRecord, value.KindPattern:
		dst, bad = appendList(open(dst, "vector"), v.Elems(), depth)
	default:
		return dst, "a value of this type cannot travel"
	}
	return append(dst, '}'), bad
}

var protoNames = [...]string{"/?", "/tcp", "/udp", "/icmp"}

func appendList(dst []byte, elems []value.Value, depth int) (out []byte, bad string) {
	dst = append(dst, '[')
	for i := range elems {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, bad = appendValue(dst, elems[i], depth+2); bad != "" {
			return dst, bad
		}
	}
	return append(dst, ']'), ""
}

func appendTable(dst []byte, pairs []value.Value, depth int) (out []byte, bad string) {
	if len(pairs)%2 != 0 {
		return dst, "a table key without value"
	}
	pairs, unique := codec.SortedPairs(pairs)
	if !unique {
		return dst, "the same key twice in a table"
	}
	dst = append(dst, '[')
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, bad = appendValue(append(dst, `{"key":`...), pairs[i], depth+3); bad != "" {
			return dst, bad
		}
		if dst, bad = appendValue(append(dst, `,"value":`...), pairs[i+1], depth+3); bad != "" {
			return dst, bad
		}
		dst = append(dst, '}')
	}
	return append(dst, ']'), ""
}

// appendString quotes s as Zeek does: seven short escapes, one of them the \v
// that JSON does not know, and everything else raw.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		c := s[i]
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\v':
			dst = append(dst, '\\', 'v')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

const timeLayout = "2006-01-02T15:04:05"

// appendTime writes UTC cut to milliseconds; before 1970 these are 000.
func appendTime(dst []byte, ns int64) []byte {
	t := time.Unix(ns/1e9, 0).UTC()
	dst = append(t.AppendFormat(dst, timeLayout), '.')
	ms := max(ns%1e9/1e6, 0)
	return append(dst, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}

// appendSpan writes a whole number of the largest unit that loses nothing.
func appendSpan(dst []byte, ns int64) []byte {
	switch {
	case ns%1e9 == 0:
		return append(strconv.AppendInt(dst, ns/1e9, 10), 's')
	case ns%1e6 == 0:
		return append(strconv.AppendInt(dst, ns/1e6, 10), "ms"...)
	case ns%1e3 == 0:
		return append(strconv.AppendInt(dst, ns/1e3, 10), "us"...)
	}
	return append(strconv.AppendInt(dst, ns, 10), "ns"...)
}
