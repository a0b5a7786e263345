package config

import (
	"net"
	"net/netip"
	"strconv"
)

// problems is what is wrong with [metrics].
func (m Metrics) problems(bad func(key, format string, args ...any)) {
	if m.Ports != 0 && (m.Ports < 1024 || m.Ports > 65535-maxNodes) {
		bad("metrics.ports", "%d: want 1024 to %d, or 0 for none", m.Ports, 65535-maxNodes)
	}
	if m.Ports != 0 && !m.Nodes {
		bad("metrics.ports", "%d: nodes is false, so no node has one", m.Ports)
	}
	if m.Listen == "" {
		return
	}
	host, port, err := net.SplitHostPort(m.Listen)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil {
		bad("metrics.listen", "%q: want address and port, as 127.0.0.1:9991", m.Listen)
		return
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" && host != "" {
		bad("metrics.listen", "%q: want the address as a number, as 127.0.0.1:9991", m.Listen)
	}
	if m.Ports != 0 && int(n) >= m.Ports && int(n) < m.Ports+maxNodes {
		bad("metrics.listen", "%s: is among the ports of the nodes, which begin at %d", m.Listen, m.Ports)
	}
}
