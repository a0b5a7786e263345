// Package irc writes irc.log: a row for each name a client takes, each
// registration, each channel joined, and each file that comes over a direct
// connection.
//
// It stands behind the IRC analyzers, whose handlers it implements, and hands
// rows to the log stream. It names the files of direct connections. It owns, per
// connection, the row that is filled again and again, and per worker the direct
// connections to come; all are bounded. It never looks at packets or content.
//
// The rules are those of Zeek 9.0's scripts. A session has one row in the making:
// what one command puts into it is still there for the next, also the file of a
// direct connection.
package irc

import (
	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/irc"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Config is what a user may set.
type Config struct {
	Transfers int // direct connections to come (max_dcc_expected_transfers); 0: no limit
}

// Default returns the settings of Zeek's default scripts.
func Default() Config { return Config{Transfers: 5000} }

// patience is how many seconds a direct connection is waited for.
const patience = 300

// maxFree is how many finished sessions are kept for reuse.
const maxFree = 512

// Schema returns the columns of irc.log.
func Schema() *record.Schema {
	return record.New("IRC::LOG", "irc",
		record.Conn(),
		record.Optional("nick", value.KindString),
		record.Optional("user", value.KindString),
		record.Optional("command", value.KindString),
		record.Optional("value", value.KindString),
		record.Optional("addl", value.KindString),
		record.Optional("dcc_file_name", value.KindString),
		record.Optional("dcc_file_size", value.KindCount),
		record.Optional("dcc_mime_type", value.KindString),
		record.Optional("fuid", value.KindString),
	)
}

// Columns, in the order of Schema.
const (
	colTS = iota
	colUID
	colOrigH
	colOrigP
	colRespH
	colRespP
	colNick
	colUser
	colCommand
	colValue
	colAddl
	colFileName
	colFileSize
	colFileType
	colFile
	numColumns
)

// Log makes the rows of one worker. One goroutine.
type Log struct {
	cfg      Config
	write    func(row []value.Value)
	row      [numColumns]value.Value
	text     []byte
	free     freelist.List[*info]
	expected table
	board    Board
	told     []byte
}

// New returns a Log that hands its rows to write, in the order of Schema. A row
// and its strings are valid until write returns. board may be nil: there are no
// other workers.
func New(cfg Config, write func(row []value.Value), board Board) *Log {
	l := &Log{cfg: cfg, write: write, free: freelist.New[*info](maxFree), expected: table{list: map[endpoint]awaited{}}, board: board}
	if board != nil {
		board.Listen(news, l.hear)
	}
	return l
}

// Handler returns what one connection's commands go to; it is what the IRC factory
// wants.
func (l *Log) Handler() wire.Handler { return &session{log: l} }

// DataHandler returns what one direct connection goes to.
func (l *Log) DataHandler() wire.DataHandler { return &channel{log: l} }

// info is the row of a session. Direct connections that it has offered share it,
// also when the session is over.
type info struct {
	shared bool

	ts                               packet.Time
	id                               analyzer.ID // UID is in uid
	uid                              field
	nick, user, command, value, addl field
	fileName, fileType               field
	fileSize                         uint64
	hasSize                          bool
	file                             files.ID
	log                              *Log
}

// field is a text that may be unset.
type field struct {
	set bool
	b   []byte
}

func (f *field) put(b []byte) { f.b, f.set = append(f.b[:0], b...), true }

// session takes the commands of one connection.
type session struct {
	log *Log
	i   *info // nil before the first command
}

// begin begins the row, or brings its time up to date.
func (s *session) begin(c analyzer.Conn) *info {
	if s.i == nil {
		l := s.log
		if s.i = l.free.Take(); s.i == nil {
			s.i = &info{log: l}
		}
		s.i.id = c.ID()
		s.i.uid.put([]byte(s.i.id.UID))
		s.i.id.UID = ""
	}
	s.i.ts = c.Now()
	return s.i
}

// Nick implements the analyzer's Handler.
func (s *session) Nick(c analyzer.Conn, orig bool, nick []byte) {
	i := s.begin(c)
	if !orig {
		return
	}
	i.command.put([]byte("NICK"))
	i.value.put(nick)
	s.log.emit(i)
	i.nick.put(nick)
}

// User implements the analyzer's Handler.
func (s *session) User(c analyzer.Conn, u *wire.User) {
	i := s.begin(c)
	if !u.Orig {
		return
	}
	i.command.put([]byte("USER"))
	i.value.put(u.Name)
	b := append(append(s.log.text[:0], u.Host...), ' ')
	b = append(append(b, u.Server...), ' ')
	s.log.text = append(b, u.RealName...)
	i.addl.put(s.log.text)
	s.log.emit(i)
	i.user.put(u.Name)
}

// Join implements the analyzer's Handler.
func (s *session) Join(c analyzer.Conn, j *wire.Join) {
	i := s.begin(c)
	if !j.Orig {
		return
	}
	i.command.put([]byte("JOIN"))
	i.value.put(j.Channel)
	b := s.log.text[:0]
	if len(j.Password) > 0 {
		b = append(append(append(b, " with channel key: '"...), j.Password...), '\'')
	}
	s.log.text = b
	i.addl.put(b)
	s.log.emit(i)
}

// DCC implements the analyzer's Handler: a file that is offered is waited for.
func (s *session) DCC(c analyzer.Conn, d *wire.DCC) {
	i := s.begin(c)
	if string(d.Type) != "SEND" {
		return
	}
	e := endpoint{d.Addr, d.Port}
	if !s.log.expected.room(s.log.cfg.Transfers, c.Now()) {
		c.Weird("irc_max_dcc_expected_transfers_exceeded", "", "")
		return
	}
	i.fileName.put(d.Argument)
	i.fileSize, i.hasSize, i.shared = d.Size, true, true
	s.log.expected.list[e] = awaited{i: i, used: c.Now()}
	s.log.tell(newsExpected, e, c.Now(), d.Argument)
	if x, ok := c.(analyzer.Expecter); ok {
		x.Expect(analyzer.Expectation{Resp: d.Addr, RespP: d.Port, Proto: value.ProtoTCP, Analyzer: wire.DataName, Timeout: patience})
	}
}

// End implements the analyzer's Handler.
func (s *session) End(analyzer.Conn) {
	i := s.i
	s.i = nil
	if i == nil || i.shared {
		return
	}
	keep := func(f field) field { return field{b: f.b[:0]} } // lines are short
	*i = info{log: i.log, uid: keep(i.uid), nick: keep(i.nick), user: keep(i.user), command: keep(i.command),
		value: keep(i.value), addl: keep(i.addl)}
	s.log.free.Keep(i)
}

// emit writes the row as it is now.
func (l *Log) emit(i *info) {
	row := l.row[:]
	clear(row)
	row[colTS] = value.Time(float64(i.ts))
	row[colUID] = value.String(value.Borrow(i.uid.b))
	row[colOrigH], row[colOrigP] = value.Addr16(i.id.Orig), value.Port(i.id.OrigP, i.id.Proto)
	row[colRespH], row[colRespP] = value.Addr16(i.id.Resp), value.Port(i.id.RespP, i.id.Proto)
	for _, c := range [...]struct {
		col int
		f   *field
	}{
		{colNick, &i.nick}, {colUser, &i.user}, {colCommand, &i.command}, {colValue, &i.value}, {colAddl, &i.addl},
		{colFileName, &i.fileName}, {colFileType, &i.fileType},
	} {
		if c.f.set {
			row[c.col] = value.String(value.Borrow(c.f.b))
		}
	}
	if i.hasSize {
		row[colFileSize] = value.Count(i.fileSize)
	}
	if !i.file.IsZero() {
		l.text = i.file.AppendText(l.text[:0])
		row[colFile] = value.String(value.Borrow(l.text))
	}
	l.write(row)
}
