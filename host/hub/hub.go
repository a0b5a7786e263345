// Package hub is the process that nodes of a machine talk through: a NATS server
// or a ZeroMQ broker, the bridge to real Zeek processes, and the doors.
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

// part is one of the things that a hub serves.
type part struct {
	url  string                       // where nodes connect, if they do
	note func()                       // copies its counters into the ledger; may be nil
	stop func() error                 // waits
	died <-chan error                 // it ended by itself; may be nil
	want func(prefix string, on bool) // announces what a door subscribed to; may be nil
}

// Run serves the bus where spec.Bus says until ctx ends: a NATS server, to
// whoever knows spec.Bus's user and password, or a ZeroMQ broker, or both with the
// bridge between them. Its ledger is in spec.Dir.
func Run(ctx context.Context, spec node.Spec, d Deps) (err error) {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	led, err := ledger.Create(spec.Dir, spec.Name, Role, uint64(d.Now().UnixNano()))
	if err != nil {
		return fmt.Errorf("run hub: %w", err)
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	parts, err := open(spec, led, d)
	if err != nil {
		return fmt.Errorf("run hub: %w", err)
	}
	led.SetState(ledger.Ready, d.Now())
	shut := openDoors(spec, parts, led, d)
	if d.Up != nil {
		d.Up(parts[0].url)
	}
	note := func() {
		for _, p := range parts {
			if p.note != nil {
				p.note()
			}
		}
	}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for ctx.Err() == nil && err == nil {
		select {
		case <-tick.C:
			note()
			led.Heartbeat(d.Now())
			for _, p := range parts {
				select {
				case err = <-p.died:
				default:
				}
			}
		case <-ctx.Done():
		}
	}
	note()
	led.SetState(ledger.Draining, d.Now())
	shut()
	err = errors.Join(err, closeAll(parts))
	note()
	led.SetState(ledger.Stopped, d.Now())
	if err != nil {
		return fmt.Errorf("run hub: %w", err)
	}
	return nil
}

// open starts what the spec asks for. Nodes find it there when it returns.
func open(spec node.Spec, led *ledger.Ledger, d Deps) (parts []part, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(parts))
		}
	}()
	add := func(p part, err error) error {
		if err == nil {
			parts = append(parts, p)
		}
		return err
	}
	if spec.Bus.Backend == node.BackendZeroMQ {
		_, p, err := openBroker(spec, led, d)
		return parts, add(p, err)
	}
	url := spec.Bus.URL
	if !spec.Bus.Outside {
		p, err := openNATS(spec, led, d)
		if err := add(p, err); err != nil {
			return parts, err
		}
		url = p.url
	} else if p, err := (&watch{}).start(spec, url, d); add(p, err) != nil { // no server of ours tells who leaves
		return parts, err
	}
	if len(spec.Bus.ZeroMQ.XPUB) == 0 {
		if spec.Bus.Outside {
			return parts, errors.New("nothing to do: the NATS server is the user's own, and no ZeroMQ endpoint is given")
		}
		return parts, nil
	}
	p, err := openBridge(spec, url, led, d)
	return parts, add(p, err)
}

// closeAll stops in reverse.
func closeAll(parts []part) error {
	var errs []error
	for i := len(parts) - 1; i >= 0; i-- {
		errs = append(errs, parts[i].stop())
	}
	return errors.Join(errs...)
}

// openNATS starts the NATS server, and the watch over who leaves.
func openNATS(spec node.Spec, led *ledger.Ledger, d Deps) (part, error) {
	host, port, err := address(spec.Bus.URL)
	if err != nil {
		return part{}, err
	}
	if spec.Bus.User == "" || spec.Bus.Token == "" {
		return part{}, errors.New("no user and password: nodes could not be told from strangers")
	}
	w := &watch{gone: make(chan string, 1024)}
	s, err := server.Start(server.Options{
		Host: host, Port: port, Name: spec.Cluster, Log: d.Log, Gone: w.left,
		Users: []server.User{{Name: spec.Bus.User, Password: spec.Bus.Token}},
	})
	if err != nil {
		return part{}, err
	}
	member, err := w.start(spec, s.URL(), d)
	if err != nil {
		s.Stop()
		return part{}, err
	}
	return part{url: s.URL(), want: member.want, note: func() { note(led, s) }, stop: func() error {
		err := member.stop()
		s.Stop()
		return err
	}}, nil
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
