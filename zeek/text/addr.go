package text

import (
	"net/netip"
	"strconv"
)

// AppendAddr appends an address as Zeek shows it: like RFC 5952, but the last
// 32 bits are dotted after ::ffff:, ::ffff:0: and, if they are 0.1.0.0 or more, after ::.
func AppendAddr(dst []byte, a netip.Addr) []byte {
	if a.Is4() {
		b := a.As4()
		return appendDotted(dst, b[:])
	}
	b := a.As16()
	var w [8]uint16
	for i := range w {
		w[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	// The longest run of zeros, at least two; the first of equals.
	base, length := -1, 1
	for i := 0; i < 8; i++ {
		n := 0
		for i+n < 8 && w[i+n] == 0 {
			n++
		}
		if n > length {
			base, length = i, n
		}
		i += n
	}
	dotted := base == 0 && (length == 6 ||
		length == 5 && w[5] == 0xffff ||
		length == 4 && w[4] == 0xffff && w[5] == 0)
	for i := 0; i < 8; i++ {
		if i == base {
			dst = append(dst, ':')
			i += length - 1
			if i == 7 {
				dst = append(dst, ':')
			}
			continue
		}
		if i != 0 {
			dst = append(dst, ':')
		}
		if i == 6 && dotted {
			return appendDotted(dst, b[12:])
		}
		dst = strconv.AppendUint(dst, uint64(w[i]), 16)
	}
	return dst
}

func appendDotted(dst, b []byte) []byte {
	for i, c := range b {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = AppendUint(dst, uint64(c))
	}
	return dst
}

// AppendSubnet appends address/bits; bits counts in terms of the address's family.
func AppendSubnet(dst []byte, a netip.Addr, bits int) []byte {
	dst = append(AppendAddr(dst, a), '/')
	return strconv.AppendInt(dst, int64(bits), 10)
}
