package nats

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
)

// Config says how to reach the server and how much may wait.
type Config struct {
	Cluster string // name of the cluster: first token of every subject
	ID      string // id of this node, new at each start; at most 255 bytes

	URL      string // nats://host:port or tls://host:port, several with commas
	User     string
	Password string // with User
	Token    string // instead of User
	Creds    string // file of credentials (JWT and seed), instead of both
	CA       string // PEM file: whom the server's certificate must be signed by
	Cert     string // PEM files: our own certificate and key
	Key      string

	Events  int // arrived events that wait for the handler; default 8192, newest dropped
	Outbox  int // events that wait for the server; default 8192, more are refused (ErrFull)
	Batches int // batches that wait for the logger, and as many to the server; default 4096
	Bytes   int // bytes of these batches, each way; default 512 MiB, so that credit is the bound
}

// Default returns the settings with defaults filled in.
func (c Config) Default() Config {
	c.Cluster = cmp.Or(c.Cluster, "picket")
	c.URL = cmp.Or(c.URL, nats.DefaultURL)
	c.Events = cmp.Or(c.Events, 8192)
	c.Outbox = cmp.Or(c.Outbox, 8192)
	c.Batches = cmp.Or(c.Batches, 4096)
	c.Bytes = cmp.Or(c.Bytes, 512<<20)
	return c
}

var errSettings = errors.New("wrong bus settings")

// Validate says what is wrong with the settings.
func (c Config) Validate() error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("%w: %s", errSettings, fmt.Sprintf(format, a...))
	}
	switch {
	case c.ID == "" || len(c.ID) > 255:
		return bad("node id %q: must have 1 to 255 bytes", c.ID)
	case c.User != "" && c.Password == "":
		return bad("user %s without a password", c.User)
	case c.User == "" && c.Password != "":
		return bad("a password without a user")
	case c.Token != "" && c.User != "", c.Creds != "" && c.User != "", c.Creds != "" && c.Token != "":
		return bad("more than one of user, token and creds")
	case (c.Cert == "") != (c.Key == ""):
		return bad("cert and key go together")
	}
	for _, u := range strings.Split(c.URL, ",") {
		scheme, _, ok := strings.Cut(strings.TrimSpace(u), "://")
		if !ok || scheme != "nats" && scheme != "tls" && scheme != "ws" && scheme != "wss" {
			return bad("url %q: want nats://host:port or tls://host:port", u)
		}
	}
	for _, f := range []string{c.Creds, c.CA, c.Cert, c.Key} {
		if f == "" {
			continue
		}
		if _, err := os.Stat(f); err != nil {
			return bad("%v", err)
		}
	}
	return nil
}

func (c Config) options() []nats.Option {
	var o []nats.Option
	if c.User != "" {
		o = append(o, nats.UserInfo(c.User, c.Password))
	}
	if c.Token != "" {
		o = append(o, nats.Token(c.Token))
	}
	if c.Creds != "" {
		o = append(o, nats.UserCredentials(c.Creds))
	}
	if c.CA != "" {
		o = append(o, nats.RootCAs(c.CA))
	}
	if c.Cert != "" {
		o = append(o, nats.ClientCert(c.Cert, c.Key))
	}
	return o
}
