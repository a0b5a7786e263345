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
	"github.com/picket-nsm/picket/policy/await"
	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/irc"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Config is what a user may set.
type Config struct {
	Transfers int // direct connections to come (max_dcc_expected_transfers); 0: no limit
}

// Default returns the settings of Zeek's default scripts.
func Default() Config { return Config{Transfers: 5000} }

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

// Columns behind those of rows.Conn, in the order of Schema.
const (
	colNick = rows.Columns + iota
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
	expected await.Table[awaited]
	board    await.Board
	told     []byte
}

// New returns a Log that hands its rows to write, in the order of Schema. A row
// and its strings are valid until write returns. board may be nil: there are no
// other workers.
func New(cfg Config, write func(row []value.Value), board await.Board) *Log {
	l := &Log{cfg: cfg, write: write, free: freelist.New[*info](maxFree), expected: await.New[awaited](cfg.Transfers), board: board}
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

	rows.Conn
	nick, user, command, value, addl rows.Text
	fileName, fileType               rows.Text
	fileSize                         uint64
	hasSize                          bool
	file                             files.ID
	log                              *Log
}

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
		s.i.Conn.Begin(c)
	}
	s.i.TS = c.Now()
	return s.i
}

// Nick implements the analyzer's Handler.
func (s *session) Nick(c analyzer.Conn, orig bool, nick []byte) {
	i := s.begin(c)
	if !orig {
		return
	}
	i.command.Put([]byte("NICK"))
	i.value.Put(nick)
	s.log.emit(i)
	i.nick.Put(nick)
}

// User implements the analyzer's Handler.
func (s *session) User(c analyzer.Conn, u *wire.User) {
	i := s.begin(c)
	if !u.Orig {
		return
	}
	i.command.Put([]byte("USER"))
	i.value.Put(u.Name)
	b := append(append(s.log.text[:0], u.Host...), ' ')
	b = append(append(b, u.Server...), ' ')
	s.log.text = append(b, u.RealName...)
	i.addl.Put(s.log.text)
	s.log.emit(i)
	i.user.Put(u.Name)
}

// Join implements the analyzer's Handler.
func (s *session) Join(c analyzer.Conn, j *wire.Join) {
	i := s.begin(c)
	if !j.Orig {
		return
	}
	i.command.Put([]byte("JOIN"))
	i.value.Put(j.Channel)
	b := s.log.text[:0]
	if len(j.Password) > 0 {
		b = append(append(append(b, " with channel key: '"...), j.Password...), '\'')
	}
	s.log.text = b
	i.addl.Put(b)
	s.log.emit(i)
}

// DCC implements the analyzer's Handler: a file that is offered is waited for.
func (s *session) DCC(c analyzer.Conn, d *wire.DCC) {
	i := s.begin(c)
	if string(d.Type) != "SEND" {
		return
	}
	e := await.Endpoint{Host: d.Addr, Port: d.Port}
	if s.log.expected.Full(c.Now()) { // then no offer counts, even of what is awaited there already
		c.Weird("irc_max_dcc_expected_transfers_exceeded", "", "")
		return
	}
	i.fileName.Put(d.Argument)
	i.fileSize, i.hasSize, i.shared = d.Size, true, true
	s.log.expected.Put(e, awaited{i: i}, c.Now())
	s.log.tell(newsExpected, e, c.Now(), d.Argument)
	if x, ok := c.(analyzer.Expecter); ok {
		x.Expect(analyzer.Expectation{Resp: d.Addr, RespP: d.Port, Proto: value.ProtoTCP, Analyzer: wire.DataName, Timeout: await.Patience})
	}
}

// End implements the analyzer's Handler.
func (s *session) End(analyzer.Conn) {
	i := s.i
	s.i = nil
	if i == nil || i.shared {
		return
	}
	keep := func(t rows.Text) rows.Text { return t.Emptied(maxName) }
	*i = info{log: i.log, Conn: i.Conn.Emptied(), nick: keep(i.nick), user: keep(i.user), command: keep(i.command),
		value: keep(i.value), addl: keep(i.addl)}
	s.log.free.Keep(i)
}

// emit writes the row as it is now.
func (l *Log) emit(i *info) {
	row := l.row[:]
	clear(row)
	i.Fill(row)
	for _, c := range [...]struct {
		col int
		f   *rows.Text
	}{
		{colNick, &i.nick}, {colUser, &i.user}, {colCommand, &i.command}, {colValue, &i.value}, {colAddl, &i.addl},
		{colFileName, &i.fileName}, {colFileType, &i.fileType},
	} {
		row[c.col] = c.f.Value()
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
