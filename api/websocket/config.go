package websocket

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/picket-nsm/picket/api/access"
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
func (s *Server) load() (err error) {
	c := s.cfg
	s.gate, err = access.NewGate(access.Config{
		Name: "websocket api", Section: "api.websocket", Example: DefaultListen, Secret: "tokens and events",
		Listen: c.Listen, Cert: c.Cert, Key: c.Key, ClientCA: c.ClientCA, ACL: c.ACL, Hosts: c.Hosts, Origins: c.Origins,
	})
	if err != nil {
		return err
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
