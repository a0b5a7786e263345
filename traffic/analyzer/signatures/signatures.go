// Package signatures is the table of what the first bytes of protocols look
// like.
//
// A protocol's Factory names its signatures from here; flow matches those of all
// factories at once and adds the analyzer whose signature matched. They stand
// together in one table, because they share one automaton: a test here keeps the
// number of states that hostile bytes can call for small, and another shows
// what each makes of the others' traffic. The package is data alone.
//
// Patterns say what the protocols' documents ask of a first message, loosely
// where implementations are loose, and what Zeek takes for it: the names of the
// analyzers in conn.log's service column depend on it. Where there is a choice a
// pattern is written so that it dies early on other bytes: it costs time on
// every connection as long as it may still match.
package signatures

import (
	"strings"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// Protocols of lines are searched line by line, until a control character that no
// text has: at most one piece of binary data is looked through.
const (
	text    = `[\t-\r -\xff]`
	line    = `(` + text + `*[\r\n])? *`           // where a line begins, the first or a later one
	between = text + `+[\r\n]+ *`                  // from within a line to a later one
	spaced  = `(` + text + `*[\r\n])?[[:space:]]*` // where a line begins, with more space in front
)

func tcp(name string, from analyzer.Side, pattern string) analyzer.Signature {
	return analyzer.Signature{Name: name, Proto: value.ProtoTCP, From: from, Pattern: pattern}
}

func udp(name string, from analyzer.Side, pattern string) analyzer.Signature {
	return analyzer.Signature{Name: name, Proto: value.ProtoUDP, From: from, Pattern: pattern}
}

// half says that a match proves nothing alone.
func half(s analyzer.Signature) analyzer.Signature {
	s.Half = true
	return s
}

// if the other direction matches reverse, too.
func with(reverse string, s analyzer.Signature) analyzer.Signature {
	s.Reverse = reverse
	return s
}

// methods are the words at the start of a request: the IANA registry of HTTP
// methods, without PRI that opens HTTP/2 (RFC 9110, 3253, 3648, 3744, 4437,
// 4791, 4918, 5323, 5789, 5842, 2068), and those of Microsoft's WebDAV and RPC
// over HTTP.
var methods = [...]string{
	"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
	"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "SEARCH", "ACL", "REPORT",
	"VERSION-CONTROL", "CHECKOUT", "CHECKIN", "UNCHECKOUT", "MKWORKSPACE", "UPDATE", "LABEL", "MERGE",
	"BASELINE-CONTROL", "MKACTIVITY", "ORDERPATCH", "MKCALENDAR", "MKREDIRECTREF", "BIND", "UNBIND", "REBIND",
	"LINK", "UNLINK",
	"BCOPY", "BDELETE", "BMOVE", "BPROPFIND", "BPROPPATCH", "NOTIFY", "POLL", "SUBSCRIBE", "UNSUBSCRIBE", "X-MS-ENUMATTS",
	"RPC_IN_DATA", "RPC_OUT_DATA",
}

// HTTP (RFC 9112). Each side proves it alone: a large request or reply may use
// up what signatures look at.
func HTTP() []analyzer.Signature {
	return []analyzer.Signature{
		tcp("http-client", analyzer.FromOrig, `^[[:space:]]*(`+strings.Join(methods[:], "|")+`)`),
		tcp("http-server", analyzer.FromResp, `^(?i:http)\/[0-9]`),
	}
}

// SSL is TLS and SSLv3 (RFC 8446, 5246, 6101): a record with a hello. The
// server may send an alert first, and a draft's version (7f).
func SSL() []analyzer.Signature {
	const record, alert = `\x16\x03[\x00-\x03]..`, `(\x15\x03[\x00-\x03].{4})?`
	return []analyzer.Signature{
		tcp("tls-client", analyzer.FromOrig, `^`+record+`\x01.{3}\x03[\x00-\x03]`),
		tcp("tls-server", analyzer.FromResp, `^`+alert+record+`\x02.{3}(\x03[\x00-\x04]|\x7f[\x00-\x50])`),
	}
}

// DTLS (RFC 6347): a ClientHello in the first epoch.
func DTLS() []analyzer.Signature {
	return []analyzer.Signature{
		udp("dtls-client", analyzer.Either, `^\x16\xfe[\xfd\xff]\x00{7}.{3}\x01.{11}\xfe[\xfd\xff]`),
	}
}

// QUIC (RFC 9000, 9369): a long header with version 1; with version 2 and the
// type of an Initial.
func QUIC() []analyzer.Signature {
	return []analyzer.Signature{
		udp("quic-v1", analyzer.Either, `^[\xc0-\xcf]\x00\x00\x00\x01`),
		udp("quic-v2", analyzer.Either, `^[\xd0-\xdf]\x6b\x33\x43\xcf`),
	}
}

// SSH (RFC 4253): the version line of both sides.
func SSH() []analyzer.Signature {
	const version = `^(?i:ssh)-[12]\.`
	return []analyzer.Signature{
		with("ssh-server", tcp("ssh-client", analyzer.FromOrig, version)),
		half(tcp("ssh-server", analyzer.FromResp, version)),
	}
}

// SMTP (RFC 5321): a greeting, and the server's banner.
func SMTP() []analyzer.Signature {
	return []analyzer.Signature{
		with("smtp-server", tcp("smtp-client", analyzer.FromOrig, spaced+`(?i:helo|ehlo)`)),
		half(tcp("smtp-server", analyzer.FromResp, `^[[:space:]]*220[[:space:]-]`)),
	}
}

// FTP (RFC 959): a login, after the banner and with the reply to it.
func FTP() []analyzer.Signature {
	return []analyzer.Signature{
		half(tcp("ftp-client", analyzer.FromOrig, line+`(?i:user) `)),
		with("ftp-client", tcp("ftp-server", analyzer.FromResp, `[\r\n ]*[12]20[^0-9]`+text+`*[\r\n] *(230|331)[^0-9]`)),
	}
}

// IRC (RFC 1459, 2812): a client's registration in either order with a numeric
// reply, or two servers.
func IRC() []analyzer.Signature {
	const server = line + `(?i:server) +[^ \r\n]+ +[0-9]+ +:` + text + `+[\r\n]`
	return []analyzer.Signature{
		with("irc-reply", tcp("irc-user-nick", analyzer.FromOrig, line+`(?i:user) +`+between+`(?i:nick) +`+text+`*[\r\n]`)),
		with("irc-reply", tcp("irc-nick-user", analyzer.FromOrig, line+`(?i:nick) +`+between+`(?i:user) +`+text+`+[\r\n]`)),
		half(tcp("irc-reply", analyzer.FromResp, `(`+text+`*[\r\n])?(:[^ \r\n]+ )?[0-9]{3} `)),
		with("irc-server-there", tcp("irc-server-here", analyzer.Either, server)),
		half(tcp("irc-server-there", analyzer.Either, server)),
	}
}

// POP3 (RFC 1939, 2449, 2595, 5034): a first command, and a good answer.
func POP3() []analyzer.Signature {
	return []analyzer.Signature{
		half(tcp("pop3-client", analyzer.FromOrig, spaced+`(?i:(user|apop)[[:space:]]|capa|auth|stls)`)),
		with("pop3-client", tcp("pop3-server", analyzer.FromResp, `^\+OK`)),
	}
}

// SIP (RFC 3261) over UDP: a request line, perhaps behind empty lines, or a
// status line.
func SIP() []analyzer.Signature {
	return []analyzer.Signature{
		udp("sip-request", analyzer.Either, `^[\r\n]*[[:print:]\t\x80-\xff]* SIP\/[0-9]\.[0-9]\r\n`),
		udp("sip-status", analyzer.Either, `^ ?SIP\/[0-9]\.[0-9](\r\n| [0-9]{3} )`),
	}
}

// DHCP (RFC 2131): the cookie behind the fixed part of a request or reply.
func DHCP() []analyzer.Signature {
	return []analyzer.Signature{
		udp("dhcp", analyzer.Either, `^[\x01\x02].{235}\x63\x82\x53\x63`),
	}
}

// MQTT (3.1, 3.1.1, 5.0): a CONNECT with a protocol name MQTT or MQIsdp.
func MQTT() []analyzer.Signature {
	return []analyzer.Signature{
		tcp("mqtt-connect", analyzer.Either, `^\x10.{1,4}\x00[\x04\x06]MQ`),
	}
}

// SOCKS 4 and 5 (RFC 1928, 1929 and the IANA registry of methods), in both
// directions, because some start behind a connection in reverse.
func SOCKS() []analyzer.Signature {
	const (
		request4 = `^\x04[\x01\x02].{6}[^\x00]{0,32}\x00`
		reply4   = `^\x00[\x5a-\x5d]`
		methods5 = `\x00-\x03\x05-\x09`
	)
	return []analyzer.Signature{
		half(tcp("socks4-client", analyzer.FromOrig, request4)),
		with("socks4-client", tcp("socks4-server", analyzer.FromResp, reply4)),
		half(tcp("socks4-client-reverse", analyzer.FromResp, request4)),
		with("socks4-client-reverse", tcp("socks4-server-reverse", analyzer.FromOrig, reply4)),
		half(tcp("socks5-client", analyzer.FromOrig, `^\x05[^\x00][`+methods5+`]`)),
		with("socks5-client", tcp("socks5-server", analyzer.FromResp, `^\x05[`+methods5+`\xff]`)),
	}
}

// RFB (RFC 6143): the version of both sides.
func RFB() []analyzer.Signature {
	return []analyzer.Signature{
		half(tcp("rfb-client", analyzer.FromOrig, `^RFB`)),
		with("rfb-client", tcp("rfb-server", analyzer.FromResp, `^RFB`)),
	}
}

// XMPP (RFC 6120): the tag that opens a stream.
func XMPP() []analyzer.Signature {
	return []analyzer.Signature{
		tcp("xmpp-stream", analyzer.Either, `^(<\?xml[^?>]*\?>)?[\r\n ]*<stream:stream [^>]*xmlns='jabber:`),
	}
}
