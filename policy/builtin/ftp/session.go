package ftp

import (
	"bytes"
	"net/netip"

	"github.com/picket-nsm/picket/policy/await"
	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/ftp"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/text"
)

// session is one control connection: its row, that changes with each command,
// and what waits for a reply.
type session struct {
	log        *Log
	generation uint64 // which use of this memory
	open       bool
	logged     bool // a row was written
	grid       bool // it is among the log's grids
	shared     bool // and among those that other workers know of

	rows.Conn
	user       []byte
	password   rows.Text
	command    rows.Text
	arg        rows.Text
	mime       rows.Text
	replyMsg   rows.Text
	code       int
	size       uint64
	hasCode    bool
	hasSize    bool
	channel    dataChannel
	hasChannel bool
	fuid       files.ID
	cwd        []byte
	cur        *command // the command of the last reply
	pending    []*command
	seq        uint64
	held       int
	unknown    command // stands for a command where none waits
}

// dataChannel is a data connection that is expected.
type dataChannel struct {
	passive    bool
	orig, resp packet.Addr
	port       uint16
}

// command is a command that waits for its reply, or waited.
type command struct {
	ts        packet.Time
	name, arg []byte
	seq       uint64
	used      bool // the working directory was changed for it
	held      int
}

// begin opens the session at the first command or reply. A command that nobody
// gave stands for the server's greeting.
func (s *session) begin(c analyzer.Conn) {
	if s.open {
		return
	}
	s.open = true
	s.Conn.Begin(c)
	s.user = append(s.user[:0], "<unknown>"...)
	s.cwd = append(s.cwd[:0], '.')
	s.unknown.name = append(s.unknown.name[:0], "<unknown>"...)
	s.addPending(c, []byte("<init>"), nil)
	if x, ok := c.(analyzer.Expecter); ok && s.log.deps.Board != nil && !s.log.deps.Board.Alone() {
		x.Expect(analyzer.Expectation{Timeout: await.Patience}) // data connections may follow
	}
}

// reset makes the session ready for another connection; small buffers are kept.
func (s *session) reset() {
	for len(s.pending) > 0 {
		s.removePending(s.pending[0])
	}
	s.setCurrent(nil)
	if s.grid {
		delete(s.log.grids, string(s.UID()))
	}
	if s.shared {
		delete(s.log.shared, string(s.UID()))
	}
	*s = session{
		log: s.log, generation: s.generation + 1, pending: s.pending[:0], Conn: s.Conn.Emptied(), user: rows.Emptied(s.user, keepText),
		password: s.password.Emptied(keepText), command: s.command.Emptied(keepText), arg: s.arg.Emptied(keepText),
		mime: s.mime.Emptied(keepText), replyMsg: s.replyMsg.Emptied(keepText), cwd: rows.Emptied(s.cwd, keepText),
		unknown: command{name: s.unknown.name},
	}
}

func (s *session) addPending(c analyzer.Conn, name, arg []byte) {
	s.seq++
	cmd := s.log.take()
	if s.held+len(arg) > maxHeld {
		arg = arg[:min(len(arg), shortArg)]
	}
	cmd.ts, cmd.seq, cmd.held = c.Now(), s.seq, len(arg)
	cmd.name, cmd.arg = append(cmd.name[:0], name...), append(cmd.arg[:0], arg...)
	s.held += cmd.held
	s.pending = append(s.pending, cmd)
}

func (s *session) waits(cmd *command) int {
	for i, p := range s.pending {
		if p == cmd {
			return i
		}
	}
	return -1
}

// removePending says that a command waits no more. It reports false if it did
// not.
func (s *session) removePending(cmd *command) bool {
	i := s.waits(cmd)
	if i < 0 {
		return false
	}
	s.pending = append(s.pending[:i], s.pending[i+1:]...)
	s.held -= cmd.held
	if cmd != s.cur {
		s.log.drop(cmd)
	}
	return true
}

func (s *session) setCurrent(cmd *command) {
	if old := s.cur; old != nil && old != cmd && s.waits(old) < 0 {
		s.log.drop(old)
	}
	s.cur = cmd
}

// best returns the command that a reply is of: that which may have this code and
// whose words are in the text; of several the first.
func (s *session) best(code int, msg []byte) *command {
	best, most := &s.unknown, -1
	for _, cmd := range s.pending {
		score := 0
		if code == 500 || mayAnswer(cmd.name, code) {
			score += 100
		}
		if bytes.Contains(msg, cmd.name) {
			score += 20
		}
		if bytes.Contains(msg, cmd.arg) {
			score += 10
		}
		if score > most {
			best, most = cmd, score
		}
	}
	return best
}

// enter changes the working directory.
func (s *session) enter(dir []byte) {
	s.log.text = appendPath(s.log.text[:0], s.cwd, dir)
	s.setDir(s.log.text)
}

func (s *session) setDir(dir []byte) { s.cwd = append(s.cwd[:0], dir[:min(len(dir), maxDir)]...) }

func (s *session) hides() bool { return !s.log.cfg.Passwords && !guest(s.user) }

const hidden = "<hidden>"

// message takes the command of the last reply into the row, and writes that if
// the command is one that is logged.
func (s *session) message(c analyzer.Conn) {
	cmd := s.cur
	s.TS = cmd.ts
	s.command.Put(cmd.name)
	s.arg.Put(cmd.arg)
	if ofFile(cmd.name) {
		s.appendURL(cmd.arg)
	}
	if cfg := &s.log.cfg; true {
		s.arg.B = s.cut(c, s.arg.B, cfg.MaxArg, "FTP_arg_too_long")
		s.replyMsg.B = s.cut(c, s.replyMsg.B, cfg.MaxReply, "FTP_reply_msg_too_long")
	}
	if s.hides() {
		if string(cmd.name) == "PASS" {
			s.arg.Put([]byte(hidden))
		}
		if s.password.Set {
			s.password.Put([]byte(hidden))
		}
	}
	s.arg.Set = len(s.arg.B) > 0
	if isLogged(cmd.name) {
		s.writeAt(c.Now())
		s.logged = true
	}
	s.mime.Set, s.hasSize, s.hasChannel, s.fuid = false, false, false, files.ID{}
}

// appendURL makes the argument the URL of a file.
func (s *session) appendURL(name []byte) {
	path := appendPath(s.log.text[:0], s.cwd, name)
	s.log.text = path
	b := append(s.arg.B[:0], "ftp://"...)
	host := netip.AddrFrom16(s.ID.Resp).Unmap()
	if host.Is4() {
		b = text.AppendAddr(b, host)
	} else {
		b = append(text.AppendAddr(append(b, '['), host), ']')
	}
	if len(path) == 0 || path[0] != '/' {
		b = append(b, '/')
	}
	s.arg.B = append(b, path...)
}

// FileSniffed implements files.Watcher.
func (s *session) FileSniffed(f *files.File) {
	if f.Mark == s.generation && f.MIME != "" {
		s.mime.Put([]byte(f.MIME))
	}
}

var _ wire.Handler = (*session)(nil)
