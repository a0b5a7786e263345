package dns

import (
	"encoding/hex"
	"net/netip"
	"strconv"

	wire "github.com/picket-nsm/picket/traffic/analyzer/dns"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// info is one row in the making. Its texts lie in one buffer: UID, query and
// answers, as they came.
type info struct {
	refs    int
	ts      packet.Time
	rtt     float64
	id      analyzer.ID // UID is in text
	uidLen  int
	counted int  // bytes of text that the connection's limit has counted
	waits   bool // for its other half
	transID uint16

	hasQuery, hasQuestion, hasRcode, hasAnswers bool
	AA, TC, RD, RA, rejected, netbios           bool
	nodeStatus                                  bool // SRV on the NetBIOS port
	sawQuery, sawReply                          bool

	qclass, qtype    uint16
	z, rcode, opcode uint8

	queryAt, queryLen int
	text              []byte
	ends              []span // of the answers, in text
	ttls              []uint32
}

type span struct{ from, to int }

func (i *info) setQuery(q []byte) {
	i.queryAt, i.queryLen, i.hasQuery = len(i.text), len(q), true
	i.text = append(i.text, q[:min(len(q), maxText)]...)
	i.queryLen = len(i.text) - i.queryAt
}

// question takes a question of a query; the last one stays.
func (i *info) question(m *wire.Msg, q *wire.Question) {
	i.RD, i.TC, i.z = m.RD, m.TC, m.Z
	i.qclass, i.qtype, i.hasQuestion = q.Class, q.Type, true
	name := q.Name
	if i.id.RespP == wire.NetBIOSPort && i.id.Proto == value.ProtoUDP {
		var buf [16]byte
		if n := wire.NetBIOSName(&buf, name); n > 0 {
			name = buf[:n]
		}
		i.nodeStatus = q.Type == wire.TypeSRV
	} else {
		i.nodeStatus = false
	}
	if i.hasQuery && i.queryAt+i.queryLen == len(i.text) {
		i.text = i.text[:i.queryAt] // a second question takes the room of the first
	}
	i.setQuery(name)
}

// reply takes a record of a reply.
func (i *info) reply(c analyzer.Conn, m *wire.Msg, r *wire.RR) {
	switch r.Section {
	case wire.SecAnswer, wire.SecPrerequisite, wire.SecUpdate:
	default:
		return
	}
	start := len(i.text)
	full := len(i.ends) >= maxAnswers
	if !full {
		if r.Section == wire.SecUpdate && r.What != wire.Delete {
			i.text = append(i.text, "add: "...)
		}
		body := len(i.text)
		known := i.answer(m, r)
		if !known {
			i.text = i.text[:start]
			return // a record that the log does not show at all
		}
		if len(i.text) == body {
			i.text = i.text[:start]
		}
		i.text = i.text[:min(len(i.text), start+maxText)]
	}
	end := len(i.text)
	i.AA, i.RA = m.AA, m.RA
	if i.rtt == 0 {
		i.rtt = float64(c.Now() - i.ts)
	}
	if end > start {
		i.ends = append(i.ends, span{start, end})
		i.ttls = append(i.ttls, r.TTL)
		i.hasAnswers = true
	}
	if !i.hasQuery {
		i.setQuery(r.Name)
	}
}

// answer appends a record's text, as Zeek shows it. It returns false for
// records that Zeek's scripts do not look at.
func (i *info) answer(m *wire.Msg, r *wire.RR) bool {
	b := i.text
	switch r.What {
	case wire.Prerequisite:
		b = append(b, "pre: "...)
		switch {
		case r.Class == wire.ClassNone && r.Type == wire.TypeANY:
			b = append(append(b, "NameNotInUse "...), r.Name...)
		case r.Class == wire.ClassAny && r.Type == wire.TypeANY:
			b = append(append(b, "NameInUse "...), r.Name...)
		case r.Class == wire.ClassNone:
			b = append(append(appendType(append(b, "NoRRSet "...), r.Type), ' '), r.Name...)
		default:
			b = append(append(appendType(append(b, "RRSetExists "...), r.Type), ' '), r.Name...)
		}
		i.text = b
		return true
	case wire.Delete:
		b = append(b, "del: "...)
		if r.Class == wire.ClassAny && r.Type == wire.TypeANY {
			b = append(append(b, "RRSet * "...), r.Name...)
		} else {
			b = appendType(append(b, "RRSet "...), r.Type)
		}
		i.text = b
		return true
	case wire.Unknown:
		i.text = append(strconv.AppendUint(append(b, "<unknown type="...), uint64(r.Type), 10), '>')
		return true
	}
	switch r.Type {
	case wire.TypeA, wire.TypeAAAA, wire.TypeA6:
		if m.Update() {
			b = append(append(append(appendType(b, r.Type), ' '), r.Name...), ' ')
		}
		b = netip.AddrFrom16(r.Addr).Unmap().AppendTo(b)
	case wire.TypeNS, wire.TypeCNAME, wire.TypeMX, wire.TypePTR, wire.TypeSOA, wire.TypeSRV:
		b = append(b, r.Target...)
	case wire.TypeWKS:
	case wire.TypeTXT:
		b = appendTexts(b, "TXT ", r.Strings)
	case wire.TypeSPF:
		b = appendTexts(b, "SPF ", r.Strings)
	case wire.TypeNAPTR:
		b = appendNAPTR(b, r)
	case wire.TypeRRSIG:
		b = append(appendNum(append(b, "RRSIG "...), r.RRSIG().Covered), ' ')
		if len(r.Target) == 0 {
			b = append(b, "<Root>"...)
		}
		b = append(b, r.Target...)
	case wire.TypeDNSKEY:
		_, _, alg := r.DNSKEY()
		b = appendNum(append(b, "DNSKEY "...), alg)
	case wire.TypeNSEC:
		b = append(append(append(append(b, "NSEC "...), r.Name...), ' '), r.Target...)
	case wire.TypeNSEC3:
		b = append(b, "NSEC3"...)
	case wire.TypeNSEC3PARAM:
		b = append(b, "NSEC3PARAM"...)
	case wire.TypeDS:
		_, alg, digest := r.DS()
		b = appendNum(append(appendNum(append(b, "DS "...), alg), ' '), digest)
	case wire.TypeBINDS:
		b = append(b, "BIND9 signing signal"...)
	case wire.TypeSSHFP:
		b = hex.AppendEncode(append(b, "SSHFP: "...), r.Blob)
	case wire.TypeLOC:
		l := r.LOC()
		b = appendNum(append(b, "LOC:  "...), l.Size)
		b = appendNum(append(b, ' '), l.Horizontal)
		b = appendNum(append(b, ' '), l.Vertical)
	default:
		return false
	}
	i.text = b
	return true
}

func appendNum[T uint8 | uint16](b []byte, n T) []byte { return strconv.AppendUint(b, uint64(n), 10) }

func appendTexts(b []byte, word string, texts [][]byte) []byte {
	for n, s := range texts {
		if n > 0 {
			b = append(b, ' ')
		}
		b = append(strconv.AppendInt(append(b, word...), int64(len(s)), 10), ' ')
		b = append(b, s...)
	}
	return b
}

// appendNAPTR writes order, preference, flags, service, and then the regexp, the
// replacement, or both.
func appendNAPTR(b []byte, r *wire.RR) []byte {
	order, pref := r.NAPTR()
	b = append(appendNum(append(appendNum(append(b, "NAPTR "...), order), ' '), pref), ' ')
	b = append(append(append(append(b, r.Strings[0]...), ' '), r.Strings[1]...), ' ')
	regexp := r.Strings[2]
	b = append(b, regexp...)
	if len(regexp) > 0 && len(r.Target) > 0 {
		b = append(b, ' ')
	}
	return append(b, r.Target...)
}

// multicast reports whether messages to the address are rows of their own.
func multicast(a *packet.Addr) bool { return a[0] == 0xff || a.Is4() && a[12]&0xf0 == 0xe0 }
