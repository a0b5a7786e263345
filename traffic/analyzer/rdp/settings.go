package rdp

import (
	"bytes"
	"encoding/binary"

	"github.com/picket-nsm/picket/traffic/analyzer"
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
	b.u8() // end of packet
	ber := b.u8()
	kind := b.u8()
	if b.bad {
		r.fail(c, "malformed data packet")
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
	b.u8() // user data: a string of bytes
	b.berLen()
	b.take(int(b.u16be())) // whose protocol this is
	ok := false
	if client {
		ok = b.conference(2+7, "Duca")
	} else if ok = b.conference(1+8, "McDn"); ok {
		c.Confirm(Name)
	}
	if !ok || !r.blocks(c, b) {
		r.fail(c, "malformed settings")
		return
	}
	if !client { // there is nothing more in clear
		r.deaf = true
		if m, ok := c.(analyzer.Remover); ok {
			m.Remove()
		}
	}
}

// blocks reads the blocks of settings. It returns false if one is malformed.
func (r *rdp) blocks(c analyzer.Conn, b *reader) bool {
	for len(b.b) > 0 {
		kind := b.u16le()
		n := int(b.u16le())
		block := reader{b: b.take(n - 4)}
		if b.bad {
			return false
		}
		switch kind {
		case clientCore:
			if len(block.b) < minCore {
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
	method, level := b.u32le(), b.u32le()
	if b.bad || method == 0 && level == 0 {
		return !b.bad
	}
	random := b.u32le()
	n := b.u32le()
	if b.bad || random != 32 || n > maxPacket {
		return false
	}
	b.take(int(random))
	cert := reader{b: b.take(int(n))}
	if b.bad {
		return false
	}
	const proprietary, x509 = 1, 2
	switch cert.u32le() & 0x7fffffff {
	case proprietary:
		return !cert.bad
	case x509:
		count := cert.u32le()
		for range min(count, maxCertificates) {
			der := cert.take(int(min(cert.u32le(), maxPacket)))
			if cert.bad {
				return false
			}
			r.h.Certificate(c, der)
		}
		return !cert.bad
	}
	return false
}

// reader takes bytes from the front. Once something is missing it is bad, and
// gives zeros.
type reader struct {
	b   []byte
	bad bool
}

// take returns the next n bytes, nil if there are fewer.
func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u8() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16be() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u16le() uint16 {
	if b := r.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32le() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// line skips a line.
func (r *reader) line() bool {
	i := bytes.Index(r.b, []byte("\r\n"))
	return i >= 0 && r.take(i+2) != nil
}

// berLen returns a length in the basic encoding of ASN.1 (X.690, 8.1.3).
func (r *reader) berLen() int {
	n := int(r.u8())
	if n < 0x80 {
		return n
	}
	long := n & 0x7f
	if n = 0; long > 3 {
		r.bad = true
		return 0
	}
	for range long {
		n = n<<8 | int(r.u8())
	}
	return n
}

// berSkip skips n values.
func (r *reader) berSkip(n int) {
	for range n {
		r.u8()
		r.take(r.berLen())
	}
}

// conference skips what a conference is opened with (T.124), up to the key that
// says whose settings follow, and the length of these.
func (r *reader) conference(n int, key string) bool {
	r.take(n)
	r.u8() // length of the key
	if k := r.take(len(key)); string(k) != key {
		return false
	}
	r.u16be()
	return !r.bad
}
