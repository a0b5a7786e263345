package tlsmsg

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
	r := reader{b: b}
	rec.Type, rec.Version, rec.Epoch = r.u8(), r.u16(), r.u16()
	rec.Seq = uint64(r.u16())<<32 | uint64(r.u32())
	n := int(r.u16())
	if r.bad {
		return rec, nil, false
	}
	if rec.Version != DTLS10 && rec.Version != DTLS12 {
		return rec, nil, true
	}
	rec.Body = r.bytes(n)
	return rec, r.b, !r.bad
}

// Unified reports whether a record's first byte begins DTLS 1.3's short header.
// That holds only once DTLS 1.3 was chosen.
func Unified(first byte) bool { return first&0xe0 == 0x20 }

// CheckUnified reports whether a datagram beginning with such a record is whole.
// Such a record may be without a length, so the rest of the datagram is taken to
// be its own.
func CheckUnified(b []byte) bool {
	r := reader{b: b}
	first := r.u8()
	if first&0x10 != 0 {
		return !r.bad // with a connection id, whose length stands elsewhere
	}
	if first&0x08 != 0 {
		r.u16()
	} else {
		r.u8()
	}
	if first&0x04 != 0 {
		r.u16()
	}
	return !r.bad
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
	r := reader{b: b}
	f.Kind, f.Len, f.Seq, f.Offset, f.Size = r.u8(), r.u24(), r.u16(), r.u24(), r.u24()
	f.Data = r.b
	return f, !r.bad
}
