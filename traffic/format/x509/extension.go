package x509

import (
	"strconv"
	"strings"

	"github.com/picket-nsm/picket/traffic/format/asn1"
)

// Extensions that are read.
const (
	oidConstraints = "2.5.29.19"
	oidSAN         = "2.5.29.17"
)

// extensions reads the list of extensions.
func (c *Certificate) extensions(v asn1.Value) bool {
	s := asn1.Open(v)
	list := asn1.Open(s.Take(asn1.TagSequence))
	if !s.Done() {
		return false
	}
	for list.More() {
		e := asn1.Open(list.Take(asn1.TagSequence))
		id := e.Take(asn1.TagOID)
		if _, tag, ok := e.Peek(); ok && tag == asn1.TagBoolean {
			if critical := e.Take(asn1.TagBoolean); len(critical.Content) != 1 {
				return false
			}
		}
		data := e.Take(asn1.TagOctetString)
		if !e.Done() || !isOID(id.Content) {
			return false
		}
		switch oid(id.Content) {
		case oidConstraints:
			c.constraints(data.Content)
		case oidSAN:
			c.SANSeen = true
			c.alternative(data.Content)
		}
	}
	return list.Done()
}

// constraints reads basicConstraints. Of several the last one counts.
func (c *Certificate) constraints(b []byte) {
	v, _, ok := asn1.Read(b)
	s := asn1.Open(v)
	ca, hasLen, pathLen := false, false, int64(0)
	if _, tag, more := s.Peek(); more && tag == asn1.TagBoolean {
		f := s.Take(asn1.TagBoolean)
		if len(f.Content) != 1 {
			ok = false
		} else {
			ca = f.Content[0] != 0
		}
	}
	if s.More() {
		n := s.Take(asn1.TagInteger)
		var fits bool
		pathLen, fits = integer(n.Content)
		ok, hasLen = ok && fits, true
	}
	if !ok || !v.Is(asn1.TagSequence) || !s.Done() {
		c.weird("x509_invalid_basic_constraint", "")
		return
	}
	c.HasConstraints, c.CA, c.HasPathLen, c.PathLen = true, ca, hasLen, int64(int32(pathLen))
}

// Kinds of general names.
const (
	genEmail = 1
	genDNS   = 2
	genURI   = 6
	genIP    = 7
)

// alternative reads subjectAltName. Of several the last one counts.
func (c *Certificate) alternative(b []byte) {
	v, _, ok := asn1.Read(b)
	s := asn1.Open(v)
	var san SAN
	var odd []Weird
	for s.More() {
		n := s.Next()
		if s.Bad() || !generalName(&n) {
			ok = false
			break
		}
		switch n.Tag {
		case genDNS:
			san.DNS = append(san.DNS, string(n.Content))
		case genURI:
			san.URI = append(san.URI, string(n.Content))
		case genEmail:
			san.Email = append(san.Email, string(n.Content))
		case genIP:
			if san.IP == nil {
				san.IP = [][16]byte{}
			}
			switch len(n.Content) {
			case 4:
				a := [16]byte{10: 0xff, 11: 0xff}
				copy(a[12:], n.Content)
				san.IP = append(san.IP, a)
			case 16:
				san.IP = append(san.IP, [16]byte(n.Content))
			default:
				odd = append(odd, Weird{"x509_san_ip_length", strconv.Itoa(len(n.Content))})
			}
		}
	}
	if !ok || !v.Is(asn1.TagSequence) || !s.Done() {
		c.weird("x509_san_parse_error", "")
		return
	}
	c.HasSAN, c.SAN = true, san
	c.Weirds = append(c.Weirds, odd...)
}

// generalName reports whether a value may stand in a list of names.
func generalName(v *asn1.Value) bool {
	if v.Class != asn1.Context {
		return false
	}
	switch v.Tag {
	case genEmail, genDNS, genURI, genIP:
		return !v.Constructed
	case 0: // another kind of name: its id, then [0] anything
		s := asn1.Open(*v)
		id := s.Take(asn1.TagOID)
		value, ok := s.Optional(0)
		inner := asn1.Open(value)
		any := inner.Next()
		return ok && s.Done() && inner.Done() && isOID(id.Content) && isAny(&any)
	case 3: // X.400 address
		return v.Constructed
	case 4: // directory name
		s := asn1.Open(*v)
		var dir Certificate
		_, ok := dir.name(s.Take(asn1.TagSequence), false)
		return ok && s.Done()
	case 5: // EDI party
		s := asn1.Open(*v)
		s.Optional(0)
		_, ok := s.Optional(1)
		return ok && s.Done()
	case 8: // registered id
		return !v.Constructed && isOID(v.Content)
	}
	return false
}

// MatchesHost reports whether the certificate is one for a host, by the rules of
// RFC 2818 and 6125 as Zeek has them: the alternative names count if there are
// any, else the last common name; letters are not folded.
func (c *Certificate) MatchesHost(host string) bool {
	if !c.SANSeen {
		return c.HasCommonName && matches(host, c.CommonName)
	}
	for _, name := range c.SAN.DNS {
		if matches(host, name) {
			return true
		}
	}
	return false
}

// matches compares a host with a name in which a * may end the first label.
func matches(host, name string) bool {
	if host == name {
		return true
	}
	star, dot := strings.IndexByte(name, '*'), strings.IndexByte(name, '.')
	if star < 0 || dot < 0 || star+1 != dot || strings.IndexByte(name[dot+1:], '.') < 0 {
		return false
	}
	at := strings.IndexByte(host, '.')
	if at < 0 || host[at:] != name[dot:] {
		return false
	}
	return star == 0 || len(host) >= star && host[:star] == name[:star]
}
