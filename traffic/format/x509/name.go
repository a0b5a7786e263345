package x509

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/picket-nsm/picket/traffic/format/asn1"
)

// oidCN is the attribute of a common name.
const oidCN = "2.5.4.3"

// pair is an attribute of a name. set counts the parts of the name: pairs of one
// part are joined by a plus sign.
type pair struct {
	set   int
	id    []byte
	value asn1.Value
}

// name prints a name as RFC 2253 has it, last attribute first. subject says that
// its common name is wanted.
func (c *Certificate) name(v asn1.Value, subject bool) (string, bool) {
	var pairs []pair
	for s, set := asn1.Open(v), 0; !s.Done(); set++ {
		part := asn1.Open(s.Take(asn1.TagSet))
		for part.More() {
			p := asn1.Open(part.Take(asn1.TagSequence))
			id, value := p.Take(asn1.TagOID), p.Next()
			if !p.Done() || !isOID(id.Content) || !attributeValue(&value) {
				return "", false
			}
			pairs = append(pairs, pair{set, id.Content, value})
		}
		if s.Bad() || !part.Done() {
			return "", false
		}
	}
	var b []byte
	for i := len(pairs) - 1; i >= 0; i-- {
		p := &pairs[i]
		if i < len(pairs)-1 {
			if pairs[i+1].set == p.set {
				b = append(b, '+')
			} else {
				b = append(b, ',')
			}
		}
		id := oid(p.id)
		if subject && id == oidCN && !c.HasCommonName {
			c.HasCommonName = true
			c.CommonName = printable(p.value.Content)
		}
		var ok bool
		if b, ok = appendPair(b, id, &p.value); !ok {
			return "", false
		}
	}
	return string(b[:min(len(b), maxName)]), true
}

// charSize returns how many bytes a character has in a type of text; 0 is UTF-8,
// below 0 it is no text.
func charSize(v *asn1.Value) int {
	switch v.Tag {
	case asn1.TagUTF8String:
		return 0
	case asn1.TagNumericString, asn1.TagPrintableString, asn1.TagT61String, asn1.TagIA5String:
		return 1
	case asn1.TagBMPString:
		return 2
	case asn1.TagUniversalString:
		return 4
	}
	return -1
}

// attributeValue reports whether a value is of a type that an attribute may have.
func attributeValue(v *asn1.Value) bool {
	if v.Class != asn1.Universal {
		return false
	}
	switch v.Tag {
	case 7, 8, 9, 11, 13, 14, 15, 29: // OpenSSL's "unknown" types
		return true
	case asn1.TagSequence:
		return v.Constructed
	case asn1.TagBitString:
		return isBits(v)
	}
	return charSize(v) >= 0 && !v.Constructed
}

// printable is a common name as host names are compared with it: other bytes are
// dots, and it ends with the first line.
func printable(b []byte) string {
	if i := strings.IndexByte(string(b), '\n'); i >= 0 {
		b = b[:i+1]
	}
	out := []byte(string(b[:min(len(b), maxName)]))
	for i, c := range out {
		if c > '~' || c < ' ' && c != '\n' && c != '\r' {
			out[i] = '.'
		}
	}
	return string(out)
}

// appendPair appends attribute and value. ok is false if there is something in
// it that is no character.
func appendPair(b []byte, id string, v *asn1.Value) (out []byte, ok bool) {
	size := charSize(v)
	s := v.Content
	if size >= 0 {
		if s, ok = toUTF8(s, size); !ok {
			return nil, false
		}
	}
	name := find(attributes[:], id)
	if name == "" {
		return appendDump(append(append(b, id...), '='), v), true
	}
	b = append(append(b, name...), '=')
	if size < 0 {
		return appendDump(b, v), true
	}
	return appendEscaped(b, s), true
}

// appendDump appends a value that is no text: its encoding in hexadecimal.
func appendDump(b []byte, v *asn1.Value) []byte {
	full := v.Full
	if len(full) > maxName {
		full = full[:maxName]
	}
	b = append(b, '#')
	n := len(b)
	b = hex.AppendEncode(b, full)
	for i := n; i < len(b); i++ {
		if b[i] >= 'a' {
			b[i] -= 'a' - 'A'
		}
	}
	return b
}

// toUTF8 makes UTF-8 of a text; size is that of its characters, 0 for UTF-8. ok is
// false if there is something that is no character.
func toUTF8(s []byte, size int) (out []byte, ok bool) {
	plain := size <= 1
	for _, c := range s {
		plain = plain && c < utf8.RuneSelf
	}
	switch {
	case plain:
		return s, true
	case size == 0:
		return s, utf8.Valid(s)
	case len(s)%size != 0:
		return nil, false
	}
	for ; len(s) > 0; s = s[size:] {
		var c uint32
		switch size {
		case 1:
			c = uint32(s[0])
		case 2:
			c = uint32(binary.BigEndian.Uint16(s))
		default:
			c = binary.BigEndian.Uint32(s)
		}
		if c > utf8.MaxRune || !utf8.ValidRune(rune(c)) {
			return nil, false
		}
		out = utf8.AppendRune(out, rune(c))
	}
	return out, true
}

// appendEscaped appends text with the escapes of RFC 2253; what is not ASCII, or
// a control character, is a backslash and two digits a byte.
func appendEscaped(b, s []byte) []byte {
	const digits = "0123456789ABCDEF"
	s = s[:min(len(s), maxName)]
	for i, c := range s {
		switch {
		case c < ' ' || c > '~':
			b = append(b, '\\', digits[c>>4], digits[c&15])
			continue
		case strings.IndexByte(`,+"\<>;`, c) >= 0,
			c == ' ' && (i == 0 || i == len(s)-1),
			c == '#' && i == 0 && len(s) > 1:
			b = append(b, '\\')
		}
		b = append(b, c)
	}
	return b
}
