package zmtp

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/poly1305"
	"golang.org/x/crypto/salsa20/salsa"
)

// session is an encrypted connection after the handshake. Its boxes are
// secretbox's (XSalsa20 and Poly1305), byte for byte. XSalsa20 first makes a key
// of the first 16 bytes of the nonce, and those are the same for all messages of
// a direction. So that key is made once, and one pass of Salsa20 gives both the
// key of the tag and the text. That halves what a short frame costs.
type session struct {
	sealKey, openKey [32]byte
	sent, recvd      uint64 // last counters used
}

// newSession makes a session of the key that both short-lived pairs give.
func newSession(shared [32]byte, server bool, sent, recvd uint64) *session {
	s := &session{sent: sent, recvd: recvd}
	sealAs, openAs := [16]byte([]byte("CurveZMQMESSAGEC")), [16]byte([]byte("CurveZMQMESSAGES"))
	if server {
		sealAs, openAs = openAs, sealAs
	}
	salsa.HSalsa20(&s.sealKey, &sealAs, &shared, &salsa.Sigma)
	salsa.HSalsa20(&s.openKey, &openAs, &shared, &salsa.Sigma)
	return s
}

// zeros is what the first bytes of the key stream are taken from: the key of the tag.
const zeros = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// seal appends the frame that carries plain, which is the inner flags and the
// body. Only the connection's writer calls it, so nonces leave in order.
func (s *session) seal(b, plain []byte) []byte {
	s.sent++
	b = appendHeader(b, 0, messageOverhead-1+len(plain))
	// The 32 bytes in front of the text: name, nonce and tag, in the end.
	start := len(b)
	b = append(b, zeros...)
	b = append(b, plain...)
	var counter [16]byte
	binary.BigEndian.PutUint64(counter[:], s.sent)
	salsa.XORKeyStream(b[start:], b[start:], &counter, &s.sealKey)
	key := [32]byte(b[start:])
	copy(b[start:], "\x07MESSAGE")
	copy(b[start+8:], counter[:8])
	poly1305.Sum((*[16]byte)(b[start+16:]), b[start+32:], &key)
	return b
}

// unseal appends what a frame's body carries: inner flags and body. On an error
// nothing is appended.
func (s *session) unseal(b, body []byte) ([]byte, error) {
	if len(body) < messageOverhead || string(body[:8]) != "\x07MESSAGE" {
		return b, curveError("frame is no MESSAGE")
	}
	n := binary.BigEndian.Uint64(body[8:])
	if n <= s.recvd {
		return b, curveError(fmt.Sprintf("nonce %d after %d", n, s.recvd))
	}
	var counter [16]byte
	binary.BigEndian.PutUint64(counter[:], n)
	start := len(b)
	b = append(b, zeros...)
	b = append(b, body[32:]...)
	salsa.XORKeyStream(b[start:], b[start:], &counter, &s.openKey)
	key := [32]byte(b[start:])
	var tag [16]byte
	poly1305.Sum(&tag, body[32:], &key)
	if subtle.ConstantTimeCompare(tag[:], body[16:32]) != 1 {
		clear(b[start:])
		return b[:start], curveError("MESSAGE does not open")
	}
	s.recvd = n
	return b[:start+copy(b[start:], b[start+32:])], nil
}
