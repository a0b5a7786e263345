package flow

import (
	"encoding/binary"
	"net/netip"

	"github.com/picket-nsm/picket/traffic/packet"
)

// DefaultLocalNets is what Zeek takes for local by default
// (Site::private_address_space): networks that are not routed on the Internet.
func DefaultLocalNets() []netip.Prefix {
	list := []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
		"192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/24",
		"239.0.0.0/8", "240.0.0.0/4", "255.255.255.255/32",
		// The same as 6to4 addresses.
		"2002::/24", "2002:a00::/24", "2002:6440::/26", "2002:7f00::/24", "2002:a9fe::/32", "2002:ac10::/28",
		"2002:c000::/40", "2002:c000:200::/40", "2002:c0a8::/32", "2002:c612::/31", "2002:c633:6400::/40",
		"2002:cb00:7100::/40", "2002:e000::/40", "2002:ef00::/24", "2002:f000::/20", "2002:ffff:ffff::/48",
		"::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:2::/48", "2001:db8::/32", "fc00::/7",
		"fe80::/10", "fec0::/10",
	}
	nets := make([]netip.Prefix, len(list))
	for i, s := range list {
		nets[i] = netip.MustParsePrefix(s)
	}
	return nets
}

// subnet is a prefix over 16-byte addresses.
type subnet struct{ hi, lo, maskHi, maskLo uint64 }

// subnets holds local networks; IPv4 ones are apart since most addresses are.
type subnets struct{ v4, v6 []subnet }

func newSubnets(nets []netip.Prefix) (s subnets) {
	for _, p := range nets {
		a := p.Masked().Addr()
		bits := p.Bits()
		if a.Is4() {
			bits += 96
		}
		b := a.As16()
		n := subnet{hi: binary.BigEndian.Uint64(b[:8]), lo: binary.BigEndian.Uint64(b[8:])}
		if bits >= 64 {
			n.maskHi, n.maskLo = ^uint64(0), ^uint64(0)<<(128-bits)
		} else {
			n.maskHi = ^uint64(0) << (64 - bits)
		}
		if a.Is4() {
			s.v4 = append(s.v4, n)
		} else {
			s.v6 = append(s.v6, n)
		}
	}
	return s
}

func (s *subnets) has(a *packet.Addr) bool {
	hi, lo := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	list := s.v6
	if a.Is4() {
		list = s.v4
	}
	for i := range list {
		if n := &list[i]; hi&n.maskHi == n.hi && lo&n.maskLo == n.lo {
			return true
		}
	}
	return false
}
