package afpacket

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// netOff is where the network header begins for a load in a socket's program
// (SKF_NET_OFF); a fanout program sees no link layer.
const netOff = 0xfff00000

// byHosts is the fanout program of ByHosts. The kernel takes its result modulo
// the number of sockets. It folds the addresses by exclusive or, which is alike
// for both directions, and mixes the bits. A VLAN tag that is still in the
// packet is stepped over; what has no IP addresses goes to the first socket.
func byHosts() []bpf.RawInstruction {
	const (
		loadInd = unix.BPF_LD | unix.BPF_W | unix.BPF_IND
		halfAbs = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS
		equal   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		jump    = unix.BPF_JMP | unix.BPF_JA
		setX    = unix.BPF_LDX | unix.BPF_W | unix.BPF_IMM
		store   = unix.BPF_ST
		loadX   = unix.BPF_LDX | unix.BPF_W | unix.BPF_MEM
		xorX    = unix.BPF_ALU | unix.BPF_XOR | unix.BPF_X
		mul     = unix.BPF_ALU | unix.BPF_MUL | unix.BPF_K
		shift   = unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K
		retA    = unix.BPF_RET | unix.BPF_A
		retK    = unix.BPF_RET | unix.BPF_K

		protocol             = 0xfffff000 // SKF_AD_OFF + SKF_AD_PROTOCOL
		vlan, qinq, ip4, ip6 = 0x8100, 0x88a8, 0x0800, 0x86dd
	)
	p := []bpf.RawInstruction{
		{Op: setX, K: 0},
		{Op: halfAbs, K: protocol},
		{Op: equal, K: vlan, Jt: 1},
		{Op: equal, K: qinq, Jf: 2},
		{Op: setX, K: 4},
		{Op: halfAbs, K: netOff + 2}, // type behind the tag
		{Op: equal, K: ip4, Jt: 2},
		{Op: equal, K: ip6, Jt: 7},
		{Op: retK, K: 0},
		// IPv4: X is the offset of the header.
		{Op: loadInd, K: netOff + 12},
		{Op: store, K: 0},
		{Op: loadInd, K: netOff + 16},
		{Op: loadX, K: 0},
		{Op: xorX},
		{Op: jump, K: 0}, // to the mixing, set below
	}
	toMix := len(p) - 1
	p = append(p, bpf.RawInstruction{Op: unix.BPF_STX, K: 1}) // IPv6: keep the offset
	p = append(p, bpf.RawInstruction{Op: loadInd, K: netOff + 8}, bpf.RawInstruction{Op: store, K: 0})
	for off := uint32(12); off < 40; off += 4 {
		p = append(p,
			bpf.RawInstruction{Op: loadX, K: 1},
			bpf.RawInstruction{Op: loadInd, K: netOff + off},
			bpf.RawInstruction{Op: loadX, K: 0},
			bpf.RawInstruction{Op: xorX},
			bpf.RawInstruction{Op: store, K: 0})
	}
	p[toMix].K = uint32(len(p) - toMix - 1)
	// A finalizer of 32 bits, so that close addresses spread well.
	for _, m := range [...]struct{ shift, mul uint32 }{{16, 0x7feb352d}, {15, 0x846ca68b}, {16, 1}} {
		p = append(p,
			bpf.RawInstruction{Op: store, K: 0},
			bpf.RawInstruction{Op: loadX, K: 0},
			bpf.RawInstruction{Op: shift, K: m.shift},
			bpf.RawInstruction{Op: xorX},
			bpf.RawInstruction{Op: mul, K: m.mul})
	}
	return append(p, bpf.RawInstruction{Op: retA})
}
