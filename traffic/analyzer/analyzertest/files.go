package analyzertest

import (
	"bytes"
	"fmt"

	"github.com/picket-nsm/picket/traffic/files"
)

// Files makes a table of files for a test. When a file is over, line makes of it
// what the recorder writes down. The kit ends with each conversation what files are
// left, so that conversations do not touch each other.
func Files(rec *Recorder, line func(f *files.File) string) *files.Table {
	rec.files = files.New(files.Default(), shelf{rec, line})
	return rec.files
}

type shelf struct {
	rec  *Recorder
	line func(f *files.File) string
}

func (shelf) New(*files.File)     {}
func (shelf) Sniffed(*files.File) {}
func (s shelf) Removed(f *files.File) {
	if !s.rec.Quiet {
		s.rec.Eventf("%s", s.line(f))
	}
}

// Contents makes a table as Files does that keeps what files hold: line gets it too,
// with [3] where three bytes are missing, quoted, and cut in the middle if it is long.
func Contents(rec *Recorder, line func(f *files.File, content string) string) *files.Table {
	rec.files = files.New(files.Default(), library{rec, line})
	return rec.files
}

type library struct {
	rec  *Recorder
	line func(f *files.File, content string) string
}

func (l library) New(f *files.File) {
	if !l.rec.Quiet {
		f.Attach("CONTENT", &content{library: l})
	}
}
func (library) Sniffed(*files.File) {}
func (library) Removed(*files.File) {}

// content is what one file holds.
type content struct {
	library
	buf bytes.Buffer
}

// Data implements files.Analyzer.
func (t *content) Data(_ *files.File, b []byte) bool {
	t.buf.Write(b)
	return true
}

// Gap implements files.Analyzer.
func (t *content) Gap(_ *files.File, n uint64) bool {
	fmt.Fprintf(&t.buf, "[%d]", n)
	return true
}

// End implements files.Analyzer.
func (t *content) End(f *files.File) {
	b := t.buf.Bytes()
	text := fmt.Sprintf("%q", b)
	if len(b) > 200 {
		text = fmt.Sprintf("%q...%q (%d)", b[:100], b[len(b)-50:], len(b))
	}
	t.rec.Eventf("%s", t.line(f, text))
}
