package x509

import (
	"time"

	"github.com/picket-nsm/picket/traffic/format/asn1"
)

func isTime(v *asn1.Value) bool {
	return v.Is(asn1.TagUTCTime) || v.Is(asn1.TagGeneralizedTime)
}

// time reads a time as Zeek does: it looks at lengths and at the end, not at the
// digits. What it cannot read is 0.
func (c *Certificate) time(v *asn1.Value) float64 {
	t, weird := ParseTime(v)
	if weird != "" {
		c.weird(weird, "")
	}
	return t
}

// ParseTime reads a UTCTime or GeneralizedTime in seconds since the epoch, 0 and
// the name of a weird if it cannot.
func ParseTime(v *asn1.Value) (seconds float64, weird string) {
	s := v.Content
	var d [14]byte // YYYYMMDDhhmmss
	switch {
	case v.Is(asn1.TagUTCTime):
		if len(s) < 11 || len(s) > 17 {
			return 0, "x509_utc_length"
		}
		if s[len(s)-1] != 'Z' {
			return 0, "x509_utc_format"
		}
		d[0], d[1] = '1', '9'
		if s[0] < '5' {
			d[0], d[1] = '2', '0'
		}
		copy(d[2:], s[:10])
		s = s[10:]
	case v.Is(asn1.TagGeneralizedTime):
		if len(s) < 12 || len(s) > 23 {
			return 0, "x509_gen_time_length"
		}
		copy(d[:], s[:12])
		s = s[12:]
	default:
		return 0, "x509_invalid_time_type"
	}
	switch {
	case len(s) == 0 || s[0] == 'Z' || s[0] == '-' || s[0] == '+':
		d[12], d[13] = '0', '0'
	case len(s) >= 2:
		d[12], d[13] = s[0], s[1]
		if s = s[2:]; len(s) > 0 && s[0] == '.' {
			for s = s[1:]; len(s) > 0 && s[0] >= '0' && s[0] <= '9'; {
				s = s[1:]
			}
		}
	default:
		return 0, "x509_time_add_char"
	}
	off := 0
	if len(s) > 0 && s[0] != 'Z' {
		switch {
		case len(s) < 5:
			return 0, "x509_time_offset_underflow"
		case s[0] != '+' && s[0] != '-':
			return 0, "x509_time_offset_type"
		}
		// This is no sum of hours and minutes, but it is what Zeek adds.
		off = num(s[1])*10 + num(s[2])*60 + num(s[3])*10 + num(s[4])
		if s[0] == '-' {
			off = -off
		}
	}
	two := func(i int) int { return num(d[i])*10 + num(d[i+1]) }
	year := two(0)*100 + two(2)
	if year <= 1900 {
		year += 1900
	}
	t := time.Date(year, time.Month(two(4)), two(6), two(8), two(10), two(12), 0, time.UTC).Unix()
	if t == 0 {
		return 0, ""
	}
	return float64(t + int64(off)), ""
}

// num is a digit's value, or what stands in its place.
func num(c byte) int { return int(int8(c)) - '0' }
