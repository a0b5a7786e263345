// Package packet holds views over the bytes of one packet: which addresses,
// ports and payload it has, and what is wrong with it.
//
// It stands between capture (which hands out bytes) and flow (which decides
// what they mean). Decode fills a Packet in place, allocates nothing, never
// fails and never panics: bad traffic gives what could be read, and a weird.
package packet

// Time is packet time: seconds since 1970-01-01 UTC, a double as in Zeek. It
// is never compared with the wall clock.
type Time float64

// Addr is an IP address of 16 bytes, IPv4 as ::ffff:a.b.c.d.
type Addr [16]byte

// Is4 reports whether the address is IPv4.
func (a *Addr) Is4() bool {
	return a[0]|a[1]|a[2]|a[3]|a[4]|a[5]|a[6]|a[7]|a[8]|a[9] == 0 && a[10] == 0xff && a[11] == 0xff
}

// IP protocol numbers that have names here.
const (
	ICMP   = 1
	TCP    = 6
	UDP    = 17
	ICMPv6 = 58
)

// Packet is one decoded packet. All slices are views over the captured bytes
// and valid as long as those are. Fields of a layer that is not there are zero.
type Packet struct {
	Time    Time
	Seq     uint64 // number of the packet in its source, from 1
	WireLen int    // bytes on the wire
	Data    []byte // captured bytes, from the link layer on

	// Link layer.
	SrcMAC, DstMAC [6]byte
	HasMAC         bool
	VLAN           uint16 // outer and inner VLAN id, 0 for none
	InnerVLAN      uint16

	// Internet layer. IP holds the captured bytes from the IP header on, cut to
	// the length the header states. It is nil for packets without IP.
	IP        []byte
	IPv6      bool
	Src, Dst  Addr
	Proto     uint8  // transport protocol, after IPv6 extension headers
	IPLen     int    // total length as the header states it, IPv6 header included
	HdrLen    int    // IP header and extension headers
	FragID    uint32 // identification of a fragment
	FragOff   int    // offset of a fragment in bytes
	MoreFrags bool
	DF        bool
	IsFrag    bool // MoreFrags or FragOff > 0
	TTL       uint8

	// Payload holds the captured bytes behind the IP headers: the transport
	// header and what follows. PayloadLen is its length as the IP header
	// states it; it is larger than len(Payload) if the capture cut the packet.
	Payload    []byte
	PayloadLen int

	// Weirds are the names of what is wrong, in the order found (Zeek's names,
	// constants of this package).
	Weirds  [4]string
	NWeirds int
}

// Weird notes that something is wrong. The fifth and later are left out.
func (p *Packet) Weird(name string) {
	if p.NWeirds < len(p.Weirds) {
		p.Weirds[p.NWeirds] = name
		p.NWeirds++
	}
}
