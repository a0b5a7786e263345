// Package pop3 reads POP3: it recognises the protocol, follows a session far
// enough to know which lines are mails, and hands what follows STLS to TLS.
//
// It stands between flow, which hands it the bytes of a connection, and the TLS
// analyzer below it. Mails go through package mail for the oddities in them. It
// owns per connection two splitters of lines, the state of the session, and the
// commands that wait for their turn; all are bounded. It reports nothing to
// policy, names no files and keeps no passwords: Zeek has no log of POP3.
//
// It follows the session as Zeek 9.0 does, with Zeek's weirds. Sources: RFC 1939,
// 1734, 2449, 2595, 5034.
package pop3

import (
	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/traffic/format/line"
	"github.com/picket-nsm/picket/traffic/mail"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name, and the source of its weirds.
const Name = "POP3"

// service is the name in conn.log's service column.
const service = "pop3"

// Config is what a user may set.
type Config struct {
	Mail    mail.Config
	Pending int // commands that wait; the oldest goes (POP3::max_pending_commands)
	Unknown int // commands that are none before it is not POP3 (POP3::max_unknown_client_commands)
	Lines   int // bytes of unfinished lines and fields, all connections of a worker
}

// Default returns the settings of Zeek's default scripts, and limits where Zeek
// has none.
func Default() Config {
	return Config{Mail: mail.Default(), Pending: 10, Unknown: 10, Lines: 64 << 20}
}

// Stats counts what limits made the analyzers of a worker shed, by name.
type Stats struct {
	ShedLines  uint64 // lines cut because too many bytes waited
	ShedFields uint64 // header fields cut
}

const (
	// maxFree and maxSpare are how many finished analyzers, and buffers of commands,
	// are kept for reuse.
	maxFree, maxSpare = 256, 1024
	// maxCommand is how much of a command that waits is kept.
	maxCommand = 512
)

// Shared is what the analyzers of a worker have in common. One goroutine.
type Shared struct {
	cfg     Config
	free    freelist.List[*pop3]
	spare   freelist.List[[]byte] // for commands that wait
	lines   line.Budget
	mail    *mail.Shared
	text    []byte // a line without the blanks that do not count
	scratch []byte
}

// New returns what one worker's analyzers share.
func New(cfg Config) *Shared {
	s := &Shared{cfg: cfg, lines: line.Budget{Limit: cfg.Lines},
		free: freelist.New[*pop3](maxFree), spare: freelist.New[[]byte](maxSpare)}
	s.mail = mail.New(cfg.Mail, mail.Deps{Budget: &s.lines})
	return s
}

// Stats returns the counters.
func (s *Shared) Stats() Stats {
	return Stats{ShedLines: s.lines.Shed, ShedFields: s.mail.Stats().ShedFields}
}

// Held returns how many bytes of unfinished lines and fields are kept now, beyond
// what every connection has.
func (s *Shared) Held() int { return s.lines.Used }

// Factory returns the factory of one worker; it and all its analyzers are used by
// one goroutine.
func Factory(cfg Config) analyzer.Factory { return New(cfg).Factory() }

// Factory returns the factory of the analyzers that share s. As in Zeek no port is
// POP3's: it is found by its first bytes.
func (s *Shared) Factory() analyzer.Factory {
	return analyzer.Factory{Name: Name, Signatures: signatures.POP3(), New: s.analyzer}
}

func (s *Shared) analyzer(value.Proto) analyzer.Analyzer {
	if a := s.free.Take(); a != nil {
		return a
	}
	a := &pop3{s: s}
	for i := range a.dir {
		a.dir[i] = direction{a: a, orig: i == 0, lines: line.Splitter{Once: &a.once, Budget: &s.lines}}
	}
	a.mail.Init(s.mail, nobody{}, Name, nil)
	return a
}

// nobody hears of the mails.
type nobody struct{}

func (nobody) Entity(analyzer.Conn, bool)         {}
func (nobody) Header(analyzer.Conn, *mail.Header) {}

// pop3 is the analyzer of one connection.
type pop3 struct {
	s    *Shared
	c    analyzer.Conn // while a call is running
	dir  [2]direction  // of the client, of the server
	once line.Once
	session
	waiting [][]byte // commands without reply, the first is the one at hand
	mail    mail.Mail
	child   analyzer.Child
	tls     bool
	partial bool // the connection's beginning is missing: lines are not looked at

	busy int  // calls that are running
	over bool // End came meanwhile
}

// direction is one side's bytes.
type direction struct {
	a     *pop3
	orig  bool
	lines line.Splitter
}

// Line implements line.Sink.
func (d *direction) Line(l []byte) {
	switch a := d.a; {
	case a.partial:
	case d.orig:
		a.request(l)
	default:
		a.reply(l)
	}
}

// Plain implements line.Sink: what follows STLS in the same piece.
func (d *direction) Plain(data []byte) { d.a.child.Forward(d.a.c, d.orig, data) }

// Weird implements line.Sink.
func (d *direction) Weird(name string) { d.a.c.Weird(name, "", "CONTENTLINE") }

func (a *pop3) side(orig bool) *direction {
	if orig {
		return &a.dir[0]
	}
	return &a.dir[1]
}

func (a *pop3) enter(c analyzer.Conn) {
	a.c = c
	a.busy++
}

func (a *pop3) leave() {
	a.mail.Flush(a.c)
	if a.busy--; a.busy == 0 && a.over {
		a.end()
	}
}

// Deliver implements analyzer.Analyzer.
func (a *pop3) Deliver(c analyzer.Conn, orig bool, data []byte) {
	a.enter(c)
	defer a.leave()
	d := a.side(orig)
	if a.tls {
		a.child.Forward(c, orig, d.lines.TakeLF(data))
		return
	}
	a.partial = analyzer.Partial(c)
	d.lines.Feed(data, d)
}

// Gap implements analyzer.Analyzer. As in Zeek, what is behind a gap joins what
// is before.
func (a *pop3) Gap(analyzer.Conn, bool, uint64) {}

// SideEnded implements analyzer.Ender.
func (a *pop3) SideEnded(c analyzer.Conn, orig bool) {
	if a.tls {
		return
	}
	a.enter(c)
	defer a.leave()
	d := a.side(orig)
	d.lines.End(d)
}

// Interrupted implements analyzer.Ender.
func (a *pop3) Interrupted(analyzer.Conn) {}

// End implements analyzer.Analyzer.
func (a *pop3) End(c analyzer.Conn) {
	a.c = c
	if a.busy > 0 {
		a.over = true
		return
	}
	a.end()
}

func (a *pop3) end() {
	if a.mail.Open() {
		a.mail.End(a.c)
	}
	for len(a.waiting) > 0 {
		a.next()
	}
	s := a.s
	for i := range a.dir {
		a.dir[i].lines.Reset()
	}
	*a = pop3{s: s, dir: a.dir, mail: a.mail, waiting: a.waiting}
	s.free.Keep(a)
}

// startTLS begins TLS: both sides' bytes are its from here on.
func (a *pop3) startTLS() {
	a.tls = true
	a.child = analyzer.StartTLS(a.c)
	a.dir[1].lines.PlainRest()
}

// weird reports an oddity of this protocol.
func (a *pop3) weird(name, addl string) { a.c.Weird(name, addl, Name) }

// push adds a command to those that wait.
func (a *pop3) push(l []byte) {
	b := a.s.spare.Take()
	a.waiting = append(a.waiting, append(b[:0], l[:min(len(l), maxCommand)]...))
}

// next forgets the first of them.
func (a *pop3) next() {
	a.s.spare.Keep(a.waiting[0])
	n := copy(a.waiting, a.waiting[1:])
	a.waiting[n] = nil
	a.waiting = a.waiting[:n]
}
