// Package ssl writes ssl.log: one row for each TLS or DTLS connection.
//
// It stands behind the TLS analyzer, whose Handler it implements, hands
// certificates to the table of files, and hands rows to the log stream. It owns,
// per connection, the row in the making. It never looks at packets and reads no
// certificate itself.
//
// The rules are those of Zeek 9.0 (zeek-semantics.md section 5): the row is
// written once, when the connection is established, when its bytes turn out not
// to be TLS, or when it goes.
package ssl

import (
	"strconv"

	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/tls"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
	"github.com/picket-nsm/picket/traffic/format/x509"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/text"
	"github.com/picket-nsm/picket/zeek/value"
)

const (
	// maxHistory is how many letters ssl_history has (SSL::max_ssl_history_length).
	maxHistory = 100
	// maxText and maxChain are one more than what the log writers keep, so that they
	// still see that something was cut.
	maxText  = 4097
	maxChain = 101
	// keepText is the largest text that is kept for reuse.
	keepText = 256
)

// Config is what a user may set.
type Config struct {
	// Fingerprints adds the columns ja3, ja3s and ja4: what clients and servers
	// look like, as Zeek packages of these names show it.
	Fingerprints bool
}

// Default returns the settings of Zeek's default scripts.
func Default() Config { return Config{} }

// Schema returns the columns of ssl.log.
func Schema(cfg Config) *record.Schema {
	s := record.New("SSL::LOG", "ssl",
		record.Conn(),
		record.Optional("version", value.KindString),
		record.Optional("cipher", value.KindString),
		record.Optional("curve", value.KindString),
		record.Optional("server_name", value.KindString),
		record.Optional("resumed", value.KindBool),
		record.Optional("last_alert", value.KindString),
		record.Optional("next_protocol", value.KindString),
		record.Optional("established", value.KindBool),
		record.Optional("ssl_history", value.KindString),
		record.Optional("cert_chain_fps", value.KindVector, value.KindString),
		record.Optional("client_cert_chain_fps", value.KindVector, value.KindString),
		record.Optional("sni_matches_cert", value.KindBool),
	)
	if cfg.Fingerprints {
		for _, name := range [...]string{"ja3", "ja3s", "ja4"} {
			s.Fields = append(s.Fields, record.Optional(name, value.KindString)...)
		}
	}
	return s
}

// Log makes the rows of one worker. One goroutine.
type Log struct {
	cfg   Config
	write func(row []value.Value)
	files *files.Table
	row   []value.Value
	chain [2][]value.Value

	// Established, if not nil, is told of each connection that is established.
	Established func(c analyzer.Conn)
}

// New returns a Log that hands its rows to write, in the order of Schema; a row
// and its strings are valid until write returns. Certificates go to table.
func New(cfg Config, write func(row []value.Value), table *files.Table) *Log {
	l := &Log{cfg: cfg, write: write, files: table, row: make([]value.Value, numColumns)}
	if !cfg.Fingerprints {
		l.row = l.row[:colJA3]
	}
	return l
}

// Handler returns what one connection's handshake goes to; it is what the TLS
// factories want.
func (l *Log) Handler() wire.Handler { return &conn{log: l} }

// cert is one certificate of a chain.
type cert struct {
	fingerprint string            // empty: it could not be read
	parsed      *x509.Certificate // of the server's first one; it is shared
}

// conn is the row of one connection in the making. It implements the analyzer's
// Handler.
type conn struct {
	log    *Log
	open   bool // there is something to log
	logged bool
	rows.Conn
	history  []byte
	name     []byte // of the server, as the client wants it
	protocol []byte
	ja       [3][]byte

	version    uint16
	suite      uint32
	curve      uint16
	alert      uint16
	hasVersion bool
	hasSuite   bool
	hasCurve   bool
	hasName    bool
	hasAlert   bool
	hasProto   bool
	hasChain   bool // a certificate was seen from either side

	established bool
	resumed     bool
	ticket      bool // the client sent a ticket and no session id
	keyExchange bool // the client sent key material
	psk         bool // the client offers a key of an earlier session
	hasSession  bool
	session     [32]byte
	chain       [2][]cert // of the client, of the server

	// While files look at a certificate.
	file  fileName
	given cert
}

// reset gives a conn to another connection.
func (s *conn) reset() {
	for i := range s.chain {
		clear(s.chain[i])
	}
	*s = conn{
		log: s.log, Conn: s.Conn.Emptied(), history: s.history[:0], name: rows.Emptied(s.name, keepText), protocol: rows.Emptied(s.protocol, keepText),
		ja: [3][]byte{s.ja[0][:0], s.ja[1][:0], s.ja[2][:0]}, chain: [2][]cert{s.chain[0][:0], s.chain[1][:0]},
	}
}

// begin opens the row.
func (s *conn) begin(c analyzer.Conn) {
	if s.open {
		return
	}
	s.open = true
	s.Conn.Begin(c)
}

// Hello implements the analyzer's Handler.
func (s *conn) Hello(c analyzer.Conn, h *tlsmsg.Hello) {
	s.begin(c)
	if h.Client {
		s.clientHello(c, h)
	} else {
		s.serverHello(c, h)
	}
	if h.Complete && s.log.cfg.Fingerprints {
		s.fingerprint(h)
	}
}

func (s *conn) clientHello(c analyzer.Conn, h *tlsmsg.Hello) {
	if len(h.Names) > 0 {
		s.name = append(s.name[:0], h.Names[0][:min(len(h.Names[0]), maxText)]...)
		s.hasName = true
		if len(h.Names) > 1 {
			c.Weird("SSL_many_server_names", string(text.AppendVector(nil, h.Names, maxText)), "")
		}
	}
	if h.Ticket {
		s.ticket = true
	}
	if h.PSK {
		s.psk = true
	}
	if !h.Complete {
		return
	}
	if session := padded(h.SessionID); session != [32]byte{} {
		s.session, s.hasSession, s.ticket = session, true, false
	}
	if h.V2 {
		s.letter(c, true, 'c')
	}
}

func (s *conn) serverHello(c analyzer.Conn, h *tlsmsg.Hello) {
	if len(h.Versions) == 1 {
		s.version, s.hasVersion = h.Versions[0], true
	}
	if len(h.KeyShares) == 1 {
		s.curve, s.hasCurve = h.KeyShares[0], true
	}
	if len(h.Protocols) > 0 {
		s.protocol = append(s.protocol[:0], h.Protocols[0]...)
		s.hasProto = true
	}
	if h.PSK && s.psk {
		s.resumed = true
	}
	if !h.Complete {
		return
	}
	if !s.hasVersion {
		s.version, s.hasVersion = h.Version, true
	}
	s.suite, s.hasSuite = 0, true
	if len(h.Ciphers) > 0 {
		s.suite = h.Ciphers[0]
	}
	if s.hasSession && s.session == padded(h.SessionID) && !tlsmsg.Is13(s.version) {
		s.resumed = true
	}
	if h.Version == tlsmsg.SSL2 {
		s.letter(c, false, 's')
	}
}

// padded is a session id as Zeek compares it: filled up with zeros, or nothing if
// it is too long.
func padded(id []byte) (p [32]byte) {
	if len(id) <= len(p) {
		copy(p[:], id)
	}
	return p
}

// Message implements the analyzer's Handler.
func (s *conn) Message(c analyzer.Conn, m *wire.Message) {
	for i, der := range m.Certificates {
		s.certificate(c, m.Client, i, i == 0 && m.First, der)
	}
	if m.V2 {
		return
	}
	if len(m.OCSP) > 0 {
		s.stapled(c, m.OCSP)
	}
	s.begin(c)
	if m.Named {
		s.curve, s.hasCurve = m.Curve, true
	}
	if m.Client && m.Kind == tlsmsg.ClientKeyExchange {
		s.keyExchange = true
	}
	s.letter(c, m.Client, letterOf(m))
}

// Event implements the analyzer's Handler.
func (s *conn) Event(c analyzer.Conn, e wire.Event) {
	switch e.Kind {
	case wire.Failed:
		if s.open {
			s.finish()
		}
		return
	case wire.Flipped:
		s.begin(c)
		if len(s.history) < maxText {
			s.history = append(s.history, '^')
		}
		return
	}
	s.begin(c)
	switch e.Kind {
	case wire.ChangeCipherSpec:
		s.letter(c, e.Client, 'i')
		if e.Client && s.ticket && !s.keyExchange {
			s.resumed = true
		}
	case wire.Alert:
		s.letter(c, e.Client, 'l')
		s.alert, s.hasAlert = e.Desc, true
	case wire.Heartbeat:
		s.letter(c, e.Client, 'b')
	case wire.Plaintext:
		if e.Type == tlsmsg.ApplicationData && s.hasVersion && !s.established {
			c.Weird("ssl_early_application_data", "", "")
		}
	case wire.Established:
		s.established = true
		if f := s.log.Established; f != nil {
			f(c)
		}
		s.finish()
	}
}

// End implements the analyzer's Handler.
func (s *conn) End(analyzer.Conn) {
	if s.open {
		s.finish()
	}
	s.reset()
}

// letter adds to the history.
func (s *conn) letter(c analyzer.Conn, client bool, letter byte) {
	if len(s.history) == maxHistory {
		return
	}
	if client {
		letter -= 'a' - 'A'
	}
	if s.history = append(s.history, letter); len(s.history) == maxHistory {
		c.Weird("SSL_max_ssl_history_length_reached", strconv.Itoa(maxHistory), "SSL")
		analyzer.ReachLimit(c)
	}
}

// letterOf is how a message is shown in the history, as if the server sent it.
func letterOf(m *wire.Message) byte {
	switch m.Kind {
	case tlsmsg.HelloRequest:
		return 'h'
	case tlsmsg.ClientHello:
		return 'c'
	case tlsmsg.ServerHello:
		if m.Retry {
			return 'j'
		}
		return 's'
	case tlsmsg.HelloVerifyRequest:
		return 'v'
	case tlsmsg.NewSessionTicket:
		return 't'
	case tlsmsg.EndOfEarlyData:
		return 'e'
	case tlsmsg.HelloRetryRequest:
		return 'j'
	case tlsmsg.EncryptedExtensions:
		return 'o'
	case tlsmsg.Certificate:
		return 'x'
	case tlsmsg.ServerKeyExchange:
		return 'k'
	case tlsmsg.CertificateRequest:
		return 'r'
	case tlsmsg.ServerHelloDone:
		return 'n'
	case tlsmsg.CertificateVerify:
		return 'y'
	case tlsmsg.ClientKeyExchange:
		return 'g'
	case tlsmsg.Finished:
		return 'f'
	case tlsmsg.CertificateURL:
		return 'w'
	case tlsmsg.CertificateStatus:
		return 'u'
	case tlsmsg.SupplementalData:
		return 'a'
	case tlsmsg.KeyUpdate:
		return 'p'
	case tlsmsg.MessageHash:
		return 'm'
	}
	return 'z'
}
