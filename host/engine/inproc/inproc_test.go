package inproc

import (
	"strings"
	"testing"

	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/host/engine/enginetest"
)

func TestKit(t *testing.T) {
	engines := map[string]*Engine{}
	enginetest.Run(t, enginetest.Harness{
		TellsAdopted: true,
		New: func(_ *testing.T, spool string) engine.Engine {
			if engines[spool] == nil {
				engines[spool] = New(spool, func(l Life) int {
					what := strings.TrimPrefix(l.Spec.Env[0], enginetest.EnvBehave+"=")
					return enginetest.Behave(what, l.Spec.Name, l.Spec.Node.Bus.Token, l.Stdout, l.Stderr, l.Stop, l.Kill)
				})
			}
			return engines[spool]
		},
	})
}
