package zeromq

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/picket-nsm/picket/bus/backend/zeromq/broker"
	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
)

// Config says who the node is and where its peers are. The names are those of
// Zeek's options in Cluster::Backend::ZeroMQ, with Zeek's defaults; what is ours
// says so.
type Config struct {
	Name string // of the node in the layout; ours. Empty: a tool that is no node and greets nobody
	ID   string // of this life: see cluster.NodeID; not empty
	// Known says whether a name is in the layout: Cluster::hello of others is
	// refused. Ours; nil: all names are.
	Known func(name string) bool

	ConnectXPUB string // where our XPUB connects, the broker's XSUB; default tcp://127.0.0.1:5556
	ConnectXSUB string // where our XSUB connects, the broker's XPUB; default tcp://127.0.0.1:5555
	// Loggers are connect_log_endpoints with the name of each. A logger has none.
	Loggers []Logger
	// ListenLog is where a logger listens, listen_log_endpoint, one or several; empty:
	// where Loggers says.
	ListenLog []string
	Keys      Keys
	// Plain: a logger that knows no envelopes, as a real Zeek's; ours.
	Plain bool
	// GiveBack answers what waits for a logger that turns out to be a real Zeek's with
	// NoListener, so that its sender, who asks Foreign, can send it elsewhere; ours.
	GiveBack bool

	Linger         time.Duration // linger_ms; default 500 ms
	XPUBSndHWM     int           // xpub_sndhwm: events towards the broker; default 1000
	LogSndHWM      int           // log_sndhwm: batches towards each logger; default 1000
	LogRcvHWM      int           // log_rcvhwm: batches that wait to be written; default 1000
	OnloopQueueHWM int           // onloop_queue_hwm: arrived events that wait for the handler; default 10000, newest dropped
	// ConnectXPUBDrop is the opposite of connect_xpub_nodrop: at a full XPUB the newest
	// event is dropped instead of held back in the outbox.
	ConnectXPUBDrop     bool
	HelloExpiration     time.Duration // default 10 s
	InternalTopicPrefix string        // default zeek.zeromq.internal.

	Outbox int // ours: events that wait for the XPUB and for the broker; default 8192, more are refused (ErrFull)
}

// Logger is where a logger takes batches.
type Logger struct{ Name, Endpoint string }

// Sizes that nobody needs to set.
const (
	batchLimit   = 4 << 20   // of a batch that we send
	maxMessage   = 64 << 20  // of anything that arrives
	maxEvent     = 32 << 20  // of an event that we publish
	outboxBytes  = 64 << 20  // of all events in the outbox
	logBytes     = 512 << 20 // of batches towards one logger, so that credit is the bound
	cacheSize    = 4096      // names seen; a full cache starts anew
	maxProducers = 4096      // whose connection a logger remembers
	drainTime    = 5 * time.Second
)

// Default returns the settings with defaults filled in.
func (c Config) Default() Config {
	// The broker's endpoints are named from its side.
	c.ConnectXPUB = cmp.Or(c.ConnectXPUB, broker.DefaultXSUB)
	c.ConnectXSUB = cmp.Or(c.ConnectXSUB, broker.DefaultXPUB)
	c.Linger = cmp.Or(c.Linger, 500*time.Millisecond)
	c.XPUBSndHWM = cmp.Or(c.XPUBSndHWM, 1000)
	c.LogSndHWM = cmp.Or(c.LogSndHWM, 1000)
	c.LogRcvHWM = cmp.Or(c.LogRcvHWM, 1000)
	c.OnloopQueueHWM = cmp.Or(c.OnloopQueueHWM, 10000)
	c.HelloExpiration = cmp.Or(c.HelloExpiration, 10*time.Second)
	c.InternalTopicPrefix = cmp.Or(c.InternalTopicPrefix, "zeek.zeromq.internal.")
	c.Outbox = cmp.Or(c.Outbox, 8192)
	if c.Known == nil {
		c.Known = func(string) bool { return true }
	}
	return c
}

// Validate says what is wrong with the settings. Endpoints are checked when the
// sockets are made.
func (c Config) Validate() error {
	switch {
	case c.ID == "" || len(c.ID) > 255:
		return fmt.Errorf("node id %q: must have 1 to 255 bytes", c.ID)
	case c.XPUBSndHWM < 1 || c.LogSndHWM < 1 || c.LogRcvHWM < 1 || c.OnloopQueueHWM < 1 || c.Outbox < 1:
		return errors.New("queues must hold at least one message")
	case c.HelloExpiration < 0 || c.Linger < 0:
		return errors.New("durations must not be negative")
	}
	seen := map[string]bool{}
	for _, l := range c.Loggers {
		if seen[l.Name] {
			return fmt.Errorf("logger %s is there twice", l.Name)
		}
		seen[l.Name] = true
	}
	return nil
}

// Keys are Zeek's four CURVE options, in Z85. All servers of a cluster share one
// pair, all clients another. All empty: no encryption.
type Keys struct {
	ServerPublic string `json:"server_public,omitempty"`
	ServerSecret string `json:"server_secret,omitempty"`
	ClientPublic string `json:"client_public,omitempty"`
	ClientSecret string `json:"client_secret,omitempty"`
}

// envPrefix begins the names of Zeek's variables for keys.
const envPrefix = "ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_"

// KeysFromEnv reads Zeek's environment variables. As in Zeek, keys come from
// there or from the settings, not from both.
func KeysFromEnv(set Keys, getenv func(string) string) (Keys, error) {
	env := Keys{
		ServerPublic: getenv(envPrefix + "SERVER_PUBLICKEY"), ServerSecret: getenv(envPrefix + "SERVER_SECRETKEY"),
		ClientPublic: getenv(envPrefix + "CLIENT_PUBLICKEY"), ClientSecret: getenv(envPrefix + "CLIENT_SECRETKEY"),
	}
	switch {
	case env == Keys{}:
		return set, nil
	case set != Keys{}:
		return Keys{}, fmt.Errorf("curve keys are set and in the environment (%s...): choose one", envPrefix)
	}
	return env, nil
}

// Server returns the keys for sockets that others connect to, the broker's and a
// logger's; nil: no encryption.
func (k Keys) Server() (*zmtp.Curve, error) {
	if k == (Keys{}) {
		return nil, nil
	}
	if k.ServerSecret == "" || k.ClientPublic == "" {
		return nil, errors.New("curve: a server needs the server's secret key and the clients' public key")
	}
	secret, err := zmtp.ParseSecret(k.ServerSecret)
	if err != nil {
		return nil, fmt.Errorf("curve server: %w", err)
	}
	client, err := zmtp.ParseKey(k.ClientPublic)
	if err != nil {
		return nil, fmt.Errorf("curve client: %w", err)
	}
	return &zmtp.Curve{Server: true, Secret: secret, Clients: []zmtp.Key{client}}, nil
}

// Client returns the keys for sockets that connect; nil: no encryption.
func (k Keys) Client() (*zmtp.Curve, error) {
	if k == (Keys{}) {
		return nil, nil
	}
	if k.ServerPublic == "" || k.ClientPublic == "" || k.ClientSecret == "" {
		return nil, errors.New("curve: a client needs the server's public key and both of its own")
	}
	server, err := zmtp.ParseKey(k.ServerPublic)
	if err != nil {
		return nil, fmt.Errorf("curve server: %w", err)
	}
	secret, err := zmtp.ParseSecret(k.ClientSecret)
	if err != nil {
		return nil, fmt.Errorf("curve client: %w", err)
	}
	if secret.Public().String() != k.ClientPublic {
		return nil, errors.New("curve client: public and secret key do not belong together")
	}
	return &zmtp.Curve{Secret: secret, ServerKey: server}, nil
}
