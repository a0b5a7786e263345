package octets_test

import (
	"bytes"
	"testing"

	"github.com/picket-nsm/picket/traffic/format/octets"
)

// ops are all that a Reader can be asked for, by how many bytes it takes of a
// message of ones.
var ops = map[string]struct {
	ask  func(r *octets.Reader) uint32
	take int
	want uint32
}{
	"u8":    {func(r *octets.Reader) uint32 { return uint32(r.U8()) }, 1, 0x01},
	"u16":   {func(r *octets.Reader) uint32 { return uint32(r.U16()) }, 2, 0x0102},
	"u24":   {func(r *octets.Reader) uint32 { return uint32(r.U24()) }, 3, 0x010203},
	"u32":   {func(r *octets.Reader) uint32 { return r.U32() }, 4, 0x01020304},
	"u16le": {func(r *octets.Reader) uint32 { return uint32(r.U16LE()) }, 2, 0x0201},
	"u32le": {func(r *octets.Reader) uint32 { return r.U32LE() }, 4, 0x04030201},
	"vec8":  {func(r *octets.Reader) uint32 { return uint32(len(r.Vec8())) }, 2, 1},
}

func TestReader(t *testing.T) {
	message := []byte{1, 2, 3, 4, 5}
	for name, op := range ops {
		r := octets.Reader{B: message}
		if got := op.ask(&r); got != op.want || r.Bad || !bytes.Equal(r.B, message[op.take:]) {
			t.Errorf("%s: %#x, bad %v, %d left", name, got, r.Bad, len(r.B))
		}
		for n := range op.take { // cut
			r := octets.Reader{B: message[:n]}
			if got := op.ask(&r); got != 0 || !r.Bad || len(r.B) != 0 || r.U8() != 0 || r.Take(1) != nil {
				t.Errorf("%s of %d bytes: %#x, bad %v, %d left", name, n, got, r.Bad, len(r.B))
			}
		}
	}
	for claimed, m := range map[string][]byte{"vec16": {0, 2, 8, 9, 7}, "vec24": {0, 0, 2, 8, 9, 7}} {
		r := octets.Reader{B: m}
		v := r.Vec16
		if claimed == "vec24" {
			v = r.Vec24
		}
		if got := v(); !bytes.Equal(got, []byte{8, 9}) || cap(got) != 2 || len(r.B) != 1 || r.Bad {
			t.Errorf("%s: %v", claimed, got)
		}
	}
	for _, n := range []int{-1, 6, 1 << 62} {
		r := octets.Reader{B: message}
		if r.Take(n) != nil || !r.Bad {
			t.Errorf("take %d: not bad", n)
		}
	}
}
