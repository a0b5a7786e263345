package packet

import "encoding/binary"

// ParseVXLAN reads a VXLAN header (RFC 7348). Ethernet follows.
func ParseVXLAN(b []byte) (c Cover) {
	switch {
	case len(b) < 8:
		c.Violation = "VXLAN header truncation"
	case b[0]&8 == 0:
		c.Violation = "VXLAN 'I' flag not set"
	default:
		c.cover(TunnelVXLAN, InsideEthernet, b[8:], "vxlan_empty_packet")
	}
	return c
}

// cover sets what follows a good header.
func (c *Cover) cover(t Tunnel, in Inside, data []byte, empty string) {
	c.Valid = true
	if len(data) == 0 {
		c.weird(t, empty)
		return
	}
	if in != InsideNothing {
		c.Inside, c.Data = in, data
	}
}

// ParseGeneve reads a Geneve header and passes over its options (RFC 8926).
func ParseGeneve(b []byte) (c Cover) {
	if len(b) < 8 {
		c.Violation = "Geneve header truncation"
		return c
	}
	if v := b[0] >> 6; v != 0 {
		c.weird(TunnelGeneve, "geneve_invalid_version")
		c.Weird.addl, c.Weird.a = addlNumber, uint32(v)
		return c
	}
	n := 8 + int(b[0]&0x3f)*4
	if len(b) < n {
		c.Violation = "Geneve option header truncation"
		return c
	}
	in := InsideNothing
	switch binary.BigEndian.Uint16(b[2:]) {
	case 0x6558:
		in = InsideEthernet
	case 0x0800, 0x86dd:
		in = InsideIP
	case 0x0806:
		in = InsideARP
	}
	c.cover(TunnelGeneve, in, b[n:], "geneve_empty_packet")
	return c
}

// ParseAYIYA reads an AYIYA header (draft-massar-v6ops-ayiya). Only packets with
// the operation "forward" carry something.
func ParseAYIYA(b []byte) (c Cover) {
	if len(b) < 8 {
		c.Violation = "Truncated AYIYA"
		return c
	}
	n := 8 + 1<<(b[0]>>4) + int(b[1]>>4)*4 // identity and signature
	if len(b) < n {
		c.Violation = "Truncated AYIYA"
		return c
	}
	if b[2]&15 != 1 {
		return c
	}
	in := InsideNothing
	if b[3] == IPIP || b[3] == IP6IP {
		in = InsideIP
	}
	c.cover(TunnelAYIYA, in, b[n:], "ayiya_empty_packet")
	return c
}

// DetectTunnel tells from the payload of a UDP packet to any port whether it
// may be AYIYA or Teredo.
func DetectTunnel(b []byte) Tunnel {
	if len(b) < 3 {
		return TunnelNone
	}
	if b[1] == 0x52 && b[2] == 0x11 {
		return TunnelAYIYA
	}
	// Teredo begins with IPv6, or with one of its own two headers.
	if len(b) >= 40 && (b[0]>>4 == 6 || b[0] == 0 && b[1] <= 1) && looksTeredo(b) {
		return TunnelTeredo
	}
	return TunnelNone
}

// looksTeredo tells an IPv6 header with a Teredo address at either end, or an
// origin indication in front of IPv6. b has 40 bytes. Like Zeek it does not look
// at the first byte of what it takes for an origin indication.
func looksTeredo(b []byte) bool {
	const prefix = 0x20010000 // 2001::/32
	if b[0]>>4 == 6 && (binary.BigEndian.Uint32(b[8:]) == prefix || binary.BigEndian.Uint32(b[24:]) == prefix) {
		return true
	}
	switch b[1] {
	case 1: // authentication
		n := 4 + int(b[2]) + int(b[3]) + 9
		if len(b) < n+40 || binary.BigEndian.Uint16(b[n:]) != 0 {
			return false
		}
		b = b[n:]
	case 0:
	default:
		return false
	}
	return len(b) >= 8+40 && b[8]>>4 == 6
}
