package logger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/picket-nsm/picket/internal/ledger"
)

// Open locks the folder and takes over what the last life left. Run does it
// if nobody has; a node that calls it first knows that it is ready. Without a
// Run afterwards the folder stays locked until the process ends.
func (l *Logger) Open() error {
	if l.lock != nil {
		return nil
	}
	if err := os.MkdirAll(l.cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("open logger: %w", err)
	}
	l.cfg.Dir = l.absDir()
	if err := l.lockDir(); err != nil {
		return err
	}
	if l.deps.LedgerDir != "" {
		if err := l.deps.Ledger.Continue(l.deps.LedgerDir, ledger.FileLength); err != nil {
			return errors.Join(err, l.unlock())
		}
	}
	for _, g := range l.deps.Ledger.Files() {
		if err := l.takeUp(g); err != nil {
			return errors.Join(err, l.unlock())
		}
	}
	l.next = l.cfg.Rotate.Next(l.deps.Now())
	return nil
}

// absDir returns the folder as the ledger names it: settlement must find the
// file from wherever it runs.
func (l *Logger) absDir() string {
	if abs, err := filepath.Abs(l.cfg.Dir); err == nil {
		return abs
	}
	return l.cfg.Dir
}

// lockDir makes sure that no other logger writes files of the same names. The
// lock goes when the process goes.
func (l *Logger) lockDir() error {
	d, err := os.Open(l.cfg.Dir)
	if err != nil {
		return fmt.Errorf("open logger: %w", err)
	}
	how := syscall.LOCK_EX
	if l.cfg.Tag != "" {
		how = syscall.LOCK_SH
	}
	if err := syscall.Flock(int(d.Fd()), how|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another logger writes there; give each its own folder, or each a tag")
		}
		return errors.Join(fmt.Errorf("open logger %s: %w", l.cfg.Dir, err), d.Close())
	}
	l.lock = d
	return nil
}

func (l *Logger) unlock() error {
	if l.lock == nil {
		return nil
	}
	err := l.lock.Close()
	l.lock = nil
	return err
}

// move renames a file, and copies it where the archive is on another disk.
func move(from, to string) error {
	err := os.Rename(from, to)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	// The copy grows under another name, so that a kill leaves no half of a log
	// and the next life starts it anew.
	part := to + ".part"
	if err := copyFile(from, part); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if err := os.Rename(part, to); err != nil {
		return err
	}
	return os.Remove(from)
}
