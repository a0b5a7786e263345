package access

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Config is the settings of a door that say where it is and who comes in.
type Config struct {
	Name    string // of the door, for people: websocket api
	Section string // of the configuration, for people: api.websocket
	Example string // of an address
	Secret  string // what would be readable on the way without TLS: tokens and events

	Listen    string // address and port
	Cert, Key string // PEM files: TLS
	ClientCA  string // PEM file: who signs client certificates
	ACL       string // file: who is who
	// TokensOnly: the file may name certificates, for other doors, and here nobody comes in by one.
	TokensOnly bool

	Hosts   []string // names of this machine, on loopback, besides localhost
	Origins []string // of web pages that may connect, http://host:port, besides our own
}

// Gate is the settings with the files read that they name. Only the acl changes,
// by Watch.
type Gate struct {
	cfg   Config
	Local bool        // bound to loopback
	TLS   *tls.Config // nil: none

	acl  atomic.Pointer[ACL]
	read stamp // of the acl file, when it was read last
}

// ACL is who may what just now; nil: there is no file.
func (g *Gate) ACL() *ACL { return g.acl.Load() }

// NewGate reads the files, and checks what stands between the door and
// strangers: beyond loopback there is no door without TLS and an acl file.
func NewGate(c Config) (*Gate, error) {
	g := &Gate{cfg: c}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen %q: want address and port, as %s", c.Listen, c.Example)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil && host != "localhost" {
		return nil, fmt.Errorf("listen %q: want the address as a number, as %s", c.Listen, c.Example)
	}
	g.Local = host == "localhost" || ip.IsLoopback()
	if (c.Cert == "") != (c.Key == "") {
		return nil, errors.New("cert and key belong together")
	}
	if !g.Local && c.ACL == "" {
		return nil, fmt.Errorf("listen %s: not loopback, so an acl file must say who may do what", c.Listen)
	}
	if !g.Local && c.Cert == "" {
		return nil, fmt.Errorf("listen %s: not loopback, so cert and key are needed: %s would be readable on the way", c.Listen, c.Secret)
	}
	if c.ClientCA != "" && (c.Cert == "" || c.ACL == "") {
		return nil, errors.New("client_ca needs cert and key, and an acl file that names the certificates")
	}
	if c.ACL != "" {
		g.read = stampOf(c.ACL) // before it is read: a change meanwhile is one
		acl, err := g.readACL()
		if err != nil {
			return nil, err
		}
		g.acl.Store(acl)
	}
	if c.Cert != "" {
		if g.TLS, err = loadTLS(c); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func loadTLS(c Config) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", c.Cert, err)
	}
	t := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if c.ClientCA == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("client_ca: %w", err)
	}
	t.ClientCAs = x509.NewCertPool()
	if !t.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client_ca %s: no certificate in it", c.ClientCA)
	}
	t.ClientAuth = tls.VerifyClientCertIfGiven // a token will do, too
	return t, nil
}

// Port says how a port is opened.
type Port struct {
	Holder func(netip.AddrPort) string // says who listens on an address already, or ""; nil: nobody knows
	Last   int                         // the port of an earlier life, tried first where any will do; 0: none
	Most   int                         // connections at a time; 0: any number
}

// Listen opens the port, with TLS if there is any. The error says who is in the
// way, and what to do.
func (g *Gate) Listen(p Port) (l net.Listener, err error) {
	if host, port, _ := net.SplitHostPort(g.cfg.Listen); port == "0" && p.Last > 0 {
		// A restart keeps its port, so that clients find it again.
		l, _ = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p.Last)))
	}
	if l == nil {
		if l, err = net.Listen("tcp", g.cfg.Listen); err != nil {
			return nil, g.listenError(err, p.Holder)
		}
	}
	if p.Most > 0 {
		l = Limit(l, p.Most) // below TLS: the HTTP server must see what is TLS
	}
	if g.TLS != nil {
		l = tls.NewListener(l, g.TLS)
	}
	return l, nil
}

func (g *Gate) listenError(err error, holder func(netip.AddrPort) string) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("open %s: %w", g.cfg.Name, err)
	}
	who := "another process"
	host, port, _ := net.SplitHostPort(g.cfg.Listen)
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if a, bad := netip.ParseAddrPort(net.JoinHostPort(host, port)); bad == nil && holder != nil {
		who = cmp.Or(holder(a), who)
	}
	return fmt.Errorf("open %s: %s is taken by %s; give listen in [%s] another port, or \"\" to do without: %w",
		g.cfg.Name, g.cfg.Listen, who, g.cfg.Section, syscall.EADDRINUSE)
}

// Reasons why a gate refuses.
const (
	ReasonHost   = "host"
	ReasonOrigin = "origin"
	ReasonToken  = "token"
)

// Foreign says whether a request comes from elsewhere, or for elsewhere: a
// reason, and why in words. Both are empty where it does not.
func (g *Gate) Foreign(r *http.Request) (reason, why string) {
	if why := g.foreignHost(r); why != "" {
		return ReasonHost, why
	}
	if why := g.foreignOrigin(r); why != "" {
		return ReasonOrigin, why
	}
	return "", ""
}

// foreignHost says what is wrong with the host that was asked for. On loopback a
// name of somewhere else means that a web page has had its name pointed at us.
func (g *Gate) foreignHost(r *http.Request) string {
	if !g.Local || Loopback(r.Host) {
		return ""
	}
	host := hostOnly(r.Host)
	if slices.ContainsFunc(g.cfg.Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
		return ""
	}
	return "host " + Clip(host, 100) + " is not this machine; hosts in [" + g.cfg.Section + "] may name it"
}

// Loopback says whether HOST or HOST:PORT is this machine's loopback.
func Loopback(host string) bool {
	host = hostOnly(host)
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// hostOnly takes the port away.
func hostOnly(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

// foreignOrigin says what is wrong with the web page that asks, if one does.
// Programs send no Origin; a page's browser always does.
func (g *Gate) foreignOrigin(r *http.Request) string {
	all := r.Header.Values("Origin")
	if len(all) == 0 {
		return ""
	}
	if len(all) == 1 {
		if u, err := url.Parse(all[0]); err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) {
			return ""
		}
		if slices.ContainsFunc(g.cfg.Origins, func(o string) bool { return strings.EqualFold(o, all[0]) }) {
			return ""
		}
	}
	return "origin " + Clip(strings.Join(all, ", "), 100) + " is foreign; origins in [" + g.cfg.Section + "] may name it"
}

// Remote is who is at the other end of a request.
func Remote(r *http.Request) netip.AddrPort {
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	return netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}
