package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/record"
)

// Run is a node's life: it opens its ledger, joins the bus, becomes ready,
// works until its work or ctx ends, drains, and returns. An error says that it
// could not work, not that traffic or peers were bad.
func Run(ctx context.Context, spec Spec, deps Deps) (err error) {
	n, err := open(spec, deps)
	if err != nil {
		return fmt.Errorf("run %s: %w", spec.Name, err)
	}
	ctx, n.end = context.WithCancel(ctx)
	defer n.end()
	// The bus goes last: until then everybody may still want to say something.
	bus, leave := context.WithCancel(context.Background())
	defer leave()
	var running group
	running.start(func() error { return n.bus.Run(bus) })
	running.start(func() error { n.watchBus(bus); return nil })
	if spec.Role == "manager" { // which logs who goes through its doors
		err = n.work(ctx)
	} else {
		shut, closed := n.openDoors(func(text string) { deps.Log.Info(text) })
		err = n.work(ctx)
		shut()
		<-closed
	}
	n.books.SetState(ledger.Draining, deps.Now())
	err = errors.Join(err, n.leave())
	leave()
	err = errors.Join(err, running.wait())
	n.books.SetState(ledger.Stopped, deps.Now())
	if err = errors.Join(err, n.books.Close()); err != nil {
		return fmt.Errorf("run %s: %w", spec.Name, err)
	}
	return nil
}

// node is what all roles have.
type node struct {
	spec   Spec
	deps   Deps
	id     string // new at each start
	layout *layout.Layout
	books  *ledger.Ledger
	bus    backend.Driver

	cluster    *cluster.Cluster
	membership group              // runs cluster
	leaving    context.CancelFunc // ends it
	lines      []*line            // want to know which loggers are live
	onChange   func(x cluster.Node, up bool)
	onStranger func(text string)  // a node was not let in
	end        context.CancelFunc // of the node's work
}

// heartbeat is how often a node notes that it is alive.
const heartbeat = 500 * time.Millisecond

func open(spec Spec, deps Deps) (*node, error) {
	l, err := layout.Parse("cluster-layout.zeek", []byte(spec.Layout))
	if err != nil {
		return nil, err
	}
	role, ok := layout.ParseRole(spec.Role)
	if !ok {
		return nil, fmt.Errorf("role %q: not known", spec.Role)
	}
	n := &node{spec: spec, deps: deps, layout: l}
	if n.id, err = newID(spec, deps.Rand); err != nil {
		return nil, err
	}
	if n.bus, err = deps.Connect(spec, n.id); err != nil {
		return nil, err
	}
	if n.books, err = ledger.Create(spec.Dir, spec.Name, spec.Role, uint64(deps.Now().UnixNano())); err != nil {
		return nil, err
	}
	if err = n.newCluster(role); err != nil {
		return nil, errors.Join(err, n.books.Close())
	}
	return n, nil
}

// newID names this life of a node on the bus.
func newID(spec Spec, rand io.Reader) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	var b [6]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("node id: %w", err)
	}
	if spec.Bus.Backend == BackendZeroMQ {
		return cluster.NodeID("zeromq", spec.Name, host, os.Getpid(), "N"+hex.EncodeToString(b[:])), nil // as Zeek's
	}
	return cluster.NodeID("picket", spec.Name, host, os.Getpid(), hex.EncodeToString(b[:])), nil
}

// work is what the role does.
func (n *node) work(ctx context.Context) error {
	switch n.spec.Role {
	case "worker":
		return n.runWorker(ctx)
	case "logger":
		return n.runLogger(ctx)
	case "manager":
		return n.runManager(ctx)
	case "proxy":
		return n.runProxy(ctx)
	}
	return fmt.Errorf("role %q: not known", n.spec.Role)
}

// ready says that the node can do its work.
func (n *node) ready() { n.books.SetState(ledger.Ready, n.deps.Now()) }

// newLine makes the node's way for records over the bus.
func (n *node) newLine(block bool) (*line, error) {
	proof := ledger.Proof(func(logger string) string { return filepath.Join(filepath.Dir(n.spec.Dir), logger) })
	written := func(logger string, b *record.Batch) (bool, bool) { return proof(logger, b.Producer, b.Start, b.Seq) }
	columns, err := newColumns(n.spec, n.layout, n.bus, n.deps.Log)
	if err != nil {
		return nil, err
	}
	l := newLine(n.books, n.bus, written, columns, block, &n.deps)
	if err := n.bus.Acks(n.spec.Name, Answers(l.ship)); err != nil {
		return nil, err
	}
	return l, nil
}
