package flow

import "math"

const digits62 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// maxUID is the longest a UID can be: C, 6 digits for 32 bits, 11 for 64.
const maxUID = 18

// appendUID appends the name of a connection: C and two numbers (32 and 64
// bits) in base 62, least digit first, as Zeek writes them. They are keyed
// hashes of flow key, first packet's time and number, so they are the same
// whichever worker sees the flow, and nobody without the key can foretell them.
func appendUID(b []byte, k sipKey, c *conn) []byte {
	w := [8]uint64{c.key.lo0, c.key.lo1, c.key.hi0, c.key.hi1, c.key.x, math.Float64bits(float64(c.start)), c.seq}
	return appendHashed(b, k, &w)
}

// appendHashed appends the UID of seven words.
func appendHashed(b []byte, k sipKey, w *[8]uint64) []byte {
	w[7] = 1
	first := k.sum(w[:]) >> 32
	w[7] = 2
	b = append(b, 'C')
	b = append62(b, first)
	return append62(b, k.sum(w[:]))
}

func append62(b []byte, n uint64) []byte {
	for {
		b = append(b, digits62[n%62])
		if n /= 62; n == 0 {
			return b
		}
	}
}
