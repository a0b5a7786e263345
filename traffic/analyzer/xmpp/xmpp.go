// Package xmpp reads XMPP as far as the change to TLS: it recognises the protocol
// and, when the server says to proceed, hands the stream on to TLS.
//
// It stands between flow, which hands it the bytes of a connection, and the TLS
// analyzer below it. It owns, per connection and direction, the name of the tag
// at hand. It reports nothing of messages: Zeek has no log of XMPP.
//
// Sources: RFC 6120; what confirms and what ends reading is Zeek 9.0's.
package xmpp

import (
	"strings"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name, and the source of its weirds.
const Name = "XMPP"

// maxName is how much is kept of a tag's name; none that matters is as long.
const maxName = 64

// maxFree is how many finished analyzers are kept for reuse.
const maxFree = 256

// Factory returns the factory of one worker; it and all its analyzers are used by
// one goroutine.
func Factory() analyzer.Factory {
	free := freelist.New[*xmpp](maxFree)
	return analyzer.Factory{
		Name:       Name,
		Ports:      []analyzer.Port{{Num: 5222, Proto: value.ProtoTCP}, {Num: 5269, Proto: value.ProtoTCP}},
		Signatures: signatures.XMPP(),
		New: func(value.Proto) analyzer.Analyzer {
			if x := free.Take(); x != nil {
				return x
			}
			return &xmpp{free: &free}
		},
	}
}

// xmpp is the analyzer of one connection.
type xmpp struct {
	free  *freelist.List[*xmpp]
	dir   [2]tag
	asked bool // the client wants TLS
	analyzer.Overture
}

// tag is how far a tag has come.
type tag struct {
	state uint8
	name  [maxName]byte
	n     int // may be more than is kept
}

// Where in the stream of tags we are.
const (
	atStart   = iota // before the first tag: blanks only
	inContent        // behind a tag
	atName           // behind <
	inName
	inRest // before >
)

// Deliver implements analyzer.Analyzer.
func (x *xmpp) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if x.InTLS {
		x.ForwardBehind(" \r\n", c, orig, data)
		return
	}
	if x.Deaf {
		return
	}
	if analyzer.Partial(c) {
		return
	}
	t := &x.dir[1]
	if orig {
		t = &x.dir[0]
	}
	for n, b := range data {
		end, ok := t.take(b)
		if !ok {
			x.Fail(c, Name, "no tag of XML where there should be one")
			return
		}
		if !end {
			continue
		}
		x.read(c, orig, string(t.name[:min(t.n, maxName)]))
		if x.InTLS {
			x.ForwardBehind(" \r\n", c, orig, data[n+1:])
			return
		}
		if x.Deaf {
			return
		}
	}
}

// take takes a byte and reports whether a tag is over; ok is false if it is none.
func (t *tag) take(b byte) (end, ok bool) {
	switch t.state {
	case atStart:
		switch b {
		case ' ', '\r', '\n':
		case '<':
			t.state, t.n = atName, 0
		default:
			return false, false
		}
		return false, true
	case inContent:
		if b == '<' {
			t.state, t.n = atName, 0
		}
		return false, b != '>'
	case atName, inName:
		switch {
		case nameByte(b), b == '/' && t.state == atName:
			if t.n < maxName {
				t.name[t.n] = b
			}
			t.n++
			t.state = inName
			return false, true
		case t.n == 0 || t.n == 1 && t.name[0] == '/':
			return false, false
		}
		t.state = inRest
	}
	switch b {
	case '>':
		t.state = inContent
		return true, true
	case '<':
		return false, false
	}
	return false, true
}

func nameByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == ':' || b == '?'
}

// read reads a tag's name.
func (x *xmpp) read(c analyzer.Conn, orig bool, name string) {
	bare := name
	if i := strings.IndexByte(name, ':'); i >= 0 && i+1 < len(name) {
		bare = name[i+1:]
	}
	if orig && name == "stream:stream" {
		c.Confirm(Name)
	}
	switch name {
	case "success", "message", "db:result", "db:verify", "presence": // too late for TLS
		x.Done(c)
		return
	}
	switch {
	case orig && bare == "starttls":
		x.asked = true
	case !orig && bare == "proceed" && x.asked:
		x.StartTLS(c)
	case !orig && name == "proceed":
		c.Weird("XMPP: proceed without starttls", "", Name)
	}
}

// End implements analyzer.Analyzer.
func (x *xmpp) End(analyzer.Conn) {
	*x = xmpp{free: x.free}
	x.free.Keep(x)
}
