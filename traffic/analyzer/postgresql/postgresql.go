// Package postgresql reads PostgreSQL as far as the client's startup message:
// there the protocol is recognised, and before it TLS begins if both sides want
// it.
//
// It stands between flow, which hands it the bytes of a connection, and the TLS
// analyzer below it. It owns, per connection, the client's message that has not
// come whole, or what it sent too early, both with a limit. It reports nothing of
// queries.
//
// Sources: PostgreSQL's documentation, "Frontend/Backend Protocol" (version 3);
// what confirms and what violates is Zeek 9.0's.
package postgresql

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name.
const Name = "POSTGRESQL"

const (
	// maxKept is how many bytes of the client are kept: a startup message (the
	// server takes 10,000), or what it sends before the server has answered.
	maxKept = 16 << 10
	// maxFree is how many finished analyzers are kept for reuse, and keepBuf the
	// largest buffer that is kept with one.
	maxFree = 256
	keepBuf = 1024
)

// What a client's first message asks for, in place of a version.
const (
	askTLS     = 80877103
	askGSSAPI  = 80877104
	headLen    = 8 // length and version
	minStartup = headLen + 1
)

// Factory returns the factory of one worker; it and all its analyzers are used by
// one goroutine.
func Factory() analyzer.Factory {
	free := freelist.New[*postgresql](maxFree)
	return analyzer.Factory{
		Name:       Name,
		Ports:      []analyzer.Port{{Num: 5432, Proto: value.ProtoTCP}},
		Signatures: signatures.PostgreSQL(),
		New: func(value.Proto) analyzer.Analyzer {
			if p := free.Take(); p != nil {
				return p
			}
			return &postgresql{free: &free}
		},
	}
}

// postgresql is the analyzer of one connection.
type postgresql struct {
	free   *freelist.List[*postgresql]
	asked  uint32 // askTLS or askGSSAPI: the server's answer is due
	any    bool   // there was a question
	early  bool   // answer came before the question
	answer byte   // of the server
	buf    []byte // of the client
	analyzer.Overture
}

// Deliver implements analyzer.Analyzer.
func (p *postgresql) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if analyzer.Partial(c) {
		return
	}
	switch {
	case p.Deaf || len(data) == 0:
	case p.InTLS:
		p.Forward(c, orig, data)
	case orig:
		p.client(c, data)
	default:
		p.server(c, data)
	}
}

// End implements analyzer.Analyzer.
func (p *postgresql) End(analyzer.Conn) {
	buf := p.buf[:0]
	if cap(buf) > keepBuf {
		buf = nil
	}
	*p = postgresql{free: p.free, buf: buf}
	p.free.Keep(p)
}

// client takes bytes of the client. They wait if they are no whole message, or if
// the server's answer decides what they are.
func (p *postgresql) client(c analyzer.Conn, data []byte) {
	if len(p.buf)+len(data) > maxKept {
		p.Deaf = true
		return
	}
	p.buf = append(p.buf, data...)
	p.read(c)
}

// read reads what the client has sent so far.
func (p *postgresql) read(c analyzer.Conn) {
	for p.asked == 0 && !p.Deaf && !p.InTLS && len(p.buf) >= headLen {
		size := binary.BigEndian.Uint32(p.buf)
		version := binary.BigEndian.Uint32(p.buf[4:])
		switch {
		case size == headLen && (version == askTLS || version == askGSSAPI):
			p.asked, p.any = version, true
			p.buf = p.buf[:copy(p.buf, p.buf[headLen:])]
			if p.early {
				p.early = false
				p.answered(c, p.answer)
			}
			continue
		case version>>16 != 3:
			p.Fail(c, Name, fmt.Sprintf("unsupported PostgreSQL major version %d", version>>16))
			return
		case size < minStartup:
			p.Fail(c, Name, "malformed startup message")
			return
		case size > maxKept:
			p.Deaf = true
			return
		case len(p.buf) < int(size):
			return
		}
		if !parameters(p.buf[headLen:size]) {
			p.Fail(c, Name, "malformed startup message")
			return
		}
		c.Confirm(Name)
		p.Done(c)
	}
}

// server takes bytes of the server: one that answers the client's question.
func (p *postgresql) server(c analyzer.Conn, data []byte) {
	switch {
	case p.asked != 0:
		a := data[0]
		data = data[1:]
		p.answered(c, a)
		switch {
		case p.InTLS:
			p.Forward(c, false, data)
		case len(data) > 0 && !p.Deaf:
			p.Fail(c, Name, "unexpected server message")
		}
	case !p.any && !p.early && len(data) == 1:
		p.early, p.answer = true, data[0] // it overtook the question on the way to us
	default:
		p.Fail(c, Name, "unexpected server message")
	}
}

// answered takes the server's answer to a question. If it is no, the client asks
// another one or does without.
func (p *postgresql) answered(c analyzer.Conn, answer byte) {
	asked := p.asked
	p.asked = 0
	switch {
	case answer == 'N':
		c.Confirm(Name)
		p.read(c)
	case answer == 'S' && asked == askTLS:
		c.Confirm(Name)
		p.StartTLS(c)
		p.Forward(c, true, p.buf)
		p.buf = p.buf[:0]
	case answer == 'G' && asked == askGSSAPI: // encrypted
		c.Confirm(Name)
		p.Deaf = true
	default:
		p.Fail(c, Name, "unexpected answer of the server")
	}
}

// parameters checks the pairs of strings of a startup message: a name is of
// letters, digits and some signs, a value is not empty, and a zero ends the list.
func parameters(b []byte) bool {
	for len(b) > 1 {
		for range 2 {
			i := bytes.IndexByte(b, 0)
			if i <= 0 {
				return false
			}
			b = b[i+1:]
		}
	}
	return len(b) == 1 && b[0] == 0
}
