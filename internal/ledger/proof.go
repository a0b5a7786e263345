package ledger

import (
	"errors"
	"os"
	"syscall"
)

// Proof returns a function that says whether a logger has written a batch, from
// the ledgers in the logger's folder. known is false while a life of the logger
// goes on that may still write the batch, and when a ledger cannot be read.
func Proof(dir func(logger string) string) func(logger, producer string, start, seq uint64) (written, known bool) {
	return func(logger, producer string, start, seq uint64) (bool, bool) {
		// The newest life is looked at before the others are read: mostly it lives.
		h, err := ReadHead(dir(logger))
		if err != nil || !over(h.State, h.Pid) {
			return false, false
		}
		snaps, err := ReadAll(dir(logger))
		if err != nil || len(snaps) == 0 || !snaps[len(snaps)-1].Over() {
			return false, false
		}
		for _, s := range snaps {
			w, err := s.wrote(producer, start, seq, FileLength)
			if err != nil {
				return false, false
			}
			if w {
				return true, true
			}
		}
		return false, true
	}
}

// Over reports whether the life has ended: stopped in order, or its process is
// gone from this machine.
func (s *Snapshot) Over() bool { return over(s.State, s.Pid) }

func over(s State, pid int) bool {
	return s == Stopped || pid > 0 && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// ReadAll reads the ledgers of all lives of a node, oldest first. A folder that
// does not exist has none.
func ReadAll(dir string) ([]*Snapshot, error) {
	paths, err := Lives(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []*Snapshot
	for _, p := range paths {
		r, err := Open(p)
		if err != nil {
			return nil, err
		}
		s, err := r.Snapshot()
		if err = errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// wrote is Wrote, and asks the file about the write under way.
func (s *Snapshot) wrote(producer string, start, seq uint64, length Length) (bool, error) {
	if s.Wrote(producer, start, seq) {
		return true, nil
	}
	f := s.flight
	if f == nil || f.Producer != producer || f.Start != start || f.Seq != seq || seq == 0 {
		return false, nil
	}
	n, err := length(f.File)
	return err == nil && n >= f.After, err
}
