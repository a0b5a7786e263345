// Package standard lists the built-in drivers. Only cmd imports it and hands
// the lists down: no driver registers itself.
package standard

import (
	"github.com/picket-nsm/picket/logs/sink"
	"github.com/picket-nsm/picket/logs/sink/jsonl"
	"github.com/picket-nsm/picket/logs/sink/tsv"
	"github.com/picket-nsm/picket/policy/builtin"
	dhcplog "github.com/picket-nsm/picket/policy/builtin/dhcp"
	dnslog "github.com/picket-nsm/picket/policy/builtin/dns"
	mqttlog "github.com/picket-nsm/picket/policy/builtin/mqtt"
	ntplog "github.com/picket-nsm/picket/policy/builtin/ntp"
	siplog "github.com/picket-nsm/picket/policy/builtin/sip"
	snmplog "github.com/picket-nsm/picket/policy/builtin/snmp"
	sshlog "github.com/picket-nsm/picket/policy/builtin/ssh"
	sysloglog "github.com/picket-nsm/picket/policy/builtin/syslog"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/dhcp"
	"github.com/picket-nsm/picket/traffic/analyzer/dns"
	"github.com/picket-nsm/picket/traffic/analyzer/mqtt"
	"github.com/picket-nsm/picket/traffic/analyzer/ntp"
	"github.com/picket-nsm/picket/traffic/analyzer/sip"
	"github.com/picket-nsm/picket/traffic/analyzer/snmp"
	"github.com/picket-nsm/picket/traffic/analyzer/ssh"
	"github.com/picket-nsm/picket/traffic/analyzer/syslog"
)

// Protocols lists the analyzers with the logs that take their events. The order
// decides which analyzer a port gets where two claim it: the first.
func Protocols() []builtin.Protocol {
	return []builtin.Protocol{
		func(b builtin.Base) []analyzer.Factory {
			log := dnslog.New(b.Open(dnslog.Schema()))
			return []analyzer.Factory{dns.Factory(dns.Default(), log.Handler)}
		},
		func(b builtin.Base) []analyzer.Factory {
			log := sshlog.New(b.Open(sshlog.Schema()))
			return []analyzer.Factory{ssh.Factory(ssh.Default(), log.Handler)}
		},
		func(b builtin.Base) []analyzer.Factory {
			log := ntplog.New(b.Open(ntplog.Schema()), b.Open(ntplog.ControlSchema()), b.Open(ntplog.PrivateSchema()))
			return []analyzer.Factory{ntp.Factory(log.Handler)}
		},
		func(b builtin.Base) []analyzer.Factory {
			return []analyzer.Factory{syslog.Factory(sysloglog.New(b.Open(sysloglog.Schema())).Handler)}
		},
		func(b builtin.Base) []analyzer.Factory {
			log := snmplog.New(snmplog.Deps{Write: b.Open(snmplog.Schema()), Weird: b.Weird})
			return []analyzer.Factory{snmp.Factory(log.Handler)}
		},
		func(b builtin.Base) []analyzer.Factory {
			return []analyzer.Factory{dhcp.Factory(dhcplog.New(b.DHCP, b.Open(dhcplog.Schema()), b.Weird).Handler)}
		},
		func(b builtin.Base) []analyzer.Factory {
			return []analyzer.Factory{sip.Factory(siplog.New(b.Open(siplog.Schema())).Handler)}
		},
		func(b builtin.Base) []analyzer.Factory {
			log := mqttlog.New(b.Open(mqttlog.ConnectSchema()), b.Open(mqttlog.PublishSchema()), b.Open(mqttlog.SubscribeSchema()))
			return []analyzer.Factory{mqtt.Factory(log.Handler)}
		},
		tlsProtocol,
		quicProtocol,
		httpProtocol,
		ftpProtocol,
		socksProtocol,
		smtpProtocol,
		pop3Protocol,
		ircProtocol,
		startTLS,
		programs,
		shares,
	}
}

// Formats lists what loggers can write, by the name that the configuration uses.
func Formats() []sink.Factory {
	return []sink.Factory{tsv.Factory(), jsonl.Factory()}
}
