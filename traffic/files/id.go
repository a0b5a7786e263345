package files

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/minio/highwayhash"
)

// ID names a file: 96 bits of a hash of its handle. The zero ID is none.
type ID struct {
	hi uint32
	lo uint64
}

// IsZero reports whether it is none.
func (i ID) IsZero() bool { return i == ID{} }

// IDSize is how many bytes an ID has.
const IDSize = 12

// AppendBytes appends the ID itself, for other processes.
func (i ID) AppendBytes(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, i.hi), i.lo)
}

// IDFromBytes reads what AppendBytes has written, of IDSize bytes.
func IDFromBytes(b []byte) ID { return ID{binary.BigEndian.Uint32(b), binary.BigEndian.Uint64(b[4:])} }

// newKey makes the key of ids from Zeek's digest_salt.
func newKey(salt string) [32]byte { return sha256.Sum256([]byte(salt)) }

// id hashes a handle: HighwayHash-128 under the key, of which the upper half of
// the first word and the second word are kept (zeek-semantics.md section 7).
func (t *Table) id(handle []byte) ID {
	sum := highwayhash.Sum128(handle, t.key[:])
	return ID{binary.LittleEndian.Uint32(sum[4:]), binary.LittleEndian.Uint64(sum[8:])}
}

const digits62 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// MaxText is the longest that the text of an ID can be.
const MaxText = 18

// AppendText appends the name as logs show it: F and both numbers in base 62,
// the least digit first.
func (i ID) AppendText(b []byte) []byte {
	b = append(b, 'F')
	b = append62(b, uint64(i.hi))
	return append62(b, i.lo)
}

// String returns the name as logs show it.
func (i ID) String() string { return string(i.AppendText(nil)) }

func append62(b []byte, n uint64) []byte {
	for {
		b = append(b, digits62[n%62])
		if n /= 62; n == 0 {
			return b
		}
	}
}
