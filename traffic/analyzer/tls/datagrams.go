package tls

import (
	"fmt"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
)

// datagrams is the analyzer of a DTLS connection.
type datagrams struct {
	conn
	bad      int  // records in a row with another protocol's version
	reported bool // and that was told
	frags    [2]fragments
}

// Deliver implements analyzer.Analyzer.
func (d *datagrams) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if d.skip || stun(data) {
		return
	}
	for len(data) > 0 && !d.established {
		if d.version == tlsmsg.DTLS13 && tlsmsg.Unified(data[0]) {
			d.unified(c, orig, data)
			return
		}
		rec, rest, ok := tlsmsg.ParseDTLSRecord(data)
		switch {
		case !d.versionOK(c, rec.Version, len(data)):
			return
		case !ok:
			d.malformed(c, "DTLS record")
			return
		case rec.Epoch != 0 && len(rec.Body) > 0:
			d.cipher(c)
		case !d.record(c, orig, &rec):
			return
		}
		data = rest
	}
}

// stun recognises STUN, which shares ports with DTLS, by its magic cookie.
func stun(b []byte) bool {
	return len(b) > 20 && b[4] == 0x21 && b[5] == 0x12 && b[6] == 0xa4 && b[7] == 0x42
}

// Gap implements analyzer.Analyzer: datagrams have none.
func (d *datagrams) Gap(analyzer.Conn, bool, uint64) {}

// End implements analyzer.Analyzer.
func (d *datagrams) End(c analyzer.Conn) {
	d.h.End(c)
	for i := range d.frags {
		d.forget(&d.frags[i])
	}
	d.restart()
	d.bad, d.reported = 0, false
	d.s.datagrams.Keep(d)
}

// versionOK counts records of other protocols: a few may come between those of
// DTLS, since ports are shared.
func (d *datagrams) versionOK(c analyzer.Conn, version uint16, size int) bool {
	const headerLen = 13
	switch {
	case size < headerLen:
		d.malformed(c, "DTLS record")
		return false
	case version == tlsmsg.DTLS10 || version == tlsmsg.DTLS12:
		if d.confirmed {
			d.bad = 0
		}
		return true
	}
	d.bad++
	if d.confirmed && !d.reported {
		d.reported = true
		d.fail(c, fmt.Sprintf("Invalid version in DTLS connection. Packet reported version: %d", version))
	}
	if d.bad > maxBadVersions {
		d.skip = true
		if !d.confirmed {
			analyzer.Remove(c) // QUIC, most likely
		}
	}
	return false
}

// unified takes a datagram of DTLS 1.3's encrypted records. There is no
// ChangeCipherSpec: one such datagram from each side is enough.
func (d *datagrams) unified(c analyzer.Conn, orig bool, data []byte) {
	if !tlsmsg.CheckUnified(data) {
		d.malformed(c, "DTLS 1.3 record")
		return
	}
	d.encrypts[side(orig)] = true
	d.cipher(c)
}

// record reads a record in clear. It returns false if it is malformed: then the
// rest of the datagram is dropped.
func (d *datagrams) record(c analyzer.Conn, orig bool, rec *tlsmsg.DTLSRecord) bool {
	for body := rec.Body; len(body) > 0; {
		if rec.Type == tlsmsg.Handshake {
			f, ok := tlsmsg.ParseFragment(body)
			if !ok {
				d.malformed(c, "DTLS handshake message")
				return false
			}
			d.fragment(c, orig, rec.Seq, &f)
			d.event(c, orig, Event{Kind: Plaintext, Type: tlsmsg.Handshake})
			return true
		}
		n, ok := d.plain(c, orig, uint16(rec.Type), body)
		if !ok {
			return false
		}
		body = body[n:]
	}
	return true
}

// send hands a message to the reader of handshakes, with the header that TLS
// would have sent.
func (d *datagrams) send(c analyzer.Conn, orig bool, kind uint8, size int, data []byte) {
	if len(d.msgs[side(orig)].buf) == 0 && d.msgs[side(orig)].drop == 0 && len(data) >= size {
		if d.message(c, orig, kind, data[:size]) && len(data) > size {
			d.handshake(c, orig, data[size:])
		}
		return
	}
	head := [tlsmsg.MessageHeaderLen]byte{kind, byte(size >> 16), byte(size >> 8), byte(size)}
	d.handshake(c, orig, head[:])
	d.handshake(c, orig, data)
}

// window is how many records' numbers a message may be spread over.
const window = 32

// fragments puts one message of one side together. Zeek counts by the numbers of
// the records that brought the fragments, and so do we.
type fragments struct {
	active    bool
	seq       uint16
	size      int
	first     uint64 // number of the first record
	firstSeen bool   // it is known to be the first
	last      uint64 // number of the last record; 0: not known
	seen      uint32 // which records, from first on
	parts     []part
	data      []byte // of all parts, in the order they came
}

type part struct{ offset, size int }

// forget begins anew.
func (d *datagrams) forget(m *fragments) { *m = fragments{parts: m.parts[:0], data: d.letGo(m.data)} }

// fragment takes a fragment, and reads the message if it is the last one missing.
func (d *datagrams) fragment(c analyzer.Conn, orig bool, number uint64, f *tlsmsg.Fragment) {
	if f.Offset == 0 && f.Size == f.Len {
		d.send(c, orig, f.Kind, f.Len, f.Data)
		return
	}
	if f.Len > maxFragmented {
		d.fail(c, fmt.Sprintf("DTLS record length %d larger than allowed maximum.", f.Len))
		return
	}
	m := &d.frags[side(orig)]
	if !m.active || m.seq != f.Seq || m.size != f.Len {
		d.forget(m)
		m.active, m.seq, m.size, m.first = true, f.Seq, f.Len, number
	}
	whole, reason := d.add(c, m, number, f)
	switch {
	case reason != "":
		d.fail(c, reason)
	case whole:
		d.send(c, orig, f.Kind, m.size, d.assemble(m))
	}
}

// add notes a fragment and reports whether the message is whole with it, or why
// it does not fit.
func (d *datagrams) add(c analyzer.Conn, m *fragments, number uint64, f *tlsmsg.Fragment) (whole bool, reason string) {
	if number >= m.first+window || number+window <= m.first {
		return false, "DTLS handshake fragment sequence number outside reassembly window."
	}
	if number < m.first {
		if m.firstSeen {
			return false, "Saw second and different first message fragment for handshake."
		}
		m.seen <<= m.first - number
		m.first = number
	}
	if f.Offset == 0 {
		m.firstSeen = true
	}
	bit := uint32(1) << (number - m.first)
	switch {
	case m.seen&bit != 0:
		return false, ""
	case len(f.Data) != f.Size:
		return false, "DTLS handshake record length does not match packet length"
	case f.Offset+f.Size > m.size:
		return false, "DTLS handshake fragment trying to write past end of buffer"
	}
	m.seen |= bit
	if len(m.data)+f.Size <= m.size { // more than that would be overlaps
		var ok bool
		if m.data, ok = d.hold(c, m.data, f.Data); !ok {
			d.skip = true
			return false, ""
		}
		m.parts = append(m.parts, part{f.Offset, f.Size})
	}
	if f.Offset+f.Size == m.size {
		m.last = number
	}
	if m.last == 0 || !m.firstSeen {
		return false, ""
	}
	n := m.last - m.first
	if n > window-2 {
		return false, "DTLS Message fragmented over more than 30 pieces. Cannot reassemble."
	}
	return ^m.seen&(1<<(n+1)-1) == 0, ""
}

// assemble puts the parts in their places; later ones win.
func (d *datagrams) assemble(m *fragments) []byte {
	if cap(d.s.whole) < m.size {
		d.s.whole = make([]byte, m.size)
	}
	b := d.s.whole[:m.size]
	clear(b)
	data := m.data
	for _, p := range m.parts {
		copy(b[p.offset:], data[:p.size])
		data = data[p.size:]
	}
	return b
}
