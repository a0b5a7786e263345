package node

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/zeek/layout"
)

// join makes the node part of the cluster: from here on the others see it, and
// its lines learn which loggers are live. It comes back when the node is on the
// bus. leave takes it back.
func (n *node) join(ctx context.Context, lines ...*line) error {
	n.lines = lines
	in, leave := context.WithCancel(context.Background())
	n.leaving = leave
	n.membership.start(func() error {
		err := n.cluster.Run(in)
		if err != nil {
			n.end() // as if it were asked to: it drains, and says why
		}
		return err
	})
	if err := n.awaitBus(ctx); err != nil {
		return fmt.Errorf("join the bus: %w", err)
	}
	return nil
}

// A node that cannot reach its bus says so after a while, and then now and again.
const (
	busSilence = 5 * time.Second
	busReminds = time.Minute
)

// awaitBus returns when the node is on the bus, however long that takes.
func (n *node) awaitBus(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- n.bus.Flush(ctx) }()
	remind := time.NewTimer(busSilence)
	defer remind.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-remind.C:
			n.deps.Log.Warn("the bus is not reached yet, trying on", "bus", n.spec.Bus.where())
			remind.Reset(busReminds)
		}
	}
}

// where is the bus's place, without a password.
func (b Bus) where() string {
	if b.Backend == BackendZeroMQ {
		return strings.Join(slices.Concat(b.ZeroMQ.XPUB, b.ZeroMQ.XSUB), " ")
	}
	var out []string
	for part := range strings.SplitSeq(b.URL, ",") {
		if u, err := url.Parse(part); err == nil {
			out = append(out, u.Redacted())
		}
	}
	return strings.Join(out, ",")
}

// leave says goodbye.
func (n *node) leave() error {
	if n.leaving == nil {
		return nil
	}
	n.leaving()
	return n.membership.wait()
}

// newCluster prepares the membership; nothing runs yet.
func (n *node) newCluster(role layout.Role) error {
	codecs := n.deps.Codecs
	for i, c := range codecs {
		if c.Name() == n.spec.Bus.Codec || n.spec.Bus.Codec == "" && i == 0 {
			n.cluster = cluster.New(
				cluster.Config{Name: n.spec.Name, ID: n.id, Role: role, RoleOf: n.roleOf, Pools: n.pools()},
				cluster.Deps{
					Events: n.bus, Codec: c, Books: n.books,
					Status:   n.bus.Status,
					NodeUp:   func(x cluster.Node) { n.changed(x, true) },
					NodeDown: func(x cluster.Node) { n.changed(x, false) },
					Stranger: func(id, codec string) {
						text := fmt.Sprintf("%s speaks %.40q, this cluster %s: it is not let in; give all nodes the same codec", id, codec, c.Name())
						n.deps.Log.Warn(text)
						if n.onStranger != nil {
							n.onStranger(text)
						}
					},
				})
			return nil
		}
	}
	return fmt.Errorf("codec %q: not known", n.spec.Bus.Codec)
}

// roleOf is a node's role in the layout.
func (n *node) roleOf(name string) layout.Role {
	x, _ := n.layout.Node(name)
	return x.Role
}

// pools are the layout's nodes by role.
func (n *node) pools() map[layout.Role][]string {
	all := map[layout.Role][]string{}
	for _, x := range n.layout.Nodes {
		all[x.Role] = append(all[x.Role], x.Name)
	}
	return all
}

// changed is called when another node came or went, on the cluster's goroutine.
func (n *node) changed(x cluster.Node, up bool) {
	if x.Role == layout.Logger {
		var live []string
		for _, l := range n.cluster.Live(layout.Logger) {
			live = append(live, l.Name)
		}
		for _, l := range n.lines {
			l.ship.Loggers(live)
		}
	}
	if n.onChange != nil {
		n.onChange(x, up)
	}
}

// metered is an extra ability of a bus: counters under names of their own.
type metered interface{ Metrics() map[string]uint64 }

// watchBus notes what the bus says of itself and tells the lines of reconnects,
// until ctx ends.
func (n *node) watchBus(ctx context.Context) {
	var reconnects uint64
	count := func(name string) *ledger.Counter { return n.books.Counter(name) }
	events, batches, queued := count("bus.events.published"), count("bus.batches.sent"), count("bus.queued")
	delivered, again := count("bus.events.delivered"), count("bus.reconnects")
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			n.books.Heartbeat(now)
			s := n.bus.Status()
			events.Set(s.Published)
			delivered.Set(s.Delivered)
			batches.Set(s.Sent)
			queued.Set(uint64(s.Queued))
			again.Set(s.Reconnects)
			if m, ok := n.bus.(metered); ok {
				for name, v := range m.Metrics() {
					count(name).Set(v)
				}
			}
			for reason, d := range s.Dropped {
				count("bus.dropped." + reason).Set(d)
			}
			if s.Reconnects != reconnects {
				reconnects = s.Reconnects
				for _, l := range n.lines {
					l.ship.Reconnected()
				}
			}
		}
	}
}
