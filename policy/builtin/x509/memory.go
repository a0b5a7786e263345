package x509

import (
	format "github.com/picket-nsm/picket/traffic/format/x509"
	"github.com/picket-nsm/picket/traffic/packet"
)

// entry is a certificate that was read. It is never changed.
type entry struct {
	cert        *format.Certificate
	key         [32]byte // SHA-256 of the certificate itself
	fingerprint string   // the same in hexadecimal
	size        int
}

// cache keeps what was read of late, by the SHA-256 of the whole file. It is
// bounded by bytes; the oldest goes first.
type cache struct {
	m     map[[32]byte]*entry
	order [][32]byte
	head  int
	bytes int
}

func newCache() cache { return cache{m: map[[32]byte]*entry{}} }

func (c *cache) get(sum [32]byte) *entry { return c.m[sum] }

// cost is what an entry costs, more or less: its texts come from the file.
func (e *entry) cost() int { return e.size + 512 }

func (c *cache) put(sum [32]byte, e *entry) {
	if e.cost() > maxCache/4 {
		return
	}
	for c.bytes+e.cost() > maxCache {
		old := c.order[c.head]
		c.head++
		c.bytes -= c.m[old].cost()
		delete(c.m, old)
		if c.head > 1024 && c.head > len(c.order)/2 {
			c.order = c.order[:copy(c.order, c.order[c.head:])]
			c.head = 0
		}
	}
	c.m[sum] = e
	c.order = append(c.order, sum)
	c.bytes += e.cost()
}

// knownKey is what tells rows apart.
type knownKey struct {
	fingerprint [32]byte
	kind        uint8
}

// known remembers for some seconds, in packet time, what was logged or asked for.
type known struct {
	again packet.Time
	m     map[knownKey]struct{}
	queue []aged
	head  int
	shed  uint64
}

type aged struct {
	key knownKey
	end packet.Time
}

func newKnown(again float64) known {
	return known{again: packet.Time(again), m: map[knownKey]struct{}{}}
}

// add reports whether the key is new.
func (k *known) add(key knownKey, now packet.Time) bool {
	for k.head < len(k.queue) && k.queue[k.head].end <= now {
		k.pop()
	}
	if _, ok := k.m[key]; ok {
		return false
	}
	if len(k.m) >= maxKnown {
		k.pop()
		k.shed++
	}
	k.m[key] = struct{}{}
	k.queue = append(k.queue, aged{key, now + k.again})
	return true
}

func (k *known) pop() {
	delete(k.m, k.queue[k.head].key)
	k.head++
	if k.head > 1024 && k.head > len(k.queue)/2 {
		k.queue = k.queue[:copy(k.queue, k.queue[k.head:])]
		k.head = 0
	}
}

// Forget forgets what was logged; tests begin anew with it.
func (l *Log) Forget() { l.known = newKnown(l.cfg.Again) }
