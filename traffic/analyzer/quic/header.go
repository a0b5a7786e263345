package quic

import (
	"math"

	"github.com/picket-nsm/picket/traffic/format/octets"
)

// Bits of a packet's first byte (RFC 9000, 17).
const (
	longForm = 0x80
	fixedBit = 0x40
)

// Versions.
const (
	version1 = 0x00000001
	version2 = 0x6b3343cf
	draft22  = 0xff000016
	draft23  = 0xff000017
	draft28  = 0xff00001c
	draft29  = 0xff00001d
	draft32  = 0xff000020
	draft34  = 0xff000022
	mvfst1   = 0xfaceb001
	mvfst2   = 0xfaceb002
	mvfstE   = 0xfaceb00e
	mvfst11  = 0xfaceb011
	mvfst13  = 0xfaceb013
)

// known reports whether packets of a version are read.
func known(version uint32) bool {
	switch version {
	case version1, version2, mvfst1, mvfst2, mvfstE:
		return true
	}
	return version >= draft22 && version <= draft34 || version >= mvfst11 && version <= mvfst13
}

// kinds are the types of long headers by their two bits, in version 1 and in
// version 2 (RFC 9369, 3.2).
var kinds = [2][4]Kind{{Initial, ZeroRTT, Handshake, Retry}, {Retry, Initial, ZeroRTT, Handshake}}

// header is a long header. Slices point into the packet.
type header struct {
	kind       Kind
	version    uint32
	dcid, scid []byte
	token, tag []byte // of Retry
	number     int    // where the packet number stands, still protected
	end        int    // where the packet ends
}

// minProtected is how many bytes must follow an Initial's length: a packet number
// at its longest, and the sample that its protection is made from.
const minProtected = 4 + 16

const tagLen = 16

// parseLong reads a long header (RFC 9000, 17.2). ok is false if the packet is
// cut or a length does not fit. A packet of an unknown version and a Retry reach
// to the end of the datagram.
func parseLong(b []byte) (h header, ok bool) {
	r := reader{octets.Reader{B: b[1:]}}
	h.version = r.U32()
	h.dcid = r.Vec8()
	h.scid = r.Vec8()
	if r.Bad {
		return h, false
	}
	if !known(h.version) {
		h.kind, h.end = UnknownVersion, len(b)
		return h, true
	}
	v := 0
	if h.version == version2 {
		v = 1
	}
	h.kind = kinds[v][b[0]>>4&3]
	if h.kind == Retry {
		rest := r.B
		if len(rest) < tagLen {
			return h, false
		}
		n := len(rest) - tagLen
		h.token, h.tag, h.end = rest[:n], rest[n:], len(b)
		return h, true
	}
	if h.kind == Initial {
		r.run(r.varint()) // a token, from a Retry or an earlier connection
	}
	n := r.varint()
	h.number = len(b) - len(r.B)
	r.run(n)
	h.end = len(b) - len(r.B)
	return h, !r.Bad && (h.kind != Initial || n >= minProtected)
}

// reader adds integers as QUIC has them.
type reader struct{ octets.Reader }

// run returns the next n bytes, nil if there are fewer.
func (r *reader) run(n uint64) []byte { return r.Take(int(min(n, math.MaxInt32))) }

// varint returns an integer whose first two bits tell its size (RFC 9000, 16).
func (r *reader) varint() uint64 {
	first := r.U8()
	v := uint64(first & 0x3f)
	for _, b := range r.Take(1<<(first>>6) - 1) {
		v = v<<8 | uint64(b)
	}
	return v
}
