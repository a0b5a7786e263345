package tlsmsg

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
	r := reader{b: body}
	h.Version = r.u16()
	h.Random = r.bytes(32)
	h.SessionID = r.vec8()
	if h.Version == DTLS10 || h.Version == DTLS12 {
		h.Cookie = r.vec8()
	}
	n := int(r.u16())
	suites := r.bytes(n / 2 * 2)
	h.Compression = r.vec8()
	if r.bad || !h.extensions(&r) {
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
	r := reader{b: body}
	h.Version = r.u16()
	h.Random = r.bytes(32)
	short := h.Version == TLS13 || h.Version>>8 == 0x7f
	if !short {
		h.SessionID = r.vec8()
	}
	suite := r.u16()
	if !short {
		h.Compression = r.bytes(1)
	}
	if r.bad || !h.extensions(&r) {
		h.broken()
		return
	}
	h.Ciphers = append(h.Ciphers, uint32(suite))
	h.Complete = true
}

// extensions reads what follows; nothing at all is fine. The length in front is
// not trusted: extensions reach to the end of the message.
func (h *Hello) extensions(r *reader) bool {
	if len(r.b) == 0 {
		return true
	}
	r.u16()
	for len(r.b) > 0 {
		kind := r.u16()
		data := r.vec16()
		if r.bad || !h.extension(kind, data) {
			return false
		}
		h.Extensions = append(h.Extensions, kind)
	}
	return !r.bad
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
		r := reader{b: data}
		n := int(r.u16())
		list := r.bytes(n / 2 * 2)
		h.Groups = appendU16(h.Groups[:0], list)
		return !r.bad
	case ExtPointFormats:
		r := reader{b: data}
		h.PointFormats = r.vec8()
		return !r.bad
	case ExtSignatures, ExtSignaturesCert:
		r := reader{b: data}
		list := r.vec16()
		if r.bad || len(list)%2 != 0 {
			return false
		}
		if kind == ExtSignatures {
			h.Signatures = appendU16(h.Signatures[:0], list)
		}
		return true
	case ExtSCT:
		return checkSCTs(data)
	case ExtPSKModes, ExtConnectionID:
		r := reader{b: data}
		r.vec8()
		return !r.bad
	case ExtEncryptedHello:
		return h.encryptedHello(data)
	}
	return true
}

func (h *Hello) serverName(data []byte) bool {
	r := reader{b: data}
	r = reader{b: r.vec16(), bad: r.bad}
	h.Names, h.NameTypes = h.Names[:0], h.NameTypes[:0]
	for len(r.b) > 0 {
		kind := r.u8()
		if kind != 0 {
			h.NameTypes = append(h.NameTypes, kind) // its form is not known: it is all the rest
			break
		}
		name := r.vec16()
		if r.bad {
			h.Names = h.Names[:0]
			return false
		}
		h.Names = append(h.Names, name)
	}
	return !r.bad
}

func (h *Hello) protocols(data []byte) bool {
	r := reader{b: data}
	r = reader{b: r.vec16(), bad: r.bad}
	h.Protocols = h.Protocols[:0]
	for len(r.b) > 0 {
		h.Protocols = append(h.Protocols, r.vec8())
	}
	if r.bad {
		h.Protocols = h.Protocols[:0]
	}
	return !r.bad
}

func (h *Hello) versions(data []byte) bool {
	r := reader{b: data}
	if !h.Client {
		h.Versions = append(h.Versions[:0], r.u16())
	} else {
		list := r.vec8()
		if len(list)%2 != 0 {
			r.bad = true
		}
		h.Versions = appendU16(h.Versions[:0], list)
	}
	if r.bad {
		h.Versions = h.Versions[:0]
	}
	return !r.bad
}

func (h *Hello) keyShare(data []byte) bool {
	r := reader{b: data}
	h.KeyShares = h.KeyShares[:0]
	switch {
	case h.Client:
		r = reader{b: r.vec16(), bad: r.bad}
		for len(r.b) > 0 {
			h.KeyShares = append(h.KeyShares, r.u16())
			r.vec16()
		}
	case len(data) == 2: // which group a HelloRetryRequest asks for
		h.KeyShares = append(h.KeyShares, r.u16())
	default:
		h.KeyShares = append(h.KeyShares, r.u16())
		r.vec16()
	}
	if r.bad {
		h.KeyShares = h.KeyShares[:0]
	}
	return !r.bad
}

// psk checks a pre_shared_key extension.
func (h *Hello) psk(data []byte) bool {
	r := reader{b: data}
	if len(data) == 0 {
		return true
	}
	if !h.Client {
		r.u16()
		return !r.bad
	}
	ids := reader{b: r.vec16()}
	binders := reader{b: r.vec16()}
	for len(ids.b) > 0 {
		ids.vec16()
		ids.u32()
	}
	for len(binders.b) > 0 {
		binders.vec8()
	}
	return !r.bad && !ids.bad && !binders.bad
}

// checkSCTs checks a list of signed certificate timestamps (RFC 6962).
func checkSCTs(data []byte) bool {
	r := reader{b: data}
	list := reader{b: r.vec16()}
	for len(list.b) > 0 {
		sct := reader{b: list.vec16()}
		sct.bytes(1 + 32 + 8) // version, log, time
		sct.vec16()           // extensions
		sct.u16()             // algorithms
		sct.vec16()           // signature
		if sct.bad {
			return false
		}
	}
	return !r.bad && !list.bad
}

func (h *Hello) encryptedHello(data []byte) bool {
	r := reader{b: data}
	if kind := r.u8(); kind != 0 {
		h.InnerECH = kind
		return true
	}
	r.u32() // KDF, AEAD
	r.u8()  // config
	r.vec16()
	r.vec16()
	return !r.bad
}

func appendU16(dst []uint16, b []byte) []uint16 {
	for ; len(b) > 1; b = b[2:] {
		dst = append(dst, uint16(b[0])<<8|uint16(b[1]))
	}
	return dst
}
