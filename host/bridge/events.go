package bridge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/zeromq/hello"
	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/topic"
)

// internalTopics begin the topics by which nodes find out whether they are heard;
// they mean nothing beyond the broker.
const internalTopics = "zeek.zeromq.internal."

// ourTopics begin the topics on which nodes of ours tell each other who they are:
// nobody else has a say there.
const ourTopics = "picket."

func nodeTopic(id string) string { return topic.NodeID(id) }

// taker is the bridge as the broker sees it.
type taker struct{ b *Bridge }

// Message implements broker.Taker: an event of a Zeek process that somebody on the
// bus wants.
func (t taker) Message(m zmtp.Message) {
	b, p := t.b, m.Parts()
	if len(p) != 4 {
		b.bad.Add(1)
		return
	}
	if string(p[2]) != b.deps.Codec.Name() {
		b.stranger(string(p[1]), string(p[2]))
		return
	}
	if strings.HasPrefix(string(p[0]), ourTopics) || strings.HasPrefix(string(p[0]), "zeek.cluster.nodeid.") && b.greeting(p) {
		return
	}
	if err := b.relay.PublishFor(string(p[1]), string(p[0]), string(p[2]), p[3]); err != nil {
		b.dropped.Add(1)
		return
	}
	b.in.Add(1)
}

// maxStrange bounds how many processes with another codec are told apart.
const maxStrange = 64

// stranger refuses an event in another codec: nobody on the bus would understand it.
func (b *Bridge) stranger(id, codec string) {
	b.codec.Add(1)
	if name := topic.NameOf(id); slices.Contains(b.cfg.Zeek, name) {
		b.deps.Ledger.Counter(ledger.Link(name, ledger.LinkCodec)).Add(1)
	}
	b.strange.Lock()
	fresh := !b.strange.ids[id] && len(b.strange.ids) < maxStrange
	if fresh {
		b.strange.ids[strings.Clone(id)] = true
	}
	b.strange.Unlock()
	if fresh {
		b.deps.Log.Warn(fmt.Sprintf("%.256q speaks %.40q, this cluster %s: it is not let in; give all nodes the same codec", id, codec, b.deps.Codec.Name()))
	}
}

// Flush implements broker.Taker.
func (t taker) Flush() {}

// Subscription implements broker.Taker. The broker is locked: the loop does it.
func (t taker) Subscription(topic string, subscribe bool) {
	if strings.HasPrefix(topic, internalTopics) {
		return
	}
	t.b.do(func() { t.b.zeekWants(topic, subscribe) })
}

// greeting takes an event to a node id for which we greet. Hellos end here; the rest
// goes to the node.
func (b *Bridge) greeting(p [][]byte) bool {
	id, ok := topic.NodeIDOf(string(p[0]))
	if !ok || !(*b.topics.Load())[id] {
		return false
	}
	e, ok := b.decode(string(p[2]), p[3])
	if !ok {
		return id == b.cfg.ID
	}
	kind, from, ok := hello.Parse(e)
	if !ok {
		return id == b.cfg.ID
	}
	if from.ID != string(p[1]) {
		b.deps.Log.Warn("a process greets in another's name", "sender", string(p[1]), "as", from.ID)
		return true
	}
	b.do(func() { b.heard(id, kind, from) })
	return true
}

func (b *Bridge) decode(codec string, payload []byte) (event.Event, bool) {
	if codec != b.deps.Codec.Name() {
		return event.Event{}, false
	}
	e, err := b.deps.Codec.Decode(payload)
	return e, err == nil
}

// fromBus takes an event off the bus. What nodes of ours tell each other is for the
// membership; the rest is for Zeek.
func (b *Bridge) fromBus(m backend.Message) {
	if m.Topic == cluster.PresenceTopic {
		b.handle(m)
		return
	}
	if id, ok := topic.NodeIDOf(m.Topic); ok {
		// A newcomer is answered at its own topic, and so is a Zeek process, which would
		// not know what to make of it.
		if id == b.cfg.ID {
			b.handle(m)
			return
		}
		if e, ok := b.decode(m.Codec, m.Payload); ok && strings.HasPrefix(e.Name, "Picket::") {
			b.handle(m)
			return
		}
	}
	b.out.Add(1)
	_ = b.link.Publish([]byte(m.Topic), []byte(m.Sender), []byte(m.Codec), m.Payload) // full subscribers are counted by the broker
}
