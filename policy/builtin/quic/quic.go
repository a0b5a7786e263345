// Package quic writes quic.log: one row for each attempt of a QUIC connection.
//
// It stands behind the QUIC analyzer, whose Handler it implements, and hands rows
// to the log stream. It owns, per connection, the row in the making. It never
// looks at packets; the TLS inside has its row in ssl.log, which package ssl
// writes.
//
// The rules are those of Zeek 9.0's scripts: a Retry, a version that is not read
// and a CONNECTION_CLOSE end a row, and what follows begins the next; the last one
// is written when the connection goes.
package quic

import (
	"encoding/hex"
	"strconv"

	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/quic"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/text"
	"github.com/picket-nsm/picket/zeek/value"
)

// maxText is one more than what the log writers keep of a string, so that they
// still see that something was cut.
const maxText = 4097

// Config is what a user may set.
type Config struct {
	// History is how many letters the history has (QUIC::max_history_length).
	History int
}

// Default returns the settings of Zeek's default scripts.
func Default() Config { return Config{History: 100} }

// Columns behind those of rows.Conn, in the order of Schema.
const (
	colVersion = rows.Columns + iota
	colInitialDCID
	colClientSCID
	colServerSCID
	colServerName
	colProtocol
	colHistory
	numColumns
)

// Schema returns the columns of quic.log.
func Schema() *record.Schema {
	return record.New("QUIC::LOG", "quic",
		record.Conn(),
		record.Of("version", value.KindString),
		record.Optional("client_initial_dcid", value.KindString),
		record.Optional("client_scid", value.KindString),
		record.Optional("server_scid", value.KindString),
		record.Optional("server_name", value.KindString),
		record.Optional("client_protocol", value.KindString),
		record.Optional("history", value.KindString),
	)
}

// Log makes the rows of one worker. One goroutine.
type Log struct {
	cfg   Config
	write func(row []value.Value)
	row   []value.Value
}

// New returns a Log that hands its rows to write, in the order of Schema; a row
// and its strings are valid until write returns.
func New(cfg Config, write func(row []value.Value)) *Log {
	return &Log{cfg: cfg, write: write, row: make([]value.Value, numColumns)}
}

// Handler returns what one connection's packets go to; it is what the QUIC
// factory wants.
func (l *Log) Handler() wire.Handler { return &conn{log: l} }

// keepText is the largest text that is kept for reuse.
const keepText = 512

// keep takes a text, as much of it as is kept.
func keep(t *rows.Text, b []byte) { t.Put(b[:min(len(b), maxText)]) }

// keepID takes a connection id, in hexadecimal.
func keepID(t *rows.Text, b []byte) { t.B, t.Set = hex.AppendEncode(t.B[:0], b), true }

// conn is the row of one connection in the making. It implements the analyzer's
// Handler.
type conn struct {
	log  *Log
	open bool // there is something to log
	rows.Conn
	version uint32
	history []byte

	initialDCID, clientSCID, serverSCID, serverName, protocol rows.Text
}

// begin opens the row if there is none, and notes the ids.
func (s *conn) begin(c analyzer.Conn, p *wire.Packet) {
	if !s.open {
		s.open, s.version = true, p.Version
		s.Conn.Begin(c)
	}
	if !p.Orig {
		keepID(&s.serverSCID, p.SCID)
		return
	}
	if len(p.DCID) > 0 && !s.initialDCID.Set {
		keepID(&s.initialDCID, p.DCID)
	}
	keepID(&s.clientSCID, p.SCID)
}

// Packet implements the analyzer's Handler.
func (s *conn) Packet(c analyzer.Conn, p *wire.Packet) {
	switch p.Kind {
	case wire.Short:
		if !s.open { // the row ended meanwhile
			c.Weird("QUIC_spurious_short_header_packet_threshold_crossed", strconv.FormatUint(p.Count, 10), "")
			return
		}
	case wire.Discarded:
		if !s.open {
			c.Weird("QUIC_spurious_discarded_packet", "", "")
			return
		}
	case wire.Retry, wire.UnknownVersion:
		if !s.open {
			s.begin(c, p)
		}
	default:
		s.begin(c, p)
	}
	s.letter(c, p.Orig, letters[p.Kind])
	if p.Kind == wire.Retry || p.Kind == wire.UnknownVersion {
		s.finish()
	}
}

// letters are how packets are shown in the history, as if the server sent them.
var letters = [...]byte{
	wire.Initial: 'i', wire.ZeroRTT: 'z', wire.Handshake: 'h', wire.Retry: 'r', wire.UnknownVersion: 'u',
	wire.Short: 'o', wire.Discarded: 'x',
}

// Hello implements the analyzer's Handler. What a hello says counts as TLS says
// it, whoever sent it.
func (s *conn) Hello(c analyzer.Conn, h *tlsmsg.Hello) {
	if !s.open {
		return
	}
	if h.Client && len(h.Names) > 0 {
		keep(&s.serverName, h.Names[0])
	}
	if h.Client && len(h.Protocols) > 0 {
		keep(&s.protocol, h.Protocols[0])
		if len(h.Protocols) > 1 {
			c.Weird("QUIC_many_protocols", string(text.AppendVector(nil, h.Protocols, maxText)), "")
		}
	}
	if h.Complete && tlsmsg.VersionOK(h.Version) {
		s.letter(c, h.Client, 's')
	}
}

// Close implements the analyzer's Handler.
func (s *conn) Close(c analyzer.Conn, k *wire.Close) {
	if s.open {
		s.letter(c, k.Orig, 'c')
		s.finish()
	}
}

// End implements the analyzer's Handler.
func (s *conn) End(analyzer.Conn) {
	if s.open {
		s.finish()
	}
}

// letter adds to the history.
func (s *conn) letter(c analyzer.Conn, orig bool, letter byte) {
	limit := s.log.cfg.History
	if len(s.history) == limit {
		return
	}
	if orig {
		letter -= 'a' - 'A'
	}
	if s.history = append(s.history, letter); len(s.history) == limit {
		c.Weird("QUIC_max_history_length_reached", "", "")
	}
}

// finish writes the row; the next packet begins another one.
func (s *conn) finish() {
	l := s.log
	row := l.row
	clear(row)
	s.Fill(row)
	row[colVersion] = value.String(versionName(s.version))
	row[colInitialDCID], row[colClientSCID], row[colServerSCID] = s.initialDCID.Value(), s.clientSCID.Value(), s.serverSCID.Value()
	row[colServerName], row[colProtocol] = s.serverName.Value(), s.protocol.Value()
	row[colHistory] = value.String(value.Borrow(s.history))
	l.write(row)

	s.open, s.history = false, s.history[:0]
	for _, t := range []*rows.Text{&s.initialDCID, &s.clientSCID, &s.serverSCID, &s.serverName, &s.protocol} {
		*t = t.Emptied(keepText)
	}
}

// versionName is a version as Zeek names it; drafts 30 and 31 share a name there.
func versionName(v uint32) string {
	switch v {
	case 1:
		return "1"
	case 0x6b3343cf:
		return "quicv2"
	case 0xfaceb001, 0xfaceb002, 0xfaceb00e, 0xfaceb011, 0xfaceb012, 0xfaceb013:
		return "mvfst (" + strconv.FormatUint(uint64(v), 16) + ")"
	case 0xff00001f:
		return "draft-30"
	}
	if v >= 0xff000016 && v <= 0xff000022 {
		return "draft-" + strconv.Itoa(int(v&0xff))
	}
	return "unknown-" + strconv.FormatUint(uint64(v), 16)
}
