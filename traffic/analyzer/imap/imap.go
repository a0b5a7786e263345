// Package imap reads IMAP as far as the change to TLS: it recognises the protocol
// and, when the server agrees to STARTTLS, hands the stream on to TLS.
//
// It stands between flow, which hands it the bytes of a connection, and the TLS
// analyzer below it. It owns, per connection and direction, the first words of a
// line. It reports nothing of mail: Zeek has no log of IMAP.
//
// Sources: RFC 3501, 2595; what confirms and what ends reading is Zeek 9.0's.
package imap

import (
	"bytes"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name, and the source of its weirds.
const Name = "IMAP"

// maxWord is how much is kept of a word.
const maxWord = 64

// maxFree is how many finished analyzers are kept for reuse.
const maxFree = 256

// Factory returns the factory of one worker; it and all its analyzers are used by
// one goroutine.
func Factory() analyzer.Factory {
	free := freelist.New[*imap](maxFree)
	return analyzer.Factory{
		Name:  Name,
		Ports: []analyzer.Port{{Num: 143, Proto: value.ProtoTCP}},
		New: func(value.Proto) analyzer.Analyzer {
			if i := free.Take(); i != nil {
				return i
			}
			return &imap{free: &free}
		},
	}
}

// imap is the analyzer of one connection.
type imap struct {
	free *freelist.List[*imap]
	dir  [2]line
	tag  word // of the client's STARTTLS
	analyzer.Overture
}

// line is how far a line has come.
type line struct {
	state   uint8
	tag     word
	command word
}

// Where in a line we are.
const (
	atStart = iota
	inTag
	inSpace
	inCommand
	inRest
)

type word struct {
	b [maxWord]byte
	n int // may be more than is kept
}

func (w *word) add(c byte) {
	if w.n < maxWord {
		w.b[w.n] = c
	}
	w.n++
}

func (w *word) bytes() []byte { return w.b[:min(w.n, maxWord)] }

func (w *word) is(s string) bool     { return string(w.bytes()) == s && w.n == len(s) }
func (w *word) folded(s string) bool { return w.n == len(s) && bytes.EqualFold(w.bytes(), []byte(s)) }

// Deliver implements analyzer.Analyzer.
func (i *imap) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if i.InTLS {
		i.ForwardBehind("\r\n", c, orig, data)
		return
	}
	if i.Deaf {
		return
	}
	if analyzer.Partial(c) {
		return
	}
	l := &i.dir[1]
	if orig {
		l = &i.dir[0]
	}
	for n, b := range data {
		end, ok := l.take(b)
		if !ok {
			i.Fail(c, Name, "a line without a tag and a command")
			return
		}
		if !end {
			continue
		}
		i.read(c, orig, l)
		if i.InTLS {
			i.ForwardBehind("\r\n", c, orig, data[n+1:])
			return
		}
		if i.Deaf {
			return
		}
	}
}

// take takes a byte and reports whether a line is over; ok is false if it is none.
func (l *line) take(b byte) (end, ok bool) {
	newline, word := b == '\r' || b == '\n', b > ' ' && b < 0x7f
	switch l.state {
	case atStart:
		if newline {
			return false, true
		}
		l.tag.n, l.command.n, l.state = 0, 0, inTag
		fallthrough
	case inTag:
		switch {
		case word:
			l.tag.add(b)
		case b == ' ' && l.tag.n > 0:
			l.state = inSpace
		default:
			return false, false
		}
		return false, true
	case inSpace:
		switch {
		case word:
			l.command.add(b)
			l.state = inCommand
		case b != ' ':
			return false, false
		}
		return false, true
	case inCommand:
		if word {
			l.command.add(b)
			return false, true
		}
		l.state = inRest
	}
	if newline {
		l.state = atStart
		return true, true
	}
	return false, true
}

// read reads a line's words. Some commands are known in small letters only, as in
// Zeek.
func (i *imap) read(c analyzer.Conn, orig bool, l *line) {
	k := &l.command
	switch {
	case !orig && l.tag.is("*") && k.folded("ok"), orig && (k.is("capability") || k.folded("starttls")):
		c.Confirm(Name)
	}
	for _, late := range [...]string{"authenticate", "login", "examine", "create", "list", "fetch"} {
		if k.is(late) { // too late for STARTTLS
			c.Confirm(Name)
			i.Done(c)
			return
		}
	}
	if orig && k.folded("starttls") {
		if i.tag.n > 0 {
			c.Weird("IMAP: client sent duplicate StartTLS", "", Name)
		}
		i.tag = l.tag
	}
	if orig || i.tag.n == 0 || i.tag.n != l.tag.n || !bytes.Equal(i.tag.bytes(), l.tag.bytes()) {
		return
	}
	if !k.folded("ok") {
		c.Weird("IMAP: server refused StartTLS", "", Name)
		return
	}
	i.StartTLS(c)
}

// End implements analyzer.Analyzer.
func (i *imap) End(analyzer.Conn) {
	*i = imap{free: i.free}
	i.free.Keep(i)
}
