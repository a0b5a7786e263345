package hub

import (
	"context"
	"fmt"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/node"
)

// openDoors opens what the spec asks for. shut closes all and waits.
func openDoors(spec node.Spec, parts []part, led *ledger.Ledger, d Deps) (shut func()) {
	if d.Doors == nil {
		return func() {}
	}
	log := d.Log
	ctx, cancel := context.WithCancel(context.Background())
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		d.Doors(ctx, node.Doorway{
			Spec: spec, ID: fmt.Sprintf("picket_%s_%d", spec.Name, d.Now().UnixNano()), Log: log, Now: d.Now, Counter: led.Counter,
			Note: func(text string) { log.Info(text) }, // the hub has no cluster.log
			Bus: func(id string) (backend.Driver, error) {
				bus, err := connect(spec, parts[0].url, id, d)
				if err != nil || parts[0].want == nil {
					return bus, err
				}
				return node.Announced(bus, parts[0].want), nil
			},
		})
	}()
	return func() {
		cancel()
		<-closed
	}
}
