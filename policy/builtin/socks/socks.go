// Package socks writes socks.log: a row for each connection that asked a proxy
// for another one, when it is over.
//
// It stands behind the SOCKS analyzer, whose Handler it implements, hands rows to
// the log stream, and tells of the tunnel to the proxy. It owns, per connection,
// the row in the making; it never looks at packets.
//
// The rules are those of Zeek 9.0's base/protocols/socks.
package socks

import (
	"strconv"

	wire "github.com/picket-nsm/picket/traffic/analyzer/socks"

	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Schema returns the columns of socks.log.
func Schema() *record.Schema {
	return record.New("SOCKS::LOG", "socks",
		record.Conn(),
		record.Of("version", value.KindCount),
		record.Optional("user", value.KindString),
		record.Optional("password", value.KindString),
		record.Optional("status", value.KindString),
		record.Optional("request.host", value.KindAddr),
		record.Optional("request.name", value.KindString),
		record.Optional("request_p", value.KindPort),
		record.Optional("bound.host", value.KindAddr),
		record.Optional("bound.name", value.KindString),
		record.Optional("bound_p", value.KindPort),
	)
}

// Columns behind those of rows.Conn, in the order of Schema.
const (
	colVersion = rows.Columns + iota
	colUser
	colPassword
	colStatus
	colRequestHost
	colRequestName
	colRequestPort
	colBoundHost
	colBoundName
	colBoundPort
	numColumns
)

// keepText is the largest text that is kept for reuse.
const keepText = 256

// Config is what a user may set.
type Config struct {
	Passwords bool // show passwords (default_capture_password)
}

// Default returns the settings of Zeek's default scripts.
func Default() Config { return Config{} }

// Tunnel is told of connections that a proxy was asked for.
type Tunnel func(c analyzer.Conn)

// Log makes the rows of one worker. One goroutine.
type Log struct {
	cfg    Config
	write  func(row []value.Value)
	tunnel Tunnel
	row    [numColumns]value.Value
}

// New returns a Log that hands its rows to write, in the order of Schema. A row
// and its strings are valid until write returns.
func New(cfg Config, write func(row []value.Value), tunnel Tunnel) *Log {
	return &Log{cfg: cfg, write: write, tunnel: tunnel}
}

// Handler returns what one connection's messages go to; it is what the SOCKS
// factory wants.
func (l *Log) Handler() wire.Handler { return &conn{log: l} }

// conn is the row of one connection.
type conn struct {
	log  *Log
	open bool
	rows.Conn
	version        int
	user, password rows.Text
	status         string
	to, bound      address
}

type address struct {
	set     bool
	host    packet.Addr
	hasHost bool
	name    rows.Text
	port    uint16
}

func (a *address) put(from *wire.Address, port uint16) {
	a.set, a.host, a.hasHost, a.port = true, from.Host, from.HasHost, port
	if a.name.Set = false; from.HasName {
		a.name.Put(from.Name)
	}
}

func (s *conn) begin(c analyzer.Conn, version int) {
	if s.open {
		return
	}
	s.open, s.version = true, version
	s.Conn.Begin(c)
}

// Login implements the analyzer's Handler.
func (s *conn) Login(c analyzer.Conn, user, password []byte) {
	s.begin(c, 5)
	s.user.Put(user)
	if s.log.cfg.Passwords {
		s.password.Put(password)
	}
}

// LoginReply implements the analyzer's Handler.
func (s *conn) LoginReply(c analyzer.Conn, code uint8) {
	s.begin(c, 5)
	s.status = status(5, code)
}

// Request implements the analyzer's Handler.
func (s *conn) Request(c analyzer.Conn, r *wire.Request) {
	s.begin(c, r.Version)
	s.to.put(&r.To, r.Port)
	s.log.tunnel(c)
}

// Reply implements the analyzer's Handler.
func (s *conn) Reply(c analyzer.Conn, r *wire.Reply) {
	s.begin(c, r.Version)
	s.status = status(r.Version, r.Code)
	s.bound.put(&r.Bound, r.Port)
}

// End implements the analyzer's Handler.
func (s *conn) End(_ analyzer.Conn, confirmed bool) {
	if s.open && confirmed {
		s.emit()
	}
	*s = conn{
		log: s.log, Conn: s.Conn.Emptied(), user: s.user.Emptied(keepText), password: s.password.Emptied(keepText),
		to: address{name: s.to.name.Emptied(keepText)}, bound: address{name: s.bound.name.Emptied(keepText)},
	}
}

func (s *conn) emit() {
	row := s.log.row[:]
	clear(row)
	s.Fill(row)
	row[colVersion] = value.Count(uint64(s.version))
	row[colUser], row[colPassword] = s.user.Value(), s.password.Value()
	if s.status != "" {
		row[colStatus] = value.String(s.status)
	}
	for _, x := range [...]struct {
		col int
		a   *address
	}{{colRequestHost, &s.to}, {colBoundHost, &s.bound}} {
		if !x.a.set {
			continue
		}
		if x.a.hasHost {
			row[x.col] = value.Addr16(x.a.host)
		}
		row[x.col+1] = x.a.name.Value()
		row[x.col+2] = value.Port(x.a.port, value.ProtoTCP)
	}
	s.log.write(row)
}

// status is what a reply's code means (RFC 1928, SOCKS4).
func status(version int, code uint8) string {
	if version == 4 {
		switch code {
		case 90:
			return "succeeded"
		case 91:
			return "general SOCKS server failure"
		case 92:
			return "request failed because client is not running identd"
		case 93:
			return "request failed because client's identd could not confirm the user ID string in the request"
		}
	} else if names := [...]string{
		"succeeded", "general SOCKS server failure", "connection not allowed by ruleset", "Network unreachable", "Host unreachable",
		"Connection refused", "TTL expired", "Command not supported", "Address type not supported",
	}; int(code) < len(names) {
		return names[code]
	}
	return "unknown-" + strconv.Itoa(int(code))
}
