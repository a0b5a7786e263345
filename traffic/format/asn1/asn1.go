// Package asn1 takes BER and DER apart: one value at a time, as views over the
// bytes.
//
// It stands under the readers of certificates, OCSP, LDAP, SNMP and Kerberos. It
// owns nothing, keeps no bytes and builds no tree. It is as tolerant as OpenSSL,
// which Zeek reads certificates with: lengths may be longer than needed or
// indefinite. It never panics, whatever the bytes, and its depth is limited.
//
// Source: ITU-T X.690.
package asn1

import (
	"math/bits"
	"strconv"
)

// Classes of tags.
const (
	Universal = iota
	Application
	Context
	Private
)

// Universal tags.
const (
	TagBoolean         = 1
	TagInteger         = 2
	TagBitString       = 3
	TagOctetString     = 4
	TagNull            = 5
	TagOID             = 6
	TagEnumerated      = 10
	TagUTF8String      = 12
	TagSequence        = 16
	TagSet             = 17
	TagNumericString   = 18
	TagPrintableString = 19
	TagT61String       = 20
	TagIA5String       = 22
	TagUTCTime         = 23
	TagGeneralizedTime = 24
	TagUniversalString = 28
	TagBMPString       = 30
)

// maxDepth is how deep values of indefinite length may be nested.
const maxDepth = 16

// Value is one value. Its slices point into the bytes it was read from.
type Value struct {
	Class       uint8
	Constructed bool
	Tag         uint32
	Content     []byte
	Full        []byte // with tag and length
}

// Is reports whether v has this universal tag.
func (v *Value) Is(tag uint32) bool { return v.Class == Universal && v.Tag == tag }

// IsContext reports whether v has this context-specific tag.
func (v *Value) IsContext(tag uint32) bool { return v.Class == Context && v.Tag == tag }

// Read reads the first value of b and returns what follows it.
func Read(b []byte) (v Value, rest []byte, ok bool) {
	budget := maxNested
	return read(b, 0, &budget)
}

// maxNested is how many values are looked at to find the ends of those of
// indefinite length.
const maxNested = 10_000

func read(b []byte, depth int, budget *int) (v Value, rest []byte, ok bool) {
	n, size, indefinite := v.header(b)
	switch {
	case n == 0:
		return Value{}, nil, false
	case indefinite:
		return v.indefinite(b, n, depth, budget)
	case size > len(b)-n:
		return Value{}, nil, false
	}
	v.Content, v.Full = b[n:n+size:n+size], b[:n+size:n+size]
	return v, b[n+size:], true
}

// header reads tag and length and returns how long they are, 0 if they are cut
// or too large.
func (v *Value) header(b []byte) (n, size int, indefinite bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	v.Class, v.Constructed, v.Tag = b[0]>>6, b[0]&0x20 != 0, uint32(b[0]&0x1f)
	n = 1
	if v.Tag == 0x1f {
		v.Tag = 0
		for {
			if n >= len(b) || v.Tag > 1<<23 {
				return 0, 0, false
			}
			c := b[n]
			n++
			v.Tag = v.Tag<<7 | uint32(c&0x7f)
			if c&0x80 == 0 {
				break
			}
		}
	}
	if n >= len(b) {
		return 0, 0, false
	}
	c := b[n]
	n++
	if c < 0x80 {
		return n, int(c), false
	}
	if c == 0x80 {
		if !v.Constructed {
			return 0, 0, false
		}
		return n, 0, true
	}
	for range c & 0x7f {
		if n >= len(b) || size > 1<<22 {
			return 0, 0, false
		}
		size = size<<8 | int(b[n])
		n++
	}
	return n, size, false
}

// indefinite finds the end of a value that has no length.
func (v Value) indefinite(b []byte, n, depth int, budget *int) (Value, []byte, bool) {
	if depth >= maxDepth {
		return Value{}, nil, false
	}
	for at := n; at+1 < len(b) && *budget > 0; *budget-- {
		if b[at] == 0 && b[at+1] == 0 {
			v.Content, v.Full = b[n:at:at], b[:at+2:at+2]
			return v, b[at+2:], true
		}
		inner, _, ok := read(b[at:], depth+1, budget)
		if !ok {
			break
		}
		at += len(inner.Full)
	}
	return Value{}, nil, false
}

// Seq reads the values of a constructed one in order. Once something is not as
// asked for it is bad and gives nothing more.
type Seq struct {
	b   []byte
	bad bool
}

// Open returns the values inside v.
func Open(v Value) Seq { return Seq{b: v.Content, bad: !v.Constructed} }

// Bytes returns the values in b.
func Bytes(b []byte) Seq { return Seq{b: b} }

// Done reports whether all values were read and none was bad.
func (s *Seq) Done() bool { return !s.bad && len(s.b) == 0 }

// Bad reports whether something was not as asked for.
func (s *Seq) Bad() bool { return s.bad }

// More reports whether there are more values.
func (s *Seq) More() bool { return !s.bad && len(s.b) > 0 }

// Peek returns the class and tag of the next value.
func (s *Seq) Peek() (class uint8, tag uint32, ok bool) {
	if s.bad {
		return 0, 0, false
	}
	var v Value
	n, _, _ := v.header(s.b)
	return v.Class, v.Tag, n > 0
}

// Next reads the next value, whatever it is.
func (s *Seq) Next() Value {
	if s.bad {
		return Value{}
	}
	v, rest, ok := Read(s.b)
	if !ok {
		s.bad, s.b = true, nil
		return Value{}
	}
	s.b = rest
	return v
}

// Take reads a value with this universal tag; it must be constructed if and only
// if it is a sequence or a set.
func (s *Seq) Take(tag uint32) Value {
	v := s.Next()
	if s.bad || !v.Is(tag) || v.Constructed != (tag == TagSequence || tag == TagSet) {
		s.bad, s.b = true, nil
		return Value{}
	}
	return v
}

// Optional reads the next value if it has this context-specific tag.
func (s *Seq) Optional(tag uint32) (Value, bool) {
	if c, t, ok := s.Peek(); !ok || c != Context || t != tag {
		return Value{}, false
	}
	v := s.Next()
	return v, !s.bad
}

// Integer returns the magnitude of an INTEGER's content without its sign byte,
// and whether it is negative. It is not ok if the content is empty or longer
// than needed. A negative one's magnitude is written over scratch.
func Integer(content, scratch []byte) (magnitude []byte, negative, ok bool) {
	if len(content) == 0 || len(content) > 1 &&
		(content[0] == 0 && content[1] < 0x80 || content[0] == 0xff && content[1] >= 0x80) {
		return nil, false, false
	}
	if content[0] < 0x80 {
		if content[0] == 0 && len(content) > 1 {
			content = content[1:]
		}
		return content, false, true
	}
	out := append(scratch[:0], content...)
	carry := byte(1)
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = ^out[i] + carry
		if out[i] != 0 {
			carry = 0
		}
	}
	if len(out) > 1 && out[0] == 0 {
		out = out[1:]
	}
	return out, true, true
}

// Bits returns how many bits a magnitude has.
func Bits(magnitude []byte) int {
	for len(magnitude) > 0 && magnitude[0] == 0 {
		magnitude = magnitude[1:]
	}
	if len(magnitude) == 0 {
		return 0
	}
	return 8*(len(magnitude)-1) + bits.Len8(magnitude[0])
}

// AppendOID appends an OBJECT IDENTIFIER's content as numbers with dots between.
// Numbers beyond 63 bits are left out, with all after them.
func AppendOID(dst, content []byte) []byte {
	first := true
	for i := 0; i < len(content); {
		var n uint64
		for {
			if i >= len(content) || n >= 1<<56 {
				return dst
			}
			c := content[i]
			i++
			n = n<<7 | uint64(c&0x7f)
			if c < 0x80 {
				break
			}
		}
		if first {
			first = false
			top := min(n/40, 2)
			dst = strconv.AppendUint(dst, top, 10)
			n -= 40 * top
		}
		dst = strconv.AppendUint(append(dst, '.'), n, 10)
	}
	return dst
}
