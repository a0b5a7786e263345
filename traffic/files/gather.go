package files

import "github.com/picket-nsm/picket/internal/freelist"

// What a Gatherer keeps for reuse: finished analyzers, and buffers up to a length.
const (
	maxGathering  = 64
	keepGathering = 8 << 10
)

// Gatherer makes analyzers for files that are read in one piece, such as
// certificates. One goroutine.
type Gatherer struct {
	max  int
	done func(f *File, data []byte)
	free freelist.List[*gathering]
}

// NewGatherer returns a Gatherer that calls done for each file that came whole and
// is no longer than max bytes. data is valid until done returns.
func NewGatherer(max int, done func(f *File, data []byte)) *Gatherer {
	return &Gatherer{max: max, done: done, free: freelist.New[*gathering](maxGathering)}
}

// Analyzer returns the analyzer of one file.
func (g *Gatherer) Analyzer(*File) Analyzer {
	if a := g.free.Take(); a != nil {
		return a
	}
	return &gathering{g: g}
}

// gathering is the analyzer of one file.
type gathering struct {
	g    *Gatherer
	buf  []byte
	over bool // it has a gap or is too long
}

// Data implements Analyzer.
func (a *gathering) Data(_ *File, data []byte) bool {
	if len(a.buf)+len(data) > a.g.max {
		a.over = true
		return false
	}
	a.buf = append(a.buf, data...)
	return true
}

// Gap implements Analyzer.
func (a *gathering) Gap(*File, uint64) bool {
	a.over = true
	return false
}

// End implements Analyzer.
func (a *gathering) End(f *File) {
	if !a.over {
		a.g.done(f, a.buf)
	}
	a.over = false
	if a.buf = a.buf[:0]; cap(a.buf) > keepGathering {
		a.buf = nil
	}
	a.g.free.Keep(a)
}
