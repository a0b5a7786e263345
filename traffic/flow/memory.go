package flow

// ConnCost is about what a connection costs, in bytes: its slots in the slabs
// and in the hash table, its timers, all with room to grow, and what policy
// remembers of it.
const ConnCost = 1 << 10

// Within returns limits with which a Table stays below about memory bytes:
// connections half of it, bytes out of order, fragments and bytes for
// signatures an eighth each. The rest is for what analyzers remember, which
// nobody counts: Shed is for that. No limit grows.
func (l Limits) Within(memory int64) Limits {
	least := func(have, want int) int { return min(have, max(want, 1)) }
	eighth := int(memory / 8)
	l.Conns = least(l.Conns, int(memory/2/ConnCost))
	l.ReassemblyTotal = least(l.ReassemblyTotal, eighth)
	l.ReassemblyPerConn = least(l.ReassemblyPerConn, eighth/4)
	l.FragTotal = least(l.FragTotal, eighth)
	l.DetectTotal = least(l.DetectTotal, eighth)
	l.Expected = least(l.Expected, eighth/ConnCost)
	l.TunnelPairs = least(l.TunnelPairs, eighth/ConnCost)
	return l
}

// Shed removes n connections, such as are silent for long, as if they had timed
// out: their rows are written, and ShedConns counts them. It is for an owner
// that runs out of memory.
func (t *Table) Shed(n int) {
	for n = min(n, t.stats.Active); n > 0; n-- {
		t.evict()
	}
}
