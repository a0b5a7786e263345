package dns

import (
	"encoding/binary"

	"github.com/picket-nsm/picket/traffic/packet"
)

// Resource record types that the parser knows (RFC 1035 and later, IANA's
// registry "DNS parameters").
const (
	TypeA          = 1
	TypeNS         = 2
	TypeCNAME      = 5
	TypeSOA        = 6
	TypeWKS        = 11
	TypePTR        = 12
	TypeHINFO      = 13
	TypeMX         = 15
	TypeTXT        = 16
	TypeAAAA       = 28
	TypeLOC        = 29
	TypeNB         = 32 // NetBIOS name
	TypeSRV        = 33 // on port 137: NetBIOS node status
	TypeNAPTR      = 35
	TypeA6         = 38
	TypeOPT        = 41 // EDNS
	TypeDS         = 43
	TypeSSHFP      = 44
	TypeRRSIG      = 46
	TypeNSEC       = 47
	TypeDNSKEY     = 48
	TypeNSEC3      = 50
	TypeNSEC3PARAM = 51
	TypeSVCB       = 64
	TypeHTTPS      = 65
	TypeSPF        = 99
	TypeTKEY       = 249
	TypeTSIG       = 250
	TypeANY        = 255
	TypeCAA        = 257
	TypeBINDS      = 65534 // BIND 9's signing signal
)

// Classes with a meaning of their own in dynamic updates (RFC 2136).
const (
	ClassNone = 254
	ClassAny  = 255
)

// Operation codes that are followed; others only on the NetBIOS port.
const (
	OpQuery  = 0
	OpNotify = 4
	OpUpdate = 5
)

// NetBIOSPort is the port of the NetBIOS name service, which bends DNS.
const NetBIOSPort = 137

// Section says where in a message a record stands.
type Section uint8

// Sections, numbered as in Zeek. A dynamic update has prerequisites and updates
// in place of answers and authorities.
const (
	SecQuestion Section = iota
	SecAnswer
	SecAuthority
	SecAdditional
	SecPrerequisite
	SecUpdate
)

// Msg is one parsed message. It and all it holds are valid until Handler.Message
// returns.
type Msg struct {
	ID     uint16
	Opcode uint8
	Rcode  uint8
	Z      uint8 // three bits, AD and CD among them

	QR, AA, TC, RD, RA, AD, CD bool

	// Counts as the header states them; what was parsed may be less. In a dynamic
	// update they count zones, prerequisites, updates and additional records.
	NumQuestions, NumAnswers, NumAuthority, NumAdditional uint16

	NetBIOS bool // either end has port 137
	Len     int  // bytes of the message

	// Questions and Records hold what was parsed, in order. Parsing stops at the
	// first error, so both may be short. Records without meaning to anybody
	// (NetBIOS ones) are left out.
	Questions []Question
	Records   []RR

	Zone      []byte // dynamic update: name of the zone
	ZoneClass uint16

	// NoEnd says that the message was given up without an end, which Zeek does
	// for a dynamic update of something that is no zone.
	NoEnd bool
}

// Update reports whether the message is a dynamic update.
func (m *Msg) Update() bool { return m.Opcode == OpUpdate && !m.NetBIOS }

// Rejected reports whether the message is an answer with a question and nothing
// else, which Zeek reads as a refusal.
func (m *Msg) Rejected() bool {
	return m.QR && m.NumAnswers == 0 && m.NumAuthority == 0 && m.NumAdditional == 0
}

// Question is one entry of the question section.
type Question struct {
	Name     []byte // lower case, labels joined by dots, no dot at the end; empty for the root
	Original []byte // the same as sent
	Type     uint16
	Class    uint16
}

// What says what a record of a dynamic update asks for.
type What uint8

// A record is Plain unless it stands in a dynamic update and has no data.
const (
	Plain        What = iota
	Prerequisite      // a condition
	Delete            // a removal
	Unknown           // a type that the parser does not know
)

// RR is one resource record. Which fields are set depends on Type.
type RR struct {
	Section Section
	What    What
	Type    uint16
	Class   uint16 // OPT: the sender's payload size
	TTL     uint32 // OPT: extended code, version and flags
	Name    []byte // lower case

	Addr    packet.Addr // A, AAAA, A6
	Target  []byte      // NS CNAME PTR MX SRV: the host; SOA: primary name; RRSIG: signer; NSEC: next name; NAPTR: replacement; SVCB HTTPS: target; TSIG TKEY: algorithm
	Second  []byte      // SOA: mailbox
	Strings [][]byte    // TXT SPF: all; HINFO: cpu, os; NAPTR: flags, service, regexp; CAA: tag, value; NSEC NSEC3: bitmaps
	Blob    []byte      // RRSIG: signature; DNSKEY: key; DS: digest; SSHFP: fingerprint; NSEC3, NSEC3PARAM: salt; TSIG: MAC; TKEY: key
	Blob2   []byte      // NSEC3: hash
	Params  []Param     // SVCB HTTPS: service parameters; OPT: options

	fixed []byte // the fixed part of the data, raw
}

// Param is a service parameter or an EDNS option.
type Param struct {
	Key       uint16
	Value     []byte
	Malformed bool // the value is not of its key's form; it is as sent
}

// u8, u16 and u32 read from the fixed part, 0 where it is short.
func (r *RR) u8(off int) uint8 {
	if off < len(r.fixed) {
		return r.fixed[off]
	}
	return 0
}

func (r *RR) u16(off int) uint16 {
	if off+2 <= len(r.fixed) {
		return binary.BigEndian.Uint16(r.fixed[off:])
	}
	return 0
}

func (r *RR) u32(off int) uint32 {
	if off+4 <= len(r.fixed) {
		return binary.BigEndian.Uint32(r.fixed[off:])
	}
	return 0
}

// Preference returns the preference of an MX record, or the priority of an SRV,
// SVCB or HTTPS record, or the order of a NAPTR record.
func (r *RR) Preference() uint16 { return r.u16(0) }

// SRV returns priority, weight and port of an SRV record.
func (r *RR) SRV() (priority, weight, port uint16) { return r.u16(0), r.u16(2), r.u16(4) }

// NAPTR returns order and preference of a NAPTR record.
func (r *RR) NAPTR() (order, preference uint16) { return r.u16(0), r.u16(2) }

// SOA returns the numbers of an SOA record, times in seconds.
func (r *RR) SOA() (serial, refresh, retry, expire, minimum uint32) {
	return r.u32(0), r.u32(4), r.u32(8), r.u32(12), r.u32(16)
}

// RRSIG is the fixed part of an RRSIG record (RFC 4034), times in seconds since
// the epoch.
type RRSIG struct {
	Covered                    uint16
	Algorithm, Labels          uint8
	TTL, Expiration, Inception uint32
	KeyTag                     uint16
}

// RRSIG returns the fixed part of an RRSIG record.
func (r *RR) RRSIG() RRSIG {
	return RRSIG{r.u16(0), r.u8(2), r.u8(3), r.u32(4), r.u32(8), r.u32(12), r.u16(16)}
}

// DNSKEY returns flags, protocol and algorithm of a DNSKEY record.
func (r *RR) DNSKEY() (flags uint16, protocol, algorithm uint8) { return r.u16(0), r.u8(2), r.u8(3) }

// DS returns key tag, algorithm and digest type of a DS record.
func (r *RR) DS() (keyTag uint16, algorithm, digest uint8) { return r.u16(0), r.u8(2), r.u8(3) }

// NSEC3 returns hash algorithm, flags and iterations of an NSEC3 or NSEC3PARAM record.
func (r *RR) NSEC3() (hash, flags uint8, iterations uint16) { return r.u8(0), r.u8(1), r.u16(2) }

// SSHFP returns algorithm and fingerprint type of an SSHFP record.
func (r *RR) SSHFP() (algorithm, kind uint8) { return r.u8(0), r.u8(1) }

// CAA returns the flags of a CAA record.
func (r *RR) CAA() (flags uint8) { return r.u8(0) }

// BINDS returns the parts of BIND 9's signing signal.
func (r *RR) BINDS() (algorithm uint8, keyID uint16, removal, complete uint8) {
	return r.u8(0), r.u16(1), r.u8(3), r.u8(4)
}

// LOC is a location (RFC 1876), as sent.
type LOC struct {
	Version, Size, Horizontal, Vertical uint8
	Latitude, Longitude, Altitude       uint32
}

// LOC returns the location of a LOC record.
func (r *RR) LOC() LOC {
	return LOC{r.u8(0), r.u8(1), r.u8(2), r.u8(3), r.u32(4), r.u32(8), r.u32(12)}
}

// TSIG is what follows the algorithm of a TSIG record (RFC 8945). Seconds and
// Fraction are how Zeek reads the 48 bits of the time.
type TSIG struct {
	Seconds         uint32
	Fraction, Fudge uint16
	OrigID, Error   uint16
}

// EDNS returns the parts of an OPT record's TTL.
func (r *RR) EDNS() (extended, version uint8, flags uint16) {
	return uint8(r.TTL >> 24), uint8(r.TTL >> 16), uint16(r.TTL)
}
