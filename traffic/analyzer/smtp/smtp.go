// Package smtp reads SMTP: commands, replies, and the mails between them.
//
// It stands between flow, which hands it the bytes of a connection, and policy,
// which implements Handler; mails go through package mail, which tells the
// Handler of their parts and gives their content to the table of files, and what
// follows STARTTLS goes to the TLS analyzer. It owns per connection two splitters
// of lines, the state of the session, the commands without reply, and the mail at
// hand; all are bounded. It follows the session as Zeek 9.0 does, with Zeek's
// weirds: a command is taken to succeed when it is sent, and the reply corrects
// that, since clients do not wait. It keeps no content and knows nothing of logs.
//
// Sources: RFC 5321, 1870, 2920, 3030, 3207, 4954.
package smtp

import (
	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/line"
	"github.com/picket-nsm/picket/traffic/mail"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name, and the source of its weirds and files.
const Name = "SMTP"

// service is the name in conn.log's service column.
const service = "smtp"

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine. A Handler belongs to one connection at a time; after End it
// is given to another one. What it is given is borrowed.
type Handler interface {
	// Request says that a command was sent.
	Request(c analyzer.Conn, r *Request)
	// Reply says that a line of a reply was sent.
	Reply(c analyzer.Conn, r *Reply)
	// Entity and Header tell of mails.
	mail.Handler
	// End says that the connection is going: what is pending is reported now.
	End(c analyzer.Conn)

	// The files in mails have their names from the Handler.
	files.Owner
}

// Request is a command.
type Request struct {
	// Command is in capitals. "." ends a mail, "**" stands for a client's answer
	// within AUTH, and "(UNKNOWN)" for what was lost in a gap.
	Command string
	Arg     []byte
}

// Reply is a line of a reply.
type Reply struct {
	Code int // 100 to 599
	// Command is what it answers: ">" is the beginning of the connection, "." the
	// end of a mail, "(UNKNOWN)" what was not seen.
	Command string
	Text    []byte
	More    bool // further lines follow
	TLS     bool // what follows is TLS
}

// Config is what a user may set.
type Config struct {
	Mail     mail.Config
	BDATLine int // bytes of a line in a BDAT chunk before it is cut (SMTP::bdat_max_line_length)
	Pending  int // commands without reply
	Lines    int // bytes of unfinished lines and fields, all connections of a worker
}

// Default returns the settings of Zeek's default scripts, and limits where Zeek
// has none.
func Default() Config {
	return Config{Mail: mail.Default(), BDATLine: 4096, Pending: 1000, Lines: 64 << 20}
}

// Deps is what the program passes.
type Deps struct {
	Files *files.Table
	// NewHandler is called for an analyzer that is made, not for one that is used
	// again.
	NewHandler func() Handler
}

// Stats counts what limits made the analyzers of a worker shed, by name.
type Stats struct {
	ShedLines  uint64 // lines cut because too many bytes waited
	ShedFields uint64 // header fields cut
}

// maxFree is how many finished analyzers are kept for reuse.
const maxFree = 512

// Shared is what the analyzers of a worker have in common. One goroutine.
type Shared struct {
	cfg     Config
	deps    Deps
	free    freelist.List[*smtp]
	lines   line.Budget
	mail    *mail.Shared
	request Request
	reply   Reply
	chunk   []byte // what is left of the last bytes, and those that came
}

// New returns what one worker's analyzers share.
func New(cfg Config, deps Deps) *Shared {
	s := &Shared{cfg: cfg, deps: deps, lines: line.Budget{Limit: cfg.Lines}, free: freelist.New[*smtp](maxFree)}
	s.mail = mail.New(cfg.Mail, mail.Deps{Files: deps.Files, Budget: &s.lines})
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
func Factory(cfg Config, deps Deps) analyzer.Factory { return New(cfg, deps).Factory() }

// Factory returns the factory of the analyzers that share s.
func (s *Shared) Factory() analyzer.Factory {
	return analyzer.Factory{
		Name:       Name,
		Ports:      []analyzer.Port{{Num: 25, Proto: value.ProtoTCP}, {Num: 587, Proto: value.ProtoTCP}},
		Signatures: signatures.SMTP(),
		New:        s.analyzer,
	}
}

func (s *Shared) analyzer(value.Proto) analyzer.Analyzer {
	if a := s.free.Take(); a != nil {
		return a
	}
	a := &smtp{s: s, h: s.deps.NewHandler(), session: newSession()}
	for i := range a.dir {
		a.dir[i] = direction{a: a, orig: i == 0, lines: line.Splitter{Once: &a.once, Budget: &s.lines, NUL: true}}
	}
	a.mail.Init(s.mail, a.h, Name, a.h)
	return a
}

// smtp is the analyzer of one connection.
type smtp struct {
	s    *Shared
	h    Handler
	c    analyzer.Conn // while a call is running
	dir  [2]direction  // of the originator, of the responder
	once line.Once
	session
	mail  mail.Mail
	bdat  bdat
	child analyzer.Child // TLS

	confirmed bool
	busy      int  // calls that are running
	over      bool // End came meanwhile
}

// direction is one side's bytes.
type direction struct {
	a     *smtp
	orig  bool
	ended bool
	lines line.Splitter
}

// Line implements line.Sink.
func (d *direction) Line(l []byte) { d.a.take(l, d.orig) }

// Plain implements line.Sink: a chunk of BDAT, or what follows STARTTLS.
func (d *direction) Plain(data []byte) { d.a.take(data, d.orig) }

// Weird implements line.Sink.
func (d *direction) Weird(name string) { d.a.c.Weird(name, "", "CONTENTLINE") }

func (a *smtp) side(orig bool) *direction {
	if orig {
		return &a.dir[0]
	}
	return &a.dir[1]
}

func (a *smtp) enter(c analyzer.Conn) {
	a.c = c
	a.busy++
}

func (a *smtp) leave() {
	a.mail.Flush(a.c)
	if a.busy--; a.busy == 0 && a.over {
		a.end()
	}
}

// Deliver implements analyzer.Analyzer.
func (a *smtp) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if a.deaf {
		return
	}
	if analyzer.Partial(c) {
		return
	}
	a.enter(c)
	defer a.leave()
	d := a.side(orig)
	if a.state == inTLS {
		a.child.Forward(c, orig, d.lines.TakeLF(data))
		return
	}
	d.lines.Feed(data, d)
}

// Gap implements analyzer.Analyzer. A gap ends a mail; what comes then is
// understood again from the next reply on. As in Zeek, a gap ends TLS.
func (a *smtp) Gap(c analyzer.Conn, orig bool, n uint64) {
	if a.deaf {
		return
	}
	a.enter(c)
	defer a.leave()
	switch a.state {
	case inTLS:
		a.deaf = true
		return
	case inData, inBDAT:
		if a.mail.Open() {
			a.mail.Gap(c, n)
		}
		a.endData()
	}
	a.pending, a.first, a.waits, a.replied = a.pending[:0], cmdNone, false, cmdNone
	a.state = afterGap
}

// SideEnded implements analyzer.Ender.
func (a *smtp) SideEnded(c analyzer.Conn, orig bool) {
	a.enter(c)
	defer a.leave()
	d := a.side(orig)
	if a.state != inTLS {
		d.lines.End(d)
	}
	if d.ended = true; a.dir[0].ended && a.dir[1].ended && a.mail.Open() {
		a.endData()
	}
}

// Interrupted implements analyzer.Ender: a mail goes on until the connection is
// forgotten.
func (a *smtp) Interrupted(analyzer.Conn) {}

// End implements analyzer.Analyzer.
func (a *smtp) End(c analyzer.Conn) {
	a.c = c
	if a.busy > 0 {
		a.over = true
		return
	}
	a.end()
}

func (a *smtp) end() {
	a.over = false
	a.busy++ // nothing below may end it again
	if a.mail.Open() {
		a.endData()
	}
	a.h.End(a.c)
	s := a.s
	for i := range a.dir {
		d := &a.dir[i]
		d.lines.Reset()
		d.lines.NUL, d.ended = true, false
	}
	pending := a.pending[:0]
	if cap(pending) > keepPending {
		pending = nil
	}
	*a = smtp{s: s, h: a.h, dir: a.dir, session: newSession(), mail: a.mail, bdat: bdat{rest: a.bdat.rest[:0]}}
	a.pending = pending
	s.free.Keep(a)
}

// keepPending is how large a queue of commands a reused analyzer keeps.
const keepPending = 64

// weird reports an oddity of this protocol.
func (a *smtp) weird(name, addl string) { a.c.Weird(name, addl, Name) }

func (a *smtp) confirm() {
	if !a.confirmed {
		a.confirmed = true
		a.c.Confirm(service)
	}
}
