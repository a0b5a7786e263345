package node

import (
	"context"
	"log/slog"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/internal/ledger"
)

// Doors says which doors a node or hub holds.
type Doors struct {
	WebSocket *WebSocket `json:"websocket,omitempty"`
	Control   *Control   `json:"control,omitempty"`
	Web       *Web       `json:"web,omitempty"`
}

// Control is the settings of the door through which the cluster is operated from
// elsewhere: those of package api/access, and the folder of the nodes' folders.
type Control struct {
	Listen   string   `json:"listen"`
	Cert     string   `json:"cert,omitempty"`
	Key      string   `json:"key,omitempty"`
	ClientCA string   `json:"client_ca,omitempty"`
	ACL      string   `json:"acl,omitempty"`
	Origins  []string `json:"origins,omitempty"`

	Spool string `json:"spool"`
}

// Web is the dashboard: the settings of package api/web, and what it shows.
type Web struct {
	Listen   string   `json:"listen"`
	Cert     string   `json:"cert,omitempty"`
	Key      string   `json:"key,omitempty"`
	ClientCA string   `json:"client_ca,omitempty"`
	ACL      string   `json:"acl,omitempty"`
	Hosts    []string `json:"hosts,omitempty"`

	Spool   string            `json:"spool"` // folder of the nodes' folders
	Sources map[string]Source `json:"sources,omitempty"`
}

// Source is where a worker's packets come from.
type Source struct {
	Name string `json:"name"`
	Live bool   `json:"live,omitempty"` // a network interface
}

// WebSocket is the settings of package api/websocket, field by field.
type WebSocket struct {
	Listen string `json:"listen"`

	Cert     string `json:"cert,omitempty"`
	Key      string `json:"key,omitempty"`
	ClientCA string `json:"client_ca,omitempty"`
	ACL      string `json:"acl,omitempty"`

	Hosts   []string `json:"hosts,omitempty"`
	Origins []string `json:"origins,omitempty"`

	Declarations []string `json:"declarations,omitempty"`
	DeclaredOnly bool     `json:"declared_only,omitempty"`

	PingInterval  time.Duration `json:"ping_interval,omitempty"`
	MessageBytes  int           `json:"message_bytes,omitempty"`
	Rate          int           `json:"rate,omitempty"`
	Subscriptions int           `json:"subscriptions,omitempty"`
	Connections   int           `json:"connections,omitempty"`
	Handshakes    int           `json:"handshakes,omitempty"`
	QueueBytes    int           `json:"queue_bytes,omitempty"`
}

// Doorway is what a node or the hub gives the doors that it holds.
type Doorway struct {
	Spec Spec
	ID   string // of this life of the node
	Log  *slog.Logger
	Now  func() time.Time
	// Bus makes a connection of its own, which the door runs: what comes in by the
	// door then reaches the node, too.
	Bus func(id string) (backend.Driver, error)
	// Note writes a line into cluster.log, where the node has one. It may wait.
	Note func(text string)
	// Counter is one in the node's ledger.
	Counter func(name string) *ledger.Counter
}

// openDoors opens what the spec asks for, beside the node's work: a door that
// does not open costs the node nothing. done is closed after shut, when all are
// closed.
func (n *node) openDoors(note func(string)) (shut func(), done <-chan struct{}) {
	ctx, shut := context.WithCancel(context.Background())
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		if n.deps.Doors == nil {
			return
		}
		n.deps.Doors(ctx, Doorway{
			Spec: n.spec, ID: n.id, Log: n.deps.Log, Now: n.deps.Now, Note: note, Counter: n.books.Counter,
			Bus: func(id string) (backend.Driver, error) {
				bus, err := n.deps.Connect(n.spec.visitor(), id)
				if err != nil {
					return nil, err
				}
				return Announced(bus, n.cluster.Want), nil
			},
		})
	}()
	return shut, closed
}
