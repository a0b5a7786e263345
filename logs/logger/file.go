package logger

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/logs/sink"
	"github.com/picket-nsm/picket/zeek/record"
)

// maxSchemas is how many schemas of one path have files at once.
const maxSchemas = 8

// File is what a log file must be able to do. os.File is one.
type File interface {
	io.WriterAt
	io.Closer
	Truncate(size int64) error
}

func openFile(name string) (File, error) {
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
}

// file is a log file that grows. What the ledger knows of it is in ref.
type file struct {
	path   string
	base   string // conn, or conn-2 for a second schema of one path
	name   string // of the growing file
	schema *record.Schema
	hash   uint64
	format sink.Format
	opened time.Time
	ref    ledger.FileRef
	size   int64 // whole bytes
	w      File
	noted  bool // the ledger knows it
}

// schemaHash tells apart what cannot be in one file: other columns, another format.
func schemaHash(format string, s *record.Schema) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00", format)
	for i := range s.Fields {
		f := &s.Fields[i]
		fmt.Fprintf(h, "%s\x00%d\x00%d\x00", f.Name, f.Kind, f.Elem)
	}
	return h.Sum64()
}

// render makes the bytes of a batch in l.buf and finds the file they belong to.
// All rows are read before any is written: a batch is written wholly or refused.
func (l *Logger) render(b *record.Batch, c *record.Cursor) (*file, string) {
	f, why := l.fileFor(c.Schema())
	if why != "" {
		return nil, why
	}
	buf, n, err := f.format.Rows(l.buf[:0], c)
	l.buf = buf[:0:cap(buf)]
	if err == nil {
		err = c.Err()
	}
	if err != nil {
		return nil, err.Error()
	}
	if n != b.Records {
		return nil, fmt.Sprintf("%d of %d records can be written", n, b.Records)
	}
	l.buf = buf
	return f, ""
}

// fileFor finds the open file for a schema, or plans a new one. It touches no disk.
func (l *Logger) fileFor(s *record.Schema) (*file, string) {
	hash := uint64(0)
	for _, f := range l.files[s.Path] {
		if f.schema == s {
			return f, ""
		}
		if hash == 0 {
			hash = schemaHash(l.cfg.Format.Name, s)
		}
		if f.hash == hash {
			f.schema = s
			return f, ""
		}
	}
	if hash == 0 {
		hash = schemaHash(l.cfg.Format.Name, s)
	}
	// A second schema for a path gets a file of its own, named as Zeek names a
	// second filter with the same path.
	for i := 1; i <= maxSchemas; i++ {
		base := s.Path
		if i > 1 {
			base = fmt.Sprintf("%s-%d", s.Path, i)
		}
		f := l.plan(s.Path, base)
		if l.named(f.name) {
			continue
		}
		f.schema, f.hash = s, hash
		l.files[s.Path] = append(l.files[s.Path], f)
		return f, ""
	}
	return nil, fmt.Sprintf("%d schemas for one path at a time are enough", maxSchemas)
}

func (l *Logger) plan(path, base string) *file {
	f := &file{path: path, base: base, format: l.cfg.Format.New()}
	name := base
	if l.cfg.Tag != "" {
		name += "." + l.cfg.Tag
	}
	f.name = filepath.Join(l.cfg.Dir, name+f.format.Ext())
	return f
}

func (l *Logger) named(name string) bool {
	for _, fs := range l.files {
		for _, f := range fs {
			if f.name == name {
				return true
			}
		}
	}
	return false
}

// write brings l.buf into the file, with a note before and after.
func (l *Logger) write(f *file, life ledger.Life, b *record.Batch) error {
	if err := l.open(f); err != nil {
		return err
	}
	led := l.deps.Ledger
	after := f.size + int64(len(l.buf))
	if err := led.Begin(ledger.Flight{
		File: f.ref, Life: life, Path: b.Path, Seq: b.Seq, Rows: b.Records, Before: f.size, After: after,
	}); err != nil {
		return err
	}
	if _, err := f.w.WriteAt(l.buf, f.size); err != nil {
		// What did reach the file goes, before the note does: a crash in between
		// finds a file that is too short to count.
		if e := f.w.Truncate(f.size); e != nil {
			err = errors.Join(err, e, f.w.Close())
			f.w = nil
		}
		led.Abort()
		return writeError(f.name, err)
	}
	led.Commit()
	f.size = after
	l.written++
	l.deps.Wrote(Written{Path: b.Path, Records: b.Records, Bytes: len(l.buf)})
	return nil
}

// writeError names the file, unless the error does: one of the system knows its path.
func writeError(name string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return err
	}
	return fmt.Errorf("write %s: %w", name, err)
}

// open makes sure that the file is there, cut to what is whole, and has a
// header. It can be called again after an error.
func (l *Logger) open(f *file) error {
	if f.w != nil {
		return nil
	}
	if !f.noted {
		f.opened = l.deps.Now()
		if err := l.clear(f); err != nil {
			return err
		}
		ref, err := l.deps.Ledger.OpenFile(ledger.File{Path: f.path, Name: f.name, Opened: f.opened, Schema: f.hash})
		if err != nil {
			return err
		}
		f.ref, f.noted, f.size = ref, true, 0
	}
	w, err := l.deps.Open(f.name)
	if err != nil {
		return fmt.Errorf("open sink: %w", err)
	}
	if err := w.Truncate(f.size); err != nil {
		return errors.Join(fmt.Errorf("open sink %s: %w", f.name, err), w.Close())
	}
	if f.size == 0 {
		head := f.format.Header(nil, f.schema, f.opened)
		if _, err := w.WriteAt(head, 0); err != nil {
			return errors.Join(writeError(f.name, err), w.Truncate(0), w.Close())
		}
		f.size = int64(len(head))
		l.deps.Ledger.FileSize(f.ref, f.size)
	}
	f.w = w
	return nil
}

// clear gets a file out of the way that is not ours.
func (l *Logger) clear(f *file) error {
	st, err := os.Lstat(f.name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open sink: %w", err)
	}
	if l.cfg.Overwrite && st.Mode().IsRegular() {
		return nil // Cut to nothing when it is opened.
	}
	to, err := l.free(l.rotatedName(f.base, f.format.Ext(), st.ModTime(), l.deps.Now()))
	if err != nil {
		return err
	}
	if err := os.Rename(f.name, to); err != nil {
		return fmt.Errorf("move old log away: %w", err)
	}
	l.deps.Log.Info("a file of an earlier run was in the way", "file", f.name, "now", to)
	return nil
}
