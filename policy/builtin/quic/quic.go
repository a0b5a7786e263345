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

	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/quic"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	zeektext "github.com/picket-nsm/picket/zeek/text"
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

// Columns of quic.log, in the order of Schema.
const (
	colTS = iota
	colUID
	colOrigH
	colOrigP
	colRespH
	colRespP
	colVersion
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

// text is a column that may be unset.
type text struct {
	set bool
	b   []byte
}

func (t *text) keep(b []byte) { t.b, t.set = append(t.b[:0], b[:min(len(b), maxText)]...), true }

// id keeps a connection id in hexadecimal.
func (t *text) id(b []byte) { t.b, t.set = hex.AppendEncode(t.b[:0], b), true }

func (t *text) clear() {
	if t.set, t.b = false, t.b[:0]; cap(t.b) > 512 {
		t.b = nil
	}
}

func (t *text) value() value.Value {
	if !t.set {
		return value.Value{}
	}
	return value.String(value.Borrow(t.b))
}

// conn is the row of one connection in the making. It implements the analyzer's
// Handler.
type conn struct {
	log     *Log
	open    bool // there is something to log
	ts      packet.Time
	id      analyzer.ID
	uid     []byte
	version uint32
	history []byte

	initialDCID, clientSCID, serverSCID, serverName, protocol text
}

// begin opens the row if there is none, and notes the ids.
func (s *conn) begin(c analyzer.Conn, p *wire.Packet) {
	if !s.open {
		s.open, s.version, s.ts, s.id = true, p.Version, c.Now(), c.ID()
		s.uid = append(s.uid[:0], s.id.UID...)
		s.id.UID = ""
	}
	if !p.Orig {
		s.serverSCID.id(p.SCID)
		return
	}
	if len(p.DCID) > 0 && !s.initialDCID.set {
		s.initialDCID.id(p.DCID)
	}
	s.clientSCID.id(p.SCID)
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
		s.serverName.keep(h.Names[0])
	}
	if h.Client && len(h.Protocols) > 0 {
		s.protocol.keep(h.Protocols[0])
		if len(h.Protocols) > 1 {
			c.Weird("QUIC_many_protocols", string(zeektext.AppendVector(nil, h.Protocols, maxText)), "")
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
	row[colTS] = value.Time(float64(s.ts))
	row[colUID] = value.String(value.Borrow(s.uid))
	row[colOrigH], row[colOrigP] = value.Addr16(s.id.Orig), value.Port(s.id.OrigP, s.id.Proto)
	row[colRespH], row[colRespP] = value.Addr16(s.id.Resp), value.Port(s.id.RespP, s.id.Proto)
	row[colVersion] = value.String(versionName(s.version))
	row[colInitialDCID], row[colClientSCID], row[colServerSCID] = s.initialDCID.value(), s.clientSCID.value(), s.serverSCID.value()
	row[colServerName], row[colProtocol] = s.serverName.value(), s.protocol.value()
	row[colHistory] = value.String(value.Borrow(s.history))
	l.write(row)

	s.open, s.history = false, s.history[:0]
	for _, t := range []*text{&s.initialDCID, &s.clientSCID, &s.serverSCID, &s.serverName, &s.protocol} {
		t.clear()
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
