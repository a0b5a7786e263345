package telemetry

import (
	"strings"

	"github.com/picket-nsm/picket/internal/ledger"
)

// The Zeek that the names are of.
const (
	zeekVersion = "9.0.0-picket"
	zeekNumber  = "90000"
)

// zeekStream names the module and stream of a log path, as Zeek does.
// Source: Zeek's scripts, $path of each Log::create_stream.
func zeekStream(path string) (module, stream string) {
	known := map[string]string{
		"pe": "PE::LOG", "ocsp": "OCSP::LOG", "x509": "X509::LOG", "analyzer": "Analyzer::Logging::LOG", "netcontrol": "NetControl::LOG",
		"netcontrol_drop": "NetControl::DROP_LOG", "notice_alarm": "Notice::ALARM_LOG", "openflow": "OpenFlow::LOG", "dce_rpc": "DCE_RPC::LOG",
		"kerberos": "KRB::LOG", "ldap": "LDAP::LDAP_LOG", "ldap_search": "LDAP::LDAP_SEARCH_LOG", "mqtt_connect": "MQTT::CONNECT_LOG",
		"mqtt_subscribe": "MQTT::SUBSCRIBE_LOG", "mqtt_publish": "MQTT::PUBLISH_LOG", "mysql": "mysql::LOG", "ntp_control": "NTP::CONTROL_LOG",
		"ntp_private": "NTP::PRIVATE_LOG", "postgresql": "PostgreSQL::LOG", "websocket": "WebSocket::LOG", "smb_files": "SMB::FILES_LOG",
		"smb_mapping": "SMB::MAPPING_LOG", "smb_cmd": "SMB::CMD_LOG", "known_hosts": "Known::HOSTS_LOG", "known_services": "Known::SERVICES_LOG",
		"known_modbus": "Known::MODBUS_LOG", "known_certs": "Known::CERTS_LOG", "telemetry_histogram": "Telemetry::LOG_HISTOGRAM",
		"dhcp": "DHCP::LOG", "dnp3": "DNP3::LOG", "dns": "DNS::LOG", "ftp": "FTP::LOG", "http": "HTTP::LOG", "irc": "IRC::LOG",
		"ntlm": "NTLM::LOG", "ntp": "NTP::LOG", "quic": "QUIC::LOG", "radius": "RADIUS::LOG", "rdp": "RDP::LOG", "rfb": "RFB::LOG",
		"sip": "SIP::LOG", "smtp": "SMTP::LOG", "snmp": "SNMP::LOG", "socks": "SOCKS::LOG", "ssh": "SSH::LOG", "ssl": "SSL::LOG",
	}
	stream = known[path]
	if stream == "" { // capture_loss is CaptureLoss::LOG, and so are most.
		var b strings.Builder
		for word := range strings.SplitSeq(path, "_") {
			if word != "" {
				b.WriteString(strings.ToUpper(word[:1]) + word[1:])
			}
		}
		stream = b.String() + "::LOG"
	}
	return stream[:strings.LastIndex(stream, "::")], stream
}

// streams remembers what zeekStream said, for one scrape.
type streams map[string][2]string

func (s streams) of(path string) (module, stream string) {
	if x, ok := s[path]; ok {
		return x[0], x[1]
	}
	module, stream = zeekStream(path)
	s[path] = [2]string{module, stream}
	return module, stream
}

// zeekNames adds what Zeek has a name for.
func (b *builder) zeekNames(n *Node) {
	node := label{"node", n.Name}
	c := n.Total
	if n.Up {
		u := n.Usage
		b.counter("process_cpu_user_seconds_total", "Total user CPU time spent.", u.User.Seconds(), node)
		b.counter("process_cpu_system_seconds_total", "Total system CPU time spent.", (u.CPU - u.User).Seconds(), node)
		b.gauge("process_resident_memory_bytes", "Memory resident, in bytes.", float64(u.RSS), node)
		b.gauge("process_virtual_memory_bytes", "Address space, in bytes.", float64(u.VSZ), node)
		b.gauge("process_open_fds", "Open file descriptors.", float64(u.Files), node)
		b.gauge("process_start_time_seconds", "Start of the process, seconds since the epoch.", float64(n.Start.UnixNano())/1e9, node)
	}
	b.gauge("zeek_version_info", "The Zeek that this speaks like.", 1, node,
		label{"beta", "false"}, label{"commit", "0"}, label{"debug", "false"}, label{"major", "9"}, label{"minor", "0"}, label{"patch", "0"},
		label{"version_number", zeekNumber}, label{"version_string", zeekVersion})
	for _, x := range []struct{ counter, name, help string }{
		{"bus.events.published", "zeek_cluster_core_outgoing_events_total", "Events published."},
		{"bus.events.delivered", "zeek_cluster_core_incoming_events_total", "Events received."},
		{"flow.timers", "zeek_timers_total", "Timers set."},
	} {
		if v, ok := c[x.counter]; ok {
			b.counter(x.name, x.help, float64(v), node)
		}
	}
	for _, proto := range []string{"icmp", "tcp", "udp"} {
		if v, ok := c["flow.total."+proto]; ok {
			b.gauge("zeek_active_sessions", "Connections now.", float64(n.Life["flow.active."+proto]), node, label{"protocol", proto})
			b.counter("zeek_total_sessions_total", "Connections seen.", float64(v), node, label{"protocol", proto})
		}
	}
	if v, ok := c[ledger.PacketsReceived]; ok {
		dropped := c[ledger.PacketsKernel]
		b.counter("zeek_net_received_bytes_total", "Bytes received.", float64(c[ledger.BytesReceived]), node)
		b.counter("zeek_net_received_packets_total", "Packets received.", float64(v), node)
		b.counter("zeek_net_dropped_packets_total", "Packets dropped by the kernel before they were received.", float64(dropped), node)
		b.counter("zeek_net_link_packets_total", "Packets on the link before filters.", float64(v+dropped+c[ledger.PacketsFilter]), node)
		b.gauge("zeek_net_timestamp_seconds", "Network time: of the last packet, or now where an interface is silent.", float64(n.Life[ledger.NetworkTime])/1e6, node)
		if lag, ok := n.Life[ledger.PacketsLag]; ok {
			b.gauge("zeek_net_packet_lag_seconds", "How far network time is behind the clock on the wall.", float64(lag)/1e6, node)
		}
		b.counter("zeek_net_filtered_packets_total", "Packets left out by the filter.", float64(c[ledger.PacketsFilter]), node)
	}
}

// zeekLog adds the counters of one log path on one node: what policy produced
// there, or on a logger, what it wrote for others.
func (b *builder) zeekLog(n *Node, path string, produced, tooLarge uint64, streamed bool) {
	module, stream := b.streams.of(path)
	node, m, s := label{"node", n.Name}, label{"module", module}, label{"stream", stream}
	if streamed {
		b.counter("zeek_log_stream_writes_total", "Rows written to a log stream.", float64(produced), node, m, s)
	}
	w := []label{node, m, s, {"filter_name", "default"}, {"path", path}, {"writer", "Log::WRITER_ASCII"}}
	b.counter("zeek_log_writer_writes_total", "Rows passed to a log writer.", float64(produced), w...)
	b.counter("zeek_log_writer_discarded_writes_total", "Rows discarded for their size.", float64(tooLarge), w...)
}
