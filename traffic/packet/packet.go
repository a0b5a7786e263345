// Package packet holds views over the bytes of one packet: which addresses
// and payload it has, and what is wrong with it.
//
// It stands between capture (which hands out bytes) and flow (which decides
// what they mean). Decode fills a Packet in place, allocates nothing, never
// fails and never panics: bad traffic gives what could be read, and a weird.
// It owns nothing: a Packet's slices belong to whoever owns the bytes. Decode
// never looks behind the IP headers: transports are flow's business, and flow
// decides which packets are tunnels. What their headers say is here too, as pure
// functions (ParseGRE, ParseVXLAN ...), and so is decoding of what is inside.
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

// Less orders addresses by their bytes.
func (a *Addr) Less(b *Addr) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

// IP protocol numbers that have names here.
const (
	HopOpts  = 0
	ICMP     = 1
	IPIP     = 4
	TCP      = 6
	UDP      = 17
	IP6IP    = 41
	Routing  = 43
	Fragment = 44
	GRE      = 47
	ESP      = 50
	AH       = 51
	ICMPv6   = 58
	NoNext   = 59 // no next header: Zeek's weird ipv6_no_next, and no row
	DstOpts  = 60
	Mobility = 135
)

// Link-layer types as capture files number them (LINKTYPE_...), those with a
// name here. Every other number is taken for a bare IP packet, as Zeek does.
const (
	LinkNull      = 0
	LinkEthernet  = 1
	LinkPPP       = 9
	LinkFDDI      = 10
	LinkPPPSerial = 50
	LinkRaw       = 101
	LinkIEEE80211 = 105
	LinkLoop      = 108
	LinkLinuxSLL  = 113
	LinkRadiotap  = 127
	LinkIPv4      = 228
	LinkIPv6      = 229
	LinkNFLOG     = 239
	LinkLinuxSLL2 = 276
)

// Packet is one decoded packet. All slices are views over the captured bytes
// and valid as long as those are. Fields of a layer that is not there are zero.
type Packet struct {
	Time    Time
	Seq     uint64 // number of the packet in its source, from 1
	WireLen int    // bytes on the wire
	Data    []byte // captured bytes, from the link layer on

	// NoChecksum says that nobody may judge the packet's checksums. Whoever
	// calls Decode sets it, with Time and Seq.
	NoChecksum bool

	// Link layer. An 802.1Q tag with id 0 counts as a tag.
	SrcMAC, DstMAC  [6]byte
	HasMAC          bool
	NVLAN           uint8  // number of VLAN tags
	VLAN, InnerVLAN uint16 // outer and last VLAN id
	EtherType       uint16 // last EtherType seen, 0 for none

	// Internet layer. IP holds the captured bytes from the IP header on, cut to
	// the length the header states. It is nil for packets without IP and for
	// those that Zeek throws away here (their weird is below).
	//
	// Flow goes on in Zeek's order: IPChecksumOK (weird bad_IP_checksum, flow
	// scope) and ZeroLen if checksums are verified; fragments (IPLen > len(IP):
	// weird incompletely_captured_fragment); IsESP and IsMobility end it
	// without a row; then Proto, where NoNext is the weird ipv6_no_next.
	IP      []byte
	IPv6    bool
	ZeroLen bool  // IPv4 length 0 (segmentation offload): thrown away unless checksums are ignored
	Src     Addr  // IPv6: the home address option, where there is one
	Dst     Addr  // IPv6: the final destination of a routing header
	Proto   uint8 // what comes behind the IP headers: the last one's next header
	TTL     uint8
	IPLen   int // total length as the header states it (0 if ZeroLen), IPv6 header included
	HdrLen  int // IP header and extension headers

	// Fragments. IsFrag: more fragments, offset > 0, or an IPv6 fragment header
	// of any kind; that header is then the last 8 bytes of HdrLen.
	IsFrag    bool
	MoreFrags bool
	DF        bool
	FragOff   int    // bytes
	FragID    uint32 // IPv4: the identification of any packet

	IsESP      bool // IPv6 with an ESP header: Proto is NoNext
	IsMobility bool // IPv6 with a mobility header

	// Payload holds the captured bytes behind the IP headers: the transport
	// header and what follows. PayloadLen is its length as the IP header
	// states it (if ZeroLen: as captured); it is larger than len(Payload) if
	// the capture cut the packet.
	Payload    []byte
	PayloadLen int

	// Weirds are what is wrong, in the order found; only the first NWeirds
	// count.
	Weirds  [4]Weird
	NWeirds int

	// Depth is the number of layers passed, as Zeek counts them for its limit
	// of MaxDepth.
	Depth int

	rest, restEnd int // next A-MSDU subframe in Data, see Next
}

// MaxDepth is how many layers a packet may have (Zeek's PacketAnalyzer::max_depth).
const MaxDepth = 25
