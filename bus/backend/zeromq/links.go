package zeromq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
)

// change changes what is known of the connections and wakes those who wait.
func (c *Conn) change(f func()) {
	c.links.Lock()
	defer c.links.Unlock()
	f()
	close(c.links.changed)
	c.links.changed = make(chan struct{})
}

// await waits until ok, which is called with links locked.
func (c *Conn) await(ctx context.Context, ok func() bool) error {
	for {
		c.links.Lock()
		done, closed, err, last, changed := ok(), c.links.closed, c.links.err, c.links.last, c.links.changed
		c.links.Unlock()
		switch {
		case err != nil:
			return err
		case done:
			return nil
		case closed:
			return backend.ErrClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if last != nil {
				return fmt.Errorf("%w: %w (%v)", backend.ErrDown, ctx.Err(), last)
			}
			return fmt.Errorf("%w: %w", backend.ErrDown, ctx.Err())
		}
	}
}

func (c *Conn) isReady() bool {
	c.links.Lock()
	defer c.links.Unlock()
	return c.links.ready
}

// watch is told what happens to the connections of XPUB and XSUB.
func (c *Conn) watch(e zmtp.Event, peer **zmtp.Peer, receiving bool) {
	switch e.Kind {
	case zmtp.Connected:
		if receiving {
			c.firstSubscriptions()
		}
		c.change(func() { *peer = e.Peer })
		c.probe()
	case zmtp.Gone:
		c.change(func() {
			*peer, c.links.ready = nil, false
			c.stopProbe()
			if e.Err != nil {
				c.links.last = fmt.Errorf("connection to %s: %w", e.Endpoint, e.Err)
			}
		})
		c.out.gate(false)
		c.left(receiving)
	case zmtp.DialFailed, zmtp.Failed:
		c.change(func() {
			c.links.last = fmt.Errorf("connect to %s: %w", e.Endpoint, e.Err)
			if forGood(e.Err) {
				c.links.err = fmt.Errorf("%w: %w", backend.ErrRefused, c.links.last)
			}
		})
	}
}

// forGood says that trying again is of no use: the keys are wrong. Zeek's node
// ends in this case, too.
func forGood(err error) bool {
	return errors.Is(err, zmtp.ErrMechanism) || errors.Is(err, zmtp.ErrRefused) || errors.Is(err, zmtp.ErrKey)
}

// firstSubscriptions makes the subscriptions of before the first connection, in
// the order in which they were asked for, as messages: a Zeek node's start looks so.
// Later connections get them from the socket, sorted, as libzmq does it.
func (c *Conn) firstSubscriptions() {
	c.filter.mu.Lock()
	defer c.filter.mu.Unlock()
	c.links.Lock()
	began := c.links.began
	c.links.began = true
	c.links.Unlock()
	if !began {
		for _, p := range c.filter.all() {
			c.xsub.Subscribe(p)
		}
	}
}

// probe finds out whether what we publish is heard (wire.md section 1.7): it
// subscribes to a topic of our own and waits for the report on our XPUB. By then
// all subscriptions from before have been reported, too.
func (c *Conn) probe() {
	c.links.Lock()
	defer c.links.Unlock()
	if c.links.pub == nil || c.links.sub == nil || c.links.closed || c.links.probe != "" {
		return
	}
	c.links.probes++
	c.links.probe = fmt.Sprintf("%s%s.%d.", c.cfg.InternalTopicPrefix, c.cfg.ID, c.links.probes)
	c.links.asked = c.deps.Now()
	c.xsub.Subscribe(c.links.probe)
}

// stopProbe ends the probe under way; links is locked.
func (c *Conn) stopProbe() {
	if c.links.probe != "" {
		c.xsub.Unsubscribe(c.links.probe)
		c.links.probe = ""
	}
}

// reprobe makes a probe and waits for it.
func (c *Conn) reprobe(ctx context.Context) error {
	over := func() bool { return c.links.ready && c.links.probe == "" }
	if err := c.await(ctx, over); err != nil { // one under way is too old
		return err
	}
	c.probe()
	return c.await(ctx, over)
}

// probed takes the report of a probe; false: it is none of ours.
func (c *Conn) probed(topic string) bool {
	c.links.Lock()
	ours := c.links.probe != "" && c.links.probe == topic
	c.links.Unlock()
	if !ours {
		return false
	}
	first, again := false, false
	c.change(func() {
		if c.links.probe != topic {
			return
		}
		c.stopProbe()
		first, again = !c.links.ready, c.links.been
		c.links.ready, c.links.been = true, true
	})
	if first {
		if again {
			c.reconnects.Add(1)
		}
		c.out.gate(true)
	}
	return true
}

// probeTime is how long a probe may take before another is made.
const probeTime = 5 * time.Second

// tick is called now and then.
func (c *Conn) tick() {
	c.links.Lock()
	late := c.links.probe != "" && c.deps.Now().Sub(c.links.asked) > probeTime
	if late {
		c.stopProbe()
	}
	ready := c.links.ready
	c.links.Unlock()
	if late {
		c.probe()
	}
	c.passTime(ready)
}

// subscription is told what subscribers ask for: others, and ourselves.
func (c *Conn) subscription(_ *zmtp.Peer, s zmtp.Subscription) {
	if s.Subscribe && c.probed(s.Topic) {
		return
	}
	if s.Gone {
		return // our own connection ended: nobody left
	}
	c.saw(s.Topic, s.Subscribe)
}
