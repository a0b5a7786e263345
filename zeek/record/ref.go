package record

import (
	"encoding/binary"
	"math"
	"net/netip"

	"github.com/picket-nsm/picket/zeek/value"
)

// Ref is one value inside an encoded batch: a view, valid as long as the
// payload. An accessor that does not fit the kind returns nonsense or panics;
// the kind is the column's, so it need not be asked for each row.
//
// Small enough for the registers of a call that appends it to something.
type Ref struct {
	kind value.Kind
	elem value.Kind
	body []byte // nil if unset
}

// Kind returns the column's type, also for an unset value.
func (r Ref) Kind() value.Kind { return r.kind }

// Elem returns the type of a container's elements.
func (r Ref) Elem() value.Kind { return r.elem }

// Present reports whether the value is set.
func (r Ref) Present() bool { return r.body != nil }

// Raw returns the body as it is encoded; nil if unset.
func (r Ref) Raw() []byte { return r.body }

// Bool returns a bool.
func (r Ref) Bool() bool { return binary.BigEndian.Uint64(r.body) != 0 }

// Int returns an int.
func (r Ref) Int() int64 { return int64(binary.BigEndian.Uint64(r.body)) }

// Count returns a count, or the number of a port.
func (r Ref) Count() uint64 { return binary.BigEndian.Uint64(r.body) }

// Float returns a double, or the seconds of a time or interval.
func (r Ref) Float() float64 { return math.Float64frombits(binary.BigEndian.Uint64(r.body)) }

// Str returns the bytes of a string, enum, func or file, borrowed.
func (r Ref) Str() []byte { return r.body[4:] }

// Port returns number and transport of a port.
func (r Ref) Port() (uint16, value.Proto) {
	return uint16(binary.BigEndian.Uint64(r.body)), value.Proto(binary.BigEndian.Uint32(r.body[8:]))
}

// Addr returns an address or the address of a subnet: of the family it was
// sent as, so an IPv4-mapped IPv6 address stays one.
func (r Ref) Addr() netip.Addr {
	b := r.body
	if r.kind == value.KindSubnet {
		b = b[1:]
	}
	if b[0] == 4 {
		return netip.AddrFrom4([4]byte(b[1:5]))
	}
	return netip.AddrFrom16([16]byte(b[1:17]))
}

// Bits returns the prefix length of a subnet in terms of its family, as text shows it.
func (r Ref) Bits() int {
	if r.body[1] == 4 {
		return int(r.body[0]) - 96
	}
	return int(r.body[0])
}

// Len returns the number of elements of a set or vector.
func (r Ref) Len() int { return int(binary.BigEndian.Uint64(r.body)) }

// Elems returns an iterator over the elements of a set or vector.
//
//	for it := r.Elems(); it.Next(); { use(it.Elem()) }
func (r Ref) Elems() Elems { return Elems{rest: r.body[8:], kind: r.elem} }

// Elems walks the elements of a container.
type Elems struct {
	rest []byte
	kind value.Kind
	cur  Ref
}

// Next moves to the next element.
func (e *Elems) Next() bool {
	if len(e.rest) == 0 {
		return false
	}
	from, to, bad := scan(e.rest, 0, e.kind, value.KindVoid)
	if bad != "" { // the cursor has checked it: the payload was changed under us
		e.rest = nil
		return false
	}
	e.cur = Ref{kind: e.kind}
	if from > 0 {
		e.cur.body = e.rest[from:to]
	}
	e.rest = e.rest[to:]
	return true
}

// Elem returns the element that Next moved to.
func (e *Elems) Elem() Ref { return e.cur }

// Value returns the value with bytes of its own.
func (r Ref) Value() value.Value {
	if r.body == nil {
		return value.Value{}
	}
	switch r.kind {
	case value.KindBool:
		return value.Bool(r.Bool())
	case value.KindInt:
		return value.Int(r.Int())
	case value.KindCount:
		return value.Count(r.Count())
	case value.KindDouble:
		return value.Double(r.Float())
	case value.KindTime:
		return value.Time(r.Float())
	case value.KindInterval:
		return value.Interval(r.Float())
	case value.KindString:
		return value.String(string(r.Str()))
	case value.KindEnum:
		return value.Enum(string(r.Str()))
	case value.KindFunc:
		return value.Func(string(r.Str()))
	case value.KindFile:
		return value.File(string(r.Str()))
	case value.KindPort:
		return value.Port(r.Port())
	case value.KindAddr:
		return value.Addr(r.Addr())
	case value.KindSubnet:
		return value.Subnet(r.Addr().As16(), r.body[0])
	case value.KindSet, value.KindVector:
		var elems []value.Value
		for it := r.Elems(); it.Next(); {
			elems = append(elems, it.Elem().Value())
		}
		if r.kind == value.KindSet {
			return value.Set(elems)
		}
		return value.Vector(elems)
	}
	return value.Value{}
}
