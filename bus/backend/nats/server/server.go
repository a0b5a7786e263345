// Package server is the NATS server inside the hub: what nodes of this machine
// connect to when the user has no server of his own.
//
// It stands between the drivers of bus/backend/nats, as any NATS server of the
// same version would; the driver does not know whether it is embedded. It owns a
// listening port and the server's goroutines. It never reads a file, takes no
// signals, and prints nothing.
package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// User is a name and password that a node may connect with. The supervisor
// makes them at each start and hands them down by descriptor.
type User struct{ Name, Password string }

// Options say how to serve.
type Options struct {
	Host          string        // default 127.0.0.1
	Port          int           // 0: a free one; a hub that is restarted asks for the one it had
	Users         []User        // at least one; all others are refused
	Name          string        // of the server, in its INFO; default picket
	MaxPayload    int           // largest message in bytes; default 4 MiB
	MaxPending    int64         // bytes waiting for one client before it is cut off as slow; default 512 MiB
	WriteDeadline time.Duration // how long one write to a client may take before it is cut off; default 10 s
	StoreDir      string        // where JetStream keeps streams; empty: no JetStream
	Ready         time.Duration // how long Start waits for the port; default 10 s

	// Gone is called with a client's connection name when its connection ended,
	// from one goroutine: presence need not wait for silence. May be nil.
	Gone func(client string)
	Log  *slog.Logger // the server's warnings and errors; nil: nowhere
}

// Server is a running NATS server.
type Server struct {
	s    *natsserver.Server
	port int
	host string
	sys  *nats.Conn // for Gone
}

// Start starts a server and returns when nodes can connect. Stop ends it.
func Start(o Options) (*Server, error) {
	if len(o.Users) == 0 {
		return nil, errors.New("start nats server: no users: nobody could connect")
	}
	for _, u := range o.Users {
		if u.Name == "" || u.Password == "" {
			return nil, errors.New("start nats server: a user without name or password")
		}
	}
	o.Host = cmp.Or(o.Host, "127.0.0.1")
	o.MaxPayload = cmp.Or(o.MaxPayload, 4<<20)
	o.MaxPending = cmp.Or(o.MaxPending, 512<<20)
	o.WriteDeadline = cmp.Or(o.WriteDeadline, 10*time.Second)
	o.Ready = cmp.Or(o.Ready, 10*time.Second)
	if o.MaxPending < int64(o.MaxPayload) {
		return nil, fmt.Errorf("start nats server: max pending %d is below max payload %d", o.MaxPending, o.MaxPayload)
	}
	// The nodes get an account of their own. With none but the system's, the server
	// would let anybody without credentials into the global one.
	sys, nodes := natsserver.NewAccount("$SYS"), natsserver.NewAccount("picket")
	opts := &natsserver.Options{
		ServerName:    cmp.Or(o.Name, "picket"),
		Host:          o.Host,
		Port:          cmp.Or(o.Port, natsserver.RANDOM_PORT),
		MaxPayload:    int32(o.MaxPayload),
		MaxPending:    o.MaxPending,
		WriteDeadline: o.WriteDeadline,
		NoSigs:        true,
		NoLog:         true,
		Accounts:      []*natsserver.Account{sys, nodes},
		SystemAccount: "$SYS",
		JetStream:     o.StoreDir != "",
		StoreDir:      o.StoreDir,
		// A half-open connection is noticed within some seconds.
		PingInterval: 5 * time.Second,
		MaxPingsOut:  2,

		DisableJetStreamBanner: true,
	}
	for _, u := range o.Users {
		opts.Users = append(opts.Users, &natsserver.User{Username: u.Name, Password: u.Password, Account: nodes})
	}
	secret := rand.Text()
	opts.Users = append(opts.Users, &natsserver.User{Username: "$picket-hub", Password: secret, Account: sys,
		AllowedConnectionTypes: map[string]struct{}{"IN_PROCESS": {}}})
	return start(o, opts, secret)
}

func start(o Options, opts *natsserver.Options, secret string) (*Server, error) {
	fail := func(err error) (*Server, error) {
		return nil, fmt.Errorf("start nats server on %s: %w", net.JoinHostPort(o.Host, strconv.Itoa(o.Port)), err)
	}
	// A port that cannot be had is told at once: a server that was begun takes
	// seconds to end. One that is taken between here and there is found below.
	if err := free(o.Host, o.Port); err != nil {
		return fail(err)
	}
	ns, err := natsserver.NewServer(opts)
	if err != nil {
		return fail(err)
	}
	l := &logger{log: o.Log, fatal: make(chan string, 1)}
	ns.SetLoggerV2(l, false, false, false)
	ns.Start()
	s := &Server{s: ns, host: o.Host}
	// ReadyForConnections would sleep 25 ms; the port is there much sooner.
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	limit := time.After(o.Ready)
	for ns.Addr() == nil {
		select {
		case why := <-l.fatal:
			s.Stop()
			return fail(errors.New(why))
		case <-limit:
			s.Stop()
			return fail(fmt.Errorf("not ready after %s", o.Ready))
		case <-tick.C:
		}
	}
	if o.StoreDir != "" {
		err := errors.New("no account")
		if acc, _ := ns.LookupAccount("picket"); acc != nil {
			err = acc.EnableJetStream(nil, nil)
		}
		if err != nil {
			s.Stop()
			return fail(fmt.Errorf("jetstream in %s: %w", o.StoreDir, err))
		}
	}
	s.port = ns.Addr().(*net.TCPAddr).Port
	if o.Gone != nil {
		if err := s.watch(o.Gone, secret); err != nil {
			s.Stop()
			return fail(err)
		}
	}
	return s, nil
}

// free says why a port cannot be listened on.
func free(host string, port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(max(port, 0))))
	if err != nil {
		return err
	}
	return l.Close()
}

// watch reads the server's own events about clients that left.
func (s *Server) watch(gone func(string), secret string) error {
	nc, err := nats.Connect("", nats.InProcessServer(s.s), nats.UserInfo("$picket-hub", secret), nats.NoReconnect())
	if err != nil {
		return fmt.Errorf("watch connections: %w", err)
	}
	s.sys = nc
	_, err = nc.Subscribe("$SYS.ACCOUNT.*.DISCONNECT", func(m *nats.Msg) {
		var e struct {
			Client struct {
				Name string `json:"name"`
			} `json:"client"`
		}
		if json.Unmarshal(m.Data, &e) == nil && e.Client.Name != "" {
			gone(e.Client.Name)
		}
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		return fmt.Errorf("watch connections: %w", err)
	}
	return nil
}

// Port is where the server listens.
func (s *Server) Port() int { return s.port }

// URL is what nodes of this machine connect to, without credentials.
func (s *Server) URL() string { return "nats://" + net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

// Stop closes all connections and waits until the server ended.
func (s *Server) Stop() {
	if s.sys != nil {
		s.sys.Close()
	}
	s.s.Shutdown()
	s.s.WaitForShutdown()
}

// Run serves until ctx ends, then stops.
func (s *Server) Run(ctx context.Context) error {
	<-ctx.Done()
	s.Stop()
	return nil
}

// Stats are the server's counters since it started.
type Stats struct {
	Clients         int
	Subscriptions   uint32
	InMsgs, InBytes int64 // from nodes
	OutMsgs         int64 // to nodes: deliveries
	OutBytes        int64
	SlowConsumers   int64 // connections cut off because they did not keep up
}

// Stats returns the counters.
func (s *Server) Stats() (Stats, error) {
	v, err := s.s.Varz(nil)
	if err != nil {
		return Stats{}, fmt.Errorf("nats server statistics: %w", err)
	}
	return Stats{
		Clients:       v.Connections,
		Subscriptions: v.Subscriptions,
		InMsgs:        v.InMsgs,
		InBytes:       v.InBytes,
		OutMsgs:       v.OutMsgs,
		OutBytes:      v.OutBytes,
		SlowConsumers: v.SlowConsumers,
	}, nil
}

// logger passes on what an operator must know and keeps the first fatal line,
// after which the server would not serve.
type logger struct {
	log   *slog.Logger
	fatal chan string
}

func (l *logger) say(level slog.Level, format string, v []any) {
	if l.log != nil {
		l.log.Log(context.Background(), level, "nats server: "+fmt.Sprintf(format, v...))
	}
}

func (l *logger) Noticef(string, ...any) {}
func (l *logger) Warnf(format string, v ...any) {
	// Our passwords are made at each start and are in no configuration file.
	if strings.HasPrefix(format, "Plaintext passwords detected") {
		return
	}
	l.say(slog.LevelWarn, format, v)
}
func (l *logger) Errorf(format string, v ...any) { l.say(slog.LevelError, format, v) }
func (l *logger) Debugf(string, ...any)          {}
func (l *logger) Tracef(string, ...any)          {}
func (l *logger) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
	l.say(slog.LevelError, format, v)
}
