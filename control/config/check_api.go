package config

import (
	"net"
	"net/netip"
	"strconv"
)

// problems is what is wrong with [api.websocket]. What is in the files it names
// is looked at when the door opens.
func (w WebSocket) problems(bad func(key, format string, args ...any)) {
	if w.Listen == "" {
		return
	}
	const at = "api.websocket."
	host, port, err := net.SplitHostPort(w.Listen)
	_, perr := strconv.ParseUint(port, 10, 16)
	ip, aerr := netip.ParseAddr(host)
	switch {
	case err != nil || perr != nil:
		bad(at+"listen", "%q: want address and port, as 127.0.0.1:27759", w.Listen)
	case aerr != nil && host != "localhost":
		bad(at+"listen", "%q: want the address as a number, as 127.0.0.1:27759", w.Listen)
	case aerr == nil && !ip.IsLoopback() && w.ACL == "":
		bad(at+"listen", "%s: not loopback, so acl must name a file that says who may do what", w.Listen)
	case aerr == nil && !ip.IsLoopback() && w.Cert == "":
		bad(at+"listen", "%s: not loopback, so cert and key are needed", w.Listen)
	}
	if (w.Cert == "") != (w.Key == "") {
		bad(at+"cert", "cert and key belong together")
	}
	if w.ClientCA != "" && (w.Cert == "" || w.ACL == "") {
		bad(at+"client_ca", "needs cert and key, and an acl that names the certificates")
	}
	if w.Node == "" {
		bad(at+"node", "want the name of a node, or hub")
	}
	if w.DeclaredOnly && len(w.Declarations) == 0 {
		bad(at+"declared_only", "needs declarations")
	}
	if w.Message < 1<<10 || w.Message > 64<<20 {
		bad(at+"message", "%s: want 1KiB to 64MiB", w.Message)
	}
	if w.Queue < 64<<10 || w.Queue > 1<<30 {
		bad(at+"queue", "%s: want 64KiB to 1GiB", w.Queue)
	}
	if w.Rate < 0 {
		bad(at+"rate", "%d: want 0 or more", w.Rate)
	}
	for _, c := range []struct {
		key  string
		n, m int
	}{{"subscriptions", w.Subscriptions, 10000}, {"connections", w.Connections, 100000}, {"handshakes", w.Handshakes, 10000}} {
		if c.n < 1 || c.n > c.m {
			bad(at+c.key, "%d: want 1 to %d", c.n, c.m)
		}
	}
}

// problems is what is wrong with [api.web]; acl says whether there are tokens.
func (w Web) problems(acl bool, bad func(key, format string, args ...any)) {
	if w.Listen == "" {
		return
	}
	const at = "api.web."
	host, port, err := net.SplitHostPort(w.Listen)
	_, perr := strconv.ParseUint(port, 10, 16)
	ip, aerr := netip.ParseAddr(host)
	beyond := aerr == nil && !ip.IsLoopback()
	switch {
	case err != nil || perr != nil:
		bad(at+"listen", "%q: want address and port, as 127.0.0.1:27780", w.Listen)
	case aerr != nil && host != "localhost":
		bad(at+"listen", "%q: want the address as a number, as 127.0.0.1:27780", w.Listen)
	case beyond && !acl:
		bad(at+"listen", "%s: not loopback, so acl in [api.control] must name a file that says who may read", w.Listen)
	case beyond && w.Cert == "":
		bad(at+"listen", "%s: not loopback, so cert and key are needed", w.Listen)
	}
	if (w.Cert == "") != (w.Key == "") {
		bad(at+"cert", "cert and key belong together")
	}
	if w.ClientCA != "" && (w.Cert == "" || !acl) {
		bad(at+"client_ca", "needs cert and key, and an acl in [api.control] that names the certificates")
	}
}
