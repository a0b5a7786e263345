// Package ftp reads FTP: commands and replies of the control connection, and the
// content of data connections.
//
// It stands between flow, which hands it the bytes of connections, and policy,
// its Handler, which pairs commands with replies and says which data connections
// to expect. When the server agrees to TLS the stream goes on to the TLS
// analyzer; what GSSAPI exchanges goes there too, decoded. Data connections have
// an analyzer of their own (Data), which hands content to the table of files. It
// owns, per control connection, the line at hand of both sides; it knows nothing
// of logs, sessions or working directories.
//
// Sources: RFC 959, 2228, 2428, 4217, 854; what is reported when, and which
// weirds, is Zeek 9.0's.
package ftp

import (
	"bytes"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/traffic/format/mime"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name, and the source of its weirds.
const Name = "FTP"

// Request is a command. It is borrowed, as is what it points to.
type Request struct {
	Command []byte // in capitals
	Arg     []byte // without the spaces in front
}

// Reply is a line of a reply. It is borrowed, as is what it points to.
type Reply struct {
	Code int    // 0: a line in the middle of a reply
	Text []byte // behind the code
	More bool   // the reply goes on
}

// Handler is told of one control connection; policy implements it.
type Handler interface {
	Request(c analyzer.Conn, r *Request)
	Reply(c analyzer.Conn, r *Reply)
	// End says that nothing more comes. The Handler may be used for another
	// connection afterwards.
	End(c analyzer.Conn)
}

// Config is what a user may set.
type Config struct {
	MaxCommand int // letters of a command (FTP::max_command_length)
	MaxLine    int // bytes of a line
}

// Default returns the settings of Zeek's default scripts; MaxLine, where Zeek has
// 16 MiB, is what a connection may hold.
func Default() Config { return Config{MaxCommand: 100, MaxLine: 64 << 10} }

// maxFree is how many finished analyzers are kept for reuse.
const maxFree = 256

// Factory returns the factory of one worker for control connections; it and all
// its analyzers are used by one goroutine. newHandler is called for an analyzer
// that is made, not for one that is used again.
func Factory(cfg Config, newHandler func() Handler) analyzer.Factory {
	d := Default()
	if cfg.MaxCommand <= 0 {
		cfg.MaxCommand = d.MaxCommand
	}
	if cfg.MaxLine <= 1 {
		cfg.MaxLine = d.MaxLine
	}
	s := &shared{cfg: cfg, free: freelist.New[*ftp](maxFree)}
	return analyzer.Factory{
		Name:       Name,
		Ports:      []analyzer.Port{{Num: 21, Proto: value.ProtoTCP}, {Num: 2811, Proto: value.ProtoTCP}},
		Signatures: signatures.FTP(),
		New: func(value.Proto) analyzer.Analyzer {
			if f := s.free.Take(); f != nil {
				return f
			}
			return &ftp{s: s, h: newHandler()}
		},
	}
}

// shared is what the analyzers of a worker have in common.
type shared struct {
	cfg     Config
	free    freelist.List[*ftp]
	upper   []byte
	decoded []byte
	request Request
	reply   Reply
}

// Mechanisms of AUTH that lead to TLS.
type mechanism uint8

const (
	authNone mechanism = iota
	authTLS
	authGSSAPI
)

// mechanismOf reads the argument of AUTH. Zeek hands over for TLS in capitals
// alone; clients say SSL first as often (curl), and mean the same (RFC 4217,
// section 17).
func mechanismOf(arg []byte) mechanism {
	if string(arg) == "GSSAPI" {
		return authGSSAPI
	}
	for _, name := range [...]string{"tls", "tls-c", "tls-p", "ssl"} {
		if mime.Is(arg, name) {
			return authTLS
		}
	}
	return authNone
}

// ftp is the analyzer of one control connection.
type ftp struct {
	s         *shared
	h         Handler
	sides     [2]nvt // of the client, of the server
	once      once
	confirmed bool
	pending   int // code of the reply whose lines come; 0: none
	auth      mechanism
	over      bool           // what follows is TLS's
	child     analyzer.Child // TLS
	adat      bool           // the child gets what ADAT exchanges
	first     bool           // no token of the client was seen
	calling   bool
	ended     bool
}

func (f *ftp) side(orig bool) *nvt {
	if orig {
		return &f.sides[0]
	}
	return &f.sides[1]
}

// Deliver implements analyzer.Analyzer.
func (f *ftp) Deliver(c analyzer.Conn, orig bool, data []byte) {
	f.calling = true
	if !f.over {
		data = f.feed(c, orig, data)
	}
	if f.over {
		f.child.Forward(c, orig, data)
	}
	f.called(c)
}

// called finishes a call; an End that came within it is done now.
func (f *ftp) called(c analyzer.Conn) {
	f.calling = false
	if f.ended {
		f.End(c)
	}
}

// SideEnded implements analyzer.Ender: a line that has begun is over.
func (f *ftp) SideEnded(c analyzer.Conn, orig bool) {
	if f.over || len(f.side(orig).buf) == 0 {
		return
	}
	f.calling = true
	f.feed(c, orig, []byte{'\n'})
	f.called(c)
}

// Interrupted implements analyzer.Ender.
func (f *ftp) Interrupted(analyzer.Conn) {}

// Gap implements analyzer.Analyzer: lines go on behind it, as in Zeek.
func (f *ftp) Gap(c analyzer.Conn, orig bool, n uint64) {
	if f.over {
		f.child.Gap(c, orig, n)
	}
}

// End implements analyzer.Analyzer.
func (f *ftp) End(c analyzer.Conn) {
	if f.calling {
		f.ended = true
		return
	}
	f.h.End(c)
	for i := range f.sides {
		f.sides[i].reset()
	}
	*f = ftp{s: f.s, h: f.h, sides: f.sides}
	f.s.free.Keep(f)
}

// line takes a line without its end.
func (f *ftp) line(c analyzer.Conn, orig bool, line []byte) {
	if len(line) == 0 || f.ended {
		return
	}
	ok := false
	if orig {
		ok = f.command(c, line)
	} else {
		ok = f.answer(c, line)
	}
	if ok && f.adat && !f.over {
		f.exchange(c, orig, line)
	}
}

// command reads a line of the client. It reports whether it is one.
func (f *ftp) command(c analyzer.Conn, line []byte) bool {
	word, arg := splitWord(line)
	if !isCommand(word) {
		if f.confirmed {
			c.Weird("FTP_invalid_command", "", Name)
		}
		return false
	}
	if limit := f.s.cfg.MaxCommand; len(word) > limit {
		if f.confirmed {
			limitReached(c, "FTP_max_command_length_exceeded", Name, len(word), limit)
		}
		return false
	}
	f.confirmed = true
	c.Confirm(Name)
	up := append(f.s.upper[:0], word...)
	for i, b := range up {
		if b >= 'a' && b <= 'z' {
			up[i] = b - 0x20
		}
	}
	f.s.upper = up
	if bytes.HasPrefix([]byte("AUTH"), up) {
		f.auth = mechanismOf(arg)
	}
	f.s.request = Request{Command: up, Arg: arg}
	f.h.Request(c, &f.s.request)
	return true
}

// answer reads a line of the server. It reports whether it is one.
func (f *ftp) answer(c analyzer.Conn, line []byte) bool {
	code := replyCode(line)
	text, more := line, false
	switch {
	case f.pending > 0:
		if code == f.pending && len(line) > 3 && line[3] == ' ' {
			text, f.pending = skipSpace(line[3:]), 0
		} else {
			code, more = 0, true
		}
	case code == 0:
		c.Violation(Name, "non-numeric reply code", line)
		return false
	case code < 100:
		c.Violation(Name, "invalid reply code", line)
		return false
	case len(line) > 3 && line[3] == '-':
		text, more, f.pending = skipSpace(line[4:]), true, code
	case len(line) > 3 && line[3] != ' ':
		c.Violation(Name, "invalid reply line", line)
		return false
	default:
		text = skipSpace(line[3:])
	}
	switch {
	case code == 234 && f.auth == authTLS:
		f.over = true
		f.child = analyzer.StartTLS(c)
	case code == 334 && f.auth == authGSSAPI:
		if f.adat {
			f.child.Remove(c)
		}
		f.child = analyzer.StartTLS(c)
		f.adat, f.first = f.child != 0, true
	}
	f.s.reply = Reply{Code: code, Text: text, More: more}
	f.h.Reply(c, &f.s.reply)
	return true
}

// splitWord takes the first word off a line, and the blanks around it.
func splitWord(line []byte) (word, rest []byte) {
	line = skipSpace(line)
	n := 0
	for n < len(line) && line[n] != 0 && line[n] != ' ' && (line[n] < '\t' || line[n] > '\r') {
		n++
	}
	return line[:n], skipSpace(line[n:])
}

func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

// isCommand tells commands: three printable letters or more.
func isCommand(word []byte) bool {
	for _, b := range word {
		if b <= ' ' || b >= 0x7f {
			return false
		}
	}
	return len(word) >= 3
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// replyCode is the number that a line begins with; 0: none.
func replyCode(line []byte) int {
	if len(line) < 3 || !isDigit(line[0]) || !isDigit(line[1]) || !isDigit(line[2]) {
		return 0
	}
	return int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
}
