package packet

// gtpPacket is the message that carries a user's packet (G-PDU).
const gtpPacket = 255

// ParseGTP reads the header of a GTPv1 message (3GPP TS 29.060 and 29.281) and
// passes over its extension headers. Only a G-PDU has an inside; the others are
// not read any further. inGTP says that the innermost tunnel around it is GTP:
// GTP is never in GTP, so there it is something else.
func ParseGTP(b []byte, inGTP bool) (c Cover) {
	n, bad := gtpHeader(b)
	switch {
	case bad != "":
		c.Violation = bad
	case inGTP:
		c.Violation = "GTP-in-GTP"
	case b[0]>>5 != 1:
		c.Violation = "GTPv1 bad Version"
	case b[0]&0x10 == 0: // GTP'
	case b[1] == gtpPacket:
		c.user(b[n:])
	}
	return c
}

// user checks the user's packet.
func (c *Cover) user(b []byte) {
	if len(b) < 20 {
		c.Violation = "Truncated GTPv1"
		return
	}
	v := b[0] >> 4
	if v != 4 && v != 6 {
		c.Violation = "non-IP packet in GTPv1"
		return
	}
	switch fit, _, _ := FitIP(b, v == 6); fit {
	case FitShort:
		c.Violation = "Truncated GTPv1"
	case FitLong:
		c.Violation = "GTPv1 payload length"
	default:
		c.Valid, c.Inside, c.Data = true, InsideIP, b
	}
}

// gtpHeader returns the length of all headers, or what is wrong with them. The
// extension headers are there if their flag is set, whatever the type of the
// first, as Zeek reads them.
func gtpHeader(b []byte) (n int, bad string) {
	const short = "Binpac exception: binpac exception: out_of_bound: GTPv1_Header"
	n = 8
	if len(b) < n {
		return 0, short
	}
	flags := b[0]
	if flags&7 == 0 {
		return n, ""
	}
	n += 4 // sequence number, N-PDU number, type of the first extension header
	if len(b) < n {
		return 0, short
	}
	if flags&4 == 0 {
		return n, ""
	}
	for {
		if len(b) <= n {
			return 0, short
		}
		size := int(b[n]) * 4
		if size == 0 || len(b) < n+size {
			return 0, short
		}
		n += size
		if b[n-1] == 0 {
			return n, ""
		}
	}
}
