// Package packettest builds packets for tests, layer by layer from the inside
// out: Ether(0x0800, IPv4(IP{...}, UDP(1, 53, data))). Lengths and checksums
// are right unless a test breaks them afterwards.
//
// It stands beside the data path and is only for tests. It owns nothing: each
// call returns new bytes.
package packettest

import (
	"encoding/binary"
	"net/netip"
)

// be appends big-endian numbers of 16 bits.
func be(b []byte, v ...uint16) []byte {
	for _, x := range v {
		b = binary.BigEndian.AppendUint16(b, x)
	}
	return b
}

// Ether puts an Ethernet header in front.
func Ether(typ uint16, payload []byte) []byte {
	b := []byte{2, 0, 0, 0, 0, 0xd, 2, 0, 0, 0, 0, 0x5}
	return append(be(b, typ), payload...)
}

// VLAN puts a tag in front: id, then the type of what follows.
func VLAN(id, typ uint16, payload []byte) []byte {
	return append(be(nil, id, typ), payload...)
}

// MPLS puts a label in front.
func MPLS(label uint32, bottom bool, payload []byte) []byte {
	v := label<<12 | 64
	if bottom {
		v |= 0x100
	}
	return append(binary.BigEndian.AppendUint32(nil, v), payload...)
}

// PPPoE puts a session header and a PPP protocol number in front.
func PPPoE(proto uint16, payload []byte) []byte {
	return append(be(nil, 0x1100, 1, uint16(len(payload)+2), proto), payload...)
}

// SNAP puts an 802.2 SNAP header in front.
func SNAP(typ uint16, payload []byte) []byte {
	return append(be([]byte{0xaa, 0xaa, 3, 0, 0, 0}, typ), payload...)
}

// IP is what an IP header says. The zero value of TTL is 64.
type IP struct {
	Src, Dst string
	Proto    uint8
	TTL      uint8
	ID       uint16
	Frag     uint16 // IPv4 flags and offset field
	Options  []byte // IPv4, a multiple of 4 bytes
}

// IPv4 puts an IPv4 header in front.
func IPv4(h IP, payload []byte) []byte {
	if h.TTL == 0 {
		h.TTL = 64
	}
	b := []byte{0x40 | byte(5+len(h.Options)/4), 0}
	b = be(b, uint16(20+len(h.Options)+len(payload)), h.ID, h.Frag)
	b = append(b, h.TTL, h.Proto, 0, 0)
	b = append(b, addr(h.Src)...)
	b = append(b, addr(h.Dst)...)
	b = append(b, h.Options...)
	binary.BigEndian.PutUint16(b[10:], Checksum(b))
	return append(b, payload...)
}

// IPv6 puts an IPv6 header in front.
func IPv6(h IP, payload []byte) []byte {
	if h.TTL == 0 {
		h.TTL = 64
	}
	b := be([]byte{0x60, 0, 0, 0}, uint16(len(payload)))
	b = append(b, h.Proto, h.TTL)
	b = append(b, addr(h.Src)...)
	b = append(b, addr(h.Dst)...)
	return append(b, payload...)
}

// Ext puts an IPv6 extension header with a length byte in front; body is padded
// to a multiple of 8 with the two bytes before it.
func Ext(next uint8, body, payload []byte) []byte {
	b := append([]byte{next, 0}, body...)
	for len(b)%8 != 0 {
		b = append(b, 0)
	}
	b[1] = byte(len(b)/8 - 1)
	return append(b, payload...)
}

// Frag6 puts an IPv6 fragment header in front. off is in bytes.
func Frag6(next uint8, id uint32, off int, more bool, payload []byte) []byte {
	v := uint16(off) &^ 7
	if more {
		v |= 1
	}
	b := be([]byte{next, 0}, v)
	return append(binary.BigEndian.AppendUint32(b, id), payload...)
}

// UDP puts a UDP header without checksum in front.
func UDP(src, dst uint16, payload []byte) []byte {
	return append(be(nil, src, dst, uint16(8+len(payload)), 0), payload...)
}

// TCP is what a TCP header says.
type TCP struct {
	Src, Dst uint16
	Seq, Ack uint32
	Flags    uint8
	Window   uint16
	Options  []byte // a multiple of 4 bytes
}

// Segment puts a TCP header without checksum in front.
func Segment(h TCP, payload []byte) []byte {
	b := be(nil, h.Src, h.Dst)
	b = binary.BigEndian.AppendUint32(b, h.Seq)
	b = binary.BigEndian.AppendUint32(b, h.Ack)
	b = append(b, byte(5+len(h.Options)/4)<<4, h.Flags)
	b = be(b, h.Window, 0, 0)
	b = append(b, h.Options...)
	return append(b, payload...)
}

// ICMP puts an ICMP header of 8 bytes in front.
func ICMP(typ, code uint8, payload []byte) []byte {
	b := append([]byte{typ, code, 0, 0, 0, 1, 0, 2}, payload...)
	binary.BigEndian.PutUint16(b[2:], Checksum(b))
	return b
}

// Sum writes the transport checksum into the payload of an IP packet that ends
// with its payload: off is where the checksum is within the payload of n bytes.
func Sum(ip []byte, proto uint8, n, off int) []byte {
	seg := ip[len(ip)-n:]
	var ph []byte
	if ip[0]>>4 == 4 {
		ph = append(ph, ip[12:20]...)
	} else {
		ph = append(ph, ip[8:40]...)
	}
	ph = be(ph, uint16(proto), uint16(n))
	binary.BigEndian.PutUint16(seg[off:], 0)
	binary.BigEndian.PutUint16(seg[off:], Checksum(append(ph, seg...)))
	return ip
}

// Checksum is the internet checksum (RFC 1071).
func Checksum(b []byte) uint16 {
	var s uint32
	for i, x := range b {
		if i%2 == 0 {
			s += uint32(x) << 8
		} else {
			s += uint32(x)
		}
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

func addr(s string) []byte {
	if s == "" {
		s = "0.0.0.0"
	}
	return netip.MustParseAddr(s).AsSlice()
}
