// Package logbin is the gate for log batches, Zeek's zeek-bin-serializer: it
// says what a batch from a peer holds, or why it must not go further.
//
// It stands where batches come in from a bus. It reads every byte and builds
// nothing; the layout is zeek/record's (docs/formats/log-batch.md). A Zeek 8.1
// logger dies of a batch that does not parse, so none passes here.
package logbin

import (
	"fmt"

	"github.com/picket-nsm/picket/zeek/record"
)

// Name is what frame 3 and headers say.
const Name = "zeek-bin-serializer"

// Info says what a batch holds.
type Info struct {
	Stream  string
	Writer  string
	Filter  string
	Path    string
	Records int
	Size    int // bytes that count: what follows the last record does not
}

// Gate checks batches. Its zero value is ready. One goroutine: it keeps the
// header it saw last, because most batches repeat it.
type Gate struct{ c record.Cursor }

// Check reads the whole batch. The error is of kind record.ErrCorrupt. It
// keeps nothing of payload.
func (g *Gate) Check(payload []byte) (Info, error) {
	defer g.c.Release()
	if err := g.c.Reset(payload); err != nil {
		return Info{}, fmt.Errorf("check %s: %w", Name, err)
	}
	n := 0
	for g.c.Next() {
		n++
	}
	if err := g.c.Err(); err != nil {
		return Info{}, fmt.Errorf("check %s: %w", Name, err)
	}
	s := g.c.Schema()
	return Info{Stream: s.Stream, Writer: s.Writer, Filter: s.Filter, Path: s.Path, Records: n, Size: g.c.Offset()}, nil
}
