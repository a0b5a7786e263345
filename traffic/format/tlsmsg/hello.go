package tlsmsg

import "github.com/picket-nsm/picket/traffic/format/octets"

// Hello is a ClientHello or a ServerHello, as far as it could be read. Byte
// slices point into the message, the other slices are reused by the next Parse.
type Hello struct {
	Client bool // what was parsed: a client's or a server's
	V2     bool // in SSL 2's form
	// Complete says that the whole message was of its form. If not, all but what
	// came from extensions before the mistake is left empty.
	Complete bool

	Version     uint16 // as in the message; TLS 1.3 names itself in Versions
	Random      []byte // 32 bytes; SSL 2: challenge or connection id, of any length
	SessionID   []byte
	Cookie      []byte   // DTLS
	Ciphers     []uint32 // a server's: one, or in SSL 2 any number
	Compression []byte

	// From extensions. Where one comes twice the second replaces the first.
	Extensions   []uint16 // types, in order
	Names        [][]byte // server_name: host names
	NameTypes    []uint8  // server_name: types of names that are no host names
	Protocols    [][]byte // ALPN
	Versions     []uint16 // supported_versions
	Groups       []uint16 // supported_groups
	PointFormats []byte
	KeyShares    []uint16 // groups only
	Signatures   []uint16 // signature_algorithms
	Ticket       bool     // a session ticket that is not empty
	PSK          bool     // pre_shared_key
	InnerECH     uint8    // encrypted_client_hello of a type that is not "outer"; 0: none
}

// retryRandom is the random of a ServerHello that is a HelloRetryRequest: SHA-256
// of "HelloRetryRequest" (RFC 8446, 4.1.3).
const retryRandom = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91" +
	"\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"

// Retry reports whether a ServerHello asks for another ClientHello.
func (h *Hello) Retry() bool { return !h.Client && string(h.Random) == retryRandom }

// keepHello is the room that a Hello keeps for the next one.
const keepHello = 1 << 12

func (h *Hello) reset(client bool) {
	if cap(h.Ciphers)+cap(h.Versions)+cap(h.Groups)+cap(h.KeyShares)+cap(h.Signatures)+cap(h.Extensions) > keepHello ||
		cap(h.Names)+cap(h.Protocols)+cap(h.NameTypes) > keepHello {
		*h = Hello{}
	}
	clear(h.Names)
	clear(h.Protocols)
	*h = Hello{
		Client: client, Ciphers: h.Ciphers[:0], Extensions: h.Extensions[:0], Names: h.Names[:0],
		NameTypes: h.NameTypes[:0], Protocols: h.Protocols[:0], Versions: h.Versions[:0], Groups: h.Groups[:0],
		KeyShares: h.KeyShares[:0], Signatures: h.Signatures[:0],
	}
}

// broken takes back what only a whole message gives.
func (h *Hello) broken() {
	h.Version, h.Random, h.SessionID, h.Cookie, h.Compression, h.Ciphers = 0, nil, nil, nil, nil, h.Ciphers[:0]
}

// ParseClient reads the body of a ClientHello message.
func (h *Hello) ParseClient(body []byte) {
	h.reset(true)
	r := octets.Reader{B: body}
	h.Version = r.U16()
	h.Random = r.Take(32)
	h.SessionID = r.Vec8()
	if h.Version == DTLS10 || h.Version == DTLS12 {
		h.Cookie = r.Vec8()
	}
	n := int(r.U16())
	suites := r.Take(n / 2 * 2)
	h.Compression = r.Vec8()
	if r.Bad || !h.extensions(&r) {
		h.broken()
		return
	}
	for ; len(suites) > 1; suites = suites[2:] {
		h.Ciphers = append(h.Ciphers, uint32(suites[0])<<8|uint32(suites[1]))
	}
	h.Complete = true
}

// ParseServer reads the body of a ServerHello message. Drafts of TLS 1.3 up to
// 21 have a form of their own.
func (h *Hello) ParseServer(body []byte) {
	h.reset(false)
	r := octets.Reader{B: body}
	h.Version = r.U16()
	h.Random = r.Take(32)
	short := h.Version == TLS13 || h.Version>>8 == 0x7f
	if !short {
		h.SessionID = r.Vec8()
	}
	suite := r.U16()
	if !short {
		h.Compression = r.Take(1)
	}
	if r.Bad || !h.extensions(&r) {
		h.broken()
		return
	}
	h.Ciphers = append(h.Ciphers, uint32(suite))
	h.Complete = true
}

// extensions reads what follows; nothing at all is fine. The length in front is
// not trusted: extensions reach to the end of the message.
func (h *Hello) extensions(r *octets.Reader) bool {
	if len(r.B) == 0 {
		return true
	}
	r.U16()
	for len(r.B) > 0 {
		kind := r.U16()
		data := r.Vec16()
		if r.Bad || !h.extension(kind, data) {
			return false
		}
		h.Extensions = append(h.Extensions, kind)
	}
	return !r.Bad
}

// extension reads one extension. An empty one is always fine.
func (h *Hello) extension(kind uint16, data []byte) bool {
	switch kind {
	case ExtSessionTicket:
		h.Ticket = len(data) > 0
		return true
	case ExtPreSharedKey:
		if !h.psk(data) {
			return false
		}
		h.PSK = true
		return true
	}
	if len(data) == 0 {
		return true
	}
	switch kind {
	case ExtServerName:
		return h.serverName(data)
	case ExtProtocols:
		return h.protocols(data)
	case ExtSupportedVersions:
		return h.versions(data)
	case ExtKeyShare, ExtKeyShareOld:
		return h.keyShare(data)
	case ExtSupportedGroups:
		r := octets.Reader{B: data}
		n := int(r.U16())
		list := r.Take(n / 2 * 2)
		h.Groups = appendU16(h.Groups[:0], list)
		return !r.Bad
	case ExtPointFormats:
		r := octets.Reader{B: data}
		h.PointFormats = r.Vec8()
		return !r.Bad
	case ExtSignatures, ExtSignaturesCert:
		r := octets.Reader{B: data}
		list := r.Vec16()
		if r.Bad || len(list)%2 != 0 {
			return false
		}
		if kind == ExtSignatures {
			h.Signatures = appendU16(h.Signatures[:0], list)
		}
		return true
	case ExtSCT:
		return checkSCTs(data)
	case ExtPSKModes, ExtConnectionID:
		r := octets.Reader{B: data}
		r.Vec8()
		return !r.Bad
	case ExtEncryptedHello:
		return h.encryptedHello(data)
	}
	return true
}

func (h *Hello) serverName(data []byte) bool {
	r := octets.Reader{B: data}
	r = octets.Reader{B: r.Vec16(), Bad: r.Bad}
	h.Names, h.NameTypes = h.Names[:0], h.NameTypes[:0]
	for len(r.B) > 0 {
		kind := r.U8()
		if kind != 0 {
			h.NameTypes = append(h.NameTypes, kind) // its form is not known: it is all the rest
			break
		}
		name := r.Vec16()
		if r.Bad {
			h.Names = h.Names[:0]
			return false
		}
		h.Names = append(h.Names, name)
	}
	return !r.Bad
}

func (h *Hello) protocols(data []byte) bool {
	r := octets.Reader{B: data}
	r = octets.Reader{B: r.Vec16(), Bad: r.Bad}
	h.Protocols = h.Protocols[:0]
	for len(r.B) > 0 {
		h.Protocols = append(h.Protocols, r.Vec8())
	}
	if r.Bad {
		h.Protocols = h.Protocols[:0]
	}
	return !r.Bad
}

func (h *Hello) versions(data []byte) bool {
	r := octets.Reader{B: data}
	if !h.Client {
		h.Versions = append(h.Versions[:0], r.U16())
	} else {
		list := r.Vec8()
		if len(list)%2 != 0 {
			r.Bad = true
		}
		h.Versions = appendU16(h.Versions[:0], list)
	}
	if r.Bad {
		h.Versions = h.Versions[:0]
	}
	return !r.Bad
}

func (h *Hello) keyShare(data []byte) bool {
	r := octets.Reader{B: data}
	h.KeyShares = h.KeyShares[:0]
	switch {
	case h.Client:
		r = octets.Reader{B: r.Vec16(), Bad: r.Bad}
		for len(r.B) > 0 {
			h.KeyShares = append(h.KeyShares, r.U16())
			r.Vec16()
		}
	case len(data) == 2: // which group a HelloRetryRequest asks for
		h.KeyShares = append(h.KeyShares, r.U16())
	default:
		h.KeyShares = append(h.KeyShares, r.U16())
		r.Vec16()
	}
	if r.Bad {
		h.KeyShares = h.KeyShares[:0]
	}
	return !r.Bad
}

// psk checks a pre_shared_key extension.
func (h *Hello) psk(data []byte) bool {
	r := octets.Reader{B: data}
	if len(data) == 0 {
		return true
	}
	if !h.Client {
		r.U16()
		return !r.Bad
	}
	ids := octets.Reader{B: r.Vec16()}
	binders := octets.Reader{B: r.Vec16()}
	for len(ids.B) > 0 {
		ids.Vec16()
		ids.U32()
	}
	for len(binders.B) > 0 {
		binders.Vec8()
	}
	return !r.Bad && !ids.Bad && !binders.Bad
}

// checkSCTs checks a list of signed certificate timestamps (RFC 6962).
func checkSCTs(data []byte) bool {
	r := octets.Reader{B: data}
	list := octets.Reader{B: r.Vec16()}
	for len(list.B) > 0 {
		sct := octets.Reader{B: list.Vec16()}
		sct.Take(1 + 32 + 8) // version, log, time
		sct.Vec16()          // extensions
		sct.U16()            // algorithms
		sct.Vec16()          // signature
		if sct.Bad {
			return false
		}
	}
	return !r.Bad && !list.Bad
}

func (h *Hello) encryptedHello(data []byte) bool {
	r := octets.Reader{B: data}
	if kind := r.U8(); kind != 0 {
		h.InnerECH = kind
		return true
	}
	r.U32() // KDF, AEAD
	r.U8()  // config
	r.Vec16()
	r.Vec16()
	return !r.Bad
}

func appendU16(dst []uint16, b []byte) []uint16 {
	for ; len(b) > 1; b = b[2:] {
		dst = append(dst, uint16(b[0])<<8|uint16(b[1]))
	}
	return dst
}
