// Package tlsmsg reads TLS: records, handshake messages and extensions of SSL 2
// to TLS 1.3 and DTLS 1.0 to 1.3, as pure functions over bytes.
//
// It stands under the analyzers that see TLS (tls, later quic) and under the
// policies that name what was seen. It owns no state and keeps no bytes: slices
// in its results point into the message. It never panics, whatever the bytes,
// and yields what stood before the place where a message breaks off, since Zeek
// logs that too.
//
// It refuses a message where Zeek 9.0's parser does, neither earlier nor later:
// that decides whether a connection is TLS at all.
//
// Sources: RFC 2246, 4346, 5246, 8446 (TLS), 6101 (SSL 3), Hickman's draft of
// SSL 2, RFC 4347, 6347, 9147 (DTLS), 4492 and 8422 (curves), 6066, 7301, 6962
// (extensions), 8701 (GREASE); IANA's registries "TLS Parameters" and "TLS
// Extensions".
package tlsmsg

import "encoding/binary"

// Content types of records.
const (
	ChangeCipherSpec = 20
	Alert            = 21
	Handshake        = 22
	ApplicationData  = 23
	Heartbeat        = 24
)

// Types of handshake messages.
const (
	HelloRequest        = 0
	ClientHello         = 1
	ServerHello         = 2
	HelloVerifyRequest  = 3
	NewSessionTicket    = 4
	EndOfEarlyData      = 5
	HelloRetryRequest   = 6 // drafts of TLS 1.3; else a ServerHello with a magic random
	EncryptedExtensions = 8
	Certificate         = 11
	ServerKeyExchange   = 12
	CertificateRequest  = 13
	ServerHelloDone     = 14
	CertificateVerify   = 15
	ClientKeyExchange   = 16
	Finished            = 20
	CertificateURL      = 21
	CertificateStatus   = 22
	SupplementalData    = 23
	KeyUpdate           = 24
	MessageHash         = 254
)

// Versions as on the wire.
const (
	SSL2   = 0x0002
	SSL3   = 0x0300
	TLS10  = 0x0301
	TLS11  = 0x0302
	TLS12  = 0x0303
	TLS13  = 0x0304
	DTLS10 = 0xfeff
	DTLS12 = 0xfefd
	DTLS13 = 0xfefc
)

// Types of extensions that are looked into.
const (
	ExtServerName        = 0
	ExtSupportedGroups   = 10
	ExtPointFormats      = 11
	ExtSignatures        = 13
	ExtProtocols         = 16 // ALPN
	ExtSCT               = 18
	ExtSessionTicket     = 35
	ExtKeyShareOld       = 40
	ExtPreSharedKey      = 41
	ExtSupportedVersions = 43
	ExtPSKModes          = 45
	ExtSignaturesCert    = 50
	ExtKeyShare          = 51
	ExtConnectionID      = 54
	ExtEncryptedHello    = 65037
)

// GREASE reports whether v is one of the values that clients send to keep
// servers tolerant (RFC 8701).
func GREASE(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// VersionOK reports whether a hello may name this version: SSL 2 to TLS 1.3,
// drafts of TLS 1.3, DTLS.
func VersionOK(v uint16) bool {
	switch v {
	case SSL2, SSL3, TLS10, TLS11, TLS12, TLS13, DTLS10, DTLS12, DTLS13:
		return true
	}
	return v>>8 == 0x7f
}

// Is13 reports whether v is TLS 1.3 or a draft of it (DTLS 1.3 is not meant).
func Is13(v uint16) bool { return v == TLS13 || draft(v) }

// draft reports whether v is a draft of TLS 1.3. Zeek divides by 255, not 256,
// which is the same for all drafts there were.
func draft(v uint16) bool { return v/0xff == 0x7f }

// HeaderLen is how long a TLS record's header is.
const HeaderLen = 5

// Header is a TLS record's header.
type Header struct {
	Type    uint8
	Version uint16
	Len     int
}

// ParseHeader reads a record's header from HeaderLen bytes.
func ParseHeader(b []byte) Header {
	_ = b[4]
	return Header{b[0], binary.BigEndian.Uint16(b[1:]), int(binary.BigEndian.Uint16(b[3:]))}
}

// MessageHeaderLen is how long a handshake message's header is.
const MessageHeaderLen = 4

// ParseMessageHeader reads type and length of a handshake message from
// MessageHeaderLen bytes.
func ParseMessageHeader(b []byte) (kind uint8, n int) {
	_ = b[3]
	return b[0], int(b[1])<<16 | int(b[2])<<8 | int(b[3])
}

// RecordVersion reports whether a TLS record may carry this version.
func RecordVersion(v uint16) bool { return v >= SSL3 && v <= TLS12 }
