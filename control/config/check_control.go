package config

import (
	"net"
	"net/netip"
	"strconv"
)

// problems is what is wrong with [api.control]. What is in the files it names is
// looked at when the door opens.
func (x Control) problems(bad func(key, format string, args ...any)) {
	const at = "api.control."
	if (x.Cert == "") != (x.Key == "") {
		bad(at+"cert", "cert and key belong together")
	}
	if x.Listen == "" {
		return
	}
	host, port, err := net.SplitHostPort(x.Listen)
	_, perr := strconv.ParseUint(port, 10, 16)
	_, aerr := netip.ParseAddr(host)
	switch {
	case err != nil || perr != nil:
		bad(at+"listen", "%q: want address and port, as 127.0.0.1:27761", x.Listen)
	case aerr != nil && host != "localhost":
		bad(at+"listen", "%q: want the address as a number, as 127.0.0.1:27761", x.Listen)
	}
	if x.ACL == "" {
		bad(at+"acl", "want a file that says who may read and operate")
	}
	if x.Cert == "" && x.Key == "" {
		bad(at+"cert", "cert and key are needed: tokens would be readable on the way")
	}
}
