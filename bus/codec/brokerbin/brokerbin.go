// Package brokerbin is Zeek's default event serializer, broker-bin-v1: a tag
// byte and a body per value, integers big-endian.
//
// It stands between bus/cluster and a backend, keeps no state and starts
// nothing. The layout is wire.md section 2.2 and docs/formats/broker-bin.md.
package brokerbin

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is what frame 3 and headers say.
const Name = "broker-bin-v1"

// Tags of values.
const (
	tagNone byte = iota
	tagBool
	tagCount
	tagInt
	tagReal
	tagString
	tagAddr
	tagSubnet
	tagPort
	tagTime
	tagSpan
	tagEnum
	tagSet
	tagTable
	tagVector
)

// Codec implements codec.Codec. Its zero value is ready.
type Codec struct{}

// New returns the codec.
func New() codec.Codec { return Codec{} }

// Name returns broker-bin-v1.
func (Codec) Name() string { return Name }

// Append appends the encoded event. See codec.Codec.
func (Codec) Append(dst []byte, e *event.Event) ([]byte, error) {
	out, bad := appendEvent(dst, e)
	if bad == "" {
		return out, nil
	}
	if _, err := codec.Wrap(e); err != nil { // says it better
		return dst, fmt.Errorf("encode %s: %w", Name, err)
	}
	return dst, codec.Invalid(e.Name, "%s", bad)
}

// AppendValue appends one value without an envelope.
func AppendValue(dst []byte, v value.Value) ([]byte, error) {
	n := len(dst)
	out, bad := appendValue(dst, &v, 1)
	if bad != "" {
		return dst[:n], codec.Invalid("value", "%s", bad)
	}
	return out, nil
}

// appendValue returns what is wrong with the value, if anything.
func appendValue(dst []byte, v *value.Value, depth int) (out []byte, bad string) {
	if depth > codec.MaxDepth {
		return dst, "values are nested too deep"
	}
	be := binary.BigEndian
	k, _, n, _, s := value.Scalar(v)
	switch k {
	case value.KindVoid:
		return append(dst, tagNone), ""
	case value.KindBool:
		if v.Bool() {
			return append(dst, tagBool, 1), ""
		}
		return append(dst, tagBool, 0), ""
	case value.KindCount:
		return be.AppendUint64(append(dst, tagCount), n), ""
	case value.KindInt:
		return be.AppendUint64(append(dst, tagInt), n), ""
	case value.KindDouble:
		return be.AppendUint64(append(dst, tagReal), packReal(v.Float())), ""
	case value.KindString, value.KindFile:
		return appendString(append(dst, tagString), s)
	case value.KindAddr:
		a := v.Addr16()
		return append(append(dst, tagAddr), a[:]...), ""
	case value.KindSubnet:
		if v.Bits() > 128 || v.Is4() && v.Bits() < 96 {
			return dst, "impossible prefix length"
		}
		a := v.Addr16()
		return append(append(append(dst, tagSubnet), a[:]...), v.Bits()), ""
	case value.KindPort:
		n, p := v.Port()
		if p > value.ProtoICMP {
			return dst, "unknown transport"
		}
		return append(be.AppendUint16(append(dst, tagPort), n), byte(p)), ""
	case value.KindTime:
		return be.AppendUint64(append(dst, tagTime), uint64(v.Nanos())), ""
	case value.KindInterval:
		return be.AppendUint64(append(dst, tagSpan), uint64(v.Nanos())), ""
	case value.KindEnum:
		return appendString(append(dst, tagEnum), s)
	case value.KindFunc:
		return appendString(append(dst, tagVector, 1, tagString), s)
	case value.KindSet:
		elems, unique := value.Sorted(v.Elems())
		if !unique {
			return dst, "the same element twice in a set"
		}
		return appendList(dst, tagSet, len(elems), elems, depth)
	case value.KindTable:
		pairs := v.Elems()
		if len(pairs)%2 != 0 {
			return dst, "a table key without value"
		}
		pairs, unique := value.SortedPairs(pairs)
		if !unique {
			return dst, "the same key twice in a table"
		}
		return appendList(dst, tagTable, len(pairs)/2, pairs, depth)
	case value.KindVector, value.KindRecord, value.KindPattern:
		return appendList(dst, tagVector, len(v.Elems()), v.Elems(), depth)
	}
	return dst, "a value of this type cannot travel"
}

func appendList(dst []byte, tag byte, n int, elems []value.Value, depth int) (out []byte, bad string) {
	if n > math.MaxUint32 {
		return dst, "too many elements"
	}
	dst = binary.AppendUvarint(append(dst, tag), uint64(n))
	for i := range elems {
		if dst, bad = appendValue(dst, &elems[i], depth+1); bad != "" {
			return dst, bad
		}
	}
	return dst, ""
}

func appendString(dst []byte, s string) ([]byte, string) {
	if len(s) > math.MaxUint32 {
		return dst, "string too long"
	}
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...), ""
}

// Doubles travel in CAF's packing, which differs from IEEE 754 where the
// exponent is at an end (wire.md section 2.3).
const (
	packedNaN    = 0xffffffffffffffff
	packedInf    = 0xfff0000000000000
	packedNegInf = 0x7ff0000000000000
)

func packReal(f float64) uint64 {
	b := math.Float64bits(f)
	switch {
	case math.IsNaN(f):
		return packedNaN
	case math.IsInf(f, 1):
		return packedInf
	case math.IsInf(f, -1):
		return packedNegInf
	case b>>52&0x7ff == 0: // CAF garbles subnormals: send zero
		return b &^ (1<<52 - 1)
	}
	return b
}

func unpackReal(b uint64) float64 {
	switch {
	case b == packedNaN:
		return math.NaN()
	case b == packedInf:
		return math.Inf(1)
	case b == packedNegInf:
		return math.Inf(-1)
	case b>>52&0x7ff == 0x7ff: // a usual NaN: beyond the largest number
		return math.Inf(1 - 2*int(b>>63))
	case b>>52&0x7ff == 0: // a subnormal, which no sender means: zero
		return math.Float64frombits(b &^ (1<<52 - 1))
	}
	return math.Float64frombits(b)
}
