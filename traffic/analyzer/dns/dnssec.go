package dns

// Names of the signing algorithms that get a weird, by number (IANA's registry
// "DNS Security Algorithm Numbers"); the others are known or unknown.
const (
	algRSAMD5     = 1
	algIndirect   = 252
	algPrivateDNS = 253
	algPrivateOID = 254
)

// signed parses the types of DNSSEC and its relatives.
func (p *parser) signed(r *RR, n int) (ok, event bool) {
	if p.skip {
		p.bytes(n)
		return true, false
	}
	if len(p.b)-p.off < leastData(r.Type) {
		return false, false
	}
	start := p.off
	switch r.Type {
	case TypeRRSIG:
		r.fixed = p.bytes(18)
		if r.Target, ok = p.nameRest(maxName, true); !ok {
			return false, false
		}
		r.Blob = p.bytes(n - (p.off - start))
		p.algorithm(&rrsigWeirds, r.u8(2))
	case TypeDNSKEY:
		r.fixed = p.bytes(4)
		r.Blob = p.bytes(n - 4)
		p.dnskey(r)
	case TypeDS:
		r.fixed = p.bytes(4)
		r.Blob = p.bytes(n - 4)
		switch t := r.u8(3); {
		case t == 0:
			p.weird("DNSSEC_DS_ReservedDigestType", "0")
		case t > 4:
			p.weird("DNSSEC_DS_unknown_DigestType", p.num(int(t)))
		}
	case TypeNSEC:
		if r.Target, ok = p.nameRest(maxName, true); !ok {
			return false, false
		}
		p.bitmaps(r, n-(p.off-start), "DNSSEC_NSEC_bitmapLen0")
	case TypeNSEC3:
		r.fixed = p.bytes(4)
		r.Blob = p.bytes(int(p.u8()))
		r.Blob2 = p.bytes(int(p.u8()))
		p.bitmaps(r, n-(p.off-start), "DNSSEC_NSEC3_bitmapLen0")
	case TypeNSEC3PARAM:
		r.fixed = p.bytes(4)
		r.Blob = p.bytes(int(p.u8()))
	case TypeBINDS:
		r.fixed = p.bytes(5)
	case TypeSSHFP:
		r.fixed = p.bytes(2)
		r.Blob = p.bytes(n - 2)
	}
	return true, true
}

// leastData returns how many bytes a record of the type needs.
func leastData(t uint16) int {
	switch t {
	case TypeRRSIG:
		return 18
	case TypeNSEC3:
		return 6
	case TypeNSEC3PARAM, TypeBINDS:
		return 5
	case TypeDNSKEY, TypeDS:
		return 4
	case TypeSSHFP:
		return 2
	}
	return 0
}

// bitmaps parses the type bitmaps of NSEC and NSEC3, n bytes.
func (p *parser) bitmaps(r *RR, n int, empty string) {
	start := len(p.strings)
	for n > 0 && p.off < len(p.b) {
		h := p.u16()
		l := int(h & 0xff)
		if l == 0 {
			p.weird(empty, p.num(int(h>>8)))
			break
		}
		p.strings = append(p.strings, p.bytes(l))
		n -= 2 + l
	}
	r.Strings = p.since(start)
}

func (p *parser) dnskey(r *RR) {
	flags, proto, alg := r.DNSKEY()
	if flags&0xfe7e != 0 {
		p.weird("DNSSEC_DNSKEY_Invalid_Flag", p.num(int(flags)))
	}
	if flags&0x0181 == 0x0181 {
		p.weird("DNSSEC_DNSKEY_Revoked_KSK", p.num(int(flags)))
	}
	if proto != 3 {
		p.weird("DNSSEC_DNSKEY_Invalid_Protocol", p.num(int(proto)))
	}
	p.algorithm(&dnskeyWeirds, alg)
}

// algWeirds are the names for an algorithm that is not to be used.
type algWeirds struct{ notRecommended, indirect, privateDNS, privateOID, unknown string }

var rrsigWeirds = algWeirds{
	"DNSSEC_RRSIG_NotRecommended_ZoneSignAlgo", "DNSSEC_RRSIG_Indirect_ZoneSignAlgo",
	"DNSSEC_RRSIG_PrivateDNS_ZoneSignAlgo", "DNSSEC_RRSIG_PrivateOID_ZoneSignAlgo", "DNSSEC_RRSIG_unknown_ZoneSignAlgo",
}

var dnskeyWeirds = algWeirds{
	"DNSSEC_DNSKEY_NotRecommended_ZoneSignAlgo", "DNSSEC_DNSKEY_Indirect_ZoneSignAlgo",
	"DNSSEC_DNSKEY_PrivateDNS_ZoneSignAlgo", "DNSSEC_DNSKEY_PrivateOID_ZoneSignAlgo", "DNSSEC_DNSKEY_unknown_ZoneSignAlgo",
}

// algorithm complains about a signing algorithm that is not to be used.
func (p *parser) algorithm(w *algWeirds, alg uint8) {
	name := w.unknown
	switch alg {
	case 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15, 16:
		return
	case algRSAMD5:
		name = w.notRecommended
	case algIndirect:
		name = w.indirect
	case algPrivateDNS:
		name = w.privateDNS
	case algPrivateOID:
		name = w.privateOID
	}
	p.weird(name, p.num(int(alg)))
}
