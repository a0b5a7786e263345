package analyzertest

import (
	"fmt"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/packet"
)

// start is the time of a conversation's first turn.
const start packet.Time = 1_000_000_000

// Recorder is the connection that the kit gives to an analyzer. It writes down
// what the analyzer does to it, and what the handler of the test is told.
type Recorder struct {
	// Quiet says that lines are not wanted: a handler should return at once, so
	// that only the analyzer's allocations are counted.
	Quiet bool

	id       analyzer.ID
	now      packet.Time
	lines    []string
	violated bool // or removed
	children []child
	files    *files.Table // of Files or Contents, or nil
}

// Eventf writes down a line. The test's handler calls it for all it is told.
func (r *Recorder) Eventf(format string, args ...any) {
	if !r.Quiet {
		r.lines = append(r.lines, fmt.Sprintf(format, args...))
	}
}

// ID implements analyzer.Conn.
func (r *Recorder) ID() analyzer.ID { return r.id }

// Now implements analyzer.Conn.
func (r *Recorder) Now() packet.Time { return r.now }

// Weird implements analyzer.Conn.
func (r *Recorder) Weird(name, addl, source string) {
	if !r.Quiet {
		r.Eventf("weird %s %q %s", name, addl, source)
	}
}

// Confirm implements analyzer.Conn.
func (r *Recorder) Confirm(service string) {
	if !r.Quiet {
		r.Eventf("confirm %s", service)
	}
}

// Violation implements analyzer.Conn. The analyzer gets no more bytes after it.
func (r *Recorder) Violation(service, reason string, data []byte) {
	r.violated = true
	if !r.Quiet {
		r.Eventf("violation %s %q %q", service, reason, data)
	}
}

// Flip implements analyzer.Flipper.
func (r *Recorder) Flip() {
	i := &r.id
	i.Orig, i.Resp, i.OrigP, i.RespP = i.Resp, i.Orig, i.RespP, i.OrigP
	r.Eventf("flip")
}

// LimitReached implements analyzer.Limiter.
func (r *Recorder) LimitReached() { r.Eventf("limit") }

// Partial implements analyzer.Stream.
func (r *Recorder) Partial() bool { return false }

// Local implements analyzer.Local: both ends are.
func (r *Recorder) Local() (orig, resp, known bool) { return true, true, true }
