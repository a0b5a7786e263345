package flow

import (
	"encoding/binary"
	"math/bits"

	"github.com/picket-nsm/picket/traffic/packet"
)

// key names a flow: its two ends in sorted order ("lo" and "hi"), and the IP
// protocol. Addresses are kept as big-endian numbers, so that comparing numbers
// compares bytes.
type key struct {
	lo0, lo1, hi0, hi1 uint64
	x                  uint64 // lo port, hi port, protocol
}

// makeKey builds the key of a packet and says whether its source is the hi end.
// One-way ICMP messages keep the sender as lo end, so that they never pair.
func makeKey(src, dst *packet.Addr, sp, dp uint16, proto uint8, oneWay bool) (k key, srcHi bool) {
	s0, s1 := binary.BigEndian.Uint64(src[:8]), binary.BigEndian.Uint64(src[8:])
	d0, d1 := binary.BigEndian.Uint64(dst[:8]), binary.BigEndian.Uint64(dst[8:])
	lt := s0 < d0 || s0 == d0 && s1 < d1
	if s0 == d0 && s1 == d1 {
		// Zeek compares ports in network order as the host reads them: it
		// decides the order of rows at the end, so we do as it does.
		lt = bits.ReverseBytes16(sp) < bits.ReverseBytes16(dp)
	}
	if oneWay || lt {
		return key{s0, s1, d0, d1, uint64(sp)<<32 | uint64(dp)<<16 | uint64(proto)}, false
	}
	return key{d0, d1, s0, s1, uint64(dp)<<32 | uint64(sp)<<16 | uint64(proto)}, true
}

func (k *key) proto() uint8 { return uint8(k.x) }

// end returns address and port of the lo end (0) or the hi end (1).
func (k *key) end(e uint8) (a packet.Addr, port uint16) {
	if e == 0 {
		binary.BigEndian.PutUint64(a[:8], k.lo0)
		binary.BigEndian.PutUint64(a[8:], k.lo1)
		return a, uint16(k.x >> 32)
	}
	binary.BigEndian.PutUint64(a[:8], k.hi0)
	binary.BigEndian.PutUint64(a[8:], k.hi1)
	return a, uint16(k.x >> 16)
}

func (k *key) port(e uint8) uint16 { return uint16(k.x >> (32 - 16*uint(e))) }

// sameEnds tells a flow from an end to itself (land attack).
func (k *key) sameEnds() bool {
	return k.lo0 == k.hi0 && k.lo1 == k.hi1 && uint16(k.x>>32) == uint16(k.x>>16)
}

// less is the order in which connections are removed at the end of input.
func (k *key) less(o *key) int {
	switch {
	case k.lo0 != o.lo0:
		return order(k.lo0, o.lo0)
	case k.lo1 != o.lo1:
		return order(k.lo1, o.lo1)
	case k.hi0 != o.hi0:
		return order(k.hi0, o.hi0)
	case k.hi1 != o.hi1:
		return order(k.hi1, o.hi1)
	}
	return order(k.x, o.x)
}

func order(a, b uint64) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// hash mixes the key with a secret, so that nobody can choose flows that meet
// in one place of the table.
func (k *key) hash(s *[4]uint64) uint32 {
	h1, l1 := bits.Mul64(k.lo0^s[0], k.lo1^s[1])
	h2, l2 := bits.Mul64(k.hi0^s[2], k.hi1^s[3])
	h3, l3 := bits.Mul64(h1^l1^k.x^s[3], h2^l2^s[0])
	h := h3 ^ l3
	return uint32(h ^ h>>32)
}
