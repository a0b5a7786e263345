package filter

import "github.com/picket-nsm/picket/traffic/packet"

// EtherTypes.
const (
	etherIP   = 0x0800
	etherARP  = 0x0806
	etherRARP = 0x8035
	etherIP6  = 0x86dd
	etherMPLS = 0x8847
)

// proto is a protocol word in front of a term.
type proto uint8

const (
	pNone proto = iota
	pEther
	pIP
	pIP6
	pARP
	pRARP
	pTCP
	pUDP
	pSCTP
	pICMP
	pICMP6
	pIGMP
	pPIM
	pVRRP
	pIGRP
	pAH
	pESP
)

// protoWords are the protocols and what they are over IP: number, 4 for IPv4
// only, 6 for IPv6 only, 46 for both.
var protoWords = map[string]struct {
	p       proto
	number  uint32
	version int
}{
	"ether": {p: pEther}, "link": {p: pEther},
	"ip": {p: pIP}, "ip6": {p: pIP6}, "arp": {p: pARP}, "rarp": {p: pRARP},
	"tcp":    {pTCP, packet.TCP, 46},
	"udp":    {pUDP, packet.UDP, 46},
	"sctp":   {pSCTP, 132, 46},
	"icmp":   {pICMP, packet.ICMP, 4},
	"icmp6":  {pICMP6, packet.ICMPv6, 6},
	"igmp":   {pIGMP, 2, 4},
	"pim":    {pPIM, 103, 46},
	"vrrp":   {pVRRP, 112, 4},
	"igrp":   {pIGRP, 9, 4},
	"ah":     {pAH, packet.AH, 46},
	"esp":    {pESP, packet.ESP, 46},
	"icmpv6": {pICMP6, packet.ICMPv6, 6},
}

// ipNames are names behind proto.
var ipNames = map[string]uint32{
	"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "ospf": 89, "pim": 103, "vrrp": 112, "sctp": 132,
}

// etherNames are names behind ether proto.
var etherNames = map[string]uint32{"ip": etherIP, "ip6": etherIP6, "arp": etherARP, "rarp": etherRARP}

// numbers are named constants of arithmetic.
var numbers = map[string]uint32{
	"icmptype": 0, "icmpcode": 1, "icmp6type": 0, "icmp6code": 1, "tcpflags": 13,
	"tcp-fin": 1, "tcp-syn": 2, "tcp-rst": 4, "tcp-push": 8, "tcp-ack": 16, "tcp-urg": 32, "tcp-ece": 64, "tcp-cwr": 128,
	"icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5, "icmp-echo": 8,
	"icmp-routeradvert": 9, "icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12, "icmp-tstamp": 13,
	"icmp-tstampreply": 14, "icmp-ireq": 15, "icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18,
	"icmp6-destinationrunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3, "icmp6-parameterproblem": 4,
	"icmp6-echo": 128, "icmp6-echoreply": 129, "icmp6-multicastlistenerquery": 130,
	"icmp6-multicastlistenerreportv1": 131, "icmp6-multicastlistenerdone": 132, "icmp6-routersolicit": 133,
	"icmp6-routeradvert": 134, "icmp6-neighborsolicit": 135, "icmp6-neighboradvert": 136, "icmp6-redirect": 137,
}

// keywords begin or join terms, so they are never names.
var keywords = map[string]bool{
	"and": true, "or": true, "not": true, "src": true, "dst": true, "host": true, "net": true, "mask": true,
	"port": true, "portrange": true, "proto": true, "less": true, "greater": true, "len": true, "broadcast": true,
	"multicast": true, "vlan": true, "mpls": true,
}

// unsupported are words of pcap-filter that we know and do not do.
var unsupported = map[string]string{
	"gateway": "it needs host names and Ethernet addresses: write ether host ... and not host ...", "protochain": "write ip6 proto or ip proto",
	"pppoed": "", "pppoes": "", "geneve": "", "vxlan": "", "inbound": "", "outbound": "", "ifname": "", "on": "",
	"rnr": "", "reason": "", "rset": "", "ruleset": "", "srnr": "", "subrulenum": "", "action": "", "wlan": "", "fddi": "write ether", "tr": "write ether",
	"ppp": "", "slip": "", "decnet": "", "lat": "", "sca": "", "moprc": "", "mopdl": "", "iso": "", "clnp": "", "esis": "", "es-is": "", "isis": "", "is-is": "",
	"atalk": "", "aarp": "", "stp": "", "ipx": "", "netbeui": "", "carp": "write vrrp: it has the same number", "llc": "", "lane": "", "vci": "", "vpi": "",
	"ifindex": "", "addr1": "", "addr2": "", "addr3": "", "addr4": "", "type": "", "subtype": "", "dir": "", "byte": "",
}
