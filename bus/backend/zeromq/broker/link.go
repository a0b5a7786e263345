package broker

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
)

// Taker is what a Link gives things to. Calls come from the goroutines of
// peers, several at a time except Subscription, and must not block.
type Taker interface {
	// Message is a message whose topic the link subscribed to, from any publisher
	// and any other link. It is lent until the call returns.
	Message(m zmtp.Message)
	// Flush is called after a run of messages.
	Flush()
	// Subscription tells what the others subscribe to, as a node sees it: each
	// subscription, repeated ones too, and the removal when none of the others
	// wants the topic any more. It may Publish; it must not subscribe.
	Subscription(topic string, subscribe bool)
}

// Link is a node inside the process: the bridge, or the hub itself. It gets
// nothing back of what it publishes, and does not see its own subscriptions.
type Link struct {
	b    *Broker
	take Taker

	mu   sync.RWMutex
	subs map[string]int
	lens []int // lengths of the subscribed prefixes, each once, rising
}

// Link joins the broker. The taker is told all subscriptions there are before
// Link returns.
func (b *Broker) Link(take Taker) *Link {
	l := &Link{b: b, take: take, subs: map[string]int{}}
	b.mu.Lock()
	defer b.mu.Unlock()
	all := append(slices.Clone(*b.links.Load()), l)
	for _, topic := range slices.Sorted(maps.Keys(b.counts)) {
		take.Subscription(topic, true)
	}
	b.links.Store(&all)
	return l
}

// Close leaves the broker; the link's subscriptions end. Messages that are on
// their way may still come.
func (l *Link) Close() {
	l.mu.RLock()
	subs := maps.Clone(l.subs)
	l.mu.RUnlock()
	for _, topic := range slices.Sorted(maps.Keys(subs)) {
		l.b.wish(l, topic, false, subs[topic])
	}
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(*l.b.links.Load()), func(o *Link) bool { return o == l })
	l.b.links.Store(&all)
}

// Subscribe asks for topics that begin with the prefix; publishers and other links see it.
func (l *Link) Subscribe(prefix string) { l.b.wish(l, prefix, true, 1) }

// Unsubscribe takes one Subscribe back; one too many does nothing.
func (l *Link) Unsubscribe(prefix string) { l.b.wish(l, prefix, false, 1) }

// count notes the link's own subscription; false: it has none to take back.
func (l *Link) count(topic string, subscribe bool, times int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	had := l.subs[topic]
	switch {
	case subscribe:
		l.subs[topic] = had + times
	case had < times:
		return false
	case had == times:
		delete(l.subs, topic)
	default:
		l.subs[topic] = had - times
	}
	l.lens = l.lens[:0]
	for p := range l.subs {
		l.lens = append(l.lens, len(p))
	}
	slices.Sort(l.lens)
	l.lens = slices.Compact(l.lens)
	return true
}

// Publish sends a message to subscribers and other links; the parts are copied.
func (l *Link) Publish(parts ...[]byte) error {
	if len(parts) == 0 {
		return fmt.Errorf("broker: publish: message without parts")
	}
	b := l.b
	b.injectMu.Lock()
	err := b.inject.Send(parts...)
	b.inject.Flush()
	b.injectMu.Unlock()
	links := *b.links.Load()
	if len(links) < 2 {
		return err
	}
	m := zmtp.NewMessage(parts...)
	for _, o := range links {
		if o != l && o.offer(m) {
			o.take.Flush()
		}
	}
	return err
}

func (l *Link) own(topic string) int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.subs[topic]
}

// offer gives the message to the taker if it wants it.
func (l *Link) offer(m zmtp.Message) bool {
	topic := m.Parts()[0]
	l.mu.RLock()
	want := false
	for _, n := range l.lens {
		if n > len(topic) {
			break
		}
		if l.subs[string(topic[:n])] > 0 {
			want = true
			break
		}
	}
	l.mu.RUnlock()
	if want {
		l.take.Message(m)
	}
	return want
}
