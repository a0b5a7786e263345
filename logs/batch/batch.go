// Package batch is where a record becomes bytes: it takes rows from policy,
// passes each by the stream's hook, encodes it, and hands a batch on when it
// has 1000 records, 256 KiB, or is a second old.
//
// It stands between policy and the way to a logger. It runs on the worker's
// goroutine and owns the batch it is filling, nothing else; what happens to a
// full batch is its Out's business.
package batch

import (
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Out takes full batches. It owns them from then on. It may block: that is how
// reading a file waits for a slow logger.
type Out func(*record.Batch)

// Hook sees each row of a stream before it is encoded. It may change values in
// place. Returning nil vetoes the row; returning another stream redirects it.
type Hook func(s *Stream, row []value.Value) *Stream

// Stream is one log stream of this node. One goroutine.
type Stream struct {
	Schema *record.Schema
	Hook   Hook // nil costs one branch
	out    Out
}
