// Package ssh writes ssh.log: one row for each connection, at a login that
// succeeded or when the connection goes.
//
// It stands behind the SSH analyzer, whose Handler it implements, and hands rows
// to the log stream. It owns, per connection, the row and what one side offered
// until the other has; the analyzer bounds both. It never looks at packets. The
// rules are those of Zeek 9.0 (zeek-semantics.md section 5).
package ssh

import (
	"fmt"

	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/ssh"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// keepText is the largest buffer that a reused connection keeps.
const keepText = 4096

// Schema returns the columns of ssh.log.
func Schema() *record.Schema {
	return record.New("SSH::LOG", "ssh",
		record.Conn(),
		record.Optional("version", value.KindCount),
		record.Optional("auth_success", value.KindBool),
		record.Optional("auth_attempts", value.KindCount),
		record.Optional("direction", value.KindEnum),
		record.Optional("client", value.KindString),
		record.Optional("server", value.KindString),
		record.Optional("cipher_alg", value.KindString),
		record.Optional("mac_alg", value.KindString),
		record.Optional("compression_alg", value.KindString),
		record.Optional("kex_alg", value.KindString),
		record.Optional("host_key_alg", value.KindString),
		record.Optional("host_key_fingerprint", value.KindString),
	)
}

// Columns behind those of rows.Conn, in the order of Schema.
const (
	colVersion = rows.Columns + iota
	colAuthSuccess
	colAuthAttempts
	colDirection
	colClient
	colServer
	colCipher
	colMAC
	colCompression
	colKex
	colHostKey
	colFingerprint
	numColumns
)

// Log makes the rows of one worker. One goroutine.
type Log struct {
	write func(row []value.Value)
	row   [numColumns]value.Value
}

// New returns a Log that hands its rows to write, in the order of Schema. A row
// and its strings are valid until write returns.
func New(write func(row []value.Value)) *Log { return &Log{write: write} }

// Handler returns what one connection's events go to; it is what the SSH
// factory wants.
func (l *Log) Handler() wire.Handler { return &conn{log: l} }

// conn is the state of one connection. It implements the analyzer's Handler.
type conn struct {
	log     *Log
	started bool
	logged  bool
	rows.Conn
	direction string
	version   uint8
	attempts  uint64
	success   value.Value
	texts     [numColumns]rows.Text // from colClient on

	offered bool // one side has made its offer
	server  bool // it was the server
	lists   [wire.LanguageUp]rows.Text
}

// open begins the row with the first thing that is seen.
func (s *conn) open(c analyzer.Conn) {
	if s.started {
		return
	}
	s.started = true
	s.Conn.Begin(c)
	if l, ok := c.(analyzer.Local); ok {
		if orig, resp, _ := l.Local(); orig && !resp {
			s.direction = "OUTBOUND"
		} else if resp && !orig {
			s.direction = "INBOUND"
		}
	}
}

// Version implements the analyzer's Handler.
func (s *conn) Version(c analyzer.Conn, orig bool, line []byte) {
	s.open(c)
	col := colServer
	if orig {
		col = colClient
	}
	s.texts[col].Put(line)
	s.setVersion(c)
}

// setVersion finds the version that both sides speak: 1.99 means either. As in
// Zeek a mismatch is not told apart from 1.99 on the other side.
func (s *conn) setVersion(c analyzer.Conn) {
	s.version = 0
	client, server := s.texts[colClient].B, s.texts[colServer].B
	if !s.texts[colClient].Set || !s.texts[colServer].Set {
		return
	}
	if len(client) <= 4 || len(server) <= 4 {
		c.Weird("SSH_cannot_determine_version", fmt.Sprintf("%s vs %s", server, client), "")
		return
	}
	up, down := client[4], server[4]
	switch {
	case up == '2' && down == '2', up == '1' && down == '2' && both(client), up == '2' && down == '1' && both(server):
		s.version = 2
	case up == '1' && down == '1':
		if s.version = 1; both(client) && both(server) {
			s.version = 2
		}
	case up == '1' && down == '2', up == '2' && down == '1':
		c.Weird("SSH_version_mismatch", fmt.Sprintf("%s vs %s", server, client), "")
	}
}

// both reports whether a version line says 1.99.
func both(line []byte) bool { return len(line) > 7 && line[6] == '9' && line[7] == '9' }

// Kexinit implements the analyzer's Handler.
func (s *conn) Kexinit(c analyzer.Conn, k *wire.Kexinit) {
	switch {
	case !s.started, s.offered && s.server == k.Server:
		return
	case !s.offered:
		s.offered, s.server = true, k.Server
		for i := range s.lists {
			s.lists[i].Put(k.Lists[i])
		}
		return
	}
	// The first offer counts, whatever comes later.
	find := func(i int) []byte {
		client, server := s.lists[i].B, k.Lists[i]
		if s.server {
			client, server = server, client
		}
		name, ok := wire.Common(client, server)
		if !ok {
			return []byte("Algorithm negotiation failed")
		}
		return name
	}
	each := func(col, up int) {
		there, back := find(up), find(up+1)
		s.texts[col].Put(there)
		if string(there) != string(back) {
			s.texts[col].Put(fmt.Appendf(nil, "To server: %s, to client: %s", there, back))
		}
	}
	each(colCipher, wire.CipherUp)
	each(colMAC, wire.MACUp)
	each(colCompression, wire.CompressionUp)
	s.texts[colKex].Put(find(wire.Kex))
	s.texts[colHostKey].Put(find(wire.HostKeys))
}

// HostKey implements the analyzer's Handler. With its default scripts Zeek shows
// no keys of SSH 1.
func (s *conn) HostKey(_ analyzer.Conn, fingerprint []byte) {
	if s.started && s.version != 1 {
		s.texts[colFingerprint].Put(fingerprint)
	}
}

// Auth implements the analyzer's Handler. Sizes say nothing where the sides
// compress.
func (s *conn) Auth(_ analyzer.Conn, success bool) (enough bool) {
	switch t := &s.texts[colCompression]; {
	case !s.started, s.success.Bool():
		return false
	case t.Set && (string(t.B) == "zlib" || string(t.B) == "zlib@openssh.com"):
		if success {
			s.emit()
		}
		return false
	}
	s.success = value.Bool(success)
	s.attempts++
	if success {
		s.emit()
	}
	return success
}

// End implements the analyzer's Handler.
func (s *conn) End(analyzer.Conn) {
	if s.started {
		s.emit()
	}
	for i := range s.texts {
		s.texts[i] = s.texts[i].Emptied(keepText)
	}
	for i := range s.lists {
		s.lists[i] = s.lists[i].Emptied(keepText)
	}
	*s = conn{log: s.log, Conn: s.Conn.Emptied(), texts: s.texts, lists: s.lists}
}

// emit writes the row, once.
func (s *conn) emit() {
	if s.logged {
		return
	}
	s.logged = true
	row := s.log.row[:]
	clear(row)
	s.Fill(row)
	if s.version != 0 {
		row[colVersion] = value.Count(uint64(s.version))
	}
	row[colAuthSuccess] = s.success
	row[colAuthAttempts] = value.Count(s.attempts)
	if s.direction != "" {
		row[colDirection] = value.Enum(s.direction)
	}
	for i := colClient; i < numColumns; i++ {
		row[i] = s.texts[i].Value()
	}
	s.log.write(row)
}
