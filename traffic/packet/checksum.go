package packet

import (
	"encoding/binary"
	"math/bits"
)

// sum adds b as 16-bit words of the internet checksum (RFC 1071) onto s and
// leaves it unfolded. It takes eight bytes at a time: the one's complement sum
// does not care.
func sum(s uint64, b []byte) uint64 {
	var c uint64
	for len(b) >= 32 {
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b), 0)
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b[8:]), c)
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b[16:]), c)
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b[24:]), c)
		s, c = bits.Add64(s, 0, c)
		s += c
		b = b[32:]
	}
	for len(b) >= 8 {
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b), 0)
		s += c
		b = b[8:]
	}
	if len(b) > 0 {
		var t [8]byte
		copy(t[:], b)
		s, c = bits.Add64(s, binary.BigEndian.Uint64(t[:]), 0)
		s += c
	}
	return s
}

// fold brings a sum down to 16 bits.
func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s)
}

// IPChecksumOK reports whether the IPv4 header checksum holds. IPv6 has none.
func (p *Packet) IPChecksumOK() bool {
	if p.IPv6 || p.HdrLen > len(p.IP) {
		return true
	}
	return fold(sum(0, p.IP[:p.HdrLen])) == 0xffff
}

// TransportChecksumOK reports whether the checksum over the payload holds: TCP,
// UDP and ICMPv6 with the pseudo header of their IP version, ICMP without.
// n bytes of Payload are covered (Zeek takes the payload length of the IP
// header; UDP its own). It reports true if fewer were captured, and for
// protocols without a checksum. That UDP over IPv4 may carry none (0) is the
// caller's to know.
func (p *Packet) TransportChecksumOK(n int) bool {
	if n < 0 || n > len(p.Payload) {
		return true
	}
	var s uint64
	switch {
	case p.Proto == ICMP:
	case p.Proto == TCP, p.Proto == UDP, p.Proto == ICMPv6:
		s = p.pseudo(p.Proto, n)
	default:
		return true
	}
	return fold(sum(s, p.Payload[:n])) == 0xffff
}

// pseudo is the sum of the pseudo header; its layout differs between IP
// versions but its sum does not. An address as ::ffff:a.b.c.d adds 0xffff,
// which is zero in one's complement, so both kinds are summed alike.
func (p *Packet) pseudo(proto uint8, n int) uint64 {
	s := sum(0, p.Src[:])
	s = sum(s, p.Dst[:])
	var c uint64
	s, c = bits.Add64(s, uint64(n)+uint64(proto), 0)
	return s + c
}

// MobilityChecksumOK reports whether the checksum of the mobility header (RFC
// 6275) holds. It is only meant for packets with IsMobility.
func (p *Packet) MobilityChecksumOK() bool {
	if !p.IsMobility {
		return true
	}
	h, ok := p.mobility()
	if !ok {
		return false
	}
	return fold(sum(p.pseudo(Mobility, len(h)), h)) == 0xffff
}

// mobility finds the mobility header: the last one.
func (p *Packet) mobility() ([]byte, bool) {
	x := chain{next: p.IP[6], len: 40}
	for range 64 * 1024 / 8 {
		h := p.IP[x.len:p.HdrLen]
		if len(h) < 8 {
			return nil, false
		}
		n := 8 + 8*int(h[1])
		switch x.next {
		case Mobility:
			return h[:min(n, len(h))], true
		case AH:
			n = 8 + 4*int(h[1])
		case Fragment, ESP:
			n = 8
		}
		if n > len(h) {
			return nil, false
		}
		x.next = h[0]
		x.len += n
	}
	return nil, false
}
