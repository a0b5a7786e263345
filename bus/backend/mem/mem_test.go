package mem_test

import (
	"testing"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/backendtest"
	"github.com/picket-nsm/picket/bus/backend/mem"
)

func TestKit(t *testing.T) {
	backendtest.Run(t, open, backendtest.Features{Logs: true})
}

func BenchmarkKit(b *testing.B) { backendtest.Bench(b, open) }

func open(t testing.TB) backendtest.Bus {
	_, poison := t.(*testing.T)
	bus := mem.NewBus(mem.Config{Poison: poison})
	return backendtest.Bus{
		New: func(t testing.TB, id string, o backendtest.Options) backend.Driver {
			if o.Events != 0 {
				return bus.Sized(id, o.Events)
			}
			return bus.Endpoint(id)
		},
	}
}
