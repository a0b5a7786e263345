package tlsmsg

import "github.com/picket-nsm/picket/traffic/format/octets"

// SSL 2 records: two bytes of length, the first of them with its high bit set,
// then a type. What this package calls header is the first HeaderLen bytes, so
// that both kinds of records are read alike.

// Types of SSL 2 messages.
const (
	V2Error           = 0
	V2ClientHello     = 1
	V2ClientMasterKey = 2
	V2ServerHello     = 4
)

// ParseV2Header reads the first HeaderLen bytes of an SSL 2 record: its type,
// the two bytes behind it, and how many bytes follow, which may be below 0.
func ParseV2Header(b []byte) (kind uint8, head uint16, n int) {
	_ = b[4]
	return b[2], uint16(b[3])<<8 | uint16(b[4]), (int(b[0])&0x7f)<<8 | int(b[1]) - 3
}

// ParseV2Client reads a CLIENT-HELLO behind its header, in which the version
// stands.
func (h *Hello) ParseV2Client(version uint16, body []byte) {
	h.reset(true)
	h.V2 = true
	r := octets.Reader{B: body}
	suites, id, challenge := r.U16(), r.U16(), r.U16()
	kinds := r.Take(int(suites) / 3 * 3)
	h.SessionID = r.Take(int(id))
	h.Random = r.Take(int(challenge))
	if r.Bad || 6+int(suites)+int(id)+int(challenge) > len(body) {
		h.broken()
		return
	}
	h.Version, h.Complete = version, true
	h.kinds(kinds)
}

// ParseV2Server reads a SERVER-HELLO behind its header and returns the
// certificate in it.
func (h *Hello) ParseV2Server(body []byte) (cert []byte) {
	h.reset(false)
	h.V2 = true
	r := octets.Reader{B: body}
	h.Version = r.U16()
	n, suites, id := r.U16(), r.U16(), r.U16()
	cert = r.Take(int(n))
	kinds := r.Take(int(suites) / 3 * 3)
	h.Random = r.Take(int(id))
	if r.Bad {
		h.broken()
		return nil
	}
	h.Complete = true
	h.kinds(kinds)
	return cert
}

func (h *Hello) kinds(b []byte) {
	for ; len(b) > 2; b = b[3:] {
		h.Ciphers = append(h.Ciphers, uint32(b[0])<<16|uint32(b[1])<<8|uint32(b[2]))
	}
}

// CheckV2MasterKey reports whether a CLIENT-MASTER-KEY is whole, behind its
// header.
func CheckV2MasterKey(body []byte) bool {
	r := octets.Reader{B: body}
	r.U8()
	key, encrypted, arg := r.U16(), r.U16(), r.U16()
	r.Take(int(key) + int(encrypted) + int(arg))
	return !r.Bad
}
