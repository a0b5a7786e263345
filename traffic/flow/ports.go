package flow

import (
	"strings"

	"github.com/picket-nsm/picket/zeek/value"
)

// The server ports that Zeek's default scripts register
// (scripts/base/protocols and packet-protocols), whether or not we have the
// analyzer: they decide who is taken for the server when a connection's
// beginning was not seen. DNS over QUIC (853, 784) and DHCP clients (68) are
// registered there too, but not as servers.
var (
	serverPortsTCP = [...]uint16{
		135,      // DCE_RPC
		20000,    // DNP3_TCP
		53,       // DNS
		79,       // FINGER
		21, 2811, // FTP
		80, 81, 631, 1080, 3128, 8000, 8080, 8888, // HTTP; 1080 is SOCKS too
		143,                    // IMAP
		6666, 6667, 6668, 6669, // IRC
		88,        // KRB_TCP
		389, 3268, // LDAP_TCP
		502,        // MODBUS
		1883,       // MQTT
		1434, 3306, // MYSQL
		5432,     // POSTGRESQL
		3389,     // RDP
		6379,     // REDIS
		139, 445, // SMB
		25, 587, // SMTP
		22,                                                          // SSH
		443, 465, 563, 585, 614, 636, 989, 990, 992, 993, 995, 5223, // SSL
		514,        // SYSLOG_TCP
		5222, 5269, // XMPP
	}
	serverPortsUDP = [...]uint16{
		67, 4011, // DHCP
		20000,               // DNP3
		53, 137, 5353, 5355, // DNS
		88,       // KRB
		389,      // LDAP_UDP
		123,      // NTP
		443,      // DTLS, QUIC
		1812,     // RADIUS
		3389,     // RDPEUDP
		5060,     // SIP
		161, 162, // SNMP
		514,        // SYSLOG
		5072,       // AYIYA
		6081,       // Geneve
		4754,       // GRE in UDP
		2152, 2123, // GTPv1
		3544, // Teredo
		4789, // VXLAN
	}
)

// vxlanPort is PacketAnalyzer::VXLAN::vxlan_ports: the outer checksum may
// be 0 there, with IPv6 too.
const vxlanPort = 4789

// portSet is a set of the ports of one transport.
type portSet [1 << 16 / 64]uint64

func (s *portSet) add(p uint16)      { s[p/64] |= 1 << (p % 64) }
func (s *portSet) has(p uint16) bool { return s[p/64]&(1<<(p%64)) != 0 }

// interactive tells the ports whose users pause for long
// (Conn::port_inactivity_timeouts).
func interactive(p uint16) bool { return p == 21 || p == 22 || p == 23 || p == 513 }

// interactiveService tells the analyzers of such protocols
// (Conn::analyzer_inactivity_timeouts).
func interactiveService(name string) bool {
	return strings.EqualFold(name, "ssh") || strings.EqualFold(name, "ftp")
}

func transport(proto uint8) value.Proto {
	switch proto {
	case 6:
		return value.ProtoTCP
	case 17:
		return value.ProtoUDP
	case 1, 58:
		return value.ProtoICMP
	}
	return value.ProtoUnknown
}
