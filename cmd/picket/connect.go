package main

import (
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/nats"
	"github.com/picket-nsm/picket/node"
)

// connect makes a node's end of the bus: NATS, in the hub or outside.
func connect(s node.Spec, id string) (backend.Driver, error) {
	return nats.New(nats.Config{
		Cluster: s.Cluster, ID: id, URL: s.Bus.URL, User: s.Bus.User, Password: s.Bus.Token,
		CA: s.Bus.CA, Cert: s.Bus.Cert, Key: s.Bus.Key,
	}, func() int64 { return time.Now().UnixNano() })
}
