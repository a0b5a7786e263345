// Package websocket writes websocket.log: a row for each connection that HTTP
// upgrades to WebSocket.
//
// It stands behind the WebSocket analyzer, whose Handler it implements, and is told
// of the handshake by the policy of HTTP. It owns the header fields of handshakes
// that are under way, bounded in number and size, and hands rows to the log stream.
// It never looks at messages.
//
// The rules are those of Zeek 9.0 (zeek-semantics section 5).
package websocket

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"strings"

	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/websocket"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

const (
	// maxOpen is how many handshakes are kept; others get a row without their fields.
	maxOpen = 1 << 16
	// maxList is how many elements a list keeps, maxText how much is kept of an
	// element: the log holds less of both.
	maxList, maxText = 128, 4 << 10
	// maxTexts is how much is kept of all elements of a handshake.
	maxTexts = 64 << 10
	// source is where oddities come from.
	source = "WebSocket"
	// guid is what the key is hashed with (RFC 6455 section 1.3).
	guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// Schema returns the columns of websocket.log.
func Schema() *record.Schema {
	return record.New("WebSocket::LOG", "websocket",
		record.Conn(),
		record.Optional("host", value.KindString),
		record.Optional("uri", value.KindString),
		record.Optional("user_agent", value.KindString),
		record.Optional("subprotocol", value.KindString),
		record.Optional("client_protocols", value.KindVector, value.KindString),
		record.Optional("server_extensions", value.KindVector, value.KindString),
		record.Optional("client_extensions", value.KindVector, value.KindString),
	)
}

// Config is what a user may set.
type Config struct {
	// Below says which analyzer (the name of a factory) reads the messages of a
	// subprotocol that the server chose; others are left to signatures, as all are
	// in Zeek's default scripts.
	Below map[string]string
}

// Log makes the rows of one worker. One goroutine.
type Log struct {
	cfg   Config
	write func(row []value.Value)
	row   []value.Value
	open  map[string]*handshake // by UID
	shed  uint64
}

// New returns a Log that hands its rows to write, in the order of Schema. A row
// and its strings are valid until write returns.
func New(cfg Config, write func(row []value.Value)) *Log {
	return &Log{cfg: cfg, write: write, open: map[string]*handshake{}}
}

// Shed returns how many handshakes were not kept.
func (l *Log) Shed() uint64 { return l.shed }

// Handler returns what one connection's messages go to; it is what the WebSocket
// factory wants.
func (l *Log) Handler() wire.Handler { return conn{l} }

// handshake is what HTTP said of a connection.
type handshake struct {
	host, uri, agent                value.Value
	seen                            bool // a field of WebSocket's
	subprotocol, key, accept        value.Value
	protocols, extensions, selected []value.Value
	has                             [3]bool // of these
	size                            int
}

// of returns the handshake of a connection, a new one if there is none and add is
// set; nil if there is none.
func (l *Log) of(c analyzer.Conn, add bool) *handshake {
	if !add && len(l.open) == 0 {
		return nil
	}
	uid := c.ID().UID
	h := l.open[uid]
	if h == nil && add {
		if len(l.open) >= maxOpen {
			l.shed++
			return &handshake{}
		}
		h = &handshake{}
		l.open[strings.Clone(uid)] = h
	}
	return h
}

// Request implements the HTTP policy's Handshakes.
func (l *Log) Request(c analyzer.Conn) { l.Over(c) }

// Over implements Handshakes.
func (l *Log) Over(c analyzer.Conn) {
	if len(l.open) > 0 {
		delete(l.open, c.ID().UID)
	}
}

// Header implements Handshakes.
func (l *Log) Header(c analyzer.Conn, orig bool, name, val []byte) {
	h := l.of(c, true)
	h.seen = true
	once := func(v *value.Value, weird string) {
		if v.IsSet() {
			c.Weird(weird, "", source)
		}
		*v = h.text(val)
	}
	switch word := name[len("Sec-WebSocket-"):]; {
	case bytes.EqualFold(word, []byte("Protocol")) && orig:
		h.protocols, h.has[0] = h.list(h.protocols, val), true
	case bytes.EqualFold(word, []byte("Extensions")) && orig:
		h.extensions, h.has[2] = h.list(h.extensions, val), true
	case bytes.EqualFold(word, []byte("Key")) && orig:
		once(&h.key, "websocket_multiple_key_headers")
	case bytes.EqualFold(word, []byte("Protocol")):
		once(&h.subprotocol, "websocket_multiple_protocol_headers")
	case bytes.EqualFold(word, []byte("Extensions")) && !orig:
		h.selected, h.has[1] = h.list(h.selected, val), true
	case bytes.EqualFold(word, []byte("Accept")) && !orig:
		once(&h.accept, "websocket_multiple_accept_headers")
	}
}

// Upgraded implements Handshakes.
func (l *Log) Upgraded(c analyzer.Conn, host, uri, agent value.Value) {
	h := l.of(c, true)
	keep := func(v value.Value) value.Value {
		if v.IsSet() {
			v = h.text([]byte(v.Str()))
		}
		return v
	}
	h.host, h.uri, h.agent = keep(host), keep(uri), keep(agent)
}

// text copies a text, as much of it as is kept.
func (h *handshake) text(b []byte) value.Value {
	b = b[:min(len(b), maxText, max(maxTexts-h.size, 0))]
	h.size += len(b)
	return value.String(string(b))
}

// list appends what commas separate, without the blanks around them.
func (h *handshake) list(to []value.Value, b []byte) []value.Value {
	for {
		at := bytes.IndexByte(b, ',')
		if len(to) >= maxList {
			return to
		}
		if at < 0 {
			return append(to, h.text(b))
		}
		to = append(to, h.text(bytes.TrimRight(b[:at], " ")))
		b = bytes.TrimLeft(b[at+1:], " ")
	}
}

// conn implements the analyzer's Handler. It has no state.
type conn struct{ log *Log }

// Open implements the analyzer's Handler.
func (s conn) Open(c analyzer.Conn) string {
	l := s.log
	h := l.of(c, false)
	if h == nil {
		h = &handshake{}
	}
	if !h.seen {
		c.Weird("websocket_established_unexpected", "", source)
	}
	h.check(c)
	l.output(c, h)
	below := ""
	if h.subprotocol.IsSet() {
		below = l.cfg.Below[h.subprotocol.Str()]
	}
	l.Over(c)
	return below
}

// check tells what is odd about the key and its answer.
func (h *handshake) check(c analyzer.Conn) {
	if !h.key.IsSet() {
		c.Weird("websocket_missing_key_header", "", source)
	}
	if !h.accept.IsSet() {
		c.Weird("websocket_missing_accept_header", "", source)
	}
	if !h.key.IsSet() || !h.accept.IsSet() {
		return
	}
	sum := sha1.Sum([]byte(h.key.Str() + guid))
	if want := base64.StdEncoding.EncodeToString(sum[:]); want != h.accept.Str() {
		c.Weird("websocket_wrong_accept_header", "expected="+want+", found="+h.accept.Str(), source)
	}
}

func (l *Log) output(c analyzer.Conn, h *handshake) {
	id := c.ID()
	list := func(n int, v []value.Value) value.Value {
		if !h.has[n] {
			return value.Value{}
		}
		return value.Vector(v)
	}
	l.row = append(l.row[:0],
		value.Time(float64(c.Now())), value.String(id.UID),
		value.Addr16(id.Orig), value.Port(id.OrigP, id.Proto), value.Addr16(id.Resp), value.Port(id.RespP, id.Proto),
		h.host, h.uri, h.agent, h.subprotocol, list(0, h.protocols), list(1, h.selected), list(2, h.extensions))
	l.write(l.row)
}

// Frame implements the analyzer's Handler.
func (conn) Frame(analyzer.Conn, *wire.Frame) {}

// Message implements the analyzer's Handler.
func (conn) Message(analyzer.Conn, bool, uint8) {}

// Closing implements the analyzer's Handler.
func (conn) Closing(analyzer.Conn, bool, uint16, []byte) {}

// End implements the analyzer's Handler.
func (conn) End(analyzer.Conn) {}
