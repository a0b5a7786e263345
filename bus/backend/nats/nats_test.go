package nats

import (
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/backendtest"
	"github.com/picket-nsm/picket/bus/backend/nats/server"
	"github.com/picket-nsm/picket/internal/testenv"
)

var users = []server.User{{Name: "node", Password: "secret"}}

func TestKit(t *testing.T) {
	backendtest.Run(t, openEmbedded, backendtest.Features{Logs: true})
}

func BenchmarkKit(b *testing.B) { backendtest.Bench(b, openEmbedded) }

func openEmbedded(t testing.TB) backendtest.Bus {
	s, err := server.Start(server.Options{Users: users, Port: testenv.Ports(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	return backendtest.Bus{
		New: func(t testing.TB, id string, o backendtest.Options) backend.Driver {
			return newConn(t, Config{ID: id, URL: s.URL(), User: "node", Password: "secret", Events: o.Events})
		},
		Break: func(t testing.TB) func() {
			port := s.Port()
			s.Stop()
			return func() {
				if s, err = server.Start(server.Options{Users: users, Port: port}); err != nil {
					t.Fatal(err)
				}
			}
		},
	}
}

func newConn(t testing.TB, c Config) *Conn {
	t.Helper()
	c.Cluster = "test cluster"
	conn, err := New(c, func() int64 { return time.Now().UnixNano() })
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
