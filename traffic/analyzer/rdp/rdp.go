// Package rdp reads the beginning of RDP connections: what sort of security client
// and server agree on, the exchange of settings that follows where it is RDP's
// own, with the server's certificates, and TLS where it is that.
//
// It stands between flow, which hands it the bytes of a connection, and policy,
// which implements Handler, with the TLS analyzer below it. It owns, per
// connection and direction, a packet that has not come whole, which has a limit.
// It never looks at what is behind the settings: that is encrypted.
//
// Sources: RFC 1006 (TPKT), X.224, T.125 (MCS), T.124 (GCC), MS-RDPBCGR; what
// confirms is Zeek 9.0's.
package rdp

import (
	"encoding/binary"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/traffic/format/octets"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name.
const Name = "RDP"

const (
	// maxPacket is the longest packet that is kept until it is whole.
	maxPacket = 32 << 10
	// maxCertificates is how many certificates of a server are handed over.
	maxCertificates = 256
	// maxFree is how many finished analyzers are kept for reuse, and keepBuf the
	// largest buffer that is kept with one.
	maxFree = 256
	keepBuf = 1024
	headLen = 4
)

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine, in the order in which things were seen. A Handler belongs
// to one connection at a time; after End it is given to another one. What it is
// handed is borrowed until it returns.
type Handler interface {
	// Certificate hands over one of the server's certificates, as sent; each is the
	// first of its chain as far as RDP is concerned.
	Certificate(c analyzer.Conn, der []byte)
	// End says that the connection is going, or the analyzer was taken away.
	End(c analyzer.Conn)
}

// Factory returns the factory of one worker; it and all its analyzers are used by
// one goroutine. newHandler is called for an analyzer that is made, not for one
// that is used again.
func Factory(newHandler func() Handler) analyzer.Factory {
	free := freelist.New[*rdp](maxFree)
	return analyzer.Factory{
		Name:       Name,
		Ports:      []analyzer.Port{{Num: 3389, Proto: value.ProtoTCP}},
		Signatures: signatures.RDP(),
		New: func(value.Proto) analyzer.Analyzer {
			if r := free.Take(); r != nil {
				return r
			}
			return &rdp{free: &free, h: newHandler()}
		},
	}
}

// rdp is the analyzer of one connection.
type rdp struct {
	free *freelist.List[*rdp]
	h    Handler
	dir  [2]partial
	analyzer.Overture
}

// partial is a packet that has not come whole: a version, a zero, two bytes of
// length that counts the header, and the rest.
type partial struct {
	head  [headLen]byte
	nhead int
	buf   []byte
}

// Deliver implements analyzer.Analyzer.
func (r *rdp) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if analyzer.Partial(c) {
		return
	}
	p := &r.dir[0]
	if !orig {
		p = &r.dir[1]
	}
	for !r.Deaf && !r.InTLS && len(data) > 0 {
		if p.nhead < headLen {
			n := copy(p.head[p.nhead:], data)
			p.nhead += n
			data = data[n:]
			if p.head[0] != 3 { // another protocol, or RDP's short form of later on
				r.Deaf = true
				return
			}
			if p.nhead < headLen {
				return
			}
		}
		need := int(binary.BigEndian.Uint16(p.head[2:])) - headLen
		switch {
		case need < 0:
			r.Fail(c, Name, "invalid packet length")
			return
		case need > maxPacket:
			r.Deaf = true
			return
		}
		n := min(need-len(p.buf), len(data))
		body := data[:n]
		data = data[n:]
		if len(p.buf) > 0 || n < need {
			if p.buf = append(p.buf, body...); len(p.buf) < need {
				return
			}
			body = p.buf
		}
		p.nhead = 0
		r.packet(c, body)
		p.buf = p.buf[:0]
	}
	r.Forward(c, orig, data)
}

// End implements analyzer.Analyzer.
func (r *rdp) End(c analyzer.Conn) {
	r.h.End(c)
	bufs := [2][]byte{r.dir[0].buf[:0], r.dir[1].buf[:0]}
	*r = rdp{free: r.free, h: r.h}
	for i, b := range bufs {
		if cap(b) <= keepBuf {
			r.dir[i].buf = b
		}
	}
	r.free.Keep(r)
}

// Types of X.224 packets.
const (
	connectConfirm = 0xd0
	connectRequest = 0xe0
	data           = 0xf0
)

// packet reads an X.224 packet. Which side sent it is told by its type.
func (r *rdp) packet(c analyzer.Conn, body []byte) {
	b := reader{octets.Reader{B: body}}
	n := int(b.U8())
	kind := b.U8()
	if b.Bad {
		r.Fail(c, Name, "malformed packet")
		return
	}
	switch kind {
	case connectRequest:
		if !request(&b, n) {
			r.Fail(c, Name, "malformed connect request")
		}
	case connectConfirm:
		protocol, ok := confirm(&b, n)
		switch {
		case !ok:
			r.Fail(c, Name, "malformed connect confirm")
		case protocol > 0: // TLS, or CredSSP in it
			r.StartTLS(c)
		}
	case data:
		r.settings(c, &b)
	}
}

// fixed is how many bytes stand in front of what may be left out: two references
// and a class.
const fixed = 5

// request checks a Connect Request, whose header has n bytes behind its length
// (MS-RDPBCGR, 2.2.1.1): a cookie or a routing token, and what the client can.
func request(b *reader, n int) bool {
	b.Take(fixed)
	n -= 1 + fixed
	const cookie = "Cookie: mst"
	if len(b.B) >= len(cookie) && string(b.B[:len(cookie)]) == cookie {
		all := len(b.B)
		if !b.line() {
			return false
		}
		n -= all - len(b.B)
	}
	return !b.Bad && (n == 0 || negotiation(b) != nil)
}

// confirm checks a Connect Confirm (2.2.1.2) and returns which protocol of
// security the server chose: 0 is RDP's own.
func confirm(b *reader, n int) (protocol uint32, ok bool) {
	b.Take(fixed)
	if n -= 1 + fixed; n == 0 || b.Bad {
		return 0, !b.Bad
	}
	neg := negotiation(b)
	switch {
	case neg == nil:
		return 0, false
	case neg[0] == 2:
		return binary.LittleEndian.Uint32(neg[4:]), true
	}
	return 0, neg[0] == 3 // refused
}

// negotiation returns a structure of eight bytes, whose length says so.
func negotiation(b *reader) []byte {
	neg := b.Take(8)
	if neg == nil || binary.LittleEndian.Uint16(neg[2:]) != 8 {
		return nil
	}
	return neg
}
