package rdp

import (
	"bytes"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/format/octets"
)

// Blocks of settings (MS-RDPBCGR, 2.2.1.3 and 2.2.1.4).
const (
	clientCore     = 0xc001
	serverSecurity = 0x0c02
	minCore        = 128 // without what may be left out
)

// settings reads an X.224 data packet if it is one of the two that carry
// settings: MCS Connect Initial of the client, Connect Response of the server.
func (r *rdp) settings(c analyzer.Conn, b *reader) {
	b.U8() // end of packet
	ber := b.U8()
	kind := b.U8()
	if b.Bad {
		r.Fail(c, Name, "malformed data packet")
		return
	}
	var client bool
	switch {
	case ber == 0x7f && kind == 0x65:
		client = true
		b.berLen()
		b.berSkip(3) // domains of both, and which way is up
		b.berSkip(3) // parameters
	case ber == 0x7f && kind == 0x66:
		b.berLen()
		b.berSkip(3) // result, id, parameters
	default:
		return
	}
	b.U8() // user data: a string of bytes
	b.berLen()
	b.Take(int(b.U16())) // whose protocol this is
	ok := false
	if client {
		ok = b.conference(2+7, "Duca")
	} else if ok = b.conference(1+8, "McDn"); ok {
		c.Confirm(Name)
	}
	if !ok || !r.blocks(c, b) {
		r.Fail(c, Name, "malformed settings")
		return
	}
	if !client { // there is nothing more in clear
		r.Done(c)
	}
}

// blocks reads the blocks of settings. It returns false if one is malformed.
func (r *rdp) blocks(c analyzer.Conn, b *reader) bool {
	for len(b.B) > 0 {
		kind := b.U16LE()
		n := int(b.U16LE())
		block := reader{octets.Reader{B: b.Take(n - 4)}}
		if b.Bad {
			return false
		}
		switch kind {
		case clientCore:
			if len(block.B) < minCore {
				return false
			}
			c.Confirm(Name)
		case serverSecurity:
			if !r.security(c, &block) {
				return false
			}
			c.Confirm(Name)
		}
	}
	return true
}

// security reads what the server says of its own encryption (2.2.1.4.3). Without
// encryption some leave out all but the first two fields.
func (r *rdp) security(c analyzer.Conn, b *reader) bool {
	method, level := b.U32LE(), b.U32LE()
	if b.Bad || method == 0 && level == 0 {
		return !b.Bad
	}
	random := b.U32LE()
	n := b.U32LE()
	if b.Bad || random != 32 || n > maxPacket {
		return false
	}
	b.Take(int(random))
	cert := reader{octets.Reader{B: b.Take(int(n))}}
	if b.Bad {
		return false
	}
	const proprietary, x509 = 1, 2
	switch cert.U32LE() & 0x7fffffff {
	case proprietary:
		return !cert.Bad
	case x509:
		count := cert.U32LE()
		for range min(count, maxCertificates) {
			der := cert.Take(int(min(cert.U32LE(), maxPacket)))
			if cert.Bad {
				return false
			}
			r.h.Certificate(c, der)
		}
		return !cert.Bad
	}
	return false
}

// reader adds lines and lengths as T.125 has them.
type reader struct{ octets.Reader }

// line skips a line.
func (r *reader) line() bool {
	i := bytes.Index(r.B, []byte("\r\n"))
	return i >= 0 && r.Take(i+2) != nil
}

// berLen returns a length in the basic encoding of ASN.1 (X.690, 8.1.3).
func (r *reader) berLen() int {
	n := int(r.U8())
	if n < 0x80 {
		return n
	}
	long := n & 0x7f
	if n = 0; long > 3 {
		r.Bad = true
		return 0
	}
	for range long {
		n = n<<8 | int(r.U8())
	}
	return n
}

// berSkip skips n values.
func (r *reader) berSkip(n int) {
	for range n {
		r.U8()
		r.Take(r.berLen())
	}
}

// conference skips what a conference is opened with (T.124), up to the key that
// says whose settings follow, and the length of these.
func (r *reader) conference(n int, key string) bool {
	r.Take(n)
	r.U8() // length of the key
	if k := r.Take(len(key)); string(k) != key {
		return false
	}
	r.U16()
	return !r.Bad
}
