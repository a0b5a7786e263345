package packet

import "encoding/binary"

// PairHash is a hash of an unordered address pair, the same on every machine
// and in every run.
func PairHash(a, b *Addr) uint64 {
	// Adding makes it symmetric; each address is mixed before, else pairs with
	// equal sums would meet.
	return mix(mixAddr(a) + mixAddr(b))
}

func mixAddr(a *Addr) uint64 {
	return mix(mix(binary.LittleEndian.Uint64(a[:8])^0x9e3779b97f4a7c15) + binary.LittleEndian.Uint64(a[8:]))
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
