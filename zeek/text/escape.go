package text

import "unicode/utf8"

const hexDigits = "0123456789abcdef"

// AppendHex appends \xHH.
func AppendHex(dst []byte, c byte) []byte {
	return append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
}

// HexDigit returns the value of a hexadecimal digit, or -1.
func HexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// Printable reports whether c is printable ASCII.
func Printable(c byte) bool { return c >= 32 && c < 127 }

// GoodRune returns the length of the multi-byte character that s begins with,
// or 0 if there is none that Zeek lets pass: valid UTF-8, no control, not from
// the private use area E000-F8FF nor from FFF0-FFFF.
func GoodRune(s []byte) int {
	r, n := utf8.DecodeRune(s)
	if n < 2 || r < 0xa0 || r >= 0xe000 && r <= 0xf8ff || r >= 0xfff0 && r <= 0xffff {
		return 0
	}
	return n
}

// AppendUTF8 appends s with its bad bytes as \xHH: bytes of no good
// character (GoodRune) and control characters. If there is one bad byte, the
// bytes of all good multi-byte characters are escaped too, as Zeek does. With
// keepBreaks the five controls \b \f \n \r \t are not bad.
func AppendUTF8(dst, s []byte, keepBreaks bool) []byte {
	bad := false
	for i := 0; i < len(s) && !bad; {
		switch c := s[i]; {
		case Printable(c), keepBreaks && ShortEscape(c) != 0:
			i++
		default:
			n := GoodRune(s[i:])
			i += n
			bad = n == 0
		}
	}
	if !bad {
		return append(dst, s...)
	}
	for _, c := range s {
		if Printable(c) || keepBreaks && ShortEscape(c) != 0 {
			dst = append(dst, c)
		} else {
			dst = AppendHex(dst, c)
		}
	}
	return dst
}

// ShortEscape returns the letter behind the backslash that C and JSON have for
// the five controls \b \f \n \r \t, 0 for all else.
func ShortEscape(c byte) byte {
	switch c {
	case '\b':
		return 'b'
	case '\f':
		return 'f'
	case '\n':
		return 'n'
	case '\r':
		return 'r'
	case '\t':
		return 't'
	}
	return 0
}
