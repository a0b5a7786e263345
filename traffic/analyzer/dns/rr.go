package dns

// record parses one resource record and adds it to the message if it means
// something. It returns false where parsing cannot go on.
//
// Where a record's data are not as long as they say, most types go on where
// their last field ended and not where the record ends, as Zeek does.
func (p *parser) record(sec Section) bool {
	r := RR{Section: sec}
	if !p.rrHeader(&r) {
		return false
	}
	r.TTL = p.u32()
	n := int(p.u16())
	if n > len(p.b)-p.off {
		p.weird("DNS_truncated_RR_rdlength_lt_len", "")
		return false
	}
	if p.msg.Update() && (sec == SecUpdate || sec == SecPrerequisite) && p.noData(&r, n) {
		return true
	}
	if n == 0 && p.off < len(p.b) {
		if p.msg.Update() {
			return true
		}
		p.weird("DNS_zero_rdlength", "")
		return false
	}
	ok, event := p.data(&r, n)
	if event {
		p.add(&r)
	}
	return ok
}

// add keeps a record for the handler.
func (p *parser) add(r *RR) {
	if !p.skip {
		p.msg.Records = append(p.msg.Records, *r)
	}
}

// noData deals with the records of a dynamic update that are conditions and
// removals, or wrong (RFC 2136 section 2.4 and 2.5). It returns true if the
// record is done with.
func (p *parser) noData(r *RR, n int) bool {
	same := r.Class == p.msg.ZoneClass
	if r.Section == SecUpdate {
		switch {
		case r.Class == ClassAny && r.TTL == 0 && n == 0:
			r.What = Delete
			p.add(r)
		case r.Class == ClassNone && r.TTL == 0, same:
			return false
		default:
			p.weird("DNS_dynamic_update_invalid_update", "")
		}
		return true
	}
	switch {
	case r.TTL != 0:
		p.weird("DNS_dynamic_update_prereq_nonzero_ttl", p.num(int(int32(r.TTL))))
	case (r.Class == ClassAny || r.Class == ClassNone) && n == 0, same:
		r.What = Prerequisite
		p.add(r)
	default:
		p.weird("DNS_dynamic_update_invalid_prereq", "")
	}
	return true
}

// data parses the n bytes of a record's data, by type. It returns whether
// parsing can go on, and whether the handler should see the record.
func (p *parser) data(r *RR, n int) (ok, event bool) {
	switch r.Type {
	case TypeA:
		if n != 4 {
			p.weird("DNS_RR_bad_length", "")
			return false, false
		}
		r.Addr[10], r.Addr[11] = 0xff, 0xff
		copy(r.Addr[12:], p.bytes(4))
		return true, true
	case TypeAAAA, TypeA6:
		for i := 0; i < 16; i += 4 {
			v := p.u32()
			r.Addr[i], r.Addr[i+1], r.Addr[i+2], r.Addr[i+3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
		}
		return true, true
	case TypeNS, TypeCNAME, TypePTR:
		return p.host(r, n, 0)
	case TypeMX:
		return p.host(r, n, 2)
	case TypeSRV:
		if p.respPort == NetBIOSPort {
			return true, false // a node status: not parsed, not even passed over
		}
		return p.host(r, n, 6)
	case TypeSOA:
		return p.soa(r, n)
	case TypeWKS:
		if p.skip {
			p.bytes(n)
		}
		return true, true // not passed over either
	case TypeTXT, TypeSPF:
		if p.skip {
			p.bytes(n)
			return true, false
		}
		return p.texts(r, n), true
	case TypeNAPTR:
		return p.naptr(r, n)
	case TypeOPT:
		return p.edns(r, n)
	case TypeTSIG:
		return p.tsig(r)
	case TypeHINFO, TypeCAA, TypeTKEY:
		return p.rare(r, n)
	case TypeSVCB, TypeHTTPS:
		return p.svcb(r, n)
	case TypeLOC:
		return p.loc(r, n)
	case TypeRRSIG, TypeDNSKEY, TypeNSEC, TypeNSEC3, TypeNSEC3PARAM, TypeDS, TypeBINDS, TypeSSHFP:
		return p.signed(r, n)
	case TypeNB:
		p.bytes(n)
		return true, false
	}
	r.What = Unknown
	p.weird("DNS_RR_unknown_type", p.num(int(r.Type)))
	r.Blob = p.bytes(n)
	return true, true
}

// host parses a name behind fixed bytes of numbers.
func (p *parser) host(r *RR, n, fixed int) (ok, event bool) {
	start := p.off
	r.fixed = p.numbers(fixed)
	if r.Target, ok = p.nameRest(maxName, true); !ok {
		return false, false
	}
	p.checkLen(start, n)
	return true, true
}

func (p *parser) checkLen(start, n int) {
	if p.off-start != n {
		p.weird("DNS_RR_length_mismatch", "")
	}
}

// numbers takes n bytes of 16-bit numbers, as many as are there whole.
func (p *parser) numbers(n int) []byte {
	return p.bytes(min(n, (len(p.b)-p.off)&^1))
}

func (p *parser) soa(r *RR, n int) (ok, event bool) {
	start := p.off
	if r.Target, ok = p.nameRest(maxName, true); !ok {
		return false, false
	}
	if r.Second, ok = p.nameRest(maxName, true); !ok {
		return false, false
	}
	if len(p.b)-p.off < 20 {
		return false, false
	}
	r.fixed = p.bytes(20)
	p.checkLen(start, n)
	return true, true
}

// text takes one string with its length in front, of n bytes left, and returns
// the bytes left then. It is nil if there is none.
func (p *parser) text(n int) ([]byte, int) {
	if n <= 0 {
		return nil, n
	}
	l := int(p.u8())
	n--
	if l > n {
		p.weird("DNS_TXT_char_str_past_rdlen", "")
		return nil, n
	}
	return p.bytes(l), n - l
}

// texts parses the strings of a TXT or SPF record.
func (p *parser) texts(r *RR, n int) bool {
	start := len(p.strings)
	for {
		var s []byte
		if s, n = p.text(n); s == nil {
			break
		}
		p.strings = append(p.strings, s)
	}
	r.Strings = p.since(start)
	return n == 0
}

func (p *parser) since(start int) [][]byte {
	return p.strings[start:len(p.strings):len(p.strings)]
}

func (p *parser) naptr(r *RR, n int) (ok, event bool) {
	r.fixed = p.numbers(4)
	n -= 4
	if p.off >= len(p.b) || n <= 0 {
		p.c.Violation(service, "DNS_NAPTR_too_short", nil)
		return false, false
	}
	start := len(p.strings)
	missing := false
	for range 3 {
		var s []byte
		s, n = p.text(n)
		missing = missing || s == nil
		p.strings = append(p.strings, s)
	}
	r.Strings = p.since(start)
	r.Target, ok = p.nameRest(maxName, false)
	if missing || !ok {
		p.c.Violation(service, "DNS_NAPTR_RR_too_short", nil)
		return false, false
	}
	return true, true
}

func (p *parser) loc(r *RR, n int) (ok, event bool) {
	if n != 16 {
		p.weird("dns_invalid_loc_length", "")
		return false, false
	}
	if p.skip {
		p.bytes(n)
		return true, false
	}
	r.fixed = p.bytes(16)
	if r.fixed[0] != 0 {
		p.weird("DNS_LOC_version_unrecognized", p.num(int(r.fixed[0])))
	}
	return true, true
}

// rare parses the types that no default script of Zeek looks at. Unless they are
// asked for, bad ones are passed over in silence.
func (p *parser) rare(r *RR, n int) (ok, event bool) {
	if p.skip {
		p.bytes(n)
		return true, false
	}
	end := p.off + n
	p.quiet = !p.cfg.Rare
	switch r.Type {
	case TypeHINFO:
		start := len(p.strings)
		cpu, left := p.text(n)
		os, left := p.text(left)
		p.strings = append(p.strings, cpu, os)
		r.Strings = p.since(start)
		ok, event = left == 0, true
	case TypeCAA:
		ok, event = p.caa(r, n)
	case TypeTKEY:
		ok, event = p.tkey(r)
	}
	p.quiet = false
	if !p.cfg.Rare {
		p.off = end
		return true, ok && event
	}
	return ok, event
}

func (p *parser) caa(r *RR, n int) (ok, event bool) {
	r.fixed = p.numbers(2)
	tag := int(r.u8(1))
	n -= 2
	if tag >= n {
		p.weird("DNS_CAA_char_str_past_rdlen", "")
		return false, false
	}
	start := len(p.strings)
	p.strings = append(p.strings, p.bytes(tag), p.bytes(n-tag))
	r.Strings = p.since(start)
	return true, true
}

func (p *parser) tkey(r *RR) (ok, event bool) {
	if len(p.b)-p.off < 16 {
		return false, false
	}
	if r.Target, ok = p.nameRest(maxName, true); !ok {
		return false, false
	}
	r.fixed = p.numbers(12)
	r.Blob = p.bytes(int(p.u16()))
	p.bytes(int(p.u16()))
	return true, true
}

func (p *parser) tsig(r *RR) (ok, event bool) {
	if r.Target, ok = p.nameRest(maxAlg, true); !ok {
		return false, false
	}
	r.fixed = p.numbers(8)
	r.Blob = p.bytes(int(p.u16()))
	r.Second = p.numbers(4) // original id and error
	p.bytes(int(p.u16()))
	return true, true
}

// TSIG returns the numbers of a TSIG record.
func (r *RR) TSIG() TSIG {
	t := TSIG{Seconds: r.u32(0), Fraction: r.u16(4), Fudge: r.u16(6)}
	tail := RR{fixed: r.Second}
	t.OrigID, t.Error = tail.u16(0), tail.u16(2)
	return t
}
