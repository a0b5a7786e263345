package brokerbin

import (
	"encoding/binary"
	"math"

	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/zeek/value"
)

// DecodeValue returns the one value that payload holds; bytes after it are an
// error. The error is of kind codec.ErrCorrupt.
func DecodeValue(payload []byte) (value.Value, error) {
	r := reader{p: payload}
	v := r.value(1)
	if r.bad == "" && r.at != len(payload) {
		r.bad = "bytes after the value"
	}
	if r.bad != "" {
		return value.Value{}, codec.Corrupt(Name, "%s at byte %d", r.bad, r.at)
	}
	return v, nil
}

// reader walks a payload. After the first fault bad says what it was, and
// everything read is zero.
type reader struct {
	p    []byte
	at   int
	seen int // values so far
	bad  string
	mem  *memory // of several events; nil: what is made is this event's own
}

func (r *reader) fail(what string) value.Value {
	if r.bad == "" {
		r.bad = what
	}
	return value.Value{}
}

// take returns the next n bytes, or nil.
func (r *reader) take(n uint64) []byte {
	if r.bad != "" || n > uint64(len(r.p)-r.at) {
		r.fail("cut")
		return nil
	}
	b := r.p[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *reader) u8() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// count reads a LEB128 number, up to 2^32-1.
func (r *reader) count() uint64 {
	if r.at < len(r.p) && r.p[r.at] < 0x80 && r.bad == "" { // most are short
		r.at++
		return uint64(r.p[r.at-1])
	}
	var n uint64
	for shift := 0; ; shift += 7 {
		c := r.u8()
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			break
		}
		if shift == 28 {
			r.fail("length too long")
			return 0
		}
	}
	if n > math.MaxUint32 {
		r.fail("length too long")
		return 0
	}
	return n
}

// str reads a text.
func (r *reader) str() string {
	b := r.take(r.count())
	if r.mem != nil {
		return r.mem.cut(b)
	}
	return string(b)
}

func (r *reader) addr() (a [16]byte) {
	copy(a[:], r.take(16))
	return a
}

func (r *reader) value(depth int) (v value.Value) {
	r.read(&v, depth)
	return v
}

// read reads the next value into v, which is unset.
func (r *reader) read(to *value.Value, depth int) {
	if depth > codec.MaxDepth {
		r.fail("nested too deep")
		return
	}
	if r.seen++; r.seen > codec.MaxValues {
		r.fail("too many values")
		return
	}
	if r.bad != "" || r.at >= len(r.p) {
		r.fail("cut")
		return
	}
	tag := r.p[r.at]
	r.at++
	var v value.Value
	switch tag {
	case tagNone:
	case tagBool:
		v = value.Bool(r.u8() != 0)
	case tagCount:
		v = value.Count(r.u64())
	case tagInt:
		v = value.Int(int64(r.u64()))
	case tagReal:
		v = value.Double(unpackReal(r.u64()))
	case tagString:
		v = value.String(r.str())
	case tagAddr:
		v = value.Addr16(r.addr())
	case tagSubnet:
		v = value.Subnet(r.addr(), r.u8())
		if v.Bits() > 128 || v.Is4() && v.Bits() < 96 {
			r.fail("impossible prefix length")
			return
		}
	case tagPort:
		var n uint16
		if b := r.take(2); b != nil {
			n = binary.BigEndian.Uint16(b)
		}
		p := value.Proto(r.u8())
		if p > value.ProtoICMP {
			r.fail("unknown transport")
			return
		}
		v = value.Port(n, p)
	case tagTime:
		v = value.TimeNanos(int64(r.u64()))
	case tagSpan:
		v = value.IntervalNanos(int64(r.u64()))
	case tagEnum:
		v = value.Enum(r.str())
	case tagSet:
		elems, unique := value.Sorted(r.list(1, depth))
		if !unique {
			r.fail("the same element twice in a set")
			return
		}
		v = value.Set(elems)
	case tagTable:
		pairs, unique := value.SortedPairs(r.list(2, depth))
		if !unique {
			r.fail("the same key twice in a table")
			return
		}
		v = value.Table(pairs)
	case tagVector:
		v = value.Vector(r.list(1, depth))
	default:
		r.fail("unknown type")
		return
	}
	*to = v
}

// list reads a count and so many groups of values. A value is at least a byte,
// so a count above the bytes left is refused before memory is taken for it.
func (r *reader) list(group uint64, depth int) []value.Value {
	n := r.count() * group
	if n > uint64(len(r.p)-r.at) {
		r.fail("more elements than bytes")
		return nil
	}
	if r.bad != "" || n == 0 {
		return nil
	}
	out := make([]value.Value, 0, min(n, firstElems)) // grow from here: a level of nesting must not cost what is left
	for range n {
		out = append(out, value.Value{})
		r.read(&out[len(out)-1], depth+1)
		if r.bad != "" {
			return nil
		}
	}
	return out
}
