package tlsmsg

import "github.com/picket-nsm/picket/traffic/format/octets"

// DTLSRecord is a record of a datagram.
type DTLSRecord struct {
	Type    uint8
	Version uint16
	Epoch   uint16
	Seq     uint64
	Body    []byte
}

// ParseDTLSRecord reads the first record of a datagram and returns what follows.
// Where the version is none of DTLS, only type and version are set and nothing
// follows: such a datagram is of another protocol. ok is false where the record
// is cut.
func ParseDTLSRecord(b []byte) (rec DTLSRecord, rest []byte, ok bool) {
	r := octets.Reader{B: b}
	rec.Type, rec.Version, rec.Epoch = r.U8(), r.U16(), r.U16()
	rec.Seq = uint64(r.U16())<<32 | uint64(r.U32())
	n := int(r.U16())
	if r.Bad {
		return rec, nil, false
	}
	if rec.Version != DTLS10 && rec.Version != DTLS12 {
		return rec, nil, true
	}
	rec.Body = r.Take(n)
	return rec, r.B, !r.Bad
}

// Unified reports whether a record's first byte begins DTLS 1.3's short header.
// That holds only once DTLS 1.3 was chosen.
func Unified(first byte) bool { return first&0xe0 == 0x20 }

// CheckUnified reports whether a datagram beginning with such a record is whole.
// Such a record may be without a length, so the rest of the datagram is taken to
// be its own.
func CheckUnified(b []byte) bool {
	r := octets.Reader{B: b}
	first := r.U8()
	if first&0x10 != 0 {
		return !r.Bad // with a connection id, whose length stands elsewhere
	}
	if first&0x08 != 0 {
		r.U16()
	} else {
		r.U8()
	}
	if first&0x04 != 0 {
		r.U16()
	}
	return !r.Bad
}

// Fragment is a piece of a handshake message in a DTLS record.
type Fragment struct {
	Kind   uint8
	Len    int // of the whole message
	Seq    uint16
	Offset int
	Size   int    // as stated
	Data   []byte // all that is in the record
}

// ParseFragment reads the body of a handshake record.
func ParseFragment(b []byte) (f Fragment, ok bool) {
	r := octets.Reader{B: b}
	f.Kind, f.Len, f.Seq, f.Offset, f.Size = r.U8(), r.U24(), r.U16(), r.U24(), r.U24()
	f.Data = r.B
	return f, !r.Bad
}
