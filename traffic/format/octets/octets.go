// Package octets takes numbers and counted bytes off the front of a message.
//
// It stands below the analyzers and the formats of binary protocols and owns
// nothing: what it returns points into the message. It never reads behind the
// end and never panics, whatever lengths a message claims.
package octets

import "encoding/binary"

// Reader takes bytes off the front of B. Once something is missing it is Bad,
// B is empty, and whatever is asked for is zero or nil. Methods whose name ends
// in LE read the least significant byte first, the others the most significant.
type Reader struct {
	B   []byte
	Bad bool
}

// Take returns the next n bytes, nil if there are fewer or n is negative.
func (r *Reader) Take(n int) []byte {
	if n < 0 || n > len(r.B) {
		r.B, r.Bad = nil, true
		return nil
	}
	b := r.B[:n:n]
	r.B = r.B[n:]
	return b
}

// U8 reads a byte.
func (r *Reader) U8() uint8 {
	if b := r.Take(1); b != nil {
		return b[0]
	}
	return 0
}

// U16 reads two bytes.
func (r *Reader) U16() uint16 {
	if b := r.Take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// U24 reads three bytes.
func (r *Reader) U24() int {
	if b := r.Take(3); b != nil {
		return int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	}
	return 0
}

// U32 reads four bytes.
func (r *Reader) U32() uint32 {
	if b := r.Take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// U16LE reads two bytes.
func (r *Reader) U16LE() uint16 {
	if b := r.Take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// U32LE reads four bytes.
func (r *Reader) U32LE() uint32 {
	if b := r.Take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// Vec8 returns bytes with their number in front, in one byte.
func (r *Reader) Vec8() []byte { return r.Take(int(r.U8())) }

// Vec16 returns bytes with their number in front, in two bytes.
func (r *Reader) Vec16() []byte { return r.Take(int(r.U16())) }

// Vec24 returns bytes with their number in front, in three bytes.
func (r *Reader) Vec24() []byte { return r.Take(r.U24()) }
