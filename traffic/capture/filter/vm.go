package filter

import "encoding/binary"

// Match reports whether the filter lets a packet pass. data is what was
// captured of wireLen bytes; a filter's len is the latter. It allocates nothing.
func (p *Program) Match(data []byte, wireLen int) bool {
	var a, x uint32
	var mem [scratch]uint32
	n := uint64(len(data))
	for pc := 0; pc < len(p.Raw); pc++ { // jumps only go forward, so it ends
		in := &p.Raw[pc]
		k := in.K
		switch in.Op {
		case opLd | sizeW | modeAbs, opLd | sizeH | modeAbs, opLd | sizeB | modeAbs,
			opLd | sizeW | modeInd, opLd | sizeH | modeInd, opLd | sizeB | modeInd:
			at := uint64(k)
			if in.Op&0xe0 == modeInd {
				at += uint64(x)
			}
			switch in.Op & 0x18 {
			case sizeW:
				if at+4 > n {
					return false
				}
				a = binary.BigEndian.Uint32(data[at:])
			case sizeH:
				if at+2 > n {
					return false
				}
				a = uint32(binary.BigEndian.Uint16(data[at:]))
			default:
				if at+1 > n {
					return false
				}
				a = uint32(data[at])
			}
		case opLdx | sizeB | modeMsh:
			if uint64(k)+1 > n {
				return false
			}
			x = uint32(data[k]&15) * 4
		case opLd | modeImm:
			a = k
		case opLd | modeLen:
			a = uint32(wireLen)
		case opLd | modeMem:
			a = mem[k%scratch]
		case opLdx | modeMem:
			x = mem[k%scratch]
		case opSt:
			mem[k%scratch] = a
		case tax:
			x = a
		case opRet:
			return k != 0
		case opJmp | jmpJa:
			pc += int(k)
		default:
			if in.Op&srcX != 0 {
				k = x
			}
			if in.Op&7 == opJmp {
				yes := false
				switch in.Op & 0xf0 {
				case jmpEq:
					yes = a == k
				case jmpGt:
					yes = a > k
				case jmpGe:
					yes = a >= k
				case jmpSet:
					yes = a&k != 0
				}
				if yes {
					pc += int(in.Jt)
				} else {
					pc += int(in.Jf)
				}
				continue
			}
			var ok bool
			if a, ok = alu(in.Op&0xf0, a, k); !ok {
				return false
			}
		}
	}
	return false
}

// alu calculates; a division by 0 rejects the packet.
func alu(op uint16, a, k uint32) (uint32, bool) {
	switch op {
	case aluAdd:
		return a + k, true
	case aluSub:
		return a - k, true
	case aluMul:
		return a * k, true
	case aluDiv:
		if k == 0 {
			return 0, false
		}
		return a / k, true
	case aluMod:
		if k == 0 {
			return 0, false
		}
		return a % k, true
	case aluOr:
		return a | k, true
	case aluAnd:
		return a & k, true
	case aluXor:
		return a ^ k, true
	case aluLsh:
		return a << k, true // 32 and more give 0
	case aluRsh:
		return a >> k, true
	case aluNeg:
		return -a, true
	}
	return 0, false
}
