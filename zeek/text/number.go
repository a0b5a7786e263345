// Package text writes Zeek's values as the text its logs show: addresses,
// fixed and trimmed numbers, strings whose bytes are not all UTF-8; and the
// letters of the escapes in them.
//
// It stands beside the sinks, which share it. Everything appends to a slice,
// keeps nothing, allocates nothing but what the slice needs, and takes any
// bytes and any numbers.
package text

import (
	"math"
	"math/bits"
	"strconv"
)

// AppendUint appends n in decimal. It is strconv.AppendUint with less to do
// for the small numbers that logs are full of.
func AppendUint(dst []byte, n uint64) []byte {
	switch {
	case n < 10:
		return append(dst, byte('0'+n))
	case n < 100:
		return append(dst, pairs[2*n], pairs[2*n+1])
	case n < 1000:
		q := n / 100
		n -= 100 * q
		return append(dst, byte('0'+q), pairs[2*n], pairs[2*n+1])
	case n >= 10000:
		dst = AppendUint(dst, n/10000)
		n %= 10000
	}
	q := n / 100
	n -= 100 * q
	return append(dst, pairs[2*q], pairs[2*q+1], pairs[2*n], pairs[2*n+1])
}

const pairs = "00010203040506070809" +
	"10111213141516171819" +
	"20212223242526272829" +
	"30313233343536373839" +
	"40414243444546474849" +
	"50515253545556575859" +
	"60616263646566676869" +
	"70717273747576777879" +
	"80818283848586878889" +
	"90919293949596979899"

// AppendFixed6 appends f with six decimals, rounded as C's %.6f does (exactly,
// ties to even): how logs show times and intervals. NaN and infinities are
// nan, -nan, inf, -inf.
func AppendFixed6(dst []byte, f float64) []byte {
	b := math.Float64bits(f)
	if b>>63 != 0 {
		dst = append(dst, '-')
	}
	exp := int(b >> 52 & 0x7ff)
	m := b & (1<<52 - 1)
	switch {
	case exp == 0x7ff && m == 0:
		return append(dst, "inf"...)
	case exp == 0x7ff:
		return append(dst, "nan"...)
	case exp == 0:
		exp = 1
	default:
		m |= 1 << 52
	}
	e := exp - 1075 // the number is m * 2^e
	if e > 10 {
		return strconv.AppendFloat(dst, math.Abs(f), 'f', 6, 64)
	}
	if e >= 0 {
		dst = AppendUint(dst, m<<e)
		return append(dst, ".000000"...)
	}
	whole, part := uint64(0), m
	if e > -64 {
		whole, part = m>>-e, m&(1<<-e-1)
	}
	// micros = part * 10^6 * 2^e, in 128 bits, rounded half to even.
	hi, lo := bits.Mul64(part, 1000000)
	micros := shiftRound(hi, lo, -e)
	if micros == 1000000 {
		whole, micros = whole+1, 0
	}
	dst = AppendUint(dst, whole)
	a, b, c := micros/10000, micros/100%100, micros%100
	return append(dst, '.', pairs[2*a], pairs[2*a+1], pairs[2*b], pairs[2*b+1], pairs[2*c], pairs[2*c+1])
}

// shiftRound returns hi:lo >> n, rounded half to even, for n > 0 and a result that fits.
func shiftRound(hi, lo uint64, n int) uint64 {
	var q, rest, half uint64 // rest's lower words, if any, are folded into sticky
	sticky := false
	switch {
	case n < 64:
		q = hi<<(64-n) | lo>>n
		rest, half = lo&(1<<n-1), 1<<(n-1)
	case n == 64:
		q, rest, half = hi, lo, 1<<63
	case n < 128:
		q = hi >> (n - 64)
		rest, half = hi&(1<<(n-64)-1), 1<<(n-65)
		sticky = lo != 0
	default:
		return 0 // the operand is below 2^73
	}
	if rest > half || rest == half && (sticky || q&1 == 1) {
		q++
	}
	return q
}

// AppendDouble appends f as TSV logs show a double: at most six decimals,
// trailing zeros cut, never an exponent, and .0 after what is within 1e-9 of a
// whole number.
func AppendDouble(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case f == 0:
		return append(dst, "0.0"...) // also for -0
	}
	dst = AppendFixed6(dst, f)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	if dst[len(dst)-1] == '.' {
		dst = dst[:len(dst)-1]
	}
	if math.Abs(f-math.RoundToEven(f)) < 1e-9 {
		dst = append(dst, ".0"...)
	}
	return dst
}
