package packettest

import (
	"encoding/binary"
	"slices"
)

// Flags of GRE.
const (
	GREChecksum = 0x8000
	GREKey      = 0x2000
	GRESequence = 0x1000
	GREAck      = 0x0080
	GREPPTP     = 0x0001 // version 1
)

// GRE puts a GRE header in front, with all the fields that its flags ask for.
func GRE(flags, typ uint16, payload []byte) []byte {
	b := be(nil, flags, typ)
	for i, f := range []uint16{GREChecksum, GREKey, GRESequence, GREAck} {
		if flags&f != 0 {
			b = append(b, 0, 0, 0, byte(i+1))
		}
	}
	return append(b, payload...)
}

// PPP puts a PPP header with address and control in front.
func PPP(proto uint16, payload []byte) []byte {
	return append(be([]byte{0xff, 3}, proto), payload...)
}

// VXLAN puts a VXLAN header in front.
func VXLAN(vni uint32, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{8, 0, 0, 0}, vni<<8), payload...)
}

// Geneve puts a Geneve header in front; options are a multiple of 4 bytes.
func Geneve(vni uint32, typ uint16, options, payload []byte) []byte {
	b := be([]byte{byte(len(options) / 4), 0}, typ)
	b = binary.BigEndian.AppendUint32(b, vni<<8)
	return slices.Concat(b, options, payload)
}

// AYIYA puts an AYIYA header in front: an identity of 16 bytes, a SHA-1
// signature, the operation and what follows.
func AYIYA(op, next byte, payload []byte) []byte {
	return append(append([]byte{0x41, 0x52, 0x10 | op, next}, make([]byte, 4+16+20)...), payload...)
}

// TeredoAuth puts a Teredo authentication header in front.
func TeredoAuth(id, auth string, payload []byte) []byte {
	b := []byte{0, 1, byte(len(id)), byte(len(auth))}
	return slices.Concat(b, []byte(id), []byte(auth), make([]byte, 9), payload)
}

// TeredoOrigin puts a Teredo origin indication in front.
func TeredoOrigin(payload []byte) []byte {
	return append([]byte{0, 0, 0xf0, 0xf0, 1, 2, 3, 4}, payload...)
}

// GTP puts a GTPv1 header in front. ext holds extension headers; the last byte
// of each is the type of the next.
func GTP(typ byte, ext, payload []byte) []byte {
	b := []byte{0x30, typ, 0, 0, 0, 0, 0, 1}
	if ext != nil {
		b[0] |= 4
		b = append(append(b, 0, 0, 0, 0x85), ext...)
	}
	b = append(b, payload...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-8))
	return b
}
