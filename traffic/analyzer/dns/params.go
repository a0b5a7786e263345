package dns

import (
	"strconv"

	"github.com/picket-nsm/picket/zeek/value"
)

// EDNS options that are looked into (IANA's registry "DNS EDNS0 Option Codes").
const (
	OptSubnet    = 8  // RFC 7871
	OptKeepalive = 11 // RFC 7828
)

// Service parameters that are looked into (RFC 9460).
const (
	SvcMandatory  = 0
	SvcALPN       = 1
	SvcNoALPN     = 2
	SvcPort       = 3
	SvcIPv4Hint   = 4
	SvcECH        = 5
	SvcIPv6Hint   = 6
	smallestSVCB  = 3 // a priority and the root
	paramHeader   = 4
	subnetHeader  = 4
	familyIPv4    = 1
	familyIPv6    = 2
	bitsIPv4      = 32
	bitsIPv6      = 128
	bitsInOneByte = 8
)

func (p *parser) paramsSince(start int) []Param {
	return p.params[start:len(p.params):len(p.params)]
}

// edns parses the options of an OPT record (RFC 6891). A bad option ends the
// message, but the record itself was seen.
func (p *parser) edns(r *RR, n int) (ok, event bool) {
	start := len(p.params)
	cut := false
	for n >= paramHeader {
		code, l := p.u16(), int(p.u16())
		n -= paramHeader
		if l > n {
			cut = true
			break
		}
		v := p.bytes(l)
		n -= l
		bad := false
		switch code {
		case OptSubnet:
			bad = !p.subnet(v)
		case OptKeepalive:
			if bad = l != 0 && l != 2; !bad && p.c.ID().Proto == value.ProtoUDP {
				p.weird("EDNS_TCP_Keepalive_In_UDP", "")
			}
		}
		p.params = append(p.params, Param{Key: code, Value: v, Malformed: bad})
	}
	r.Params = p.paramsSince(start)
	if cut || n != 0 {
		p.weird("EDNS_truncated_option", "")
		return false, true
	}
	return true, true
}

// bits returns a number of bits as text.
func (p *parser) bits(n int) string {
	return value.Borrow(append(strconv.AppendInt(p.note[:0], int64(n), 10), " bits"...))
}

// subnet checks a client subnet option.
func (p *parser) subnet(v []byte) bool {
	if len(v) <= subnetHeader {
		p.weird("EDNS_ECS_invalid_option_len", "")
		return false
	}
	family, prefix, have := int(v[0])<<8|int(v[1]), int(v[2]), (len(v)-subnetHeader)*bitsInOneByte
	most, badPrefix, tooShort := bitsIPv4, "EDNS_ECS_invalid_addr_v4_prefix", "EDNS_ECS_invalid_addr_v4"
	switch family {
	case familyIPv4:
	case familyIPv6:
		most, badPrefix, tooShort = bitsIPv6, "EDNS_ECS_invalid_addr_v6_prefix", "EDNS_ECS_invalid_addr_v6"
	default:
		return true
	}
	switch {
	case prefix > most:
		p.weird(badPrefix, p.bits(prefix))
		return false
	case prefix > have:
		p.weird(tooShort, p.nums("need ", prefix, " bits, have ", have, " bits"))
		return false
	}
	return true
}

// svcb parses an SVCB or HTTPS record (RFC 9460).
func (p *parser) svcb(r *RR, n int) (ok, event bool) {
	start := p.off
	if n < smallestSVCB {
		p.weird("DNS_SVCB_wrong_length", "")
		return false, false
	}
	r.fixed = p.numbers(2)
	if r.Target, ok = p.nameRest(maxName, false); !ok {
		return false, false
	}
	if len(r.Target) == 0 {
		at := len(p.arena)
		p.arena = append(p.arena, '.')
		r.Target = p.arena[at : at+1 : at+1]
	}
	if left := n - (p.off - start); left > 0 {
		if r.Preference() == 0 {
			p.weird("DNS_SVCB_aliasmode_with_params", "")
		}
		p.svcParams(r, left)
	}
	return true, true
}

// svcParams parses service parameters, n bytes of them.
func (p *parser) svcParams(r *RR, n int) {
	start := len(p.params)
	for n >= paramHeader {
		key, l := p.u16(), int(p.u16())
		n -= paramHeader
		var complaint, addl string
		if l > n {
			complaint, addl = "DNS_SVCB_param_value_toobig", p.nums("", l, " capped to ", n, "")
			l = n
		}
		v := p.bytes(l)
		n -= l
		if complaint == "" {
			complaint = badParam(key, v)
		}
		if complaint != "" {
			p.weird(complaint, addl)
		}
		p.params = append(p.params, Param{Key: key, Value: v, Malformed: complaint != ""})
	}
	r.Params = p.paramsSince(start)
}

// badParam returns the weird that a parameter deserves, if any.
func badParam(key uint16, v []byte) string {
	switch key {
	case SvcMandatory:
		if len(v) == 0 || len(v)%2 != 0 {
			return "DNS_SVCB_mandatory_length_invalid"
		}
	case SvcALPN:
		for len(v) > 0 {
			l := int(v[0])
			if len(v) < 2 || l == 0 || l+1 > len(v) {
				return "DNS_SVCB_alpn_length_invalid"
			}
			v = v[l+1:]
		}
	case SvcNoALPN:
		if len(v) > 0 {
			return "DNS_SVCB_nodefaultalpn_value"
		}
	case SvcPort:
		if len(v) != 2 {
			return "DNS_SVCB_port_length_invalid"
		}
	case SvcIPv4Hint, SvcIPv6Hint:
		size := 4
		if key == SvcIPv6Hint {
			size = 16
		}
		if len(v)%size != 0 {
			return "DNS_SVCB_hint_length_invalid"
		}
	case SvcECH:
	default:
		return "DNS_SVCB_key_reserved_or_invalid"
	}
	return ""
}
