package dns

const (
	maxName  = 512  // bytes of a decoded name
	maxAlg   = 1023 // the same for the algorithm of a TSIG
	wideName = 255  // from here on a name is too long by the RFC
)

// nameRest reads a name that may fill the rest of the message.
func (p *parser) nameRest(room int, lower bool) ([]byte, bool) {
	start := len(p.arena)
	var ok bool
	if p.off, ok = p.name(p.off, len(p.b), room, lower, 0); !ok {
		return nil, false
	}
	return p.arena[start:len(p.arena):len(p.arena)], true
}

// name decodes the name at off, no byte at or behind end, and appends it to the
// arena, at most room bytes. It returns where the name ends and whether it is a
// name at all.
//
// Pointers go strictly backwards, and as many may follow each other as the
// settings say, so it ends.
func (p *parser) name(off, end, room int, lower bool, depth int) (int, bool) {
	if depth > p.cfg.MaxCompression {
		p.limit("DNS_max_compression_chain_depth_exceeded", p.num(depth))
		return off, true
	}
	start := len(p.arena)
labels:
	for {
		if off >= end {
			p.weird("dns_invalid_name", "")
			return off, false
		}
		at, n := off, int(p.b[off])
		off++
		switch {
		case n == 0:
			break labels
		case n&0xc0 == 0xc0:
			if off >= end {
				p.weird("dns_invalid_name", "")
				return off, false
			}
			to := (n&0x3f)<<8 | int(p.b[off])
			off++
			if to >= at {
				p.weird("DNS_label_forward_compress_offset", "")
				return off, false
			}
			if _, ok := p.name(to, at, room, true, depth+1); !ok {
				return off, false
			}
			break labels
		case n > end-off:
			p.weird("DNS_label_len_gt_pkt", "")
			return end, false
		case n > 63 && p.respPort != NetBIOSPort:
			p.weird("DNS_label_too_long", "")
			return off, false
		case n >= room:
			p.weird("DNS_label_len_gt_name_len", "")
			return off, false
		}
		p.arena = append(append(p.arena, p.b[off:off+n]...), '.')
		room -= n + 1
		off += n
	}
	n := len(p.arena) - start
	if n >= wideName {
		p.weird("DNS_NAME_too_long", "")
	}
	if n >= 2 && p.arena[len(p.arena)-1] == '.' {
		p.arena = p.arena[:len(p.arena)-1]
	}
	if lower {
		toLower(p.arena[start:])
	}
	return off, true
}

func hasUpper(b []byte) bool {
	for _, c := range b {
		if c-'A' < 26 {
			return true
		}
	}
	return false
}

func toLower(b []byte) {
	for i, c := range b {
		if c-'A' < 26 {
			b[i] = c + 32
		}
	}
}
