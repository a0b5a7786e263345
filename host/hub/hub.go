// Package hub is the process that nodes of a machine talk through: a NATS
// server, later also the ZeroMQ broker, its bridge, and the doors.
//
// It stands between all nodes and is started before and stopped after them. It
// owns the bus's port and a ledger like any node's, with a heartbeat and the
// bus's counters. It needs no privilege. It never looks into what passes, and
// it never starts or stops a node.
package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/picket-nsm/picket/bus/backend/nats/server"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/node"
)

// Role is the hub's role in ledgers and status.
const Role = "hub"

// heartbeat is how often the hub notes that it is alive, and its counters.
const heartbeat = time.Second

// Names of the hub's counters.
const (
	Clients       = "bus.clients" // gauge
	Subscriptions = "bus.subscriptions"
	MessagesIn    = "bus.messages.in"
	MessagesOut   = "bus.messages.out"
	BytesIn       = "bus.bytes.in"
	BytesOut      = "bus.bytes.out"
	Slow          = "bus.slow" // connections cut because they did not keep up
)

// Deps is what the program passes in.
type Deps struct {
	Log *slog.Logger
	Now func() time.Time // wall clock; nil: time.Now
	// Up is called once nodes can connect, with the URL; may be nil.
	Up func(url string)
	// Doors opens the doors that the spec names, as in node.Deps; may be nil.
	Doors func(ctx context.Context, w node.Doorway)
}

// Run serves the bus where spec.Bus.URL says, to whoever knows spec.Bus's user
// and password, until ctx ends. Its ledger is in spec.Dir.
func Run(ctx context.Context, spec node.Spec, d Deps) (err error) {
	if d.Now == nil {
		d.Now = time.Now
	}
	host, port, err := address(spec.Bus.URL)
	if err != nil {
		return fmt.Errorf("run hub: %w", err)
	}
	if spec.Bus.User == "" || spec.Bus.Token == "" {
		return errors.New("run hub: no user and password: nodes could not be told from strangers")
	}
	led, err := ledger.Create(spec.Dir, spec.Name, Role, uint64(d.Now().UnixNano()))
	if err != nil {
		return fmt.Errorf("run hub: %w", err)
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	w := &watch{gone: make(chan string, 1024)}
	s, err := server.Start(server.Options{
		Host: host, Port: port, Name: spec.Cluster, Log: d.Log, Gone: w.left,
		Users: []server.User{{Name: spec.Bus.User, Password: spec.Bus.Token}},
	})
	if err != nil {
		return fmt.Errorf("run hub: %w", err)
	}
	stop, err := w.start(spec, s.URL(), d)
	if err != nil {
		s.Stop()
		return fmt.Errorf("run hub: %w", err)
	}
	led.SetState(ledger.Ready, d.Now())
	shut := openDoors(spec, s.URL(), led, d)
	if d.Up != nil {
		d.Up(s.URL())
	}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			note(led, s)
			led.Heartbeat(d.Now())
		case <-ctx.Done():
			note(led, s)
			led.SetState(ledger.Draining, d.Now())
			shut()
			err := stop()
			s.Stop()
			led.SetState(ledger.Stopped, d.Now())
			if err != nil {
				return fmt.Errorf("run hub: %w", err)
			}
			return nil
		}
	}
}

// note copies the server's counters into the ledger.
func note(led *ledger.Ledger, s *server.Server) {
	st, err := s.Stats()
	if err != nil {
		return // The old numbers stay; the next tick asks again.
	}
	for name, n := range map[string]int64{
		Clients: int64(st.Clients), Subscriptions: int64(st.Subscriptions), Slow: st.SlowConsumers,
		MessagesIn: st.InMsgs, MessagesOut: st.OutMsgs, BytesIn: st.InBytes, BytesOut: st.OutBytes,
	} {
		led.Counter(name).Set(uint64(max(0, n)))
	}
}

// address splits nats://host:port.
func address(text string) (host string, port int, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "nats" || u.Host == "" {
		return "", 0, fmt.Errorf("address %q: want nats://127.0.0.1:4222", text)
	}
	host, p, err := net.SplitHostPort(u.Host)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: want nats://127.0.0.1:4222: %w", text, err)
	}
	if port, err = strconv.Atoi(p); err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("address %q: port %q", text, p)
	}
	return host, port, nil
}
