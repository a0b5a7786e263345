// Package irc reads IRC: who registers under which name, who joins which channels,
// and the files that are offered for direct transfer (DCC), with their
// connections.
//
// It stands between flow, which hands it the bytes of a connection, and policy,
// which implements Handler and DataHandler; what follows STARTTLS goes to the TLS
// analyzer, and the content of transfers to the table of files. It owns per
// connection two splitters of lines and a few flags. It reads no messages but
// offers, keeps no content and knows nothing of logs.
//
// It reads as Zeek 9.0 does, with Zeek's weirds. Sources: RFC 1459, 2812, the IRCv3
// message tags and tls extensions, and the description of CTCP and DCC.
package irc

import (
	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/traffic/format/line"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name, and the source of its weirds.
const Name = "IRC"

// service is the name in conn.log's service column.
const service = "irc"

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine. A Handler belongs to one connection at a time; after End it
// is given to another one. What it is given is borrowed.
type Handler interface {
	// Nick says that somebody takes a name.
	Nick(c analyzer.Conn, orig bool, nick []byte)
	// User says that somebody registers.
	User(c analyzer.Conn, u *User)
	// Join says that somebody joins a channel. It is called once for each.
	Join(c analyzer.Conn, j *Join)
	// DCC says that somebody offers a direct connection.
	DCC(c analyzer.Conn, d *DCC)
	// End says that the connection is going.
	End(c analyzer.Conn)
}

// User is who registers.
type User struct {
	Orig               bool
	Name, Host, Server []byte
	RealName           []byte // its words are joined, as in Zeek
}

// Join is one channel of a JOIN or NJOIN.
type Join struct {
	Orig     bool
	First    bool // of its line
	Channel  []byte
	Password []byte
}

// DCC is an offer of a direct connection.
type DCC struct {
	Orig     bool
	Type     []byte // SEND
	Argument []byte // a file name
	Addr     packet.Addr
	Port     uint16
	Size     uint64 // 0: not said
}

const (
	// maxLine is the longest line that is put together, longest the longest that is
	// read.
	maxLine = 1000
	longest = 512
	// maxCommand is the longest word that may be a command, maxInvalid how many
	// longer ones there may be.
	maxCommand = 20
	maxInvalid = 20
	// maxWords is how many words of a line or list are told apart.
	maxWords = longest
	// maxFree is how many finished analyzers are kept for reuse.
	maxFree = 512
)

// shared is what the analyzers of a worker have in common.
type shared struct {
	newHandler func() Handler
	free       freelist.List[*irc]
	words      [][]byte
	list       [][]byte
	keys       [][]byte
	text       []byte
	user       User
	join       Join
	dcc        DCC
}

// Factory returns the factory of one worker; it and all its analyzers are used by
// one goroutine. newHandler is called for an analyzer that is made, not for one
// that is used again.
func Factory(newHandler func() Handler) analyzer.Factory {
	s := &shared{newHandler: newHandler, free: freelist.New[*irc](maxFree)}
	var ports []analyzer.Port
	for n := uint16(6666); n <= 6669; n++ {
		ports = append(ports, analyzer.Port{Num: n, Proto: value.ProtoTCP})
	}
	return analyzer.Factory{Name: Name, Ports: ports, Signatures: signatures.IRC(), New: s.analyzer}
}

func (s *shared) analyzer(value.Proto) analyzer.Analyzer {
	if a := s.free.Take(); a != nil {
		return a
	}
	a := &irc{s: s, h: s.newHandler()}
	for i := range a.dir {
		a.dir[i] = direction{a: a, orig: i == 0, lines: line.Splitter{Once: &a.once, Max: maxLine}}
	}
	return a
}

// irc is the analyzer of one connection.
type irc struct {
	s    *shared
	h    Handler
	c    analyzer.Conn // while a call is running
	dir  [2]direction  // of originator and responder
	once line.Once

	confirmed bool
	invalid   int // commands that are too long
	tls       bool
	child     analyzer.Child
	packed    bool // what follows is compressed: it is not read

	busy int  // calls that are running
	over bool // End came meanwhile
}

// direction is one side's bytes.
type direction struct {
	a      *irc
	orig   bool
	server bool // a server has registered
	packs  bool // and can compress
	lines  line.Splitter
}

// Line implements line.Sink.
func (d *direction) Line(l []byte) {
	if !d.a.packed {
		d.a.line(d, l)
	}
}

// Plain implements line.Sink: what follows the agreement to STARTTLS.
func (d *direction) Plain(data []byte) { d.a.child.Forward(d.a.c, d.orig, data) }

// Weird implements line.Sink.
func (d *direction) Weird(name string) { d.a.c.Weird(name, "", "CONTENTLINE") }

func (a *irc) side(orig bool) *direction {
	if orig {
		return &a.dir[0]
	}
	return &a.dir[1]
}

func (a *irc) enter(c analyzer.Conn) {
	a.c = c
	a.busy++
}

func (a *irc) leave() {
	if a.busy--; a.busy == 0 && a.over {
		a.end()
	}
}

// Deliver implements analyzer.Analyzer.
func (a *irc) Deliver(c analyzer.Conn, orig bool, data []byte) {
	a.enter(c)
	defer a.leave()
	d := a.side(orig)
	if a.tls {
		a.child.Forward(c, orig, d.lines.TakeLF(data))
		return
	}
	d.lines.Feed(data, d)
}

// Gap implements analyzer.Analyzer. As in Zeek, what is behind a gap joins what
// is before.
func (a *irc) Gap(analyzer.Conn, bool, uint64) {}

// SideEnded implements analyzer.Ender.
func (a *irc) SideEnded(c analyzer.Conn, orig bool) {
	if a.tls {
		return
	}
	a.enter(c)
	defer a.leave()
	d := a.side(orig)
	d.lines.End(d)
}

// Interrupted implements analyzer.Ender.
func (a *irc) Interrupted(analyzer.Conn) {}

// End implements analyzer.Analyzer.
func (a *irc) End(c analyzer.Conn) {
	a.c = c
	if a.busy > 0 {
		a.over = true
		return
	}
	a.end()
}

func (a *irc) end() {
	a.h.End(a.c)
	s := a.s
	for i := range a.dir {
		d := &a.dir[i]
		d.lines.Reset()
		d.server, d.packs = false, false
	}
	*a = irc{s: s, h: a.h, dir: a.dir}
	s.free.Keep(a)
}

// startTLS begins TLS: both sides' bytes are its from here on.
func (a *irc) startTLS(d *direction) {
	a.tls = true
	a.child = analyzer.StartTLS(a.c)
	d.lines.PlainRest()
}

// odd reports what is only odd where the protocol is sure.
func (a *irc) odd(name string) {
	if a.confirmed {
		a.weird(name, "")
	}
}

func (a *irc) weird(name, addl string) { a.c.Weird(name, addl, Name) }
