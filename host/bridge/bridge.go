// Package bridge lets real Zeek processes take part in a cluster that talks over
// another backend: they connect to the hub's ZeroMQ broker, and the bridge carries
// events, subscriptions, hellos and log batches between it and the bus.
//
// It stands in the hub, between a broker.Link and an end of the bus. Towards Zeek it
// is every node of the bus: it has their subscriptions, greets in their names and
// leaves with them. Towards the bus it is every Zeek process: it announces them,
// publishes in their names, and produces their log batches, which from here on are
// numbered, acknowledged and accounted for like any other. It owns no logs and no
// nodes, and it never changes an event.
//
// An event goes to every side but that from which it came, and on the bus it carries
// the bridge that relayed it, which does not take it back. So any number of
// bridges on one bus make no loop and no double, and events of one publisher stay in
// order.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/zeromq"
	"github.com/picket-nsm/picket/bus/backend/zeromq/broker"
	"github.com/picket-nsm/picket/bus/backend/zeromq/hello"
	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/record"
)

// Config is what a bridge is told.
type Config struct {
	ID     string         // of this life of the bridge; unlike any other on the bus
	Layout *layout.Layout // of the cluster, real Zeek processes included
	Zeek   []string       // names of those

	// XPUB and XSUB are the broker's endpoints, and Loggers where log batches go: of our
	// own loggers where we listen in their place, of Zeek's where they listen.
	XPUB, XSUB string
	Loggers    []Logger
	Keys       zeromq.Keys

	Announce time.Duration // how often Zeek processes are announced, if they are few (cluster.Turns); default 1 s
}

// Logger is where a logger takes batches.
type Logger struct {
	Name string
	At   []string
}

// Deps is what the program passes in.
type Deps struct {
	Broker *broker.Broker
	// Connect makes an end of the bus, which must be able to relay; the bridge runs it.
	Connect func(id string) (backend.Driver, error)
	Codec   codec.Codec // of the cluster
	Ledger  *ledger.Ledger
	// Written looks into a logger's ledger, as in ship.Deps; may be nil.
	Written func(logger string, b *record.Batch) (written, known bool)
	Takes   func(logger string, b *record.Batch) bool // likewise
	Now     func() time.Time
	Log     *slog.Logger
}

// Names of counters in the ledger.
const (
	EventsIn   = "bridge.events.in"      // from Zeek to the bus
	EventsOut  = "bridge.events.out"     // from the bus to Zeek
	Dropped    = "bridge.events.dropped" // from Zeek, refused by the bus: its queue was full
	Bad        = "bridge.events.bad"     // from Zeek, not four frames
	Codec      = "bridge.events.codec"   // from Zeek, in another codec than the cluster's
	Zeeks      = "bridge.zeeks"          // gauge: Zeek processes that are up
	Batches    = "bridge.batches"        // log batches from Zeek processes
	BatchesBad = "bridge.batches.bad"    // ... that could not be read, or whose path cannot be counted
)

// Bridge is a bridge. New builds it, Run works.
type Bridge struct {
	cfg     Config
	deps    Deps
	bus     backend.Driver
	relay   backend.Relay
	handle  func(backend.Message) // the membership's
	members *cluster.Cluster
	link    *broker.Link
	logs    logs

	ops struct { // what the loop is to do, in order
		sync.Mutex
		list []func()
		wake chan struct{}
		over bool
	}

	// topics are node ids whose hellos are for us: of the nodes on the bus, and our own.
	topics atomic.Pointer[map[string]bool]

	// Of the loop.
	self   *hello.Machine      // greets Zeek processes, to learn who they are
	remote map[string]*persona // nodes of the bus, by id
	wanted map[string]int      // prefixes, and how many nodes of the bus want them
	seen   map[string]bool     // what Zeek processes subscribed to
	zeeks  map[string]*zeek

	in, out, dropped, bad, codec *ledger.Counter

	strange struct { // who speaks another codec
		sync.Mutex
		ids map[string]bool
	}
}

// persona is a node of the bus as Zeek sees it.
type persona struct {
	node     cluster.Node
	prefixes []string
	machine  *hello.Machine // nil: not in the layout, so no node to Zeek
}

// zeek is a Zeek process that is up.
type zeek struct {
	cluster.Node
	pace cluster.Pace
}

// New builds a bridge, and opens the ports for log batches.
func New(cfg Config, deps Deps) (*Bridge, error) {
	if cfg.Announce == 0 {
		cfg.Announce = time.Second
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	b := &Bridge{
		cfg: cfg, deps: deps, remote: map[string]*persona{}, wanted: map[string]int{}, seen: map[string]bool{}, zeeks: map[string]*zeek{},
		in: deps.Ledger.Counter(EventsIn), out: deps.Ledger.Counter(EventsOut), dropped: deps.Ledger.Counter(Dropped), bad: deps.Ledger.Counter(Bad),
		codec: deps.Ledger.Counter(Codec),
	}
	b.strange.ids = map[string]bool{}
	b.ops.wake = make(chan struct{}, 1)
	b.self = hello.New("bridge", cfg.ID, b.known, 0)
	var err error
	if b.bus, err = deps.Connect(cfg.ID); err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	var ok bool
	if b.relay, ok = b.bus.(backend.Relay); !ok {
		return nil, errors.New("bridge: this backend cannot publish for others")
	}
	b.members = cluster.New(cluster.Config{Name: cfg.ID, ID: cfg.ID, Role: layout.None}, cluster.Deps{
		Events: member{b}, Codec: deps.Codec, Status: b.bus.Status,
		NodeUp:   func(n cluster.Node) { b.logs.changed(b) },
		NodeDown: func(n cluster.Node) { b.logs.changed(b); b.do(func() { b.left(n) }) },
		Wants:    func(n cluster.Node, prefixes []string) { b.do(func() { b.wants(n, prefixes) }) },
	})
	b.bus.Receive(b.fromBus)
	b.retopic()
	if err := b.logs.open(b); err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	return b, nil
}

func (b *Bridge) known(name string) bool {
	_, ok := b.cfg.Layout.Node(name)
	return ok
}

// do has the loop call f. It does not wait.
func (b *Bridge) do(f func()) {
	b.ops.Lock()
	defer b.ops.Unlock()
	if b.ops.over || len(b.ops.list) >= maxOps {
		return
	}
	b.ops.list = append(b.ops.list, f)
	select {
	case b.ops.wake <- struct{}{}:
	default:
	}
}

// maxOps bounds what may wait for the loop: more subscriptions than all peers of a
// broker can make in the time that the bus takes to answer.
const maxOps = 1 << 20

func (b *Bridge) take() []func() {
	b.ops.Lock()
	defer b.ops.Unlock()
	list := b.ops.list
	b.ops.list = nil
	return list
}

// Run carries until ctx ends. Then Zeek processes leave the bus, the nodes of the
// bus leave Zeek, and batches that were taken are handed to a logger, for a bounded
// time.
func (b *Bridge) Run(ctx context.Context) error {
	var bus, member, loop sync.WaitGroup
	var errs [2]error
	base := context.WithoutCancel(ctx)
	busCtx, leaveBus := context.WithCancel(base)
	memberCtx, leave := context.WithCancel(base)
	defer leaveBus()
	defer leave()
	b.link = b.deps.Broker.Link(taker{b})
	b.link.Subscribe(nodeTopic(b.cfg.ID))
	failed := make(chan struct{})
	bus.Go(func() {
		defer close(failed)
		errs[0] = b.bus.Run(busCtx)
	})
	member.Go(func() { errs[1] = b.members.Run(memberCtx) })
	stopLogs := b.logs.start(b, base)
	end := make(chan struct{})
	loop.Go(func() { b.loop(end) })

	select {
	case <-ctx.Done():
	case <-failed: // the bus refused us
	}
	close(end)
	loop.Wait()
	b.link.Close()
	stopLogs()
	leave()
	member.Wait()
	leaveBus()
	bus.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	return nil
}

// loop does what is to be done, and lets time pass, until end.
func (b *Bridge) loop(end <-chan struct{}) {
	tick := time.NewTicker(b.cfg.Announce)
	defer tick.Stop()
	for {
		select {
		case <-b.ops.wake:
			for _, f := range b.take() {
				f()
			}
		case <-tick.C:
			b.passTime()
		case <-end:
			b.ops.Lock()
			b.ops.over = true
			b.ops.Unlock()
			for _, n := range b.sorted() {
				b.announce(n.Node, cluster.Goodbye(n.Node))
			}
			return
		}
	}
}

// sorted are the Zeek processes that are up, by name.
func (b *Bridge) sorted() []*zeek {
	var all []*zeek
	for _, n := range b.zeeks {
		all = append(all, n)
	}
	slices.SortFunc(all, func(x, y *zeek) int { return strings.Compare(x.Name, y.Name) })
	return all
}

// member is the bus as the membership sees it: the bridge looks at what comes first.
type member struct{ b *Bridge }

func (m member) Receive(handle func(backend.Message))      { m.b.handle = handle }
func (m member) Subscribe(p string) error                  { return m.b.bus.Subscribe(p) }
func (m member) Unsubscribe(p string) error                { return m.b.bus.Unsubscribe(p) }
func (m member) Publish(t, c string, payload []byte) error { return m.b.bus.Publish(t, c, payload) }
func (m member) Flush(ctx context.Context) error           { return m.b.bus.Flush(ctx) }
