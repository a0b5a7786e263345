package quic

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
)

// keys open the Initial packets of one side (RFC 9001, 5).
type keys struct {
	set     bool
	version uint32
	aead    cipher.AEAD
	iv      [12]byte
	header  cipher.Block
	next    uint64 // one more than the largest packet number so far
}

// Salts, with which the keys follow from the connection id (RFC 9001, 5.2; RFC
// 9369, 3.3.1; the drafts' sections 5.2).
const (
	saltDraft22 = "\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a"
	saltDraft23 = "\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02"
	saltDraft29 = "\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"
	saltV1      = "\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"
	saltV2      = "\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9"
)

func salt(version uint32) string {
	switch {
	case version == version2:
		return saltV2
	case version == draft22, version == mvfst1:
		return saltDraft22
	case version >= draft23 && version <= draft28, version >= mvfst2 && version <= mvfst13:
		return saltDraft23
	case version >= draft29 && version <= draft32:
		return saltDraft29
	}
	return saltV1
}

// label is what HKDF-Expand-Label of TLS 1.3 expands a secret with: length, label
// and an empty context (RFC 8446, 7.1).
func label(name string, n int) string {
	name = "tls13 " + name
	return "\x00" + string(rune(n)) + string(rune(len(name))) + name + "\x00"
}

// labels of a version.
type labels struct{ key, iv, header string }

var (
	labelsV1 = labels{label("quic key", 16), label("quic iv", 12), label("quic hp", 16)}
	labelsV2 = labels{label("quicv2 key", 16), label("quicv2 iv", 12), label("quicv2 hp", 16)}

	labelClient = label("client in", 32)
	labelServer = label("server in", 32)
)

// secrets are the keys of the client or the server that follow from the
// connection id that the client chose first.
func secrets(version uint32, id []byte, client bool) (key [16]byte, iv [12]byte, header [16]byte) {
	l, who := &labelsV1, labelServer
	if version == version2 {
		l = &labelsV2
	}
	if client {
		who = labelClient
	}
	var room [maxMAC]byte
	initial := mac([]byte(salt(version)), append(room[:0], id...))
	secret := expand(&initial, who)
	for _, k := range []struct {
		dst   []byte
		label string
	}{{key[:], l.key}, {iv[:], l.iv}, {header[:], l.header}} {
		b := expand(&secret, k.label)
		copy(k.dst, b[:])
	}
	return key, iv, header
}

// maxMAC is the longest text of a mac: a connection id.
const maxMAC = 255

// expand is HKDF-Expand (RFC 5869) to at most 32 bytes.
func expand(secret *[sha256.Size]byte, info string) [sha256.Size]byte {
	var room [64]byte
	return mac(secret[:], append(append(room[:0], info...), 1))
}

// mac is HMAC-SHA256 (RFC 2104) of a short text with a short key. crypto/hmac
// would be the same with a dozen allocations per key.
func mac(key, text []byte) [sha256.Size]byte {
	var in [sha256.BlockSize + maxMAC]byte
	var out [sha256.BlockSize + sha256.Size]byte
	copy(in[:], key)
	copy(out[:], key)
	for i := range sha256.BlockSize {
		in[i] ^= 0x36
		out[i] ^= 0x5c
	}
	n := copy(in[sha256.BlockSize:], text)
	inner := sha256.Sum256(in[:sha256.BlockSize+n])
	copy(out[sha256.BlockSize:], inner[:])
	return sha256.Sum256(out[:])
}

// derive makes the keys ready for use.
func (k *keys) derive(version uint32, id []byte, client bool) {
	key, iv, header := secrets(version, id, client)
	block, err := aes.NewCipher(key[:])
	must(err)
	k.aead, err = cipher.NewGCM(block)
	must(err)
	k.header, err = aes.NewCipher(header[:])
	must(err)
	k.iv = iv
	k.set, k.version, k.next = true, version, 0
}

// must is for errors that only wrong sizes of keys give.
func must(err error) {
	if err != nil {
		panic("quic: " + err.Error())
	}
}

// open removes the protection of a packet whose number stands at the offset
// number, with at least minProtected bytes there. It returns the payload, valid
// until the next call; nil if the packet was not protected with these keys.
func (s *shared) open(k *keys, packet []byte, number int) []byte {
	var mask [aes.BlockSize]byte
	k.header.Encrypt(mask[:], packet[number+4:number+4+len(mask)])
	first := packet[0] ^ mask[0]&0x0f
	n := int(first&3) + 1
	s.head = append(s.head[:0], packet[:number+n]...)
	s.head[0] = first
	var short uint64
	for i := range n {
		s.head[number+i] ^= mask[1+i]
		short = short<<8 | uint64(s.head[number+i])
	}
	full := fullNumber(k.next, short, uint(n)*8)
	nonce := k.iv
	var count [8]byte
	binary.BigEndian.PutUint64(count[:], full)
	for i, b := range count {
		nonce[4+i] ^= b
	}
	plain, err := k.aead.Open(s.plain[:0], nonce[:], packet[number+n:], s.head)
	if err != nil {
		return nil
	}
	s.plain = plain
	k.next = max(k.next, full+1)
	return plain
}

// fullNumber finds the packet number whose last bits are short, next to the one
// expected (RFC 9000, appendix A.3).
func fullNumber(expected, short uint64, bits uint) uint64 {
	win := uint64(1) << bits
	n := expected&^(win-1) | short
	switch {
	case n+win/2 <= expected && n < 1<<62-win:
		return n + win
	case n > expected+win/2 && n >= win:
		return n - win
	}
	return n
}
