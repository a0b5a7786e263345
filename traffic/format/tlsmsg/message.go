package tlsmsg

import "strings"

// ParseCertificates appends the certificates of a Certificate message (before
// TLS 1.3) to dst, at most limit of them. It returns nothing more, and false, if
// any of them is cut.
func ParseCertificates(dst [][]byte, body []byte, limit int) ([][]byte, bool) {
	r := reader{b: body}
	list := reader{b: r.vec24()}
	n := len(dst)
	for len(list.b) > 0 {
		cert := list.vec24()
		if len(dst)-n < limit {
			dst = append(dst, cert)
		}
	}
	if r.bad || list.bad {
		return dst[:n], false
	}
	return dst, true
}

// ParseCertificateStatus returns the type and the response of a
// CertificateStatus message; type 1 is OCSP. As in Zeek the response is all that
// follows its length.
func ParseCertificateStatus(body []byte) (kind uint8, response []byte, ok bool) {
	r := reader{b: body}
	kind = r.u8()
	r.u24()
	return kind, r.b, !r.bad
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
	r := reader{b: body}
	signature := func() {
		if signs(version) {
			r.u16()
		}
		r.vec16()
	}
	switch kex := exchange(suite); kex {
	case kexECDHE, kexECDHAnon:
		if r.u8() != namedCurve {
			return 0, false, !r.bad
		}
		curve = r.u16()
		r.vec8()
		if kex == kexECDHE {
			signature()
		}
		return curve, !r.bad, !r.bad
	case kexDHE, kexDHAnon:
		for range 3 {
			r.vec16() // p, g, Ys
		}
		if kex == kexDHE {
			signature()
		}
	}
	return 0, false, !r.bad
}

// CheckMessage reports whether a message of a kind that is not read further is
// of its form.
func CheckMessage(kind uint8, version uint16, body []byte) bool {
	r := reader{b: body}
	switch kind {
	case HelloVerifyRequest:
		r.u16()
		r.vec8()
	case NewSessionTicket:
		r.u32()
		r.vec16()
	case CertificateRequest:
		r.vec8()
		if signs(version) {
			if list := r.vec16(); len(list)%2 != 0 {
				return false
			}
		}
		names := reader{b: r.vec16()}
		for len(names.b) > 0 {
			names.vec16()
		}
		return !r.bad && !names.bad
	}
	return !r.bad
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
