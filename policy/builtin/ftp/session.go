package ftp

import (
	"bytes"
	"net/netip"

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

	ts         packet.Time
	id         analyzer.ID // UID is in uid
	uid        []byte
	user       []byte
	password   field
	command    field
	arg        field
	mime       field
	replyMsg   field
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

// field is a text that may be unset.
type field struct {
	set bool
	b   []byte
}

func (f *field) put(b []byte) { f.b, f.set = append(f.b[:0], b...), true }

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
	s.ts, s.id = c.Now(), c.ID()
	s.uid = append(s.uid[:0], s.id.UID...)
	s.id.UID = ""
	s.user = append(s.user[:0], "<unknown>"...)
	s.cwd = append(s.cwd[:0], '.')
	s.unknown.name = append(s.unknown.name[:0], "<unknown>"...)
	s.addPending(c, []byte("<init>"), nil)
	if x, ok := c.(analyzer.Expecter); ok && s.log.deps.Board != nil && !s.log.deps.Board.Alone() {
		x.Expect(analyzer.Expectation{Timeout: patience}) // data connections may follow
	}
}

// reset makes the session ready for another connection; small buffers are kept.
func (s *session) reset() {
	for len(s.pending) > 0 {
		s.removePending(s.pending[0])
	}
	s.setCurrent(nil)
	if s.grid {
		delete(s.log.grids, string(s.uid))
	}
	if s.shared {
		delete(s.log.shared, string(s.uid))
	}
	keep := func(b []byte) []byte {
		if cap(b) > keepText {
			return nil
		}
		return b[:0]
	}
	*s = session{
		log: s.log, generation: s.generation + 1, pending: s.pending[:0], uid: s.uid[:0], user: keep(s.user),
		password: field{b: keep(s.password.b)}, command: field{b: keep(s.command.b)}, arg: field{b: keep(s.arg.b)},
		mime: field{b: keep(s.mime.b)}, replyMsg: field{b: keep(s.replyMsg.b)}, cwd: keep(s.cwd),
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
	s.ts = cmd.ts
	s.command.put(cmd.name)
	s.arg.put(cmd.arg)
	if ofFile(cmd.name) {
		s.appendURL(cmd.arg)
	}
	if cfg := &s.log.cfg; true {
		s.arg.b = s.cut(c, s.arg.b, cfg.MaxArg, "FTP_arg_too_long")
		s.replyMsg.b = s.cut(c, s.replyMsg.b, cfg.MaxReply, "FTP_reply_msg_too_long")
	}
	if s.hides() {
		if string(cmd.name) == "PASS" {
			s.arg.put([]byte(hidden))
		}
		if s.password.set {
			s.password.put([]byte(hidden))
		}
	}
	s.arg.set = len(s.arg.b) > 0
	if isLogged(cmd.name) {
		s.writeAt(c.Now())
		s.logged = true
	}
	s.mime.set, s.hasSize, s.hasChannel, s.fuid = false, false, false, files.ID{}
}

// appendURL makes the argument the URL of a file.
func (s *session) appendURL(name []byte) {
	path := appendPath(s.log.text[:0], s.cwd, name)
	s.log.text = path
	b := append(s.arg.b[:0], "ftp://"...)
	host := netip.AddrFrom16(s.id.Resp).Unmap()
	if host.Is4() {
		b = text.AppendAddr(b, host)
	} else {
		b = append(text.AppendAddr(append(b, '['), host), ']')
	}
	if len(path) == 0 || path[0] != '/' {
		b = append(b, '/')
	}
	s.arg.b = append(b, path...)
}

// FileSniffed implements files.Watcher.
func (s *session) FileSniffed(f *files.File) {
	if f.Mark == s.generation && f.MIME != "" {
		s.mime.put([]byte(f.MIME))
	}
}

var _ wire.Handler = (*session)(nil)
