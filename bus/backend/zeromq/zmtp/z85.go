package zmtp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/curve25519"
)

const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

var errZ85 = errors.New("not Z85 of 32 bytes")

// Key is a public key of CURVE.
type Key [32]byte

// Secret is a secret key of CURVE. It prints as nothing; Text tells it.
type Secret [32]byte

// String hides the key from messages and logs.
func (Secret) String() string { return "(secret key)" }

// GoString hides the key from %#v.
func (Secret) GoString() string { return "(secret key)" }

// Text is the key in Z85.
func (s Secret) Text() string { return encodeZ85(s) }

// Public returns the public key that belongs to the secret one.
func (s Secret) Public() Key {
	p, err := curve25519.X25519(s[:], curve25519.Basepoint)
	if err != nil {
		return Key{} // cannot be: the base point is not of low order
	}
	return Key(p)
}

// String is the key in Z85, 40 characters.
func (k Key) String() string { return encodeZ85(k) }

// ParseKey reads a public key in Z85.
func ParseKey(s string) (Key, error) {
	b, err := decodeZ85(s)
	if err != nil {
		return Key{}, fmt.Errorf("key %q: %w", s, err)
	}
	return b, nil
}

// ParseSecret reads a secret key in Z85. Its error does not tell the text.
func ParseSecret(s string) (Secret, error) {
	b, err := decodeZ85(s)
	if err != nil {
		return Secret{}, fmt.Errorf("secret key of %d characters: %w", len(s), err)
	}
	return b, nil
}

// NewKey makes a pair of keys from chance.
func NewKey(chance io.Reader) (Key, Secret, error) {
	var s Secret
	if _, err := io.ReadFull(chance, s[:]); err != nil {
		return Key{}, s, fmt.Errorf("make key: %w", err)
	}
	return s.Public(), s, nil
}

func encodeZ85(b [32]byte) string {
	var out [40]byte
	for i := 0; i < 8; i++ {
		v := binary.BigEndian.Uint32(b[4*i:])
		for j := 4; j >= 0; j-- {
			out[5*i+j] = z85[v%85]
			v /= 85
		}
	}
	return string(out[:])
}

func decodeZ85(s string) (b [32]byte, err error) {
	if len(s) != 40 {
		return b, errZ85
	}
	for i := 0; i < 8; i++ {
		var v uint64
		for _, c := range []byte(s[5*i : 5*i+5]) {
			d := strings.IndexByte(z85, c)
			if d < 0 {
				return b, errZ85
			}
			v = v*85 + uint64(d)
		}
		if v > 1<<32-1 {
			return b, errZ85
		}
		binary.BigEndian.PutUint32(b[4*i:], uint32(v))
	}
	return b, nil
}
