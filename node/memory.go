package node

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
)

// memoryMB is what the process has from the system, in MiB.
func memoryMB() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return (s[0].Value.Uint64() - s[1].Value.Uint64()) >> 20
}

// programMemory is about what the program itself takes, in bytes, beside what
// the Go runtime counts.
const programMemory = 24 << 20

// LeastMemory is the least limit with which a node can work, in bytes.
const LeastMemory = 2 * programMemory

// GoLimit returns the limit that the Go runtime is to be given (GOMEMLIMIT), so
// that the whole process stays below memory bytes.
func GoLimit(memory int64) int64 { return max(memory-programMemory, programMemory) }

// memoryLimit is what GOMEMLIMIT says: the supervisor's setting for a node, or
// whoever starts the process. 0: none.
func memoryLimit() int64 {
	if n := debug.SetMemoryLimit(-1); n != math.MaxInt64 {
		return n
	}
	return 0
}

// guard keeps a worker's process below the memory limit. The table's own limits
// follow from it (flow.Limits.Within), but what analyzers remember of their
// connections is counted by nobody, so the guard looks at what the garbage
// collector found alive: above three quarters of the limit the worker sheds an
// eighth of its connections, and waits for the next collection before it looks
// again.
type guard struct {
	limit  uint64 // of the process; 0: none
	cycles uint64 // collections when it last shed
	sample []metrics.Sample
}

func newGuard(limit int64) guard {
	return guard{limit: uint64(limit), sample: []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/cycles/total:gc-cycles"},
	}}
}

// shed returns how many of the connections that are open must go.
func (g *guard) shed(open int) int {
	if g.limit == 0 {
		return 0
	}
	metrics.Read(g.sample)
	live, cycles := g.sample[0].Value.Uint64(), g.sample[1].Value.Uint64()
	if live < g.limit/4*3 || cycles <= g.cycles {
		return 0
	}
	g.cycles = cycles + 1 // the one that may be running has marked what goes now
	return (open + 7) / 8
}
