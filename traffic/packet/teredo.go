package packet

import "encoding/binary"

// ParseTeredo reads what stands in front of the IPv6 packet (RFC 4380): an
// authentication header, an origin indication, both in this order, or nothing.
// A weird is about the connection. Beside a violation it is only worth telling
// on connections that are known to be Teredo.
func ParseTeredo(b []byte) (c Cover) {
	data, weird, ok := teredoHeaders(b)
	if !ok {
		c.Violation = "Bad Teredo encapsulation"
		if weird != "" {
			c.Weird = Weird{Name: weird, Source: TunnelTeredo.Analyzer()}
		}
		return c
	}
	switch fit, next, payload := FitIP(data, true); fit {
	case FitLong:
		// A bubble, IPv6 with nothing in it, only keeps a way through a NAT open.
		if next != NoNext || payload != 0 {
			c.Violation = "Teredo payload length"
			return c
		}
		c.Weird = Weird{Name: "Teredo_bubble_with_payload", Source: TunnelTeredo.Analyzer()}
	case FitShort, FitVersion:
		c.Violation = "Truncated Teredo or invalid inner IP version"
		return c
	}
	c.Valid, c.Inside, c.Data = true, InsideIP, data
	return c
}

// teredoHeaders passes over Teredo's own headers.
func teredoHeaders(b []byte) (data []byte, weird string, ok bool) {
	origin, auth := false, false
	for {
		if len(b) < 2 {
			return nil, "truncated_Teredo", false
		}
		switch tag := binary.BigEndian.Uint16(b); {
		case tag == 0:
			if origin {
				return nil, "", false
			}
			if len(b) < 8 {
				return nil, "truncated_Teredo_origin_indication", false
			}
			origin = true
			b = b[8:]
		case tag == 1:
			if origin || auth {
				return nil, "", false
			}
			if len(b) < 4 {
				return nil, "truncated_Teredo_authentication", false
			}
			n := 4 + int(b[2]) + int(b[3]) + 9 // identifier, authentication, nonce and confirmation
			if len(b) < n {
				return nil, "truncated_Teredo_authentication", false
			}
			auth = true
			b = b[n:]
		case tag>>12 == 6:
			if len(b) < 40 {
				return nil, "truncated_IPv6_in_Teredo", false
			}
			return b, "", true
		default:
			return nil, "", false
		}
	}
}
