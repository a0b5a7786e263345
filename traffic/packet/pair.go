package packet

import "encoding/binary"

// PairHash is a hash of an unordered address pair, the same on every machine
// and in every run.
func PairHash(a, b *Addr) uint64 {
	// Adding makes it symmetric; each address is mixed before, else pairs with
	// equal sums would meet.
	return mix(mixAddr(binary.LittleEndian.Uint64(a[:8]), binary.LittleEndian.Uint64(a[8:])) +
		mixAddr(binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])))
}

func mixAddr(hi, lo uint64) uint64 {
	return mix(mix(hi^0x9e3779b97f4a7c15) + lo)
}

// mix is the finisher of SplitMix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return x
}

// Share is the share of n (0 ... n-1) that owns the packet: by the address
// pair, so that both directions, fragments and ICMP errors between two hosts
// stay together. Packets without addresses are share 0's. n is at least 1.
func (p *Packet) Share(n int) int {
	if n <= 1 || p.IP == nil {
		return 0
	}
	return int(PairHash(&p.Src, &p.Dst) % uint64(n))
}

// ShareOf is Share of a frame that was not decoded, and cheaper than both. p is
// space to work in.
func ShareOf(p *Packet, link uint16, data []byte, wireLen, n int) int {
	if n <= 1 {
		return 0
	}
	if link == LinkEthernet && len(data) >= 34 && data[12] == 8 && data[13] == 0 && data[14] == 0x45 {
		if t := int(binary.BigEndian.Uint16(data[16:])); t >= 20 && wireLen >= t+14 {
			a := binary.LittleEndian.Uint32(data[26:])
			b := binary.LittleEndian.Uint32(data[30:])
			h := mix(mixAddr(0, 0xffff0000|uint64(a)<<32) + mixAddr(0, 0xffff0000|uint64(b)<<32))
			return int(h % uint64(n))
		}
	}
	Decode(p, link, data, wireLen)
	return p.Share(n)
}
