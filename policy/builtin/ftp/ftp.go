// Package ftp writes ftp.log: a row for each command that moves a file or opens a
// data connection, with the reply to it; and one for a session that had none.
//
// It stands behind the analyzers of FTP's control and data connections, whose
// Handlers it implements, and hands rows to the log stream. It pairs commands
// with replies, follows the working directory, says which data connections to
// expect, and names the files they carry. It owns the sessions, bounded in bytes,
// and the table of data connections to come, bounded in number and in packet
// time; it never looks at packets or content.
//
// The rules are those of Zeek 9.0's base/protocols/ftp (zeek-semantics.md section
// 5).
package ftp

import (
	"bytes"
	"strconv"

	wire "github.com/picket-nsm/picket/traffic/analyzer/ftp"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/policy/await"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// Config is what a user may set.
type Config struct {
	Passwords   bool // show passwords of users that are no guests (default_capture_password)
	Pending     int  // commands without reply (max_pending_commands)
	MaxUser     int  // bytes that are shown of a name (max_user_length)
	MaxPassword int  // of a password (max_password_length)
	MaxArg      int  // of an argument (max_arg_length)
	MaxReply    int  // of a reply (max_reply_msg_length)
	Channels    int  // data connections expected (max_expected_data_channels)
}

// Default returns the settings of Zeek's default scripts.
func Default() Config {
	return Config{Pending: 20, MaxUser: 128, MaxPassword: 128, MaxArg: 4096, MaxReply: 4096, Channels: 100_000}
}

const (
	// maxHeld is how many bytes the arguments of a session's commands may hold.
	// Beyond it they are cut to shortArg.
	maxHeld  = 128 << 10
	shortArg = 4200
	// maxDir is how long a working directory may be; more is cut.
	maxDir = 64 << 10
	// keepText and maxFree bound what is kept for reuse.
	keepText = 512
	maxFree  = 1024
)

// Deps is what the program passes.
type Deps struct {
	Write func(row []value.Value) // rows in the order of Schema, valid until it returns
	// Weird takes an oddity that belongs to no connection.
	Weird func(now packet.Time, name, addl string)
	Board await.Board // nil: there are no other workers
}

// Log makes the rows of one worker. One goroutine.
type Log struct {
	cfg      Config
	deps     Deps
	row      []value.Value
	free     freelist.List[*command]
	text     []byte
	expected await.Table[awaited]
	grids    map[string]*session // by UID: those that asked for GSSAPI
	shared   map[string]*session // by UID: those that other workers know of
	told     []byte
	rows     []heldRow // that wait for news of their files, in their order
}

// New returns a Log.
func New(cfg Config, deps Deps) *Log {
	l := &Log{
		cfg: cfg, deps: deps, row: make([]value.Value, numColumns), expected: await.New[awaited](cfg.Channels),
		grids: map[string]*session{}, shared: map[string]*session{}, free: freelist.New[*command](maxFree),
	}
	if deps.Board != nil {
		deps.Board.Listen(news, l.hear)
	}
	return l
}

// Handler returns what one control connection's commands go to; it is what the
// FTP factory wants.
func (l *Log) Handler() wire.Handler { return &session{log: l} }

// DataHandler returns what one data connection goes to.
func (l *Log) DataHandler() wire.DataHandler { return &channel{log: l} }

func (l *Log) take() *command {
	if c := l.free.Take(); c != nil {
		return c
	}
	return &command{}
}

func (l *Log) drop(c *command) {
	if c.seq == 0 { // it stands for none
		return
	}
	if cap(c.arg) > keepText {
		c.arg = nil
	}
	*c = command{name: c.name[:0], arg: c.arg[:0]}
	l.free.Keep(c)
}

// Secured says that TLS is established on a connection. Within the GSSAPI of a
// control connection that is a grid's (GridFTP).
func (l *Log) Secured(c analyzer.Conn) {
	if len(l.grids) > 0 && l.grids[c.ID().UID] != nil {
		c.Confirm("gridftp")
	}
}

// asks notes what a session wants to be secured with.
func (s *session) asks(mechanism []byte) {
	grid := bytes.Contains(mechanism, []byte("GSSAPI"))
	if !grid && s.grid {
		delete(s.log.grids, string(s.UID()))
	} else if grid && !s.grid {
		s.log.grids[string(s.UID())] = s
	}
	s.grid = grid
}

// number is n as text, borrowed.
func (l *Log) number(n int) string {
	l.text = strconv.AppendInt(l.text[:0], int64(n), 10)
	return value.Borrow(l.text)
}

// guest tells users whose passwords are no secret.
func guest(user []byte) bool {
	for _, name := range [...]string{"anonymous", "ftp", "ftpuser", "guest"} {
		if len(user) == len(name) && equalFold(user, name) {
			return true
		}
	}
	return false
}

// equalFold compares with a word in small letters, of the same length.
func equalFold(b []byte, word string) bool {
	for i := range b {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// Request implements the analyzer's Handler.
func (s *session) Request(c analyzer.Conn, r *wire.Request) {
	if s.open && s.cur != nil && s.hasCode && s.removePending(s.cur) {
		s.message(c)
	}
	s.begin(c)
	if len(s.pending) < s.log.cfg.Pending {
		s.addPending(c, r.Command, r.Arg)
	} else {
		c.Weird("FTP_too_many_pending_commands", s.log.number(len(s.pending)), wire.Name)
	}
	switch string(r.Command) {
	case "AUTH":
		s.asks(r.Arg)
	case "USER":
		s.user = append(s.user[:0], s.cut(c, r.Arg, s.log.cfg.MaxUser, "FTP_user_too_long")...)
	case "PASS":
		s.password.Put(s.cut(c, r.Arg, s.log.cfg.MaxPassword, "FTP_password_too_long"))
	case "PORT":
		if a, ok := wire.ParsePort(r.Arg); ok {
			s.expect(c, a, false)
		}
	case "EPRT":
		if a, ok := wire.ParseEprt(r.Arg); ok {
			s.expect(c, a, false)
		}
	}
}

// cut shortens a text, and says so.
func (s *session) cut(c analyzer.Conn, b []byte, limit int, name string) []byte {
	if len(b) <= limit {
		return b
	}
	c.Weird(name, s.log.number(len(b)), wire.Name)
	return b[:limit]
}

// Reply implements the analyzer's Handler.
func (s *session) Reply(c analyzer.Conn, r *wire.Reply) {
	s.begin(c)
	// A line in the middle of a reply says nothing of a command, unless it looks
	// like a reply of its own: some servers begin one that they never end.
	if r.More && r.Code == 0 && s.hasCode && !looksLikeReply(r.Text) {
		return
	}
	s.setCurrent(s.best(r.Code, r.Text))
	s.code, s.hasCode = r.Code, true
	s.replyMsg.Put(r.Text)
	if r.More {
		return
	}
	cmd := s.cur
	switch name := string(cmd.name); {
	case r.Code == 150 && name == "RETR", r.Code == 213 && name == "SIZE":
		s.size, s.hasSize = lastNumber(r.Text), true
	case (r.Code == 227 || r.Code == 229) && (name == "PASV" || name == "EPSV"):
		parse := wire.ParsePasv
		if r.Code == 229 {
			parse = wire.ParseEpsv
		}
		if a, ok := parse(r.Text); ok {
			s.expect(c, a, true)
		}
	}
	if !cmd.used && changesDirectory(cmd.name, r.Code) {
		cmd.used = true
		switch string(cmd.name) {
		case "CWD":
			s.enter(cmd.arg)
		case "CDUP":
			s.enter([]byte("/.."))
		default:
			s.setDir(extractPath(r.Text))
		}
	}
	if len(s.pending) > 1 {
		s.removePending(cmd)
		s.message(c)
	}
}

// End implements the analyzer's Handler: what waits is written.
func (s *session) End(c analyzer.Conn) {
	if s.open {
		for len(s.pending) > 0 {
			s.setCurrent(s.pending[0])
			s.removePending(s.cur)
			s.message(c)
		}
		if !s.logged {
			s.write()
		}
		if s.shared {
			s.log.release(func(r *heldRow) bool { return bytes.Equal(r.s.UID(), s.UID()) })
		}
	}
	s.reset()
}

// expect says that a data connection comes.
func (s *session) expect(c analyzer.Conn, a wire.Address, passive bool) {
	id := c.ID()
	e := analyzer.Expectation{
		Orig: id.Resp, RespP: a.Port, Proto: value.ProtoTCP, Analyzer: wire.DataName, Timeout: await.Patience,
	}
	switch {
	case a.Host.IsValid():
		e.Resp = a.Host.As16()
	case passive:
		e.Resp = id.Resp
	}
	if passive {
		e.Orig = id.Orig
	}
	to := await.Endpoint{Host: e.Resp, Port: e.RespP}
	if !s.log.expected.Put(to, awaited{s: s, generation: s.generation}, c.Now()) {
		s.log.deps.Weird(c.Now(), "FTP_too_many_expected_data_channels", s.log.number(s.log.expected.Len()))
		return
	}
	s.channel, s.hasChannel = dataChannel{passive, e.Orig, e.Resp, e.RespP}, true
	s.log.tellExpected(s, to, c.Now()) // before the expectation itself
	if x, ok := c.(analyzer.Expecter); ok {
		x.Expect(e)
	}
}
