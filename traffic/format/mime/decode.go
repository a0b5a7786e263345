package mime

import (
	"strconv"

	"github.com/picket-nsm/picket/zeek/text"
)

// Base64Decoder decodes base64 that comes in pieces. The zero value is ready.
// Characters outside the alphabet are passed over; what is wrong is told once.
type Base64Decoder struct {
	group   [4]byte
	n       int // characters in group
	padding int
	over    bool // padding was seen: what follows is ignored
	errors  int
}

// Decode appends what src says to dst. problem is not empty if this is the first
// mistake.
func (d *Base64Decoder) Decode(dst, src []byte) (out []byte, problem string) {
	for i := 0; ; i++ {
		if d.n == 0 && !d.over {
			var n int
			dst, n = plainGroups(dst, src[i:])
			i += n
		}
		if d.n == 4 {
			d.n = 0
			if d.over {
				if d.errors++; d.errors == 1 {
					problem = "extra base64 groups after '=' padding are ignored"
				}
			} else {
				bits := uint32(d.group[0])<<18 | uint32(d.group[1])<<12 | uint32(d.group[2])<<6 | uint32(d.group[3])
				for k := range 3 - d.padding {
					dst = append(dst, byte(bits>>(16-8*k)))
				}
				d.over = d.padding > 0
				d.padding = 0
			}
		}
		if i >= len(src) {
			return dst, problem
		}
		c := src[i]
		if c == '=' {
			d.padding = min(d.padding+1, 4)
		}
		v := base64Value(c)
		if v < 0 {
			if d.errors++; d.errors == 1 {
				problem = "character " + strconv.Itoa(int(c)) + " ignored by Base64 decoding"
			}
			continue
		}
		d.group[d.n] = byte(v)
		d.n++
	}
}

// Failed reports whether there was a mistake.
func (d *Base64Decoder) Failed() bool { return d.errors > 0 }

// End appends what an unfinished group says. problem is not empty if there is
// one.
func (d *Base64Decoder) End(dst []byte) (out []byte, problem string) {
	if d.n == 0 {
		return dst, ""
	}
	problem = "incomplete base64 group, padding with " + strconv.Itoa((4-d.n)*6) + " bits of 0"
	dst, _ = d.Decode(dst, []byte("===")[:4-d.n])
	return dst, problem
}

// plainGroups appends what whole groups of the alphabet say, as far as there are
// any, and returns how much of src that is.
func plainGroups(dst, src []byte) (out []byte, n int) {
	for ; len(src)-n >= 4; n += 4 {
		g := src[n : n+4 : n+4]
		a, b, c, d := sextets[g[0]], sextets[g[1]], sextets[g[2]], sextets[g[3]]
		if (a|b|c|d)&outside != 0 {
			break
		}
		bits := uint32(a)<<18 | uint32(b)<<12 | uint32(c)<<6 | uint32(d)
		dst = append(dst, byte(bits>>16), byte(bits>>8), byte(bits))
	}
	return dst, n
}

// outside marks characters that are not of the alphabet; = is one of them.
const outside = 0x80

// sextets says what characters stand for.
const sextets = "" +
	"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80" +
	"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80" +
	"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x3e\x80\x80\x80\x3f" +
	"\x34\x35\x36\x37\x38\x39\x3a\x3b\x3c\x3d\x80\x80\x80\x80\x80\x80" +
	"\x80\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e" +
	"\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x80\x80\x80\x80\x80" +
	"\x80\x1a\x1b\x1c\x1d\x1e\x1f\x20\x21\x22\x23\x24\x25\x26\x27\x28" +
	"\x29\x2a\x2b\x2c\x2d\x2e\x2f\x30\x31\x32\x33\x80\x80\x80\x80\x80" +
	"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80" +
	"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80" +
	"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80" +
	"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80" +
	"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80" +
	"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80" +
	"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80" +
	"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"

func base64Value(c byte) int {
	switch v := sextets[c]; {
	case c == '=':
		return 0
	case v&outside != 0:
		return -1
	default:
		return int(v)
	}
}

// DecodeQuotedPrintable appends what a line says, with the CR LF that ends it
// unless the line goes on in the next one.
func DecodeQuotedPrintable(dst, line []byte) []byte {
	end := len(line)
	for end > 0 && IsBlank(line[end-1]) {
		end--
	}
	for i := 0; i < end; i++ {
		c := line[i]
		if c == '=' {
			if i == end-1 {
				return dst // a soft line break
			}
			if i+2 < len(line) {
				hi, lo := text.HexDigit(line[i+1]), text.HexDigit(line[i+2])
				if hi >= 0 && lo >= 0 {
					dst = append(dst, byte(hi<<4|lo))
					i += 2
					continue
				}
			}
		}
		dst = append(dst, c)
	}
	return append(dst, '\r', '\n')
}
