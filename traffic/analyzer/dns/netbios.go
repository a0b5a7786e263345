package dns

// NetBIOSName decodes the first-level encoding of a NetBIOS name (RFC 1001
// section 14.1): 32 letters A to P for 16 bytes. The last byte, which is the
// name's type, and blanks and zeros at the end are left out. It returns the
// number of bytes put into buf, 0 if it is no such name or holds nothing to print.
func NetBIOSName(buf *[16]byte, name []byte) int {
	if len(name) != 2*len(buf) {
		return 0
	}
	n := 0
	for i := range buf {
		hi, lo := nibble(name[2*i]), nibble(name[2*i+1])
		if hi > 15 || lo > 15 {
			return 0
		}
		c := hi<<4 | lo
		buf[i] = c
		if c >= 3 && (c < ' ' || c > '~') {
			break
		}
		n++
	}
	n = min(n, len(buf)-1)
	for n > 0 && (buf[n-1] == ' ' || buf[n-1] == 0) {
		n--
	}
	return n
}

// nibble returns 0 to 15 for a letter A to P of either case, else more.
func nibble(c byte) byte {
	if 'a' <= c && c <= 'z' {
		c -= 32
	}
	return c - 'A'
}
