package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/picket-nsm/picket/api/telemetry"
	"github.com/picket-nsm/picket/host/hub"
	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/internal/procinfo"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/zeek/layout"
)

// metricsRetry is how often an endpoint whose port was taken is tried again.
const metricsRetry = 5 * time.Second

// serveMetrics opens the endpoints of a node or the hub: the machine's, where
// the spec says so, and its own, at the port of the layout or a free one. What goes
// wrong is logged and noted in the node's folder; the process goes on. shut
// closes all and waits.
func serveMetrics(spec node.Spec, log *slog.Logger) (shut func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	deps := telemetry.Deps{Log: log, Holder: procinfo.Listener, Version: versionLine()}
	if m := spec.Metrics; m != nil {
		d := deps
		d.Source = func() (*telemetry.Snapshot, error) { return telemetry.Cluster(m.Spool) }
		cfg := telemetry.Config{Listen: m.Listen, Services: true, Last: status.LastPort(spec.Dir, telemetry.KindMachine)}
		running.Go(func() { keepMetrics(ctx, spec, telemetry.KindMachine, cfg, d) })
	}
	if spec.Role != hub.Role && !spec.NoMetrics {
		d := deps
		d.Source = func() (*telemetry.Snapshot, error) { return telemetry.Self(spec.Dir) }
		cfg := telemetry.Config{Listen: "127.0.0.1:0", Last: status.LastPort(spec.Dir, telemetry.KindNode)}
		if n, ok := layoutNode(spec); ok && n.MetricsPort != 0 {
			if ip, err := n.IP(); err != nil {
				log.Error("open metrics: " + err.Error())
			} else {
				cfg.Listen = net.JoinHostPort(ip.String(), strconv.Itoa(n.MetricsPort))
			}
		}
		if spec.Role == layout.Manager.String() { // which knows all targets, as in Zeek
			cfg.Services = true
			d.Source = func() (*telemetry.Snapshot, error) {
				s, err := telemetry.Self(spec.Dir)
				if err == nil {
					s.Targets = telemetry.Targets(filepath.Dir(spec.Dir))
				}
				return s, err
			}
		}
		running.Go(func() { keepMetrics(ctx, spec, telemetry.KindNode, cfg, d) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// layoutNode finds the node in its layout.
func layoutNode(spec node.Spec) (layout.Node, bool) {
	if spec.Layout == "" {
		return layout.Node{}, false
	}
	l, err := layout.Parse("layout", []byte(spec.Layout))
	if err != nil {
		return layout.Node{}, false // The node itself says so.
	}
	return l.Node(spec.Name)
}

// keepMetrics serves one endpoint until ctx ends, and tries again while its port is taken.
func keepMetrics(ctx context.Context, spec node.Spec, kind string, cfg telemetry.Config, d telemetry.Deps) {
	said := ""
	for ctx.Err() == nil {
		s := telemetry.New(cfg, d)
		url, err := s.Listen()
		if err == nil {
			tell(d.Log, status.WriteDoor(spec.Dir, status.Door{Kind: kind, Node: spec.Name, PID: os.Getpid(), URL: url}))
			said = ""
			err = s.Run(ctx)
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			d.Log.Error(said)
			tell(d.Log, status.WriteDoor(spec.Dir, status.Door{Kind: kind, Node: spec.Name, PID: os.Getpid(), Trouble: said}))
		}
		select {
		case <-ctx.Done():
		case <-time.After(metricsRetry):
		}
	}
	tell(d.Log, status.CloseDoor(spec.Dir, kind))
}

func tell(log *slog.Logger, err error) {
	if err != nil {
		log.Error(err.Error())
	}
}
