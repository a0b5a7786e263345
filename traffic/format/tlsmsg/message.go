package tlsmsg

import (
	"strings"

	"github.com/picket-nsm/picket/traffic/format/octets"
)

// ParseCertificates appends the certificates of a Certificate message (before
// TLS 1.3) to dst, at most limit of them. It returns nothing more, and false, if
// any of them is cut.
func ParseCertificates(dst [][]byte, body []byte, limit int) ([][]byte, bool) {
	r := octets.Reader{B: body}
	list := octets.Reader{B: r.Vec24()}
	n := len(dst)
	for len(list.B) > 0 {
		cert := list.Vec24()
		if len(dst)-n < limit {
			dst = append(dst, cert)
		}
	}
	if r.Bad || list.Bad {
		return dst[:n], false
	}
	return dst, true
}

// ParseCertificateStatus returns the type and the response of a
// CertificateStatus message; type 1 is OCSP. As in Zeek the response is all that
// follows its length.
func ParseCertificateStatus(body []byte) (kind uint8, response []byte, ok bool) {
	r := octets.Reader{B: body}
	kind = r.U8()
	r.U24()
	return kind, r.B, !r.Bad
}

// keyExchange says how a suite's ServerKeyExchange looks.
type keyExchange uint8

const (
	kexOther keyExchange = iota
	kexECDHE
	kexECDHAnon
	kexDHE
	kexDHAnon
)

// exchange tells by a suite's name. Zeek does not know two of them.
func exchange(suite uint32) keyExchange {
	const psk20, ccmOld = 0xccac, 0xd004 // TLS_ECDHE_PSK_WITH_...
	name := CipherName(suite)
	switch {
	case suite == psk20 || suite == ccmOld:
		return kexOther
	case strings.HasPrefix(name, "TLS_ECDHE_"):
		return kexECDHE
	case strings.HasPrefix(name, "TLS_ECDH_ANON_"):
		return kexECDHAnon
	case strings.HasPrefix(name, "TLS_DHE_"), strings.HasPrefix(name, "TLS_PSK_DHE_"):
		return kexDHE
	case strings.HasPrefix(name, "TLS_DH_ANON_"):
		return kexDHAnon
	}
	return kexOther
}

// signs reports whether a version puts an algorithm before signatures.
func signs(version uint16) bool { return version > TLS11 && version != DTLS10 }

// ParseServerKeyExchange returns the curve in a ServerKeyExchange message of the
// suite and version that the server chose.
func ParseServerKeyExchange(suite uint32, version uint16, body []byte) (curve uint16, named, ok bool) {
	const namedCurve = 3
	r := octets.Reader{B: body}
	signature := func() {
		if signs(version) {
			r.U16()
		}
		r.Vec16()
	}
	switch kex := exchange(suite); kex {
	case kexECDHE, kexECDHAnon:
		if r.U8() != namedCurve {
			return 0, false, !r.Bad
		}
		curve = r.U16()
		r.Vec8()
		if kex == kexECDHE {
			signature()
		}
		return curve, !r.Bad, !r.Bad
	case kexDHE, kexDHAnon:
		for range 3 {
			r.Vec16() // p, g, Ys
		}
		if kex == kexDHE {
			signature()
		}
	}
	return 0, false, !r.Bad
}

// CheckMessage reports whether a message of a kind that is not read further is
// of its form.
func CheckMessage(kind uint8, version uint16, body []byte) bool {
	r := octets.Reader{B: body}
	switch kind {
	case HelloVerifyRequest:
		r.U16()
		r.Vec8()
	case NewSessionTicket:
		r.U32()
		r.Vec16()
	case CertificateRequest:
		r.Vec8()
		if signs(version) {
			if list := r.Vec16(); len(list)%2 != 0 {
				return false
			}
		}
		names := octets.Reader{B: r.Vec16()}
		for len(names.B) > 0 {
			names.Vec16()
		}
		return !r.Bad && !names.Bad
	}
	return !r.Bad
}

// Known reports whether messages of this kind are expected to be seen in clear.
func Known(kind uint8) bool {
	switch kind {
	case HelloRequest, ClientHello, ServerHello, HelloVerifyRequest, NewSessionTicket, Certificate,
		ServerKeyExchange, CertificateRequest, ServerHelloDone, CertificateVerify, ClientKeyExchange,
		Finished, CertificateURL, CertificateStatus:
		return true
	}
	return false
}
