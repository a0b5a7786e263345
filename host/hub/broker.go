package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/picket-nsm/picket/bus/backend/zeromq"
	"github.com/picket-nsm/picket/bus/backend/zeromq/broker"
	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/node"
)

// Dropped begins the names of counters of messages that full subscribers missed,
// by class of topic.
const Dropped = "bus.dropped."

// openBroker starts the ZeroMQ broker.
func openBroker(spec node.Spec, led *ledger.Ledger, d Deps) (*broker.Broker, part, error) {
	z := spec.Bus.ZeroMQ
	curve, err := zeromq.Keys(z.Keys).Server()
	if err != nil {
		return nil, part{}, err
	}
	lines := sparse{now: d.Now}
	b, err := broker.New(broker.Config{XPUB: z.XPUB, XSUB: z.XSUB, Curve: curve}, broker.Deps{Monitor: func(s broker.Side, e zmtp.Event) {
		switch {
		case e.Kind == zmtp.Connected || e.Err == nil || errors.Is(e.Err, io.EOF):
		case !lines.room():
		case e.Kind == zmtp.Failed || e.Kind == zmtp.TooMany:
			d.Log.Warn(e.Kind.String(), "side", s, "remote", e.Remote, "error", e.Err)
		case e.Kind == zmtp.Gone:
			d.Log.Info(e.Kind.String(), "side", s, "remote", e.Remote, "error", e.Err)
		}
	}})
	if err != nil {
		return nil, part{}, err
	}
	xpub, xsub, err := b.Listen()
	if err != nil {
		return nil, part{}, fmt.Errorf("%w; is another broker or a Zeek manager running?", err)
	}
	noteLinks(led, spec.Zeek, nil) // so that status shows who is waited for
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	died := make(chan error, 1)
	wg.Go(func() {
		if err := b.Run(ctx); err != nil {
			died <- err
		}
	})
	return b, part{
		url: "zeromq " + strings.Join(append(xpub, xsub...), " "), died: died,
		note: func() { noteBroker(led, b.Status()); noteLinks(led, spec.Zeek, b.Peers()) },
		stop: func() error {
			cancel()
			wg.Wait()
			return nil
		},
	}, nil
}

// sparse lets some lines a second into the log: whoever reaches the ports can have
// handshakes fail, and must not drown what else the hub has to say.
type sparse struct {
	now func() time.Time

	mu     sync.Mutex
	second int64
	lines  int
}

const linesPerSecond = 10

func (l *sparse) room() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.now().Unix(); s != l.second {
		l.second, l.lines = s, 0
	}
	l.lines++
	return l.lines <= linesPerSecond
}

// noteBroker copies the broker's counters into the ledger.
func noteBroker(led *ledger.Ledger, s broker.Status) {
	for name, n := range BrokerCounters(s) {
		led.Counter(name).Set(n)
	}
}

// BrokerCounters are a broker's counters as in a ledger: those of every hub, the
// eight that Zeek exports, and what full subscribers missed by class of topic.
func BrokerCounters(s broker.Status) map[string]uint64 {
	p, subs := s.Proxy, 0
	for _, x := range s.XPUB.Peers {
		subs += x.Subscriptions
	}
	all := map[string]uint64{
		Clients: uint64(len(s.XPUB.Peers)), Subscriptions: uint64(subs), MessagesIn: s.XSUB.Total().Received, MessagesOut: s.XPUB.Total().Sent,
		BytesIn: p.FrontendBytesReceived, BytesOut: s.XPUB.Total().SentBytes,
		"zeek_cluster_zeromq_proxy_frontend_messages_received_total": p.FrontendMessagesReceived,
		"zeek_cluster_zeromq_proxy_frontend_bytes_received_total":    p.FrontendBytesReceived,
		"zeek_cluster_zeromq_proxy_frontend_messages_sent_total":     p.FrontendMessagesSent,
		"zeek_cluster_zeromq_proxy_frontend_bytes_sent_total":        p.FrontendBytesSent,
		"zeek_cluster_zeromq_proxy_backend_messages_received_total":  p.BackendMessagesReceived,
		"zeek_cluster_zeromq_proxy_backend_bytes_received_total":     p.BackendBytesReceived,
		"zeek_cluster_zeromq_proxy_backend_messages_sent_total":      p.BackendMessagesSent,
		"zeek_cluster_zeromq_proxy_backend_bytes_sent_total":         p.BackendBytesSent,
	}
	for class, n := range s.Dropped {
		all[Dropped+class[:min(len(class), 60)]] += n
	}
	return all
}

// noteLinks copies what passed between the broker and each real Zeek process.
func noteLinks(led *ledger.Ledger, zeeks []string, peers []broker.PeerStatus) {
	by := map[string]broker.PeerStatus{}
	for _, p := range peers {
		by[p.Name] = p
	}
	for _, name := range zeeks {
		p := by[name]
		for what, n := range map[string]uint64{
			ledger.LinkUp: uint64(p.Connected), ledger.LinkQueued: uint64(p.Queued),
			ledger.LinkIn: p.From.Received, ledger.LinkOut: p.To.Sent, ledger.LinkDropped: p.To.Dropped + p.To.Lost,
		} {
			led.Counter(ledger.Link(name, what)).Set(n)
		}
	}
}
