// Package sink is the contract for where a logger writes: Zeek's "log writer",
// as a driver folder. The machine that drives it, package logger, owns order,
// rotation and retry; a sink turns encoded rows into bytes.
package sink

import (
	"time"

	"github.com/picket-nsm/picket/zeek/record"
)

// Format turns encoded rows into the bytes of a log file. One goroutine per
// open file. It keeps nothing of what it is given.
type Format interface {
	// Header returns the bytes a new file begins with; open is wall-clock time.
	Header(dst []byte, s *record.Schema, open time.Time) []byte
	// Rows appends the rows left in the cursor and returns how many it wrote. On an
	// error the bytes of complete rows stay in dst; the count tells how many.
	Rows(dst []byte, c *record.Cursor) ([]byte, int, error)
	// Footer returns the bytes a finished file ends with; none for most.
	Footer(dst []byte, close time.Time) []byte
	// Ext is the file name's ending: ".log".
	Ext() string
}

// Factory names a format and makes one.
type Factory struct {
	Name string // as users write it: tsv, json
	New  func() Format
}
