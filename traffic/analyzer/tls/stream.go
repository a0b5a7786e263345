package tls

import (
	"fmt"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
)

// v2Types is what SSL 2's message types are counted from as content types.
const v2Types = 300

// stream is the analyzer of a TCP connection, or of any other stream.
type stream struct {
	conn
	layer uint16 // version in the first record, that decides about the others
	gap   bool
	dir   [2]record
}

// record is one that has not come whole.
type record struct {
	head  [tlsmsg.HeaderLen]byte
	nhead int
	kind  uint16
	need  int    // bytes of its body
	got   int    // of them, so far
	keep  bool   // the bytes are wanted, not just their number
	buf   []byte // the bytes, if they are
}

// Deliver implements analyzer.Analyzer.
func (t *stream) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if t.skip || t.gap {
		return
	}
	if analyzer.Partial(c) {
		return
	}
	r := &t.dir[side(orig)]
	for !t.skip {
		if r.nhead < len(r.head) {
			n := copy(r.head[r.nhead:], data)
			r.nhead += n
			data = data[n:]
			if r.nhead < len(r.head) {
				return
			}
			if !t.begin(c, orig, r) {
				return
			}
		}
		n := min(r.need-r.got, len(data))
		piece := data[:n]
		data = data[n:]
		if r.got+n == r.need && len(r.buf) == 0 {
			// It lies there in one piece.
		} else {
			if r.keep {
				var ok bool
				if r.buf, ok = t.hold(c, r.buf, piece); !ok {
					t.gap = true // without this record nobody knows what others mean
					return
				}
			}
			if r.got += n; r.got < r.need {
				return
			}
			piece = r.buf
		}
		r.nhead, r.got = 0, 0
		ok := t.finish(c, orig, r, piece)
		r.buf = t.letGo(r.buf)
		if !ok {
			return
		}
	}
}

// Gap implements analyzer.Analyzer. Without some bytes nobody knows where the
// next record begins, so nothing more is read in either direction.
func (t *stream) Gap(analyzer.Conn, bool, uint64) { t.gap = true }

// End implements analyzer.Analyzer.
func (t *stream) End(c analyzer.Conn) {
	t.h.End(c)
	t.restart()
	t.layer, t.gap = 0, false
	for i := range t.dir {
		buf := t.dir[i].buf[:0]
		if cap(buf) > keepBuf {
			buf = nil
		}
		t.dir[i] = record{buf: buf}
	}
	t.s.streams.Keep(t)
}

// begin reads a record's header. It returns false if this is not TLS.
func (t *stream) begin(c analyzer.Conn, orig bool, r *record) bool {
	if !t.recognise(c, orig, &r.head) {
		t.skip = true
		return false
	}
	if t.layer == 0 || t.layer == tlsmsg.SSL2 {
		kind, _, n := tlsmsg.ParseV2Header(r.head[:])
		r.kind, r.need = v2Types+uint16(kind), n
		if n < 0 {
			r.nhead = 0
			t.malformed(c, "SSL 2 record")
			return false
		}
	} else {
		h := tlsmsg.ParseHeader(r.head[:])
		r.kind, r.need = uint16(h.Type), h.Len
	}
	r.keep = r.kind != tlsmsg.ApplicationData && !t.encrypts[side(orig)]
	return true
}

// recognise looks at a record's first bytes. The first record decides between
// SSL 2 and what came after it; a client may ask in SSL 2's form and be answered
// in the other.
func (t *stream) recognise(c analyzer.Conn, orig bool, b *[tlsmsg.HeaderLen]byte) bool {
	h := tlsmsg.ParseHeader(b[:])
	switch {
	case t.layer == tlsmsg.SSL2:
		return true
	case t.layer != 0:
		if !tlsmsg.RecordVersion(h.Version) {
			t.fail(c, fmt.Sprintf("Invalid version late in TLS connection. Packet reported version: %d", h.Version))
			return false
		}
		return true
	case b[0]&0x80 != 0:
		return t.recogniseV2(c, orig, b)
	case !tlsmsg.RecordVersion(h.Version):
		t.fail(c, fmt.Sprintf("Invalid version in TLS connection. Version: %d", h.Version))
		return false
	case h.Type < 20 || h.Type > 30:
		t.fail(c, fmt.Sprintf("Invalid type in TLS connection. Version: %d, Type: %d", h.Version, h.Type))
		return false
	}
	t.layer = h.Version
	return true
}

func (t *stream) recogniseV2(c analyzer.Conn, orig bool, b *[tlsmsg.HeaderLen]byte) bool {
	kind, head, _ := tlsmsg.ParseV2Header(b[:])
	switch {
	case kind == tlsmsg.V2ClientHello && orig:
		if head != tlsmsg.SSL2 && !tlsmsg.RecordVersion(head) {
			t.fail(c, fmt.Sprintf("Invalid version in SSL client hello. Version: %d", head))
			return false
		}
	case kind == tlsmsg.V2ServerHello && !orig && b[4] < 2:
		t.layer = tlsmsg.SSL2
	default:
		t.fail(c, fmt.Sprintf("Invalid headers in SSL connection. Head1: %d, head2: %d, head3: %d", b[1], b[2], b[3]))
		return false
	}
	return true
}

// encrypted reports whether a record is encrypted. Before TLS 1.3 a message says
// from when on; there the first application data does, since all that is
// encrypted looks like them.
func (t *stream) encrypted(orig bool, kind uint16) bool {
	e := &t.encrypts[side(orig)]
	if *e || kind != tlsmsg.ApplicationData {
		return *e
	}
	switch t.version {
	case tlsmsg.SSL2, tlsmsg.SSL3, tlsmsg.TLS10, tlsmsg.TLS11, tlsmsg.TLS12:
		return false
	}
	*e = true
	return true
}

// finish reads a whole record. It returns false if it is malformed: then the
// rest of the bytes at hand is dropped.
func (t *stream) finish(c analyzer.Conn, orig bool, r *record, body []byte) bool {
	if r.need > 0 && t.encrypted(orig, r.kind) {
		t.cipher(c)
		return true
	}
	for left := r.need; left > 0; {
		switch {
		case r.kind == tlsmsg.Handshake:
			t.handshake(c, orig, body)
			t.event(c, orig, Event{Kind: Plaintext, Type: r.kind})
			return true
		case r.kind == tlsmsg.ApplicationData: // its bytes were not kept
			t.event(c, orig, Event{Kind: Plaintext, Type: r.kind})
			return true
		case r.kind >= v2Types:
			return t.v2(c, orig, r, body)
		}
		n, ok := t.plain(c, orig, r.kind, body)
		if !ok {
			return false
		}
		left -= n
		if body = body[n:]; left > 0 && t.encrypted(orig, r.kind) {
			t.cipher(c) // what stands behind a ChangeCipherSpec
			return true
		}
	}
	return true
}

// v2 reads a record of SSL 2.
func (t *stream) v2(c analyzer.Conn, orig bool, r *record, body []byte) bool {
	kind, head, _ := tlsmsg.ParseV2Header(r.head[:])
	h := &t.s.hello
	switch kind {
	case tlsmsg.V2Error:
		t.event(c, orig, Event{Kind: Alert, Level: 0xff, Desc: head})
	case tlsmsg.V2ClientHello:
		h.ParseV2Client(head, body)
		if !h.Complete {
			t.malformed(c, "SSL 2 CLIENT-HELLO")
			return false
		}
		t.judge(c, h)
		t.h.Hello(c, h)
	case tlsmsg.V2ServerHello:
		cert := h.ParseV2Server(body)
		switch {
		case !h.Complete:
			t.malformed(c, "SSL 2 SERVER-HELLO")
			return false
		case h.Version != tlsmsg.SSL2:
			t.fail(c, fmt.Sprintf("Invalid version in SSL server hello. Version: %d", h.Version))
			t.skip = true
		default:
			t.h.Hello(c, h)
			t.v2Certificate(c, orig, cert)
		}
	case tlsmsg.V2ClientMasterKey:
		if !tlsmsg.CheckV2MasterKey(body) {
			t.malformed(c, "SSL 2 CLIENT-MASTER-KEY")
			return false
		}
		t.encrypts = [2]bool{true, true}
		t.establish(c)
	default:
		t.fail(c, fmt.Sprintf("unknown SSL record type (%d) from %s", r.kind, label(orig)))
	}
	if !t.established {
		t.event(c, orig, Event{Kind: Plaintext, Type: r.kind})
	}
	return true
}

func (t *stream) v2Certificate(c analyzer.Conn, orig bool, cert []byte) {
	m := &t.s.msg
	*m = Message{Kind: tlsmsg.Certificate, Client: t.client(orig), V2: true, Certificates: append(m.Certificates[:0], cert)}
	t.withoutEmpty(c, m)
	t.h.Message(c, m)
	clear(m.Certificates)
}
