package websocket

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/picket-nsm/picket/zeek/declare"
)

// Config is the settings. Zero numbers mean the defaults.
type Config struct {
	Listen string // address and port, 127.0.0.1:27759

	Cert, Key string // PEM files: TLS
	ClientCA  string // PEM file: who signs client certificates
	ACL       string // file: who may subscribe and publish what

	Hosts   []string // names of this machine, on loopback, besides localhost
	Origins []string // of web pages that may connect, http://host:port, besides our own

	Declarations []string // Zeek scripts that declare events
	DeclaredOnly bool     // other events are refused, as Zeek does

	PingInterval  time.Duration // default 5 s; negative: no pings
	MessageBytes  int           // largest message of a client; default 4 MiB
	Rate          int           // messages per second of a client, above which it is slowed; 0: any
	Subscriptions int           // of a client; default 1000
	Connections   int           // at a time; default 1024
	Handshakes    int           // half-open connections at a time; default 64
	QueueBytes    int           // that wait for a client, above which it is closed; default 4 MiB
}

// DefaultListen is where Zeek listens.
const DefaultListen = "127.0.0.1:27759"

// ZeekVersion is the Zeek whose API this is.
const ZeekVersion = "9.0.0"

// Paths of the API.
const (
	PathV1 = "/v1/messages/json"
	PathV2 = "/v2/messages/json"
)

// Bounds that are no settings.
const (
	handshakeTime = 3 * time.Second // as Zeek's server
	closeTime     = 3 * time.Second // for the goodbye
	maxHeader     = 8 << 10
	maxTopic      = 1 << 10 // bytes of a subscription or topic
	maxDistinct   = 10000   // subscriptions of all clients together
)

func (c Config) defaults() Config {
	c.Listen = cmp.Or(c.Listen, DefaultListen)
	c.PingInterval = cmp.Or(c.PingInterval, 5*time.Second)
	c.MessageBytes = cmp.Or(c.MessageBytes, 4<<20)
	c.Subscriptions = cmp.Or(c.Subscriptions, 1000)
	c.Connections = cmp.Or(c.Connections, 1024)
	c.Handshakes = cmp.Or(c.Handshakes, 64)
	c.QueueBytes = cmp.Or(c.QueueBytes, 4<<20)
	return c
}

// Check says what is wrong with settings and the files they name, as New would.
func (c Config) Check() error {
	s := &Server{cfg: c.defaults()}
	if err := s.load(); err != nil {
		return fmt.Errorf("websocket api: %w", err)
	}
	return nil
}

// load reads the files, and checks what stands between us and strangers.
func (s *Server) load() error {
	host, _, err := net.SplitHostPort(s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen %q: want address and port, as %s", s.cfg.Listen, DefaultListen)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil && host != "localhost" {
		return fmt.Errorf("listen %q: want the address as a number, as %s", s.cfg.Listen, DefaultListen)
	}
	s.local = host == "localhost" || ip.IsLoopback()
	if (s.cfg.Cert == "") != (s.cfg.Key == "") {
		return errors.New("cert and key belong together")
	}
	if !s.local && s.cfg.ACL == "" {
		return fmt.Errorf("listen %s: not loopback, so an acl file must say who may do what", s.cfg.Listen)
	}
	if !s.local && s.cfg.Cert == "" {
		return fmt.Errorf("listen %s: not loopback, so cert and key are needed: tokens and events would be readable on the way", s.cfg.Listen)
	}
	if s.cfg.ClientCA != "" && (s.cfg.Cert == "" || s.cfg.ACL == "") {
		return errors.New("client_ca needs cert and key, and an acl file that names the certificates")
	}
	if s.cfg.ACL != "" {
		if s.acl, err = readACL(s.cfg.ACL); err != nil {
			return err
		}
		if s.acl.certificates() && s.cfg.ClientCA == "" {
			return fmt.Errorf("acl %s names certificates: say client_ca, who signs them", s.cfg.ACL)
		}
	}
	if s.cfg.Cert != "" {
		if err := s.loadTLS(); err != nil {
			return err
		}
	}
	if len(s.cfg.Declarations) == 0 {
		if s.cfg.DeclaredOnly {
			return errors.New("declared_only needs declarations")
		}
		return nil
	}
	var files []declare.File
	for _, name := range s.cfg.Declarations {
		text, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("declarations: %w", err)
		}
		files = append(files, declare.File{Name: name, Text: string(text)})
	}
	if s.decl, err = declare.Parse(files...); err != nil {
		return fmt.Errorf("declarations: %w", err)
	}
	return nil
}

func (s *Server) loadTLS() error {
	cert, err := tls.LoadX509KeyPair(s.cfg.Cert, s.cfg.Key)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", s.cfg.Cert, err)
	}
	s.tls = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if s.cfg.ClientCA == "" {
		return nil
	}
	pem, err := os.ReadFile(s.cfg.ClientCA)
	if err != nil {
		return fmt.Errorf("client_ca: %w", err)
	}
	s.tls.ClientCAs = x509.NewCertPool()
	if !s.tls.ClientCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("client_ca %s: no certificate in it", s.cfg.ClientCA)
	}
	s.tls.ClientAuth = tls.VerifyClientCertIfGiven // a token will do, too
	return nil
}

// listenError says who is in the way, and what to do.
func (s *Server) listenError(err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("open websocket api: %w", err)
	}
	who := "another process"
	host, port, _ := net.SplitHostPort(s.cfg.Listen)
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if a, bad := netip.ParseAddrPort(net.JoinHostPort(host, port)); bad == nil && s.deps.Holder != nil {
		who = cmp.Or(s.deps.Holder(a), who)
	}
	return fmt.Errorf("open websocket api: %s is taken by %s; give listen in [api.websocket] another port, or \"\" to do without: %w",
		s.cfg.Listen, who, syscall.EADDRINUSE)
}
