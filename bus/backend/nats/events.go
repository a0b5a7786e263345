package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/picket-nsm/picket/bus/backend"
)

// cacheSize bounds the memory for names seen; a full one starts anew.
const cacheSize = 4096

// Receive sets the handler for events.
func (c *Conn) Receive(handle func(backend.Message)) { c.handle = handle }

// Publish queues a message for the server.
func (c *Conn) Publish(topic, codec string, payload []byte) error {
	return c.PublishFor("", topic, codec, payload)
}

// PublishFor is Publish in the name of another node.
func (c *Conn) PublishFor(sender, topic, codec string, payload []byte) error {
	err := c.publish(sender, topic, codec, payload)
	if err != nil {
		return fmt.Errorf("bus nats: publish to %q: %w", topic, err)
	}
	return nil
}

func (c *Conn) publish(sender, topic, codec string, payload []byte) error {
	if c.closed.Load() {
		return backend.ErrClosed
	}
	if len(codec) > 255 || len(sender) > 255 {
		return fmt.Errorf("codec name of %d bytes, sender of %d: %w", len(codec), len(sender), backend.ErrTooLarge)
	}
	limit := c.events.limit()
	if n := len(payload) + len(codec) + len(sender) + len(c.cfg.ID) + 12; n > limit {
		return backend.ErrTooLarge
	}
	via := ""
	if sender == "" {
		sender = c.cfg.ID
	} else {
		via = c.cfg.ID
	}
	err := c.out.put(topic, sender, codec, via, payload, limit)
	if err != nil && !errors.Is(err, backend.ErrTooLarge) {
		c.counters.full.Add(1)
	}
	return err
}

// count counts queued messages that could not be sent.
func (c *Conn) count(n int, err error) {
	if tooLarge(err) {
		c.counters.big.Add(uint64(n))
	} else {
		c.counters.lost.Add(uint64(n))
	}
}

// Subscribe asks for topics that begin with prefix.
func (c *Conn) Subscribe(prefix string) error { return c.change("subscribe", prefix, true) }

// Unsubscribe takes a Subscribe back.
func (c *Conn) Unsubscribe(prefix string) error { return c.change("unsubscribe", prefix, false) }

func (c *Conn) change(what, prefix string, want bool) error {
	err := backend.ErrClosed
	if !c.closed.Load() {
		err = c.sub.change(prefix, want)
	}
	if err != nil {
		return fmt.Errorf("bus nats: %s %q: %w", what, prefix, err)
	}
	return nil
}

// event takes a message off the events connection. One goroutine.
func (c *Conn) event(m *nats.Msg) {
	num, sender, codec, via, payload, packed, err := cutFrame(m.Data)
	if err != nil {
		c.counters.bad.Add(1)
		return
	}
	if string(sender) == c.cfg.ID || string(via) == c.cfg.ID {
		return // the server does not echo, but an old connection of ours might
	}
	topic, ok := c.sub.topics[m.Subject]
	if !ok {
		if topic, err = c.subj.topic(m.Subject); err != nil {
			c.counters.bad.Add(1)
			return
		}
		if len(c.sub.topics) == cacheSize {
			clear(c.sub.topics)
		}
		c.sub.topics[m.Subject] = topic
	}
	if !c.sub.wants(topic) {
		return
	}
	// Each relay numbers for itself.
	key := sender
	if len(via) > 0 {
		c.sub.key = append(append(append(c.sub.key[:0], sender...), 0), via...)
		key = c.sub.key
	}
	from := c.sub.senders[string(key)]
	if from == nil {
		if len(c.sub.senders) == cacheSize {
			clear(c.sub.senders)
		}
		from = &source{id: string(sender), via: string(via)}
		c.sub.senders[string(key)] = from
	}
	n := 1
	if packed {
		if n, ok = countPacked(payload); !ok {
			c.counters.bad.Add(1)
			return
		}
		// What came before in another message is not taken again.
		for ; n > 0 && num <= from.num; num++ {
			_, payload, _ = cutPacked(payload)
			c.counters.again.Add(1)
			n--
		}
	} else if num <= from.num {
		c.counters.again.Add(1)
		n = 0
	}
	if n == 0 {
		return
	}
	from.num = num + uint64(n-1)
	if string(codec) != from.codec {
		from.codec = string(codec)
	}
	if d := c.arrive.put(arrived{topic: topic, sender: from.id, codec: from.codec, via: from.via, data: payload, packed: packed, n: n}); d > 0 {
		c.counters.slow.Add(uint64(d))
	}
}

func (c *Conn) deliver(m backend.Message) {
	if c.handle != nil && c.sub.wants(m.Topic) {
		c.counters.delivered.Add(1)
		c.handle(m)
	}
}

// source is what is known of a sender.
type source struct {
	id, codec, via string
	num            uint64
}

// cover keeps the prefixes that are asked for, and the fewest subscriptions at
// the server that let all of them in. These never overlap: of two stems one
// begins with the other, or they share nothing.
type cover struct {
	subj subjects
	link *link

	prefixes prefixes

	apply  sync.Mutex // one change at a time
	nc     *nats.Conn
	active map[string]*nats.Subscription // by stem
	lost   uint64                        // dropped by subscriptions that are gone

	// Of the pump's goroutine.
	topics  map[string]string // by subject
	senders map[string]*source
	key     []byte
}

func (v *cover) init(s subjects, l *link) {
	v.subj, v.link = s, l
	v.active, v.topics, v.senders = map[string]*nats.Subscription{}, map[string]string{}, map[string]*source{}
}

// wants reports whether a subscription matches the topic exactly.
func (v *cover) wants(topic string) bool { return v.prefixes.want(topic) }

// change adds or removes a prefix.
func (v *cover) change(prefix string, want bool) error {
	v.apply.Lock()
	defer v.apply.Unlock()
	now := slices.Clone(v.prefixes.all())
	i := slices.Index(now, prefix)
	switch {
	case want && i < 0:
		now = append(now, strings.Clone(prefix))
	case !want && i >= 0:
		now = slices.Delete(now, i, i+1)
	}
	v.prefixes.list.Store(&now)
	if v.nc == nil {
		return nil
	}
	return v.update()
}

// connected makes the first subscriptions.
func (v *cover) connected(nc *nats.Conn) error {
	v.apply.Lock()
	defer v.apply.Unlock()
	v.nc = nc
	return v.update()
}

// stems returns the stems needed, none of which begins with another.
func (v *cover) stems() []string {
	var all []string
	for _, p := range v.prefixes.all() {
		all = append(all, v.subj.stem(p))
	}
	slices.Sort(all)
	least := all[:0]
	for _, s := range all {
		if len(least) == 0 || !strings.HasPrefix(s, least[len(least)-1]) {
			least = append(least, s)
		}
	}
	return least
}

// update makes the subscriptions at the server those needed; apply is held. New
// ones are in effect before old ones end, so nothing is missed between.
func (v *cover) update() error {
	need := v.stems()
	fresh := false
	for _, s := range need {
		if v.active[s] != nil {
			continue
		}
		sub, err := v.nc.ChanSubscribe(s+">", v.link.in)
		if err != nil {
			return err
		}
		v.active[s], fresh = sub, true
	}
	if fresh && v.nc.IsConnected() {
		// An error means that the connection broke: it comes back with all of them.
		_ = v.nc.FlushTimeout(drainTime)
	}
	for s, sub := range v.active {
		if slices.Contains(need, s) {
			continue
		}
		if n, err := sub.Dropped(); err == nil {
			v.lost += uint64(n)
		}
		if err := sub.Unsubscribe(); err != nil {
			return err
		}
		delete(v.active, s)
	}
	return nil
}

// leave ends all subscriptions after what is on its way arrived.
func (v *cover) leave(ctx context.Context) {
	v.apply.Lock()
	defer v.apply.Unlock()
	for _, sub := range v.active {
		_ = sub.Drain() // an error: the connection is gone, and so is the subscription
	}
	if v.nc != nil && v.link.isUp() {
		_ = v.nc.FlushWithContext(ctx)
	}
}

// overflowed is how many messages found the channel full.
func (v *cover) overflowed() uint64 {
	v.apply.Lock()
	defer v.apply.Unlock()
	n := v.lost
	for _, sub := range v.active {
		if d, err := sub.Dropped(); err == nil {
			n += uint64(d)
		}
	}
	return n
}
