package jsonl

import (
	"math"
	"math/bits"
)

// This is Grisu2 (Loitsch, Printing Floating-Point Numbers Quickly and
// Accurately with Integers, PLDI 2010), with which Zeek's JSON library prints.
// Its digits read back as the number and are the fewest possible but for one
// number in a thousand: strconv's would differ from Zeek's there.

// fp is f * 2^e.
type fp struct {
	f uint64
	e int
}

func (a fp) normalized() fp {
	n := bits.LeadingZeros64(a.f)
	return fp{a.f << n, a.e - n}
}

// times returns the product, rounded to 64 bits.
func (a fp) times(b fp) fp {
	hi, lo := bits.Mul64(a.f, b.f)
	return fp{hi + lo>>63, a.e + b.e + 64}
}

// grisu returns the digits of v > 0 and where the point stands: v is
// 0.DIGITS * 10^point.
func grisu(dst []byte, v float64) (digits []byte, point int) {
	const hidden = 1 << 52
	b := math.Float64bits(v)
	w := fp{b & (hidden - 1), int(b >> 52)}
	if w.e == 0 {
		w.e = 1
	} else {
		w.f |= hidden
	}
	w.e -= 1075

	// The numbers half-way to both neighbours; the lower one is nearer below a power of two.
	upper := fp{w.f<<1 + 1, w.e - 1}.normalized()
	lower := fp{w.f<<1 - 1, w.e - 1}
	if w.f == hidden {
		lower = fp{w.f<<2 - 1, w.e - 2}
	}
	lower = fp{lower.f << (lower.e - upper.e), upper.e}

	ten, k := cachedPower(upper.e)
	w, upper, lower = w.normalized().times(ten), upper.times(ten), lower.times(ten)
	upper.f-- // what multiplication may have rounded
	lower.f++
	digits, k = generate(dst, w, upper, upper.f-lower.f, k)
	return digits, len(digits) + k
}

// cachedPower returns a power of ten that brings an exponent near -61, and
// the decimal exponent to make up for it.
func cachedPower(e int) (fp, int) {
	const log2 = 0.30102999566398114 // of 2, to base 10
	k := int(math.Ceil(float64(-61-e)*log2 + 347))
	i := k>>3 + 1
	return fp(powers[i]), 348 - i<<3
}

// generate writes digits of upper until they lie within delta of it, then
// steps the last digit towards w.
func generate(dst []byte, w, upper fp, delta uint64, k int) ([]byte, int) {
	shift := -upper.e
	one := uint64(1) << shift
	gap := upper.f - w.f
	whole, part := upper.f>>shift, upper.f&(one-1)
	kappa := 1
	unit := uint64(1)
	for whole/unit >= 10 {
		unit *= 10
		kappa++
	}
	for ; kappa > 0; unit /= 10 {
		d := whole / unit
		whole %= unit
		if d != 0 || len(dst) > 0 {
			dst = append(dst, byte('0'+d))
		}
		kappa--
		if rest := whole<<shift + part; rest <= delta {
			approach(dst, delta, rest, unit<<shift, gap)
			return dst, k + kappa
		}
	}
	for scale := uint64(1); ; {
		part *= 10
		delta *= 10
		scale *= 10 // wraps to what the gap is multiplied by only below 10^20
		d := part >> shift
		if d != 0 || len(dst) > 0 {
			dst = append(dst, byte('0'+d))
		}
		part &= one - 1
		kappa--
		if part < delta {
			if kappa <= -20 {
				scale = 0
			}
			approach(dst, delta, part, one, gap*scale)
			return dst, k + kappa
		}
	}
}

// approach lowers the last digit while that brings the text nearer to the number.
func approach(dst []byte, delta, rest, unit, gap uint64) {
	for rest < gap && delta-rest >= unit && (rest+unit < gap || gap-rest > rest+unit-gap) {
		dst[len(dst)-1]--
		rest += unit
	}
}
