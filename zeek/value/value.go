// Package value holds Zeek's types and values: what a log column or an event
// argument can be.
//
// It stands at the bottom of everything: traffic builds values, codecs and
// sinks write them. A Value owns nothing but its element slice; strings may be
// borrowed (see Borrow). The package never allocates behind the caller's back,
// reads no clock and starts no goroutine.
package value

import (
	"encoding/binary"
	"math"
	"net/netip"
	"unsafe"
)

// Kind is a Zeek type. The numbers are Zeek's type tags, as log batches carry
// them (wire.md section 3.1), so a Kind can be written to the wire as it is.
type Kind uint8

// Zeek's type tags. Set is TABLE on the wire, because logs only carry sets;
// Table (with values) exists in events alone and has no tag of its own.
const (
	KindVoid     Kind = 0 // the unset value
	KindBool     Kind = 1
	KindInt      Kind = 2
	KindCount    Kind = 3
	KindDouble   Kind = 4
	KindTime     Kind = 5 // float64 seconds since 1970-01-01 UTC
	KindInterval Kind = 6 // float64 seconds
	KindString   Kind = 7 // any bytes
	KindPattern  Kind = 8
	KindEnum     Kind = 9
	KindPort     Kind = 10
	KindAddr     Kind = 11
	KindSubnet   Kind = 12
	KindAny      Kind = 13
	KindSet      Kind = 14
	KindRecord   Kind = 15
	KindList     Kind = 16
	KindFunc     Kind = 17
	KindFile     Kind = 18
	KindVector   Kind = 19
	KindOpaque   Kind = 20
	KindTable    Kind = 64 | 14
)

// Proto is the transport of a port, numbered as on Zeek's wires.
type Proto uint8

// The transports a port can have.
const (
	ProtoUnknown Proto = 0
	ProtoTCP     Proto = 1
	ProtoUDP     Proto = 2
	ProtoICMP    Proto = 3
)

// String returns Zeek's name of the transport, as the proto column shows it.
func (p Proto) String() string {
	switch p {
	case ProtoTCP:
		return "tcp"
	case ProtoUDP:
		return "udp"
	case ProtoICMP:
		return "icmp"
	}
	return "unknown_transport"
}

// Value is one Zeek value. The zero Value is unset. It is a plain value: copy
// it freely, but strings and elements are shared by the copies.
type Value struct {
	kind  Kind
	aux   uint8  // port: transport; subnet: prefix length in IPv6 terms; time, interval: 1 if hi holds nanoseconds
	n     uint64 // numbers and float bits; low half of an address
	hi    uint64 // high half of an address; nanoseconds of a time or interval that came from an event
	s     string
	elems []Value
}

// Bool returns a bool.
func Bool(b bool) Value {
	v := Value{kind: KindBool}
	if b {
		v.n = 1
	}
	return v
}

// Int returns an int.
func Int(i int64) Value { return Value{kind: KindInt, n: uint64(i)} }

// Count returns a count.
func Count(u uint64) Value { return Value{kind: KindCount, n: u} }

// Double returns a double.
func Double(f float64) Value { return Value{kind: KindDouble, n: math.Float64bits(f)} }

// Time returns a time in seconds since the epoch.
func Time(sec float64) Value { return Value{kind: KindTime, n: math.Float64bits(sec)} }

// TimeNanos returns a time in nanoseconds since the epoch, kept exactly: that
// is how events carry times.
func TimeNanos(ns int64) Value {
	return Value{kind: KindTime, aux: 1, n: math.Float64bits(float64(ns) / 1e9), hi: uint64(ns)}
}

// Interval returns an interval in seconds.
func Interval(sec float64) Value { return Value{kind: KindInterval, n: math.Float64bits(sec)} }

// IntervalNanos returns an interval in nanoseconds, kept exactly.
func IntervalNanos(ns int64) Value {
	return Value{kind: KindInterval, aux: 1, n: math.Float64bits(float64(ns) / 1e9), hi: uint64(ns)}
}

// String returns a string of any bytes.
func String(s string) Value { return Value{kind: KindString, s: s} }

// Enum returns an enum value by its full name, Conn::LOG.
func Enum(name string) Value { return Value{kind: KindEnum, s: name} }

// Func returns a function by its description.
func Func(name string) Value { return Value{kind: KindFunc, s: name} }

// File returns a file by its name.
func File(name string) Value { return Value{kind: KindFile, s: name} }

// Port returns a port.
func Port(n uint16, p Proto) Value { return Value{kind: KindPort, aux: uint8(p), n: uint64(n)} }

// Addr returns an address. IPv4 and IPv4-mapped IPv6 are the same thing, as in Zeek.
func Addr(a netip.Addr) Value { return Addr16(a.As16()) }

// Addr16 returns an address from its 16 bytes, IPv4 as ::ffff:a.b.c.d.
func Addr16(b [16]byte) Value {
	return Value{kind: KindAddr, hi: binary.BigEndian.Uint64(b[:8]), n: binary.BigEndian.Uint64(b[8:])}
}

// Subnet returns a subnet; bits counts in IPv6 terms (IPv4 length + 96).
func Subnet(b [16]byte, bits uint8) Value {
	v := Addr16(b)
	v.kind, v.aux = KindSubnet, bits
	return v
}

// Pattern returns a pattern by its two forms, exact and anywhere (wire.md section 2.5).
func Pattern(exact, anywhere string) Value {
	return Value{kind: KindPattern, elems: []Value{String(exact), String(anywhere)}}
}

// Set returns a set. It keeps elems.
func Set(elems []Value) Value { return Value{kind: KindSet, elems: elems} }

// Vector returns a vector. It keeps elems; a zero Value is a hole.
func Vector(elems []Value) Value { return Value{kind: KindVector, elems: elems} }

// Table returns a table from key, value, key, value ... It keeps pairs.
func Table(pairs []Value) Value { return Value{kind: KindTable, elems: pairs} }

// Record returns a record by position. It keeps fields; a zero Value is an unset field.
func Record(fields []Value) Value { return Value{kind: KindRecord, elems: fields} }

// Borrow returns b as a string without copying. The string is valid as long as
// b is not changed: good for a row that is encoded before the caller returns.
func Borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Kind returns the type; KindVoid for an unset value.
func (v Value) Kind() Kind { return v.kind }

// IsSet reports whether the value is there.
func (v Value) IsSet() bool { return v.kind != KindVoid }

// Bool returns the value of a bool.
func (v Value) Bool() bool { return v.n != 0 }

// Int returns the value of an int.
func (v Value) Int() int64 { return int64(v.n) }

// Count returns the value of a count, or the number of a port.
func (v Value) Count() uint64 { return v.n }

// Float returns the value of a double, or the seconds of a time or interval.
func (v Value) Float() float64 { return math.Float64frombits(v.n) }

// Scalar returns what a value that holds no others is made of: its kind; the
// transport of a port or prefix length of a subnet; number or float bits, and
// the low half of an address; its high half; the string. It is for encoders:
// methods copy the whole Value, which costs more than encoding it.
func Scalar(v *Value) (k Kind, aux uint8, n, hi uint64, s string) {
	return v.kind, v.aux, v.n, v.hi, v.s
}

// Nanos returns a time or interval in nanoseconds: exact if it came as such,
// else the seconds cut towards zero, as Zeek does.
func (v Value) Nanos() int64 {
	if v.aux == 1 {
		return int64(v.hi)
	}
	return int64(v.Float() * 1e9)
}

// Str returns the bytes of a string, or the name of an enum, func or file.
func (v Value) Str() string { return v.s }

// Port returns number and transport of a port.
func (v Value) Port() (uint16, Proto) { return uint16(v.n), Proto(v.aux) }

// Addr16 returns the 16 bytes of an address or subnet.
func (v Value) Addr16() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], v.hi)
	binary.BigEndian.PutUint64(b[8:], v.n)
	return b
}

// Addr returns an address or the address of a subnet, IPv4 unmapped.
func (v Value) Addr() netip.Addr { return netip.AddrFrom16(v.Addr16()).Unmap() }

// Is4 reports whether an address or subnet is IPv4.
func (v Value) Is4() bool { return v.hi == 0 && v.n>>32 == 0xffff }

// Bits returns the prefix length of a subnet in IPv6 terms.
func (v Value) Bits() uint8 { return v.aux }

// Elems returns the elements of a set or vector, the fields of a record, the
// two forms of a pattern, or key, value, key, value ... of a table.
func (v Value) Elems() []Value { return v.elems }
