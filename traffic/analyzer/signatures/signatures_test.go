package signatures

import (
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/rx"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// all are the signatures of all protocols.
func all() map[string][]analyzer.Signature {
	return map[string][]analyzer.Signature{
		"HTTP": HTTP(), "SSL": SSL(), "DTLS": DTLS(), "QUIC": QUIC(), "SSH": SSH(), "SMTP": SMTP(), "FTP": FTP(),
		"IRC": IRC(), "POP3": POP3(), "SIP": SIP(), "DHCP": DHCP(), "MQTT": MQTT(), "SOCKS": SOCKS(), "RFB": RFB(),
		"XMPP": XMPP(), "SMB": SMB(), "DCE_RPC": DCERPC(), "KRB": KRB(), "KRB_TCP": KRBTCP(), "LDAP_TCP": LDAPTCP(),
		"LDAP_UDP": LDAPUDP(), "RDP": RDP(), "RDPEUDP": RDPEUDP(), "DNP3_TCP": DNP3TCP(), "DNP3_UDP": DNP3UDP(),
		"POSTGRESQL": PostgreSQL(), "REDIS": Redis(),
	}
}

// set gathers the patterns of one direction of a transport.
func set(t testing.TB, proto value.Proto, from analyzer.Side) (*rx.Set, []string) {
	var patterns, names []string
	protocols := all()
	var order []string
	for name := range protocols {
		order = append(order, name)
	}
	slices.Sort(order)
	for _, p := range order {
		for _, s := range protocols[p] {
			if s.Proto == proto && (s.From == from || s.From == analyzer.Either) {
				patterns, names = append(patterns, s.Pattern), append(names, s.Name)
			}
		}
	}
	compiled, err := rx.Compile(patterns, rx.Options{DotNewline: true})
	if err != nil {
		t.Fatal(err)
	}
	return compiled, names
}

var directions = []struct {
	name  string
	proto value.Proto
	from  analyzer.Side
}{
	{"tcp originator", value.ProtoTCP, analyzer.FromOrig}, {"tcp responder", value.ProtoTCP, analyzer.FromResp},
	{"udp originator", value.ProtoUDP, analyzer.FromOrig}, {"udp responder", value.ProtoUDP, analyzer.FromResp},
}

// No bytes, whoever chose them, call for more states than fit into flow's cache
// (4 MiB).
func TestStatesAreFew(t *testing.T) {
	const limit = 6000
	for _, d := range directions {
		s, names := set(t, d.proto, d.from)
		n := s.States(limit)
		t.Logf("%s: %d signatures, %d states", d.name, len(names), n)
		if n >= limit {
			t.Errorf("%s: more than %d states", d.name, limit)
		}
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for p, list := range all() {
		for _, s := range list {
			if seen[s.Name] {
				t.Errorf("%s: two signatures are called %s", p, s.Name)
			}
			seen[s.Name] = true
			if s.Half && s.Reverse != "" {
				t.Errorf("%s: a half needs nobody", s.Name)
			}
		}
	}
	for p, list := range all() {
		for _, s := range list {
			if s.Reverse != "" && !slices.ContainsFunc(list, func(o analyzer.Signature) bool { return o.Name == s.Reverse }) {
				t.Errorf("%s: %s asks for %s, which is not of this protocol", p, s.Name, s.Reverse)
			}
		}
	}
}

// What each signature matches, and that no other does, by first bytes made by
// hand.
func TestFirstBytes(t *testing.T) {
	zeros := func(n int) string { return strings.Repeat("\x00", n) }
	for _, tc := range []struct {
		proto value.Proto
		from  analyzer.Side
		data  string
		want  string
	}{
		{value.ProtoTCP, analyzer.FromOrig, "GET / HTTP/1.1\r\n", "http-client redis-client"},
		{value.ProtoTCP, analyzer.FromOrig, "\r\nRPC_IN_DATA /rpc HTTP/1.1", "http-client redis-client"},
		{value.ProtoTCP, analyzer.FromOrig, "get / HTTP/1.1", ""},
		{value.ProtoTCP, analyzer.FromOrig, "PRI * HTTP/2.0\r\n", "redis-client"},
		{value.ProtoTCP, analyzer.FromResp, "HTTP/1.1 200 OK\r\n", "http-server"},
		{value.ProtoTCP, analyzer.FromResp, "hTtP/1", "http-server"},
		{value.ProtoTCP, analyzer.FromOrig, "HTTP/1.1 200 OK\r\n", "redis-client"},
		{value.ProtoTCP, analyzer.FromOrig, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls-client"},
		{value.ProtoTCP, analyzer.FromOrig, "\x16\x03\x01\x02\x00\x02\x00\x01\xfc\x03\x03", ""},
		{value.ProtoTCP, analyzer.FromResp, "\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03", "tls-server"},
		{value.ProtoTCP, analyzer.FromResp, "\x15\x03\x01\x00\x02\x01\x70\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x7f\x12", "tls-server"},
		{value.ProtoTCP, analyzer.FromResp, "\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x05", ""},
		{value.ProtoTCP, analyzer.FromOrig, "SSH-2.0-test\r\n", "ssh-client redis-client"},
		{value.ProtoTCP, analyzer.FromResp, "ssh-1.99-test\r\n", "ssh-server"},
		{value.ProtoTCP, analyzer.FromOrig, "EHLO me\r\n", "smtp-client redis-client"},
		{value.ProtoTCP, analyzer.FromOrig, "NOOP\r\n  helo me", "smtp-client redis-client"},
		{value.ProtoTCP, analyzer.FromResp, "220 mail ESMTP\r\n", "smtp-server irc-reply"},
		{value.ProtoTCP, analyzer.FromResp, "220-ftp\r\n331 word?\r\n", "smtp-server ftp-server irc-reply"},
		{value.ProtoTCP, analyzer.FromOrig, "USER me\r\n", "ftp-client pop3-client redis-client"},
		{value.ProtoTCP, analyzer.FromOrig, "NICK a\r\nUSER a b c :d\r\n", "ftp-client irc-nick-user pop3-client redis-client"},
		{value.ProtoTCP, analyzer.FromOrig, "USER a b c :d\r\nNICK a\r\n", "ftp-client irc-user-nick pop3-client redis-client"},
		{value.ProtoTCP, analyzer.FromResp, ":irc.example.org 001 a :hello\r\n", "irc-reply"},
		{value.ProtoTCP, analyzer.FromResp, "SERVER irc.example.org 1 :hi\r\n", "irc-server-here irc-server-there postgresql-tls-answer"},
		{value.ProtoTCP, analyzer.FromOrig, "CAPA\r\n", "pop3-client redis-client"},
		{value.ProtoTCP, analyzer.FromResp, "+OK ready\r\n", "pop3-server redis-server"},
		{value.ProtoTCP, analyzer.FromOrig, "\x10\x0c\x00\x04MQTT", "mqtt-connect"},
		{value.ProtoTCP, analyzer.FromOrig, "\x10\x80\x01\x00\x06MQIsdp", "mqtt-connect"},
		{value.ProtoTCP, analyzer.FromOrig, "\x04\x01\x00\x50\x0a\x00\x00\x01me\x00", "socks4-client"},
		{value.ProtoTCP, analyzer.FromResp, "\x00\x5a", "socks4-server"},
		{value.ProtoTCP, analyzer.FromOrig, "\x05\x02\x00\x02", "socks5-client"},
		{value.ProtoTCP, analyzer.FromResp, "\x05\x00", "socks5-server"},
		{value.ProtoTCP, analyzer.FromOrig, "RFB 003.008\n", "rfb-client"},
		{value.ProtoTCP, analyzer.FromResp, "<?xml version='1.0'?>\n<stream:stream to='a' xmlns='jabber:client'", "xmpp-stream"},
		{value.ProtoTCP, analyzer.FromOrig, "\x00\x00\x00\x90\xfeSMB", "smb"},
		{value.ProtoTCP, analyzer.FromOrig, "\x05\x00\x0b\x03", "dce-rpc"},
		{value.ProtoTCP, analyzer.FromOrig, "\x00\x00\x00\x50\x6a\x4e\x30\x4c\xa1\x03\x02\x01\x05\xa2\x03\x02\x01", "krb-tcp-request"},
		{value.ProtoTCP, analyzer.FromOrig, "\x30\x0c\x02\x01\x01\x60\x07", "ldap-tcp-answer ldap-tcp-bind"},
		{value.ProtoTCP, analyzer.FromOrig, "\x03\x00\x00\x2a\x25\xe0\x00\x00\x00\x00\x00Cookie: mstshash=me\r\n", "rdp-client"},
		{value.ProtoTCP, analyzer.FromResp, "\x03\x00\x00\x13\x0e\xd0", "rdp-server"},
		{value.ProtoTCP, analyzer.FromResp, "\x05\x64\x05\xc0", "dnp3-tcp"},
		{value.ProtoTCP, analyzer.FromOrig, "\x00\x00\x00\x08\x04\xd2\x16\x2f", "postgresql-tls"},
		{value.ProtoTCP, analyzer.FromOrig, "\x00\x00\x00\x20\x00\x03\x00\x00database\x00user\x00user\x00me\x00\x00", "postgresql-startup"},
		{value.ProtoTCP, analyzer.FromResp, "R\x00\x00\x00\x08", "postgresql-answer"},
		{value.ProtoTCP, analyzer.FromResp, "$3\r\nabc\r\n", "redis-server"},
		{value.ProtoUDP, analyzer.FromOrig, "\x16\xfe\xff" + zeros(8) + "\x00\xa0\x01\x00\x00\x94\x00\x00\x00\x00\x00\x00\x00\x94\xfe\xfd", "dtls-client"},
		{value.ProtoUDP, analyzer.FromOrig, "\xc3\x00\x00\x00\x01\x08", "quic-v1"},
		{value.ProtoUDP, analyzer.FromOrig, "\xd3\x6b\x33\x43\xcf\x08", "quic-v2"},
		{value.ProtoUDP, analyzer.FromOrig, "INVITE sip:a@example.org SIP/2.0\r\nVia: x", "sip-request"},
		{value.ProtoUDP, analyzer.FromOrig, "\r\n\r\nREGISTER sip:example.org SIP/2.0\r\n", "sip-request"},
		{value.ProtoUDP, analyzer.FromResp, "SIP/2.0 200 OK\r\n", "sip-status"},
		{value.ProtoUDP, analyzer.FromOrig, "\x01\x01\x06" + zeros(233) + "\x63\x82\x53\x63", "dhcp"},
		{value.ProtoUDP, analyzer.FromOrig, "\x6a\x4e\x30\x4c\xa1\x03\x02\x01\x05\xa2\x03\x02\x01", "krb-request"},
		{value.ProtoUDP, analyzer.FromResp, "\x6b\x4e\x30\x4c\xa0\x03\x02\x01\x05\xa1\x03\x02\x01", "krb-reply"},
		{value.ProtoUDP, analyzer.FromResp, "\x05\x64", "dnp3-udp"},
		{value.ProtoUDP, analyzer.FromResp, "\xff\xff\xff\xff\x00\x40\x00\x01", "rdpeudp-syn"},
		{value.ProtoUDP, analyzer.FromOrig, "\xab\xcd\x01\x00\x00\x01" + zeros(6) + "\x03www", ""},
	} {
		s, names := set(t, tc.proto, tc.from)
		var hits [1]uint64
		var st rx.Stream
		s.Matcher(1<<20).Feed(&st, []byte(tc.data), hits[:])
		var got []string
		for i, n := range names {
			if hits[0]&(1<<i) != 0 {
				got = append(got, n)
			}
		}
		want := strings.Fields(tc.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", tc.data, got, want)
		}
	}
}

func BenchmarkFirstBytes(b *testing.B) {
	s, _ := set(b, value.ProtoTCP, analyzer.FromOrig)
	for name, data := range map[string]string{
		"http":   "GET /index.html HTTP/1.1\r\nHost: www.example.org\r\n" + strings.Repeat("X-Header: some value of it\r\n", 15),
		"tls":    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x91\x02\x73", 168),
		"binary": strings.Repeat("\x91\x02\x73", 170),
	} {
		b.Run(name, func(b *testing.B) {
			m := s.Matcher(4 << 20)
			in := []byte(data)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				var hits [1]uint64
				var st rx.Stream
				m.Feed(&st, in, hits[:])
			}
		})
	}
}
