package x509

import (
	"bytes"

	"github.com/picket-nsm/picket/traffic/format/asn1"
)

// OCSP says what an OCSP response (RFC 6960) says about certificates.
type OCSP struct{ Singles []SingleResponse }

// SingleResponse is the state of one certificate. Times are in seconds since the
// epoch, 0 if they are not there or cannot be read.
type SingleResponse struct {
	HashAlg           string // of the two hashes
	NameHash, KeyHash string // upper-case hexadecimal
	Serial            string
	Status            string // good, revoked, unknown
	Reason            string // why revoked; empty: not said
	Revoked           float64
	ThisUpdate        float64
	NextUpdate        float64

	id []byte // hashes and serial number as sent
}

const oidBasicOCSP = "1.3.6.1.5.5.7.48.1.1"

// ParseOCSP reads an OCSP response. ok is false if it is none; one of a kind that
// is not known, or broken inside, has nothing to say. weird takes Zeek's names for
// times that cannot be read.
func ParseOCSP(b []byte, weird func(name string)) (r *OCSP, ok bool) {
	all, _, ok := asn1.Read(b)
	if !ok || !all.Is(asn1.TagSequence) {
		return nil, false
	}
	s := asn1.Open(all)
	s.Take(asn1.TagEnumerated)
	payload, has := s.Optional(0)
	if !s.Done() {
		return nil, false
	}
	r = &OCSP{}
	if !has {
		return r, true
	}
	p := asn1.Open(payload)
	response := asn1.Open(p.Take(asn1.TagSequence))
	kind, basic := response.Take(asn1.TagOID), response.Take(asn1.TagOctetString)
	if !p.Done() || !response.Done() || !isOID(kind.Content) {
		return nil, false
	}
	if oid(kind.Content) != oidBasicOCSP || !r.basic(basic.Content, weird) {
		return &OCSP{}, true
	}
	return r, true
}

// basic reads a BasicOCSPResponse.
func (r *OCSP) basic(b []byte, weird func(string)) bool {
	all, _, ok := asn1.Read(b)
	s := asn1.Open(all)
	data := asn1.Open(s.Take(asn1.TagSequence))
	s.Take(asn1.TagSequence) // algorithm
	s.Take(asn1.TagBitString)
	s.Optional(0) // certificates
	if !ok || !all.Is(asn1.TagSequence) || !s.Done() {
		return false
	}
	data.Optional(0) // version
	if _, byName := data.Optional(1); !byName {
		if _, byKey := data.Optional(2); !byKey {
			return false
		}
	}
	data.Take(asn1.TagGeneralizedTime)
	list := asn1.Open(data.Take(asn1.TagSequence))
	data.Optional(1) // extensions
	for list.More() {
		if !r.single(asn1.Open(list.Take(asn1.TagSequence)), weird) {
			return false
		}
	}
	return data.Done() && list.Done()
}

// single reads a SingleResponse.
func (r *OCSP) single(s asn1.Seq, weird func(string)) bool {
	id := asn1.Open(s.Take(asn1.TagSequence))
	alg := asn1.Open(id.Take(asn1.TagSequence))
	hash := alg.Take(asn1.TagOID)
	name, key := id.Take(asn1.TagOctetString), id.Take(asn1.TagOctetString)
	serial := id.Take(asn1.TagInteger)
	status := s.Next()
	this := s.Take(asn1.TagGeneralizedTime)
	next, hasNext := s.Optional(0)
	s.Optional(1) // extensions
	if !s.Done() || !id.Done() || !isOID(hash.Content) || status.Class != asn1.Context {
		return false
	}
	one := SingleResponse{HashAlg: objectName(hash.Content), NameHash: hexLines(name.Content), KeyHash: hexLines(key.Content)}
	var ok bool
	if one.Serial, ok = serialText(serial.Content); !ok {
		return false
	}
	one.id = bytes.Join([][]byte{hash.Content, name.Full, key.Full, serial.Full}, nil)
	var times [3]asn1.Value
	times[1] = this
	if hasNext {
		n := asn1.Open(next)
		if times[2] = n.Take(asn1.TagGeneralizedTime); !n.Done() {
			return false
		}
	}
	if times[0], ok = one.state(&status); !ok {
		return false
	}
	// Of several with the same id, the first one's state is what Zeek shows.
	for i := range r.Singles {
		if f := &r.Singles[i]; bytes.Equal(f.id, one.id) {
			one = *f
			r.Singles = append(r.Singles, one)
			return true
		}
	}
	for i, at := range []*float64{&one.Revoked, &one.ThisUpdate, &one.NextUpdate} {
		if times[i].Full != nil {
			var odd string
			if *at, odd = ParseTime(&times[i]); odd != "" && weird != nil {
				weird(odd)
			}
		}
	}
	r.Singles = append(r.Singles, one)
	return true
}

// state reads a CertStatus and returns when the certificate was revoked.
func (s *SingleResponse) state(v *asn1.Value) (revoked asn1.Value, ok bool) {
	switch v.Tag {
	case 0:
		s.Status = "good"
		return revoked, !v.Constructed
	case 2:
		s.Status = "unknown"
		return revoked, !v.Constructed
	case 1:
		s.Status = "revoked"
		info := asn1.Open(*v)
		revoked = info.Take(asn1.TagGeneralizedTime)
		if why, has := info.Optional(0); has {
			r := asn1.Open(why)
			n, fits := integer(r.Take(asn1.TagEnumerated).Content)
			if !fits || !r.Done() {
				return revoked, false
			}
			s.Reason = reason(n)
		}
		return revoked, info.Done()
	}
	return revoked, false
}

// reason names a CRLReason.
func reason(n int64) string {
	names := [...]string{
		0: "unspecified", 1: "keyCompromise", 2: "cACompromise", 3: "affiliationChanged", 4: "superseded",
		5: "cessationOfOperation", 6: "certificateHold", 8: "removeFromCRL", 9: "privilegeWithdrawn", 10: "aACompromise",
	}
	switch {
	case n == -1:
		return "" // OpenSSL's mark for none
	case n >= 0 && n < int64(len(names)) && names[n] != "":
		return names[n]
	}
	return "(UNKNOWN)"
}
