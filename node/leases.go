package node

import (
	"context"
	"time"

	"github.com/picket-nsm/picket/bus/cluster"
	dhcplog "github.com/picket-nsm/picket/policy/builtin/dhcp"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/topic"
)

// leases is where a worker's DHCP messages go: to the manager, which joins those
// of all workers to the rows of dhcp.log.
func (n *node) leases() dhcplog.Place {
	return dhcplog.NewRemote(func(e event.Event) error { return n.cluster.Publish(topic.Manager, e) }, nil)
}

// leaseDesk is the manager's side of it.
func (n *node) leaseDesk(out *line) (*dhcplog.Desk, error) {
	desk := dhcplog.NewDesk(out.open(dhcplog.Schema()))
	dropped := n.books.Counter("dhcp.dropped")
	err := n.cluster.Subscribe(topic.Manager, dhcplog.EventName, func(e cluster.Event) {
		desk.Take(&e.Event, n.deps.Now())
		dropped.Set(desk.Dropped())
	})
	return desk, err
}

// settled waits until what others had sent when it was called has arrived: the
// bus has answered and delivers nothing more, or a second is over.
func (n *node) settled() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if n.bus.Flush(ctx) != nil {
		return // no bus: nothing comes
	}
	for seen := ^uint64(0); ctx.Err() == nil && n.bus.Status().Delivered != seen; time.Sleep(20 * time.Millisecond) {
		seen = n.bus.Status().Delivered
	}
}
