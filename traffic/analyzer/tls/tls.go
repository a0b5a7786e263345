// Package tls reads the handshakes of SSL 2 to TLS 1.3 over TCP and of DTLS 1.0
// to 1.3 over UDP, as far as they are in clear.
//
// It stands between flow, which hands it the bytes of a connection, and policy,
// which implements Handler. It owns, per connection and direction, a record and
// a message that have not come whole, and the state of the encryption; both
// buffers have limits. Once a connection is established it lets go: what is
// encrypted costs nothing. It decides as Zeek 9.0 does what is TLS and what is
// not, when a connection counts as established, and in which order things are
// seen, since its rows are compared with Zeek's. It never decrypts, checks no
// signature, reads no certificate, and knows nothing of logs.
//
// Sources: see package tlsmsg, which reads records and messages.
package tls

import (
	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
	"github.com/picket-nsm/picket/zeek/value"
)

// Names of the analyzers; they are the source of weirds too.
const (
	NameTLS  = "SSL"
	NameDTLS = "DTLS"
)

// Limits.
const (
	// maxMessage is the longest handshake message that is put together; of a longer
	// one only its kind is told.
	maxMessage = 512 << 10
	// maxHeld is how many bytes of records and messages that have not come whole a
	// worker keeps. What comes then is not read, which is noted in the history of
	// its connection (X).
	maxHeld = 128 << 20
	// maxFragmented is the longest message that DTLS may send in fragments.
	maxFragmented = 100_000
	// maxCertificates is how many certificates of one message are handed over.
	maxCertificates = 256
	// maxAlerts is how many alerts a record may hold (SSL::max_alerts_per_record).
	maxAlerts = 10
	// maxBadVersions is how many DTLS records in a row may carry another protocol's
	// version before the connection is left alone (SSL::dtls_max_version_errors).
	maxBadVersions = 10
	// maxFree is how many finished analyzers are kept for reuse, and keepBuf the
	// largest buffer that is kept with one.
	maxFree = 1024
	keepBuf = 4096
)

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine, in the order in which things were seen. A Handler belongs
// to one connection at a time; after End it is given to another one. What it is
// handed is borrowed until it returns.
//
// Client and server are told by what they say, not by who opened the connection:
// STUN may have done that.
type Handler interface {
	// Hello hands over a ClientHello or a ServerHello, before its Message. One that
	// is not Complete is handed over if it has extensions; no Message follows.
	Hello(c analyzer.Conn, h *tlsmsg.Hello)
	// Message hands over a handshake message that was whole and in clear.
	Message(c analyzer.Conn, m *Message)
	// Event says that something else happened.
	Event(c analyzer.Conn, e Event)
	// End says that the connection is going, or the analyzer was taken away.
	End(c analyzer.Conn)
}

// Message is a handshake message.
type Message struct {
	Kind   uint8 // tlsmsg.Finished ...
	Client bool  // who sent it
	V2     bool  // no message of its own: the certificate in SSL 2's SERVER-HELLO
	Len    int   // of its body

	Certificates [][]byte // Certificate: the chain, as sent, without empty entries
	First        bool     // Certificates[0] is the first entry of the chain
	Named        bool     // ServerKeyExchange: names a curve, which is
	Curve        uint16
	OCSP         []byte // CertificateStatus: an OCSP response
	Retry        bool   // ServerHello: it asks for another ClientHello
}

// Event is something that is neither a hello nor a handshake message.
type Event struct {
	Kind   Kind
	Client bool
	Type   uint16 // Plaintext: content type; SSL 2's are 300 and more
	Level  uint8  // Alert
	Desc   uint16 // Alert; SSL 2: its error code
}

// Kind says what an Event is.
type Kind uint8

// Kinds of events.
const (
	ChangeCipherSpec Kind = iota
	Alert
	Heartbeat   // in clear
	Plaintext   // a record in clear was read; said after what was in it
	Flipped     // the client turns out to be the other side than was thought
	Established // both sides encrypt
	Failed      // these are not TLS's bytes: said after Conn.Violation
)

// Factories returns the factories of one worker, for TLS and for DTLS; they and
// their analyzers are used by one goroutine. newHandler is called for an analyzer
// that is made, not for one that is used again.
func Factories(newHandler func() Handler) []analyzer.Factory {
	s := &shared{newHandler: newHandler,
		streams: freelist.New[*stream](maxFree), datagrams: freelist.New[*datagrams](maxFree)}
	return []analyzer.Factory{
		{
			Name:       NameTLS,
			Ports:      ports(value.ProtoTCP, 443, 465, 563, 585, 614, 636, 989, 990, 992, 993, 995, 5223),
			Signatures: signatures.SSL(),
			New:        s.newStream,
		},
		{
			Name:       NameDTLS,
			Ports:      ports(value.ProtoUDP, 443),
			Signatures: signatures.DTLS(),
			New:        s.newDatagrams,
		},
	}
}

func ports(proto value.Proto, nums ...uint16) []analyzer.Port {
	list := make([]analyzer.Port, len(nums))
	for i, n := range nums {
		list[i] = analyzer.Port{Num: n, Proto: proto}
	}
	return list
}

// shared is what the analyzers of a worker have in common.
type shared struct {
	newHandler func() Handler
	hello      tlsmsg.Hello
	msg        Message
	whole      []byte // a message put together from fragments
	held       int    // bytes kept by all connections
	streams    freelist.List[*stream]
	datagrams  freelist.List[*datagrams]
}

func (s *shared) newStream(value.Proto) analyzer.Analyzer {
	if t := s.streams.Take(); t != nil {
		return t
	}
	return &stream{conn: conn{s: s, h: s.newHandler(), name: NameTLS, suite: noSuite}}
}

func (s *shared) newDatagrams(value.Proto) analyzer.Analyzer {
	if t := s.datagrams.Take(); t != nil {
		return t
	}
	return &datagrams{conn: conn{s: s, h: s.newHandler(), name: NameDTLS, suite: noSuite}}
}
