package websocket

import (
	"context"
	"fmt"
	"sync"

	"github.com/picket-nsm/picket/bus/backend"
)

// topics knows which client wants what. At the bus there is one subscription for
// each distinct prefix, made for the first client that wants it and ended with
// the last one.
type topics struct {
	bus backend.Events

	change sync.Mutex // one change at the bus at a time
	mu     sync.RWMutex
	subs   map[string]map[*client]struct{} // by prefix
	cache  map[string][]*client            // by topic; a slice is never changed
	gen    uint64                          // of subs: no older answer goes into the cache
}

// cacheSize bounds the topics whose clients are remembered; a full one starts anew.
const cacheSize = 4096

func (t *topics) init(bus backend.Events) {
	t.bus, t.subs, t.cache = bus, map[string]map[*client]struct{}{}, map[string][]*client{}
}

// errMany says that all clients together have too many subscriptions.
var errMany = fmt.Errorf("all clients together have %d subscriptions", maxDistinct)

// subscribe gives c what begins with these prefixes. It comes back when the bus
// delivers them, and what is published from then on reaches the others.
func (t *topics) subscribe(ctx context.Context, c *client, prefixes []string) error {
	t.change.Lock()
	fresh := t.add(c, prefixes)
	var err error
	if len(t.subs) > maxDistinct {
		err = errMany
	}
	for i := 0; i < len(fresh) && err == nil; i++ {
		err = t.bus.Subscribe(fresh[i])
	}
	t.change.Unlock()
	if err != nil {
		return err
	}
	return t.bus.Flush(ctx)
}

// add returns the prefixes that nobody had wanted so far.
func (t *topics) add(c *client, prefixes []string) (fresh []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range prefixes {
		of := t.subs[p]
		if of == nil {
			of = map[*client]struct{}{}
			t.subs[p] = of
			fresh = append(fresh, p)
		}
		of[c] = struct{}{}
	}
	clear(t.cache)
	t.gen++
	return fresh
}

// leave takes all subscriptions of a client back.
func (t *topics) leave(c *client, prefixes []string) {
	if len(prefixes) == 0 {
		return
	}
	t.change.Lock()
	defer t.change.Unlock()
	var last []string
	t.mu.Lock()
	for _, p := range prefixes {
		of := t.subs[p]
		if of == nil {
			continue
		}
		if delete(of, c); len(of) == 0 {
			delete(t.subs, p)
			last = append(last, p)
		}
	}
	clear(t.cache)
	t.gen++
	t.mu.Unlock()
	for _, p := range last {
		_ = t.bus.Unsubscribe(p) // closed: it ends with the connection
	}
}

// wanting returns the clients that want a topic, each once. The slice belongs to
// all who ask.
func (t *topics) wanting(topic string) []*client {
	t.mu.RLock()
	all, known := t.cache[topic]
	if known {
		t.mu.RUnlock()
		return all
	}
	gen := t.gen
	seen := map[*client]struct{}{}
	// The prefixes of the topic are fewer than what is subscribed to.
	for n := 0; n <= len(topic); n++ {
		for c := range t.subs[topic[:n]] {
			if _, twice := seen[c]; !twice {
				seen[c] = struct{}{}
				all = append(all, c)
			}
		}
	}
	t.mu.RUnlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if gen == t.gen {
		if len(t.cache) >= cacheSize {
			clear(t.cache)
		}
		t.cache[topic] = all
	}
	return all
}

// size is the number of distinct subscriptions.
func (t *topics) size() uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return uint64(len(t.subs))
}
