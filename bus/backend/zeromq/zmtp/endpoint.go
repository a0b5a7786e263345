package zmtp

import (
	"fmt"
	"net"
	"strings"
)

// endpoint is where a socket binds or connects, in libzmq's notation.
type endpoint struct {
	text    string
	network string // tcp or unix
	address string // for package net
}

// parseEndpoint reads tcp://host:port, tcp://[v6]:port or ipc:///path. To bind,
// the host may be * and the port * or 0.
func parseEndpoint(s string, bind bool) (endpoint, error) {
	e := endpoint{text: s}
	bad := func(why string) (endpoint, error) {
		return e, fmt.Errorf("endpoint %q: %s", s, why)
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return bad("want tcp://host:port or ipc://path")
	}
	switch scheme {
	case "ipc":
		if rest == "" || rest == "*" {
			return bad("want a path")
		}
		e.network, e.address = "unix", rest
		return e, nil
	case "tcp":
	default:
		return bad("only tcp:// and ipc:// are spoken")
	}
	if strings.Contains(rest, ";") {
		return bad("a source address before the ; is not supported")
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return bad("want tcp://host:port, IPv6 in brackets")
	}
	if bind && host == "*" {
		host = ""
	}
	if port == "*" {
		port = "0"
	}
	n, err := net.LookupPort("tcp", port)
	switch {
	case err != nil:
		return bad("port " + port)
	case !bind && n == 0:
		return bad("needs a port")
	case !bind && (host == "" || host == "*"):
		return bad("needs a host")
	}
	e.network, e.address = "tcp", net.JoinHostPort(host, port)
	return e, nil
}

// boundText names the endpoint that a listener got.
func boundText(a net.Addr) string {
	if a.Network() == "unix" {
		return "ipc://" + a.String()
	}
	return "tcp://" + a.String()
}
