package weird

import "github.com/picket-nsm/picket/traffic/packet"

// memory is a table whose entries last for a fixed time of packet time, counted
// from when they were made. It holds at most max of them: then the oldest goes
// early and is counted.
type memory[K comparable, V any] struct {
	ttl  float64
	max  int
	m    map[K]V
	q    []entry[K] // in the order they end; q[:head] is gone
	head int
	shed uint64
}

type entry[K comparable] struct {
	key K
	end packet.Time
}

func newMemory[K comparable, V any](ttl float64, max int) *memory[K, V] {
	return &memory[K, V]{ttl: ttl, max: max, m: make(map[K]V)}
}

// get returns the entry of k.
func (t *memory[K, V]) get(k K, now packet.Time) (V, bool) {
	t.expire(now)
	v, ok := t.m[k]
	return v, ok
}

// put makes an entry for k, which must have none.
func (t *memory[K, V]) put(k K, v V, now packet.Time) {
	if len(t.m) >= t.max {
		t.pop()
		t.shed++
	}
	t.m[k] = v
	t.q = append(t.q, entry[K]{k, now + packet.Time(t.ttl)})
}

// set replaces the value of k, which must have an entry; it ends when it would have.
func (t *memory[K, V]) set(k K, v V) { t.m[k] = v }

// expire forgets what has ended.
func (t *memory[K, V]) expire(now packet.Time) {
	for t.head < len(t.q) && t.q[t.head].end <= now {
		t.pop()
	}
}

func (t *memory[K, V]) pop() {
	delete(t.m, t.q[t.head].key)
	t.q[t.head] = entry[K]{}
	t.head++
	if t.head > 1024 && t.head > len(t.q)/2 {
		t.q = t.q[:copy(t.q, t.q[t.head:])]
		t.head = 0
	}
}
