package hub

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/nats"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/node"
)

// openDoors opens what the spec asks for. shut closes all and waits.
func openDoors(spec node.Spec, url string, led *ledger.Ledger, d Deps) (shut func()) {
	if d.Doors == nil {
		return func() {}
	}
	log := d.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		d.Doors(ctx, node.Doorway{
			Spec: spec, ID: fmt.Sprintf("picket_%s_%d", spec.Name, d.Now().UnixNano()), Log: log, Now: d.Now, Counter: led.Counter,
			Note: func(text string) { log.Info(text) }, // the hub has no cluster.log
			Bus: func(id string) (backend.Driver, error) {
				return nats.New(nats.Config{
					Cluster: spec.Cluster, ID: id, URL: url, User: spec.Bus.User, Password: spec.Bus.Token,
				}, func() int64 { return d.Now().UnixNano() })
			},
		})
	}()
	return func() {
		cancel()
		<-closed
	}
}
