package filter

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/picket-nsm/picket/traffic/packet"
)

// linktype is the condition that a packet is of an EtherType.
func (c *compiler) linktype(t token, typ uint32) (*node, error) {
	switch {
	case c.mpls > 0: // below labels the type is not told: the IP version is looked at
		var v uint32
		switch typ {
		case etherIP:
			v = 0x40
		case etherIP6:
			v = 0x60
		default:
			return nil, c.fail(t, "only ip and ip6 can be told behind mpls", "%q is not supported behind mpls", t.text)
		}
		return and(masked(sizeB, c.l3-2, 1, 1), masked(sizeB, c.l3, v, 0xf0)), nil
	case c.raw:
		switch {
		case typ == etherIP && c.link == packet.LinkIPv4, typ == etherIP6 && c.link == packet.LinkIPv6:
			return constant(true), nil
		case c.link == packet.LinkIPv4, c.link == packet.LinkIPv6:
			return constant(false), nil
		case typ == etherIP:
			return masked(sizeB, c.l3, 0x40, 0xf0), nil
		case typ == etherIP6:
			return masked(sizeB, c.l3, 0x60, 0xf0), nil
		}
		return constant(false), nil
	}
	return cmp(sizeH, c.typeOff, typ), nil
}

// both makes a condition for IPv4 and one for IPv6 and takes either.
func (c *compiler) both(t token, ip, ip6 *node) (*node, error) {
	l4, err := c.linktype(t, etherIP)
	if err != nil {
		return nil, err
	}
	l6, err := c.linktype(t, etherIP6)
	if err != nil {
		return nil, err
	}
	switch {
	case ip6 == nil:
		return and(l4, ip), nil
	case ip == nil:
		return and(l6, ip6), nil
	}
	return or(and(l4, ip), and(l6, ip6)), nil
}

// ipProto is the condition of a protocol over IP version 4, 6 or both (46). For
// IPv6 the header is looked at, and one fragment header behind it.
func (c *compiler) ipProto(t token, n uint32, version int) (*node, error) {
	var ip, ip6 *node
	if version != 6 {
		ip = cmp(sizeB, c.l3+9, n)
	}
	if version != 4 {
		ip6 = or(cmp(sizeB, c.l3+6, n), and(cmp(sizeB, c.l3+6, packet.Fragment), cmp(sizeB, c.l3+40, n)))
	}
	return c.both(t, ip, ip6)
}

// protocol is a protocol word that stands alone.
func (c *compiler) protocol(t token) (*node, error) {
	w := protoWords[t.text]
	switch w.p {
	case pEther:
		return nil, c.fail(t, "as in ether host, ether proto", "%q does not stand alone", t.text)
	case pIP:
		return c.linktype(t, etherIP)
	case pIP6:
		return c.linktype(t, etherIP6)
	case pARP:
		return c.linktype(t, etherARP)
	case pRARP:
		return c.linktype(t, etherRARP)
	}
	return c.ipProto(t, w.number, w.version)
}

// value parses one value for its qualifiers.
func (c *compiler) value(q quals) (*node, error) {
	t := c.next()
	if t.kind == tEnd || t.kind == tOp || (t.kind == tWord && keywords[t.text]) {
		if t.kind == tEnd {
			return nil, c.fail(t, "", "the expression ends too soon")
		}
		return nil, c.fail(t, "", "%q is no value", t.text)
	}
	if !q.ok {
		hint := "say what it is: host, net, port ..."
		if t.kind == tWord {
			hint = "unknown word; hosts and ports are given by number"
		}
		return nil, c.fail(t, hint, "%q is not expected here", t.text)
	}
	switch q.what {
	case isPort:
		return c.port(q, t)
	case isRange:
		return c.portrange(q, t)
	case isProto:
		return c.proto(q, t)
	}
	return c.address(q, t)
}

// proto is the condition of "proto" with a number or a name.
func (c *compiler) proto(q quals, t token) (*node, error) {
	names, version := ipNames, 46
	switch q.proto {
	case pNone:
	case pIP:
		version = 4
	case pIP6:
		version = 6
	case pEther:
		names = etherNames
	default:
		return nil, c.fail(t, "write ip proto, ip6 proto or ether proto", "%q has no proto", q.word.text)
	}
	v := t.num
	if t.kind != tNumber {
		if _, ok := protoWords[t.text]; ok && t.kind == tWord {
			return nil, c.fail(t, `write \`+t.text+": without the backslash it is a keyword", "%q is no protocol number", t.text)
		}
		n, ok := names[t.text]
		if !ok || (t.kind != tWord && t.kind != tName) {
			return nil, c.fail(t, "give its number", "the protocol %q is not known", t.text)
		}
		v = n
	}
	if q.proto == pEther {
		if v <= 1500 || v > 0xffff || v == 0x809b || v == 0x80f3 {
			return nil, c.fail(t, "EtherTypes from 1501 to 65535 are", "ether proto %d is not supported", v)
		}
		return c.linktype(t, v)
	}
	if v > 255 {
		return nil, c.fail(t, "protocols are numbers up to 255", "the protocol %d does not exist", v)
	}
	return c.ipProto(t, v, version)
}

// address is the condition of a host or a net.
func (c *compiler) address(q quals, t token) (*node, error) {
	switch q.proto {
	case pNone, pIP, pIP6, pARP, pRARP, pEther:
	default:
		return nil, c.fail(t, "join them with and: "+q.word.text+" and host ...", "%q has no host or net", q.word.text)
	}
	if q.proto == pEther || t.kind == tMAC {
		return c.etherHost(q, t)
	}
	switch t.kind {
	case tNumber, tDotted:
		addr, mask, err := c.mask4(q, t)
		if err != nil {
			return nil, err
		}
		return c.host4(q, t, addr, mask)
	case tIP6:
		return c.host6(q, t)
	}
	return nil, c.fail(t, "names are not looked up: give the address", "%q is no address", t.text)
}

// mask4 finds the address and mask of a net, or of a host given in short.
func (c *compiler) mask4(q quals, t token) (addr, mask uint32, err error) {
	bits := t.bits
	if t.kind == tNumber {
		addr, mask = t.num, 0xffffffff
		if q.what == isNet {
			for addr != 0 && addr>>24 == 0 {
				addr <<= 8
				mask <<= 8
			}
		}
		if c.is("/", "mask") {
			return 0, 0, c.fail(c.peek(), "write the net with dots: 10.0.0.0/8", "a mask behind a single number")
		}
		return addr, mask, nil
	}
	addr, mask = t.num<<(32-bits), 0xffffffff<<(32-bits)
	sep := c.peek()
	switch {
	case c.take("/"):
		v := c.next()
		if v.kind != tNumber || v.num > 32 {
			return 0, 0, c.fail(v, "as in 10.0.0.0/8", "%q is no mask length", v.text)
		}
		mask = uint32(0xffffffff << (32 - uint64(v.num)))
	case c.take("mask"):
		v := c.next()
		if v.kind != tDotted {
			return 0, 0, c.fail(v, "as in mask 255.0.0.0", "%q is no mask", v.text)
		}
		mask = v.num << (32 - v.bits)
	default:
		return addr, mask, nil
	}
	if q.what != isNet {
		return 0, 0, c.fail(sep, "write net for host", "a mask is for nets only")
	}
	if addr&^mask != 0 {
		return 0, 0, c.fail(t, "set them to 0", "the net %s has bits behind its mask", t.text)
	}
	return addr, mask, nil
}

// sides joins the condition of the source and that of the destination.
func sides(d dir, src, dst func() *node) *node {
	switch d {
	case dirSrc:
		return src()
	case dirDst:
		return dst()
	case dirBoth:
		return and(src(), dst())
	}
	return or(src(), dst())
}

// host4 looks for an IPv4 address, also as the sender or target of (R)ARP.
func (c *compiler) host4(q quals, t token, addr, mask uint32) (*node, error) {
	if q.proto == pIP6 {
		return nil, c.fail(t, "write ip", "%s is no IPv6 address", t.text)
	}
	var n *node
	for _, k := range []struct {
		p        proto
		typ      uint32
		src, dst int
	}{{pIP, etherIP, 12, 16}, {pARP, etherARP, 14, 24}, {pRARP, etherRARP, 14, 24}} {
		if q.proto != k.p && (q.proto != pNone || (k.p != pIP && c.mpls > 0)) {
			continue
		}
		l, err := c.linktype(t, k.typ)
		if err != nil {
			return nil, err
		}
		l = and(l, sides(q.dir,
			func() *node { return masked(sizeW, c.l3+k.src, addr, mask) },
			func() *node { return masked(sizeW, c.l3+k.dst, addr, mask) }))
		if n == nil {
			n = l
		} else {
			n = or(n, l)
		}
	}
	return n, nil
}

func (c *compiler) host6(q quals, t token) (*node, error) {
	if q.proto != pNone && q.proto != pIP6 {
		return nil, c.fail(t, "write ip6", "%q does not go with an IPv6 address", q.word.text)
	}
	bits := uint32(128)
	if sep := c.peek(); c.take("/") {
		v := c.next()
		if v.kind != tNumber || v.num > 128 {
			return nil, c.fail(v, "as in 2001:db8::/32", "%q is no mask length", v.text)
		}
		if bits = v.num; q.what != isNet && bits != 128 {
			return nil, c.fail(sep, "write net for host", "a mask is for nets only")
		}
	}
	a := t.addr.As16()
	var m [16]byte
	for i := range bits {
		m[i/8] |= 0x80 >> (i % 8)
	}
	for i := range a {
		if a[i]&^m[i] != 0 {
			return nil, c.fail(t, "set them to 0", "the net %s has bits behind its mask", t.text)
		}
	}
	at := func(off int) *node {
		n := constant(true)
		for i := 0; i < 16; i += 4 {
			if mask := binary.BigEndian.Uint32(m[i:]); mask != 0 {
				n = and(n, masked(sizeW, c.l3+off+i, binary.BigEndian.Uint32(a[i:]), mask))
			}
		}
		return n
	}
	return c.both(t, nil, sides(q.dir, func() *node { return at(8) }, func() *node { return at(24) }))
}

// etherHost looks for an Ethernet address.
func (c *compiler) etherHost(q quals, t token) (*node, error) {
	if t.kind != tMAC || q.what != isHost {
		return nil, c.fail(t, "as in ether host 00:11:22:aa:bb:cc", "%q is no Ethernet address", t.text)
	}
	if q.proto != pEther {
		return nil, c.fail(t, "write ether host", "an Ethernet address without ether")
	}
	if c.link != packet.LinkEthernet {
		return nil, c.fail(t, "this capture's link type is not Ethernet", "ether host is not supported here")
	}
	at := func(off int) *node {
		return and(cmp(sizeW, off+2, binary.BigEndian.Uint32(t.mac[2:])), cmp(sizeH, off, uint32(binary.BigEndian.Uint16(t.mac[:]))))
	}
	return sides(q.dir, func() *node { return at(6) }, func() *node { return at(0) }), nil
}

// port is the condition of one port.
func (c *compiler) port(q quals, t token) (*node, error) {
	if t.kind != tNumber {
		if t.kind == tWord && strings.Contains(t.text, "-") {
			return nil, c.fail(t, "write portrange", "%q is no port", t.text)
		}
		return nil, c.fail(t, "names are not looked up: give its number", "%q is no port", t.text)
	}
	return c.ports(q, t, t.num, t.num)
}

func (c *compiler) portrange(q quals, t token) (*node, error) {
	if t.kind == tNumber {
		return c.ports(q, t, t.num, t.num)
	}
	a, b, _ := strings.Cut(t.text, "-")
	lo, err1 := strconv.ParseUint(a, 10, 32)
	hi, err2 := strconv.ParseUint(b, 10, 32)
	if t.kind != tWord || err1 != nil || err2 != nil {
		return nil, c.fail(t, "as in portrange 6000-6008", "%q is no range of ports", t.text)
	}
	return c.ports(q, t, uint32(min(lo, hi)), uint32(max(lo, hi)))
}

// ports is the condition of ports lo to hi: of TCP, UDP and SCTP, in first
// fragments only, for IPv6 without extension headers.
func (c *compiler) ports(q quals, t token, lo, hi uint32) (*node, error) {
	if hi > 0xffff {
		return nil, c.fail(t, "ports are numbers up to 65535", "the port %d does not exist", hi)
	}
	var numbers []uint32
	switch q.proto {
	case pNone:
		numbers = []uint32{132, packet.TCP, packet.UDP}
	case pTCP, pUDP, pSCTP:
		numbers = []uint32{protoWords[q.word.text].number}
	default:
		return nil, c.fail(t, "ports go with tcp, udp and sctp; join others with and", "%q has no ports", q.word.text)
	}
	oneOfThem := func(off int) *node {
		n := cmp(sizeB, off, numbers[0])
		for _, v := range numbers[1:] {
			n = or(n, cmp(sizeB, off, v))
		}
		return n
	}
	within := func(n func(jmp uint16, v uint32) *node) *node {
		if lo == hi {
			return n(jmpEq, lo)
		}
		return and(n(jmpGe, lo), not(n(jmpGt, hi)))
	}
	at4 := func(off int) func() *node {
		return func() *node {
			return within(func(jmp uint16, v uint32) *node {
				return &node{kind: nTest, jump: ins{opJmp | jmp, v}, code: []ins{
					{opLdx | sizeB | modeMsh, uint32(c.l3)}, {opLd | sizeH | modeInd, uint32(c.l3 + off)}}}
			})
		}
	}
	at6 := func(off int) func() *node {
		return func() *node {
			return within(func(jmp uint16, v uint32) *node { return compare(sizeH, c.l3+off, jmp, v) })
		}
	}
	ip := and(oneOfThem(c.l3+9), and(c.firstFragment(), sides(q.dir, at4(0), at4(2))))
	ip6 := and(oneOfThem(c.l3+6), sides(q.dir, at6(40), at6(42)))
	return c.both(t, ip, ip6)
}

// firstFragment is the condition that an IPv4 packet has its beginning.
func (c *compiler) firstFragment() *node {
	return not(compare(sizeH, c.l3+6, jmpSet, 0x1fff))
}

// cast is the condition of broadcast or multicast.
func (c *compiler) cast(q quals, t token) (*node, error) {
	if q.proto == pNone || q.proto == pEther {
		if c.link != packet.LinkEthernet {
			return nil, c.fail(t, "write ip multicast or ip6 multicast", "%q is not supported: the link type is not Ethernet", t.text)
		}
		if t.text == "multicast" {
			return compare(sizeB, 0, jmpSet, 1), nil
		}
		return and(cmp(sizeW, 2, 0xffffffff), cmp(sizeH, 0, 0xffff)), nil
	}
	if t.text == "multicast" {
		switch q.proto {
		case pIP:
			return c.both(t, compare(sizeB, c.l3+16, jmpGe, 224), nil)
		case pIP6:
			return c.both(t, nil, cmp(sizeB, c.l3+24, 255))
		}
	}
	return nil, c.fail(t, "ether broadcast, ether multicast, ip multicast and ip6 multicast are", "%q is not supported behind %q", t.text, q.word.text)
}

// vlan looks for a tag and moves everything behind it in the text.
func (c *compiler) vlan(t token) (*node, error) {
	if c.link != packet.LinkEthernet {
		return nil, c.fail(t, "this capture's link type is not Ethernet", "vlan is not supported here")
	}
	if c.mpls > 0 {
		return nil, c.fail(t, "write vlan before mpls", "vlan is not supported behind mpls")
	}
	n := or(or(cmp(sizeH, c.typeOff, 0x8100), cmp(sizeH, c.typeOff, 0x88a8)), cmp(sizeH, c.typeOff, 0x9100))
	if v := c.peek(); v.kind == tNumber {
		c.next()
		if v.num > 4095 {
			return nil, c.fail(v, "ids are numbers up to 4095", "the VLAN %d does not exist", v.num)
		}
		n = and(n, masked(sizeH, c.l3, v.num, 0xfff))
	}
	c.typeOff += 4
	c.l3 += 4
	if c.tagCol == 0 {
		c.tagCol = t.col
	}
	return n, nil
}

// label looks for an MPLS label and moves everything behind it in the text.
func (c *compiler) label(t token) (*node, error) {
	if c.raw {
		return nil, c.fail(t, "this capture's packets begin with IP", "mpls is not supported here")
	}
	if c.link != packet.LinkEthernet {
		return nil, c.fail(t, "this capture's link type is not Ethernet", "mpls is not supported here")
	}
	n := cmp(sizeH, c.typeOff, etherMPLS)
	if c.mpls > 0 {
		n = masked(sizeB, c.l3-2, 0, 1) // the label before is not the last
	}
	if v := c.peek(); v.kind == tNumber {
		c.next()
		if v.num > 0xfffff {
			return nil, c.fail(v, "labels are numbers up to 1048575", "the label %d does not exist", v.num)
		}
		n = and(n, masked(sizeW, c.l3, v.num<<12, 0xfffff000))
	}
	c.l3 += 4
	c.mpls++
	return n, nil
}
