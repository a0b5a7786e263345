package main

import (
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/nats"
	"github.com/picket-nsm/picket/bus/backend/zeromq"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/zeek/layout"
)

// connect makes a node's end of the bus: NATS, in the hub or outside, or ZeroMQ.
func connect(s node.Spec, id string) (backend.Driver, error) {
	if s.Bus.Backend == node.BackendZeroMQ {
		return connectZeroMQ(s, id)
	}
	return nats.New(nats.Config{
		Cluster: s.Cluster, ID: id, URL: s.Bus.URL, User: s.Bus.User, Password: s.Bus.Token,
		CA: s.Bus.CA, Cert: s.Bus.Cert, Key: s.Bus.Key,
	}, func() int64 { return time.Now().UnixNano() })
}

// connectZeroMQ makes a node of a ZeroMQ cluster, or with a spec without a name one
// that greets nobody and has no part in logs: a door's.
func connectZeroMQ(s node.Spec, id string) (backend.Driver, error) {
	l, err := layout.Parse("cluster-layout.zeek", []byte(s.Layout))
	if err != nil {
		return nil, err
	}
	z := s.Bus.ZeroMQ
	if len(z.XPUB) == 0 || len(z.XSUB) == 0 {
		return nil, fmt.Errorf("bus zeromq: no broker to connect to")
	}
	mine, _ := eventCodecs(s.Bus.Codec)
	cfg := zeromq.Config{
		ID: id, ConnectXSUB: z.XPUB[0], ConnectXPUB: z.XSUB[0], Keys: zeromq.Keys(z.Keys),
		Known:    func(name string) bool { _, ok := l.Node(name); return ok },
		GiveBack: true, // the node asks who is foreign
	}
	if _, ok := l.Node(s.Name); ok {
		cfg.Name = s.Name
	}
	for _, to := range z.Loggers {
		switch {
		case to.Name == s.Name:
			cfg.ListenLog = to.At
		case s.Role != layout.Logger.String() && len(to.At) > 0: // a Zeek logger sends to none, either
			cfg.Loggers = append(cfg.Loggers, zeromq.Logger{Name: to.Name, Endpoint: to.At[0]})
		}
	}
	return zeromq.New(cfg, zeromq.Deps{Codec: mine, Warn: warnings(slog.New(slog.NewTextHandler(os.Stderr, nil)), time.Now)})
}

// warnings logs at most ten lines a minute: what others send must not fill the disk.
func warnings(log *slog.Logger, now func() time.Time) func(string) {
	var minute, lines atomic.Int64
	return func(text string) {
		if m := now().Unix() / 60; minute.Swap(m) != m {
			lines.Store(0)
		}
		if lines.Add(1) <= 10 {
			log.Warn(text)
		}
	}
}
