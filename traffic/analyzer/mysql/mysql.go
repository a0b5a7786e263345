// Package mysql reads MySQL as far as the client's answer to the server's
// greeting: there the protocol is recognised, and TLS begins if the client wants
// it.
//
// It stands between flow, which hands it the bytes of a connection, and the TLS
// analyzer below it. It owns, per connection and direction, a packet that has not
// come whole, which has a limit. It reports nothing of commands.
//
// Sources: the client/server protocol in MySQL's source documentation (connection
// phase); what confirms and what violates is Zeek 9.0's.
package mysql

import (
	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/format/octets"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name.
const Name = "MYSQL"

const (
	// maxPacket is the longest packet that is kept until it is whole.
	maxPacket = 16 << 10
	// maxFree is how many finished analyzers are kept for reuse, and keepBuf the
	// largest buffer that is kept with one.
	maxFree = 256
	keepBuf = 1024
)

// Capabilities of a client.
const (
	withDatabase = 0x00000008
	wantsTLS     = 0x00000800
	pluginAuth   = 0x00080000
)

// Factory returns the factory of one worker; it and all its analyzers are used by
// one goroutine.
func Factory() analyzer.Factory {
	free := freelist.New[*mysql](maxFree)
	return analyzer.Factory{
		Name:  Name,
		Ports: []analyzer.Port{{Num: 1434, Proto: value.ProtoTCP}, {Num: 3306, Proto: value.ProtoTCP}},
		New: func(value.Proto) analyzer.Analyzer {
			if m := free.Take(); m != nil {
				return m
			}
			return &mysql{free: &free}
		},
	}
}

// mysql is the analyzer of one connection.
type mysql struct {
	free    *freelist.List[*mysql]
	dir     [2]partial
	greeted bool
	version byte // of the greeting
	analyzer.Overture
}

// partial is a packet that has not come whole: three bytes of length, one that
// counts packets, and the body.
type partial struct {
	head  [4]byte
	nhead int
	buf   []byte
}

func (p *partial) size() int { return int(p.head[0]) | int(p.head[1])<<8 | int(p.head[2])<<16 }

// Deliver implements analyzer.Analyzer.
func (m *mysql) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if analyzer.Partial(c) {
		return
	}
	p := &m.dir[0]
	if !orig {
		p = &m.dir[1]
	}
	for !m.Deaf && !m.InTLS && len(data) > 0 {
		if p.nhead < len(p.head) {
			n := copy(p.head[p.nhead:], data)
			p.nhead += n
			if data = data[n:]; p.nhead < len(p.head) {
				return
			}
			if p.size() > maxPacket {
				m.Deaf = true // another protocol, most likely
				return
			}
		}
		n := min(p.size()-len(p.buf), len(data))
		body := data[:n]
		data = data[n:]
		if len(p.buf) > 0 || n < p.size() {
			if p.buf = append(p.buf, body...); len(p.buf) < p.size() {
				return
			}
			body = p.buf
		}
		p.nhead = 0
		if orig {
			m.client(c, body)
		} else {
			m.server(c, body)
		}
		p.buf = p.buf[:0]
	}
	m.Forward(c, orig, data)
}

// End implements analyzer.Analyzer.
func (m *mysql) End(analyzer.Conn) {
	bufs := [2][]byte{m.dir[0].buf[:0], m.dir[1].buf[:0]}
	*m = mysql{free: m.free}
	for i, b := range bufs {
		if cap(b) <= keepBuf {
			m.dir[i].buf = b
		}
	}
	m.free.Keep(m)
}

// server reads a packet of the server. The first one is its greeting, or says
// why there is none.
func (m *mysql) server(c analyzer.Conn, body []byte) {
	r := reader{octets.Reader{B: body}}
	kind := r.Take(1)
	switch {
	case kind == nil:
		m.Fail(c, Name, "empty server packet")
	case m.greeted:
		if k := kind[0]; k != 0 && k != 1 && k != 0xfe && k != 0xff {
			m.Fail(c, Name, "unexpected server packet")
		}
	case kind[0] == 10 && r.greeting10(), kind[0] == 9 && r.greeting9():
		m.greeted, m.version = true, kind[0]
	case kind[0] != 9 && kind[0] != 10 && r.Take(8) != nil: // an error
		m.Deaf = true
	default:
		m.Fail(c, Name, "malformed greeting")
	}
}

// client reads the client's answer.
func (m *mysql) client(c analyzer.Conn, body []byte) {
	r := reader{octets.Reader{B: body}}
	switch m.version {
	case 10:
		fixed := r.Take(32)
		if fixed == nil {
			m.Fail(c, Name, "malformed handshake response")
			return
		}
		caps := uint32(fixed[0]) | uint32(fixed[1])<<8 | uint32(fixed[2])<<16 | uint32(fixed[3])<<24
		if caps&wantsTLS != 0 {
			c.Confirm(Name)
			m.StartTLS(c)
			return
		}
		if !r.text() || !r.counted() || caps&withDatabase != 0 && !r.text() || caps&pluginAuth != 0 && len(r.B) > 0 && !r.text() {
			m.Fail(c, Name, "malformed handshake response")
			return
		}
	case 9:
		if r.Take(5) == nil || !r.text() || !r.text() {
			m.Fail(c, Name, "malformed handshake response")
			return
		}
	default:
		m.Fail(c, Name, "no greeting")
		return
	}
	c.Confirm(Name)
	m.Done(c)
}

// reader adds strings as MySQL has them.
type reader struct{ octets.Reader }

// text skips a string that ends with a zero.
func (r *reader) text() bool {
	for i, c := range r.B {
		if c == 0 {
			r.B = r.B[i+1:]
			return true
		}
	}
	return false
}

// counted skips a string behind its length, an integer of one to nine bytes.
func (r *reader) counted() bool {
	first := r.Take(1)
	if first == nil {
		return false
	}
	n, size := uint64(first[0]), 0
	switch first[0] {
	case 0xfb, 0xff:
		return true
	case 0xfc:
		size = 2
	case 0xfd:
		size = 3
	case 0xfe:
		size = 8
	}
	if size > 0 {
		b := r.Take(size)
		if b == nil {
			return false
		}
		n = 0
		for i := size - 1; i >= 0; i-- {
			n = n<<8 | uint64(b[i])
		}
	}
	return n <= uint64(len(r.B)) && r.Take(int(n)) != nil
}

// greeting10 checks a greeting of version 10: the server's version, its
// capabilities, and what the client shall make its proof of the password from.
func (r *reader) greeting10() bool {
	if !r.text() {
		return false
	}
	fixed := r.Take(4 + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10)
	if fixed == nil {
		return false
	}
	n := int(fixed[20])
	if n != 0 && n < 21 || r.Take(max(13, n-8)) == nil {
		return false
	}
	return fixed[18]&(pluginAuth>>16) == 0 || r.text()
}

// greeting9 checks a greeting of version 9.
func (r *reader) greeting9() bool { return r.text() && r.Take(4) != nil && r.text() }
