package logger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
)

// Rotation says when files are finished and what they are called then.
type Rotation struct {
	Every time.Duration // 0: never
	At    string        // HH:MM of the day that the intervals count from; empty: the epoch
	// Queue names rotated files as zeek-archiver wants them,
	// NAME__OPEN__CLOSE__.log, instead of NAME.OPEN.log.
	Queue bool
	// Suffix is put into these names as log_suffix, where there are several loggers.
	Suffix string
}

// dateFormat is Zeek's Log::default_rotation_date_format.
const dateFormat = "2006-01-02-15-04-05"

// Validate says what is wrong.
func (r *Rotation) Validate() error {
	if r.Every < 0 || r.Every > 0 && r.Every < time.Second {
		return fmt.Errorf("rotation interval %v: must be 0 or at least 1s", r.Every)
	}
	if r.At != "" {
		if _, err := time.Parse("15:04", r.At); err != nil {
			return fmt.Errorf("rotation base time %q: must be HH:MM", r.At)
		}
	}
	if r.Suffix != "" && !goodName(r.Suffix) {
		return fmt.Errorf("log suffix %q: letters, digits, dot, dash and underscore only", r.Suffix)
	}
	return nil
}

// Next returns the first moment of rotation after now, and zero if there is
// none: multiples of the interval since the epoch, or since At on the day of
// now in now's location (zeek-semantics.md section 8).
func (r *Rotation) Next(now time.Time) time.Time {
	if r.Every <= 0 {
		return time.Time{}
	}
	base := time.Unix(0, 0)
	if r.At != "" {
		at, _ := time.Parse("15:04", r.At)
		base = time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), 0, 0, now.Location())
	}
	n := now.Sub(base) / r.Every
	next := base.Add(n * r.Every)
	for !next.After(now) {
		next = next.Add(r.Every)
	}
	// Before the base time of the day the division rounded towards it.
	for prev := next.Add(-r.Every); prev.After(now); prev = next.Add(-r.Every) {
		next = prev
	}
	return next.In(now.Location())
}

// rotatedName returns where a finished file goes.
func (l *Logger) rotatedName(base, ext string, open, close time.Time) string {
	dir := l.cfg.Archive
	if dir == "" {
		dir = l.cfg.Dir
	}
	loc := l.deps.Now().Location()
	from, to := open.In(loc).Format(dateFormat), close.In(loc).Format(dateFormat)
	r := &l.cfg.Rotate
	if !r.Queue {
		if l.cfg.Tag != "" {
			base += "." + l.cfg.Tag
		}
		return filepath.Join(dir, base+"."+from+ext)
	}
	name := base + "__" + from + "__" + to + "__"
	if r.Suffix != "" {
		name += "log_suffix=" + r.Suffix + "__"
	}
	return filepath.Join(dir, name+ext)
}

// free returns the name, or if a file has it already, the name with a number:
// no log ever replaces another.
func (l *Logger) free(name string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return "", fmt.Errorf("make archive: %w", err)
	}
	ext := filepath.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	for i := 1; i < 10000; i++ {
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", fmt.Errorf("archive: %w", err)
		}
		name = fmt.Sprintf("%s.%d%s", stem, i, ext)
		if strings.HasSuffix(stem, "__") {
			name = fmt.Sprintf("%sn=%d__%s", stem, i, ext)
		}
	}
	return "", fmt.Errorf("archive %s: 10000 files have that name", name)
}

// Tick rotates when it is time. Run calls it.
func (l *Logger) Tick(now time.Time) {
	if l.next.IsZero() || now.Before(l.next) {
		return
	}
	l.next = l.cfg.Rotate.Next(now)
	if err := l.rotateAll(now); err != nil {
		l.metrics.errors.Add(1)
		l.deps.Log.Error("rotation failed, trying again", "err", err)
		l.next = now.Add(l.cfg.Retry)
	}
}

func (l *Logger) rotateAll(now time.Time) error {
	var errs []error
	for path, fs := range l.files {
		var left []*file
		for _, f := range fs {
			if !f.noted {
				continue
			}
			if err := l.rotate(f, now); err != nil {
				errs = append(errs, err)
				left = append(left, f)
			}
		}
		if len(left) > 0 {
			l.files[path] = left
		} else {
			delete(l.files, path)
		}
	}
	return errors.Join(errs...)
}

// rotate finishes a file and gives it its last name. Killed on the way, the
// next life does the same again: the ledger says that it was under way.
func (l *Logger) rotate(f *file, now time.Time) error {
	if f.size == 0 { // Nothing to keep.
		if f.w != nil {
			f.w.Close() // Nothing was written.
			f.w = nil
		}
		err := os.Remove(f.name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("rotate: %w", err)
		}
		l.deps.Ledger.FileGone(f.ref)
		f.noted = false
		return nil
	}
	to, err := l.free(l.rotatedName(f.base, f.format.Ext(), f.opened, now))
	if err != nil {
		return err
	}
	if err := l.deps.Ledger.CloseFile(f.ref, to, now); err != nil {
		return err
	}
	return l.finishClose(f, to, now)
}

func (l *Logger) finishClose(f *file, to string, now time.Time) error {
	_, err := os.Lstat(f.name)
	switch {
	case errors.Is(err, os.ErrNotExist): // The rename was done, or somebody took the file.
	case err != nil:
		return fmt.Errorf("rotate: %w", err)
	default:
		if err := l.footer(f, now); err != nil {
			return err
		}
		if same(f.name, to) { // Copied to another disk, and died before this was removed.
			err = os.Remove(f.name)
		} else if to, err = l.free(to); err == nil {
			err = move(f.name, to)
		}
		if err != nil {
			return fmt.Errorf("rotate: %w", err)
		}
		l.metrics.rotated.Add(1)
	}
	l.deps.Ledger.FileGone(f.ref)
	f.noted = false
	return nil
}

// footer writes the file's end behind what is whole, and closes it. The ledger
// is not told: until the file is gone, the footer is a tail that may be cut.
func (l *Logger) footer(f *file, now time.Time) error {
	if f.w == nil {
		w, err := l.deps.Open(f.name)
		if err != nil {
			return fmt.Errorf("open sink: %w", err)
		}
		f.w = w
	}
	err := f.w.Truncate(f.size)
	if err == nil {
		_, err = f.w.WriteAt(f.format.Footer(nil, now), f.size)
	}
	err = errors.Join(err, f.w.Close())
	f.w = nil
	if err != nil {
		return fmt.Errorf("finish %s: %w", f.name, err)
	}
	return nil
}

// finish ends the files at a stop: with rotation they are rotated a last time;
// without, they get their footer and stay NAME.log until a next life begins
// one of that name: it gives them their last name first.
func (l *Logger) finish() error {
	now := l.deps.Now()
	if l.cfg.Rotate.Every > 0 {
		return l.rotateAll(now)
	}
	var errs []error
	for _, fs := range l.files {
		for _, f := range fs {
			if !f.noted || f.size == 0 {
				continue
			}
			err := l.deps.Ledger.CloseFile(f.ref, l.rotatedName(f.base, f.format.Ext(), f.opened, now), now)
			if err == nil {
				err = l.footer(f, now)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// takeUp continues with a file that the last life left.
func (l *Logger) takeUp(g ledger.File) error {
	f := &file{path: g.Path, name: g.Name, hash: g.Schema, format: l.cfg.Format.New(), opened: g.Opened, ref: g.Ref, size: g.Size, noted: true}
	f.base = strings.TrimSuffix(filepath.Base(g.Name), f.format.Ext())
	if l.cfg.Tag != "" {
		f.base = strings.TrimSuffix(f.base, "."+l.cfg.Tag)
	}
	if g.Target != "" {
		return l.finishClose(f, g.Target, g.Closing)
	}
	n, err := ledger.FileLength(g.Name)
	if err != nil {
		return fmt.Errorf("take up: %w", err)
	}
	sameFormat := filepath.Ext(g.Name) == f.format.Ext() && filepath.Dir(g.Name) == filepath.Clean(l.absDir())
	switch {
	case n < g.Size:
		// Somebody cut or took the file. What is left of it is kept under another name.
		l.deps.Log.Error("log file is shorter than what was written to it", "file", g.Name, "bytes", n, "written", g.Size)
		l.deps.Ledger.FileGone(g.Ref)
		return nil // clear moves it away when the path writes again.
	case n > g.Size:
		l.metrics.repaired.Add(1)
	}
	next := l.cfg.Rotate.Next(g.Opened.In(l.deps.Now().Location()))
	if !sameFormat || !next.IsZero() && !l.deps.Now().Before(next) {
		return l.rotate(f, l.deps.Now())
	}
	w, err := l.deps.Open(g.Name)
	if err != nil {
		return fmt.Errorf("take up: %w", err)
	}
	if err := w.Truncate(g.Size); err != nil {
		return errors.Join(fmt.Errorf("take up %s: %w", g.Name, err), w.Close())
	}
	if g.Size > 0 {
		f.w = w
	} else if err := w.Close(); err != nil { // open writes the header.
		return err
	}
	l.files[g.Path] = append(l.files[g.Path], f)
	return nil
}
