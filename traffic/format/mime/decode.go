package mime

import "strconv"

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

func base64Value(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	case c == '=':
		return 0
	}
	return -1
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
				hi, lo := Hex(line[i+1]), Hex(line[i+2])
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

// Hex returns the value of a hexadecimal digit, or -1.
func Hex(c byte) int {
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
