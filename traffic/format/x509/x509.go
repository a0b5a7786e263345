// Package x509 reads certificates as far as x509.log shows them: names, serial,
// times, key, signature algorithm, alternative names, basic constraints.
//
// It stands between what carries certificates (TLS, files) and the policy that
// logs them. It is a pure function over bytes and owns nothing: the strings of a
// Certificate are its own. It follows OpenSSL 3, which Zeek reads certificates
// with, in what it accepts and how it prints; the standard library refuses much
// of that (negative serials, odd versions, bad times, trailing data), which is
// just what a monitor has to see. It never verifies anything and never panics.
//
// Sources: RFC 5280, 2253, 3279, 5480, 8017, 8410; ITU-T X.690.
package x509

import (
	"crypto/ecdh"
	"crypto/elliptic"
	"encoding/hex"
	"math/big"
	"strings"

	"github.com/picket-nsm/picket/traffic/format/asn1"
)

// Certificate is what a certificate says. Empty strings and 0 are unset unless
// said otherwise.
type Certificate struct {
	Size int // bytes it takes of what was parsed; more may follow

	Version         uint64
	Serial          string
	Subject, Issuer string // as RFC 2253 has it, perhaps empty
	CommonName      string // of the subject, the last one, as far as printable
	HasCommonName   bool

	NotBefore, NotAfter float64 // seconds since the epoch; 0 if they cannot be read

	KeyAlg    string // perhaps empty
	SigAlg    string // perhaps empty
	KeyType   string // rsa, dsa, ecdsa, ED25519 ...
	KeyLength uint64 // bits
	Exponent  string // RSA, decimal
	Curve     string

	HasSAN bool // the extension is there and could be read
	SAN    SAN
	// SANSeen says that the extension is there, whether or not it could be read.
	SANSeen bool

	HasConstraints bool
	CA             bool
	HasPathLen     bool
	PathLen        int64

	// Weirds is what was odd but kept nothing from being read.
	Weirds []Weird
}

// SAN holds alternative names. A list is nil if there was no name of its kind.
type SAN struct {
	DNS, URI, Email []string
	IP              [][16]byte // IPv4 as mapped IPv6
}

// Weird is an oddity by Zeek's name for it.
type Weird struct{ Name, Addl string }

// Oddities that end reading.
const (
	WeirdParse = "x509_cert_parse_error"
)

// maxName is how much of a name is shown.
const maxName = 2047

// Parse reads the certificate at the beginning of der. ok is false if it is none.
func Parse(der []byte) (c *Certificate, ok bool) {
	all, _, ok := asn1.Read(der)
	if !ok || !all.Is(asn1.TagSequence) {
		return nil, false
	}
	c = &Certificate{Size: len(all.Full), Version: 1}
	outer := asn1.Open(all)
	tbs := outer.Take(asn1.TagSequence)
	alg := outer.Take(asn1.TagSequence)
	signature := outer.Take(asn1.TagBitString)
	if !outer.Done() || !isBits(&signature) || !c.algorithm(alg, &c.SigAlg) || !c.body(tbs) {
		return nil, false
	}
	return c, true
}

// body reads what is signed.
func (c *Certificate) body(tbs asn1.Value) bool {
	s := asn1.Open(tbs)
	if v, ok := s.Optional(0); ok && !c.version(v) {
		return false
	}
	serial := s.Take(asn1.TagInteger)
	alg := s.Take(asn1.TagSequence)
	issuer := s.Take(asn1.TagSequence)
	validity := asn1.Open(s.Take(asn1.TagSequence))
	subject := s.Take(asn1.TagSequence)
	key := s.Take(asn1.TagSequence)
	issuerID, hasIssuerID := s.Optional(1)
	subjectID, hasSubjectID := s.Optional(2)
	ext, hasExt := s.Optional(3)
	if !s.Done() || hasIssuerID && !isBits(&issuerID) || hasSubjectID && !isBits(&subjectID) {
		return false
	}
	var signature string
	notBefore, notAfter := validity.Next(), validity.Next()
	if !c.algorithm(alg, &signature) || !c.serial(serial.Content) || !validity.Done() || !isTime(&notBefore) || !isTime(&notAfter) {
		return false
	}
	var ok bool
	if c.Issuer, ok = c.name(issuer, false); !ok {
		return false
	}
	if c.Subject, ok = c.name(subject, true); !ok {
		return false
	}
	c.NotBefore, c.NotAfter = c.time(&notBefore), c.time(&notAfter)
	if !c.key(key) {
		return false
	}
	return !hasExt || c.extensions(ext)
}

func (c *Certificate) weird(name, addl string) { c.Weirds = append(c.Weirds, Weird{name, addl}) }

func (c *Certificate) version(v asn1.Value) bool {
	s := asn1.Open(v)
	n := s.Take(asn1.TagInteger)
	if !s.Done() {
		return false
	}
	i, ok := integer(n.Content)
	c.Version = uint64(i + 1)
	return ok
}

// integer returns an INTEGER as a number, -1 if it does not fit.
func integer(content []byte) (int64, bool) {
	mag, negative, ok := asn1.Integer(content, nil)
	if !ok {
		return 0, false
	}
	if len(mag) > 8 {
		return -1, true
	}
	var n uint64
	for _, b := range mag {
		n = n<<8 | uint64(b)
	}
	switch {
	case negative && n <= 1<<63:
		return -int64(n), true
	case n >= 1<<63:
		return -1, true
	}
	return int64(n), true
}

func (c *Certificate) serial(content []byte) (ok bool) {
	c.Serial, ok = serialText(content)
	return ok
}

// serialText prints a serial number.
func serialText(content []byte) (string, bool) {
	mag, negative, ok := asn1.Integer(content, nil)
	if !ok {
		return "", false
	}
	text := hexLines(mag)
	if negative {
		text = "-" + text
	}
	return text[:min(len(text), maxName+1)], true
}

// hexLines prints bytes as OpenSSL does: upper-case hexadecimal, in lines of 35
// bytes.
func hexLines(mag []byte) string {
	const line = 35
	if len(mag) == 0 {
		return "0"
	}
	mag = mag[:min(len(mag), maxName)]
	var b []byte
	for i := 0; i < len(mag); i += line {
		if i > 0 {
			b = append(b, '\\', '\n')
		}
		b = hex.AppendEncode(b, mag[i:min(i+line, len(mag))])
	}
	return strings.ToUpper(string(b))
}

// algorithm reads an AlgorithmIdentifier and gives its name.
func (c *Certificate) algorithm(v asn1.Value, name *string) bool {
	s := asn1.Open(v)
	id := s.Take(asn1.TagOID)
	if s.More() {
		if params := s.Next(); !isAny(&params) {
			return false
		}
	}
	*name = find(algorithms[:], oid(id.Content))
	return s.Done() && isOID(id.Content)
}

// isBits reports whether a value can be a bit string.
func isBits(v *asn1.Value) bool {
	return !v.Constructed && len(v.Content) > 0 && v.Content[0] <= 7
}

// isAny reports whether a value may stand where anything may.
func isAny(v *asn1.Value) bool {
	if v.Class != asn1.Universal {
		return true
	}
	switch v.Tag {
	case asn1.TagBoolean:
		return !v.Constructed && len(v.Content) == 1
	case asn1.TagNull:
		return !v.Constructed && len(v.Content) == 0
	case asn1.TagInteger, asn1.TagEnumerated:
		_, _, ok := asn1.Integer(v.Content, nil)
		return ok && !v.Constructed
	case asn1.TagOID:
		return isOID(v.Content) && !v.Constructed
	case asn1.TagBitString:
		return isBits(v)
	case asn1.TagSequence, asn1.TagSet:
		return v.Constructed
	}
	return true
}

func oid(content []byte) string { return string(asn1.AppendOID(nil, content)) }

// objectName is an algorithm's name, or its numbers.
func objectName(content []byte) string {
	id := oid(content)
	if name := find(algorithms[:], id); name != "" {
		return name
	}
	return id
}

// isOID reports whether content is one of an object identifier.
func isOID(content []byte) bool {
	if len(content) == 0 || content[len(content)-1] >= 0x80 {
		return false
	}
	for i, b := range content {
		if b == 0x80 && (i == 0 || content[i-1] < 0x80) {
			return false
		}
	}
	return true
}

// Object identifiers of key algorithms.
const (
	oidRSA        = "1.2.840.113549.1.1.1"
	oidRSAOld     = "2.5.8.1.1"
	oidMD5WithRSA = "1.2.840.113549.1.1.4" // in the certificates of RDP servers, though it names no key
	oidPSS        = "1.2.840.113549.1.1.10"
	oidDSA        = "1.2.840.10040.4.1"
	oidDSAOld     = "1.3.14.3.2.12"
	oidEC         = "1.2.840.10045.2.1"
	oidSM2        = "1.2.156.10197.1.301"
	oidDH         = "1.2.840.113549.1.3.1"
	oidDHX        = "1.2.840.10046.2.1"
	oidX25519     = "1.3.101.110"
	oidX448       = "1.3.101.111"
	oidED25519    = "1.3.101.112"
	oidED448      = "1.3.101.113"
)

// key reads a SubjectPublicKeyInfo. A key that cannot be read is no mistake.
func (c *Certificate) key(v asn1.Value) bool {
	s := asn1.Open(v)
	alg := s.Take(asn1.TagSequence)
	bits := s.Take(asn1.TagBitString)
	a := asn1.Open(alg)
	id := a.Take(asn1.TagOID)
	var params asn1.Value
	if a.More() {
		params = a.Next()
	}
	if !s.Done() || !a.Done() || !isOID(id.Content) || params.Full != nil && !isAny(&params) || !isBits(&bits) {
		return false
	}
	kind, key := oid(id.Content), bits.Content[1:]
	if unused := bits.Content[0]; unused > 0 && len(key) > 0 {
		key = append([]byte(nil), key...)
		key[len(key)-1] &= 0xff << unused
	}
	c.KeyAlg = objectName(id.Content)
	switch kind {
	case oidRSA, oidRSAOld, oidMD5WithRSA:
		c.rsa("rsa", key)
	case oidPSS:
		c.rsa("RSA-PSS", key)
	case oidDSA, oidDSAOld:
		c.primes("dsa", params, key)
	case oidDH:
		c.primes("DH", params, key)
	case oidDHX:
		c.primes("DHX", params, key)
	case oidEC:
		c.ec(params, key)
	case oidSM2:
		c.edwards("SM2", 256, 65, key)
	case oidX25519:
		c.edwards("X25519", 253, 32, key)
	case oidX448:
		c.edwards("X448", 448, 56, key)
	case oidED25519:
		c.edwards("ED25519", 256, 32, key)
	case oidED448:
		c.edwards("ED448", 456, 57, key)
	}
	return true
}

func (c *Certificate) rsa(kind string, key []byte) {
	v, _, ok := asn1.Read(key)
	if !ok || !v.Is(asn1.TagSequence) {
		return
	}
	s := asn1.Open(v)
	n, okN := magnitude(s.Take(asn1.TagInteger))
	e, okE := magnitude(s.Take(asn1.TagInteger))
	if !s.Done() || !okN || !okE {
		return
	}
	c.KeyType, c.KeyLength = kind, uint64(asn1.Bits(n))
	if kind != "rsa" {
		return
	}
	if len(e) > 64 { // nobody prints what nobody uses
		e = e[:64]
	}
	c.Exponent = new(big.Int).SetBytes(e).String()
}

// magnitude returns a key's number: its sign bit is not taken for one, and it may
// be padded.
func magnitude(v asn1.Value) ([]byte, bool) { return v.Content, len(v.Content) > 0 }

// primes reads keys whose length is that of the first parameter, p. DSA may have
// it from elsewhere.
func (c *Certificate) primes(kind string, params asn1.Value, key []byte) {
	y, _, ok := asn1.Read(key)
	if !ok || !y.Is(asn1.TagInteger) {
		return
	}
	if !params.Is(asn1.TagSequence) {
		if kind == "dsa" {
			c.KeyType = kind
		}
		return
	}
	s := asn1.Open(params)
	if p, ok := magnitude(s.Take(asn1.TagInteger)); ok && !s.Bad() {
		c.KeyType, c.KeyLength = kind, uint64(asn1.Bits(p))
	}
}

// ec reads a key on a curve that has a name, or that is spelled out.
func (c *Certificate) ec(params asn1.Value, key []byte) {
	if len(key) == 0 {
		return
	}
	switch {
	case params.Is(asn1.TagOID):
		k, ok := findCurve(oid(params.Content))
		if !ok {
			return
		}
		if !onCurve(k.name, key) {
			return
		}
		c.KeyType, c.Curve, c.KeyLength = "ecdsa", k.name, uint64(k.bits)
		if k.id == oidSM2 {
			c.KeyType, c.Curve = "SM2", ""
		}
	case params.Is(asn1.TagSequence):
		s := asn1.Open(params)
		s.Take(asn1.TagInteger)  // version
		s.Take(asn1.TagSequence) // field
		s.Take(asn1.TagSequence) // curve
		s.Take(asn1.TagOctetString)
		if n, ok := magnitude(s.Take(asn1.TagInteger)); ok && !s.Bad() {
			c.KeyType, c.KeyLength, c.Curve = "ecdsa", uint64(asn1.Bits(n)), spelledOut(n)
		}
	}
}

// onCurve reports whether a key can be one, on the curves that are in use.
func onCurve(name string, key []byte) bool {
	var k ecdh.Curve
	switch name {
	case "prime256v1":
		k = ecdh.P256()
	case "secp384r1":
		k = ecdh.P384()
	case "secp521r1":
		k = ecdh.P521()
	}
	if k == nil || key[0] != 4 { // 2 and 3: compressed
		return true
	}
	_, err := k.NewPublicKey(key)
	return err == nil
}

// spelledOut names a curve by its order.
func spelledOut(order []byte) string {
	n := new(big.Int).SetBytes(order)
	for _, k := range [...]struct {
		curve elliptic.Curve
		name  string
	}{{elliptic.P256(), "prime256v1"}, {elliptic.P384(), "secp384r1"}, {elliptic.P521(), "secp521r1"}, {elliptic.P224(), "secp224r1"}} {
		if n.Cmp(k.curve.Params().N) == 0 {
			return k.name
		}
	}
	return ""
}

// edwards takes a key whose length is fixed.
func (c *Certificate) edwards(kind string, bits uint64, size int, key []byte) {
	if len(key) == size {
		c.KeyType, c.KeyLength = kind, bits
	}
}
