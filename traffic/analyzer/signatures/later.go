package signatures

import "github.com/picket-nsm/picket/traffic/analyzer"

// SMB (MS-SMB, MS-SMB2): a message of the transport with its length, then the
// protocol's mark.
func SMB() []analyzer.Signature {
	return []analyzer.Signature{tcp("smb", analyzer.Either, `^\x00.{3}[\xfe\xff]SMB`)}
}

// DCERPC (C706, MS-RPCE): version 5.0 or 5.1 and a packet type that exists.
func DCERPC() []analyzer.Signature {
	return []analyzer.Signature{tcp("dce-rpc", analyzer.Either, `^\x05[\x00\x01][\x00-\x13]`)}
}

// An AS or TGS request, and a reply or error, of Kerberos 5 (RFC 4120): the
// application tag, a sequence, and the version and type as the first fields.
const (
	krbRequest = `[\x6a\x6c].{1,4}\x30.{1,4}\xa1\x03\x02\x01\x05\xa2\x03\x02\x01`
	krbReply   = `[\x6b\x6d\x7e].{1,4}\x30.{1,4}\xa0\x03\x02\x01\x05\xa1\x03\x02\x01`
)

// KRB is Kerberos over UDP.
func KRB() []analyzer.Signature {
	return []analyzer.Signature{
		udp("krb-request", analyzer.Either, `^`+krbRequest),
		udp("krb-reply", analyzer.Either, `^`+krbReply),
	}
}

// KRBTCP is Kerberos over TCP: each message behind its length in four bytes, less
// than 64 KiB.
func KRBTCP() []analyzer.Signature {
	return []analyzer.Signature{
		tcp("krb-tcp-request", analyzer.Either, `^\x00{2}..`+krbRequest),
		tcp("krb-tcp-reply", analyzer.Either, `^\x00{2}..`+krbReply),
	}
}

// LDAP (RFC 4511): a bind request, and any message in return.
const ldapBind, ldapAny = `^\x30.\x02\x01.\x60`, `^\x30`

// LDAPTCP is LDAP over TCP.
func LDAPTCP() []analyzer.Signature {
	return []analyzer.Signature{
		half(tcp("ldap-tcp-bind", analyzer.Either, ldapBind)),
		with("ldap-tcp-bind", tcp("ldap-tcp-answer", analyzer.Either, ldapAny)),
	}
}

// LDAPUDP is LDAP over UDP (RFC 1798).
func LDAPUDP() []analyzer.Signature {
	return []analyzer.Signature{
		half(udp("ldap-udp-bind", analyzer.Either, ldapBind)),
		with("ldap-udp-bind", udp("ldap-udp-answer", analyzer.Either, ldapAny)),
	}
}

// RDP (MS-RDPBCGR): within TPKT (RFC 1006) a cookie or the client's names of
// channels, and the server's confirmation or data.
func RDP() []analyzer.Signature {
	return []analyzer.Signature{
		with("rdp-server", tcp("rdp-client", analyzer.Either,
			`^\x03\x00.*(Cookie: mstshash=|Duca.*(rdpdr|rdpsnd|drdynvc|cliprdr))`)),
		half(tcp("rdp-server", analyzer.Either, `^\x03\x00.{3}(\xd0|.*McDn)`)),
	}
}

// RDPEUDP (MS-RDPEUDP): the SYN datagram, padded to the path's size.
func RDPEUDP() []analyzer.Signature {
	s := udp("rdpeudp-syn", analyzer.Either, `^\xff{4}.{3}\x01`)
	s.MinSize, s.MaxSize = 1132, 1232
	return []analyzer.Signature{s}
}

// DNP3 (IEEE 1815): the start bytes of a frame.
const dnp3 = `^\x05\x64`

// DNP3TCP is DNP3 over TCP, seen in what a station answers.
func DNP3TCP() []analyzer.Signature {
	return []analyzer.Signature{tcp("dnp3-tcp", analyzer.FromResp, dnp3)}
}

// DNP3UDP is DNP3 over UDP.
func DNP3UDP() []analyzer.Signature {
	return []analyzer.Signature{udp("dnp3-udp", analyzer.Either, dnp3)}
}

// PostgreSQL (protocol 3.0): a request for TLS and its answer, or a startup
// message, whose parameters are pairs of strings, and any typed answer.
func PostgreSQL() []analyzer.Signature {
	return []analyzer.Signature{
		half(tcp("postgresql-tls", analyzer.FromOrig, `^\x00\x00\x00\x08\x04\xd2\x16\x2f`)),
		with("postgresql-tls", tcp("postgresql-tls-answer", analyzer.FromResp, `^[SN]`)),
		half(tcp("postgresql-startup", analyzer.FromOrig, `^\x00{2}..\x00\x03\x00.([^\x00]+\x00[^\x00]*\x00)*user\x00`)),
		with("postgresql-startup", tcp("postgresql-answer", analyzer.FromResp, `^[[:alnum:]]\x00\x00..`)),
	}
}

// Redis (RESP 2 and 3): lines of the client, and the server's typed answers.
func Redis() []analyzer.Signature {
	return []analyzer.Signature{
		half(tcp("redis-client", analyzer.FromOrig, `^[\t -\xff]*\r\n`)),
		with("redis-client", tcp("redis-server", analyzer.FromResp,
			"^([-+_,][^\\r\\n]*|[:$*#(!=%`~>][+-]?[0-9]+(\\.[0-9]*)?)\\r\\n")),
	}
}
