package tls

import (
	"fmt"
	"strconv"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
)

// noSuite says that no server has chosen yet.
const noSuite = 0xffffff

// conn is what TLS and DTLS connections have in common. Sides are counted by who
// opened the connection: 0 is the originator.
type conn struct {
	s    *shared
	h    Handler
	name string

	flipped, alerted bool // the client is the responder; and that was told
	confirmed        bool
	encrypts         [2]bool
	established      bool
	skip             bool // nothing more is looked at
	version          uint16
	suite            uint32
	msgs             [2]partial
	held             int // bytes kept
}

// partial is a handshake message that has not come whole.
type partial struct {
	buf  []byte // header and body
	drop int    // bytes still to come of a message that is too long
}

// restart gives a conn to another connection.
func (k *conn) restart() {
	k.s.held -= k.held
	for i := range k.msgs {
		m := &k.msgs[i]
		m.drop, m.buf = 0, m.buf[:0]
		if cap(m.buf) > keepBuf {
			m.buf = nil
		}
	}
	*k = conn{s: k.s, h: k.h, name: k.name, suite: noSuite, msgs: k.msgs}
}

// hold appends to a buffer, unless too much is kept already.
func (k *conn) hold(c analyzer.Conn, buf, data []byte) ([]byte, bool) {
	if k.s.held+len(data) > maxHeld {
		analyzer.ReachLimit(c)
		return buf, false
	}
	k.s.held += len(data)
	k.held += len(data)
	return append(buf, data...), true
}

// letGo empties a buffer.
func (k *conn) letGo(buf []byte) []byte {
	k.s.held -= len(buf)
	k.held -= len(buf)
	if cap(buf) > keepBuf {
		return nil
	}
	return buf[:0]
}

func side(orig bool) int {
	if orig {
		return 0
	}
	return 1
}

// label is who sent something, as reasons of violations say it.
func label(orig bool) string {
	if orig {
		return "originator"
	}
	return "responder"
}

// client reports whether a side is the client.
func (k *conn) client(orig bool) bool { return orig != k.flipped }

// fail says that the bytes are not of the protocol.
func (k *conn) fail(c analyzer.Conn, reason string) {
	c.Violation(k.name, reason, nil)
	k.h.Event(c, Event{Kind: Failed})
}

// malformed is fail for something cut or with a length that does not fit.
func (k *conn) malformed(c analyzer.Conn, what string) {
	k.fail(c, "malformed "+what)
}

func (k *conn) event(c analyzer.Conn, orig bool, e Event) {
	e.Client = k.client(orig)
	k.h.Event(c, e)
}

// setVersion notes the version that the server chose: the first one told counts,
// and supported_versions is told before the version of the hello itself.
func (k *conn) setVersion(v uint16) {
	if k.version == 0 {
		k.version = v
	}
}

// direction notes who is who from a message that only one of them sends.
func (k *conn) direction(c analyzer.Conn, client, orig bool) {
	switch {
	case k.client(orig) == client:
	case k.flipped:
		k.flipped = false
		k.h.Event(c, Event{Kind: Flipped})
		if !k.alerted {
			k.alerted = true
			c.Weird("SSL_unclear_connection_direction", "", k.name)
		}
	default:
		k.flipped = true
		k.h.Event(c, Event{Kind: Flipped})
	}
}

// handshake takes bytes of the stream of handshake messages. One that lies there
// whole is read in place. After a malformed one the rest of the bytes at hand is
// dropped, and the next ones are taken for a new message.
func (k *conn) handshake(c analyzer.Conn, orig bool, data []byte) {
	m := &k.msgs[side(orig)]
	for len(data) > 0 {
		if m.drop > 0 {
			n := min(m.drop, len(data))
			m.drop -= n
			data = data[n:]
			if m.drop == 0 {
				k.tooLong(c, orig, m)
			}
			continue
		}
		if len(m.buf) == 0 && len(data) >= tlsmsg.MessageHeaderLen {
			if kind, n := tlsmsg.ParseMessageHeader(data); len(data)-tlsmsg.MessageHeaderLen >= n {
				body := data[tlsmsg.MessageHeaderLen : tlsmsg.MessageHeaderLen+n]
				if !k.message(c, orig, kind, body) {
					return
				}
				data = data[tlsmsg.MessageHeaderLen+n:]
				continue
			}
		}
		var ok bool
		if data, ok = k.gather(c, orig, m, data); !ok {
			m.buf = k.letGo(m.buf)
			return
		}
	}
}

// gather adds bytes to a cut message, reads it if that completes it, and returns
// the rest. ok is false if it was malformed.
func (k *conn) gather(c analyzer.Conn, orig bool, m *partial, data []byte) (rest []byte, ok bool) {
	if n := min(tlsmsg.MessageHeaderLen-len(m.buf), len(data)); n > 0 {
		m.buf = append(m.buf, data[:n]...) // without a header nothing could be skipped
		k.s.held += n
		k.held += n
		data = data[n:]
	}
	if len(m.buf) < tlsmsg.MessageHeaderLen {
		return nil, true
	}
	kind, size := tlsmsg.ParseMessageHeader(m.buf)
	need := tlsmsg.MessageHeaderLen + size
	n := min(need-len(m.buf), len(data))
	ok = size <= maxMessage
	if ok {
		m.buf, ok = k.hold(c, m.buf, data[:n])
	}
	if !ok {
		m.drop = need - len(m.buf)
		return data, true
	}
	if len(m.buf) == need {
		ok = k.message(c, orig, kind, m.buf[tlsmsg.MessageHeaderLen:])
		m.buf = k.letGo(m.buf)
		return data[n:], ok
	}
	return data[n:], true
}

// tooLong ends a message that was not read.
func (k *conn) tooLong(c analyzer.Conn, orig bool, m *partial) {
	kind, n := tlsmsg.ParseMessageHeader(m.buf)
	m.buf = k.letGo(m.buf)
	if !tlsmsg.Known(kind) {
		k.unknown(c, orig, kind)
	}
	k.s.msg = Message{Kind: kind, Client: k.client(orig), Len: n}
	k.h.Message(c, &k.s.msg)
}

func (k *conn) unknown(c analyzer.Conn, orig bool, kind uint8) {
	k.fail(c, fmt.Sprintf("unknown handshake message (%d) from %s", kind, label(orig)))
}

// message reads a whole handshake message. It returns false if it is malformed.
func (k *conn) message(c analyzer.Conn, orig bool, kind uint8, body []byte) bool {
	m := &k.s.msg
	*m = Message{Kind: kind, Len: len(body), Certificates: m.Certificates[:0]}
	switch kind {
	case tlsmsg.HelloRequest:
		k.direction(c, false, orig)
	case tlsmsg.ClientHello:
		k.direction(c, true, orig)
		k.s.hello.ParseClient(body)
		if !k.hello(c, &k.s.hello) {
			k.malformed(c, "ClientHello")
			return false
		}
	case tlsmsg.ServerHello:
		k.direction(c, false, orig)
		k.s.hello.ParseServer(body)
		if !k.hello(c, &k.s.hello) {
			k.malformed(c, "ServerHello")
			return false
		}
		m.Retry = k.s.hello.Retry()
	case tlsmsg.Certificate:
		var ok bool
		if m.Certificates, ok = tlsmsg.ParseCertificates(m.Certificates, body, maxCertificates); !ok {
			k.malformed(c, "Certificate")
			return false
		}
		k.withoutEmpty(c, m)
	case tlsmsg.ServerKeyExchange:
		var ok bool
		if m.Curve, m.Named, ok = tlsmsg.ParseServerKeyExchange(k.suite, k.version, body); !ok {
			k.malformed(c, "ServerKeyExchange")
			return false
		}
	case tlsmsg.CertificateStatus:
		status, response, ok := tlsmsg.ParseCertificateStatus(body)
		switch {
		case !ok:
			k.malformed(c, "CertificateStatus")
			return false
		case len(response) == 0:
			c.Weird("SSL_zero_length_stapled_OCSP_message", "", k.name)
		case status == 1:
			m.OCSP = response
		}
	default:
		switch {
		case !tlsmsg.Known(kind):
			k.unknown(c, orig, kind)
		case !tlsmsg.CheckMessage(kind, k.version, body):
			k.malformed(c, "handshake message of type "+strconv.Itoa(int(kind)))
			return false
		}
	}
	m.Client = k.client(orig)
	k.h.Message(c, m)
	clear(m.Certificates)
	return true
}

// withoutEmpty leaves out entries of a chain that have no bytes.
func (k *conn) withoutEmpty(c analyzer.Conn, m *Message) {
	kept := m.Certificates[:0]
	for i, cert := range m.Certificates {
		if len(cert) == 0 {
			c.Weird("zero_length_certificate", "", k.name)
			continue
		}
		if i == 0 {
			m.First = true
		}
		kept = append(kept, cert)
	}
	m.Certificates = kept
}

// hello tells of a hello that was parsed. It returns false if it is malformed.
func (k *conn) hello(c analyzer.Conn, h *tlsmsg.Hello) bool {
	for _, t := range h.NameTypes {
		c.Weird("ssl_ext_unknown_server_name_type", strconv.Itoa(int(t)), k.name)
	}
	if h.InnerECH != 0 {
		c.Weird("ssl_unexpected_inner_encrypted_client_hello", "", k.name)
	}
	if !h.Client && len(h.Versions) == 1 {
		k.setVersion(h.Versions[0])
	}
	if !h.Complete {
		if len(h.Extensions) > 0 {
			k.h.Hello(c, h)
		}
		return false
	}
	if !h.Client {
		if len(h.Ciphers) > 0 {
			k.suite = h.Ciphers[0]
		}
		k.setVersion(h.Version)
	}
	k.judge(c, h)
	k.h.Hello(c, h)
	return true
}

// judge confirms or fails by the version that a hello names.
func (k *conn) judge(c analyzer.Conn, h *tlsmsg.Hello) {
	if tlsmsg.VersionOK(h.Version) {
		if h.Client && !k.confirmed {
			k.confirmed = true
			c.Confirm(k.name)
		}
		return
	}
	// What its extensions say is known before the version is looked at.
	if len(h.Extensions) > 0 {
		h.Complete = false
		k.h.Hello(c, h)
		h.Complete = true
	}
	who := "server"
	if h.Client {
		who = "client"
	}
	k.fail(c, fmt.Sprintf("unsupported %s SSL version 0x%04x", who, h.Version))
	k.skip = true
}

// plain reads what a record in clear holds, one piece of it, and returns how
// much that was; ok is false if it is malformed. All kinds but handshake messages
// are alike in TLS and DTLS.
func (k *conn) plain(c analyzer.Conn, orig bool, kind uint16, body []byte) (n int, ok bool) {
	n = len(body)
	switch kind {
	case tlsmsg.ChangeCipherSpec:
		n = 1
		if !tlsmsg.Is13(k.version) { // in TLS 1.3 it has no meaning
			k.encrypts[side(orig)] = true
		}
		k.event(c, orig, Event{Kind: ChangeCipherSpec})
	case tlsmsg.Alert:
		if !k.alerts(c, orig, body) {
			k.malformed(c, "alert")
			return 0, false
		}
	case tlsmsg.Heartbeat:
		if len(body) < 3 {
			k.malformed(c, "heartbeat")
			return 0, false
		}
		k.event(c, orig, Event{Kind: Heartbeat})
	case tlsmsg.ApplicationData:
	default:
		k.fail(c, fmt.Sprintf("unknown SSL record type (%d) from %s", kind, label(orig)))
	}
	k.event(c, orig, Event{Kind: Plaintext, Type: kind})
	return n, true
}

func (k *conn) alerts(c analyzer.Conn, orig bool, body []byte) bool {
	limit := 2 * maxAlerts
	if tlsmsg.Is13(k.version) {
		limit = 2 // RFC 8446, 5.1: one alert a record
	}
	if len(body) > limit {
		c.Weird("SSL_excessive_alerts_in_record", strconv.Itoa(len(body)/2), k.name)
		body = body[:limit]
	}
	for len(body) > 1 {
		k.event(c, orig, Event{Kind: Alert, Level: body[0], Desc: uint16(body[1])})
		body = body[2:]
	}
	return len(body) == 0
}

// cipher notes a record that is encrypted. With the first one after both sides
// began to encrypt the connection is established, and the analyzer lets go.
func (k *conn) cipher(c analyzer.Conn) {
	if k.encrypts[0] && k.encrypts[1] && !k.established {
		k.establish(c)
	}
}

func (k *conn) establish(c analyzer.Conn) {
	k.established = true
	k.h.Event(c, Event{Kind: Established})
	k.skip = true
	if k.confirmed {
		analyzer.Remove(c)
	}
}
