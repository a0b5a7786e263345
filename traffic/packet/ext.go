package packet

// chain is the walk over IPv6 extension headers.
type chain struct {
	next        uint8 // what the last header says comes next
	last        uint8 // type of the last whole header, 0 for the IPv6 header
	len         int   // bytes of all whole headers, the IPv6 header included
	home, final bool  // Src or Dst were replaced
}

// isExt tells the extension headers that Zeek walks over.
func isExt(t uint8) bool {
	switch t {
	case HopOpts, Routing, Fragment, ESP, AH, DstOpts, Mobility:
		return true
	}
	return false
}

// walk goes over the extension headers of the IPv6 packet d. A header that the
// capture cut is left out, and so its number stays as next. It ends because
// each header has at least 8 bytes.
func (x *chain) walk(p *Packet, d []byte) {
	for isExt(x.next) {
		h := d[x.len:]
		if len(h) < 2 {
			return
		}
		t := x.next
		n := 8
		switch t {
		case HopOpts, DstOpts, Routing, Mobility:
			n = 8 + 8*int(h[1])
		case AH:
			n = 8 + 4*int(h[1])
		}
		if n > len(h) {
			return
		}
		h = h[:n]
		x.next = h[0]
		if t == ESP {
			x.next = NoNext
		}
		x.last = t
		switch t {
		case Routing:
			x.routing(p, h)
		case DstOpts:
			x.dstOpts(p, h)
		}
		x.len += n
		if t == Fragment || t == ESP || t == Mobility {
			return
		}
	}
}

// flowWeird notes a weird about the address pair as it is known so far.
func (p *Packet) flowWeird(name string) {
	p.note(Weird{Name: name, Flow: true})
}

// routing takes the final destination out of a routing header (RFC 2460 type 0,
// RFC 6275 type 2).
func (x *chain) routing(p *Packet, h []byte) {
	if x.final {
		p.flowWeird("multiple_routing_headers")
		return
	}
	n, left := h[1], h[3]
	switch h[2] {
	case 0:
		if left > 0 && n >= 2 {
			if n%2 == 0 {
				p.Dst, x.final = Addr(h[len(h)-16:]), true
			} else {
				p.flowWeird("odd_routing0_len")
			}
		}
		p.flowWeird("routing0_hdr")
	case 2:
		if left > 0 {
			if n == 2 {
				p.Dst, x.final = Addr(h[len(h)-16:]), true
			} else {
				p.flowWeird("bad_routing2_len")
			}
		}
	default:
		p.note(Weird{Name: "unknown_routing_type", Flow: true, addl: addlNumber, a: uint32(h[2])})
	}
}

// dstOpts takes the home address out of destination options (RFC 6275).
func (x *chain) dstOpts(p *Packet, h []byte) {
	for o := h[2:]; len(o) > 0; {
		if o[0] == 0 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || len(o) < 2+int(o[1]) {
			p.flowWeird("bad_ipv6_dest_opt_len")
			return
		}
		n := int(o[1])
		if o[0] == 201 {
			switch {
			case n != 16:
				p.flowWeird("bad_home_addr_len")
			case x.home:
				p.flowWeird("multiple_home_addr_opts")
			default:
				p.Src, x.home = Addr(o[2:18]), true
			}
		}
		o = o[2+n:]
	}
}
