package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/zeromq"
	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/host/bridge"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/record"
)

// openBridge starts the ZeroMQ broker and what carries between it and the bus.
func openBridge(spec node.Spec, url string, led *ledger.Ledger, d Deps) (part, error) {
	l, err := layout.Parse("cluster-layout.zeek", []byte(spec.Layout))
	if err != nil {
		return part{}, err
	}
	codec, err := eventCodec(spec)
	if err != nil {
		return part{}, err
	}
	b, p, err := openBroker(spec, led, d)
	if err != nil {
		return part{}, err
	}
	proof := ledger.Proof(func(logger string) string { return filepath.Join(filepath.Dir(spec.Dir), logger) })
	cfg := bridge.Config{
		ID: cluster.NodeID("picket", spec.Name, "bridge", os.Getpid(), fmt.Sprint(d.Now().UnixNano())), Layout: l, Zeek: spec.Zeek,
		XPUB: spec.Bus.ZeroMQ.XPUB[0], XSUB: spec.Bus.ZeroMQ.XSUB[0], Keys: zeromq.Keys(spec.Bus.ZeroMQ.Keys),
	}
	for _, to := range spec.Bus.ZeroMQ.Loggers {
		cfg.Loggers = append(cfg.Loggers, bridge.Logger(to))
	}
	takes, err := spec.Takes()
	if err != nil {
		return part{}, errors.Join(err, p.stop())
	}
	br, err := bridge.New(cfg, bridge.Deps{
		Broker: b, Takes: takes, Codec: codec, Ledger: led, Now: d.Now, Log: d.Log,
		Connect: func(id string) (backend.Driver, error) { return connect(spec, url, id, d) },
		Written: func(logger string, b *record.Batch) (bool, bool) { return proof(logger, b.Producer, b.Start, b.Seq) },
	})
	if err != nil {
		_ = p.stop()
		return part{}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	died := make(chan error, 2)
	wg.Go(func() {
		if err := br.Run(ctx); err != nil {
			died <- err
		}
	})
	wg.Go(func() {
		select {
		case err := <-p.died:
			died <- err
		case <-ctx.Done():
		}
	})
	return part{url: url, note: p.note, died: died, stop: func() error {
		cancel()
		wg.Wait()
		return p.stop()
	}}, nil
}
