//go:build linux || darwin

package ledger

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mapNew creates a file of the given size, with its room on disk, and maps it shared.
func mapNew(path string, size int) ([]byte, func() error, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() // The mapping keeps the file.
	if err := fill(f, size); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", path, err), os.Remove(path))
	}
	return mapFile(f, size)
}

// mapOld maps an existing ledger for writing: a dead life's, to finish its books.
func mapOld(path string) ([]byte, func() error, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if st.Size() != sizeProducer && st.Size() != sizeLogger {
		return nil, nil, fmt.Errorf("%s: %w: %d bytes", path, ErrCorrupt, st.Size())
	}
	return mapFile(f, int(st.Size()))
}

func mapFile(f *os.File, size int) ([]byte, func() error, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	return mem, func() error { return unix.Munmap(mem) }, nil
}

// fill writes zeros, which works on every filesystem and finds a full disk now:
// a page that cannot be allocated later would be a SIGBUS.
func fill(f *os.File, size int) error {
	zero := make([]byte, 64<<10)
	for size > 0 {
		n := min(size, len(zero))
		if _, err := f.Write(zero[:n]); err != nil {
			return err
		}
		size -= n
	}
	return nil
}
