package native

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Output bounds what is kept of a node's stdout.log and stderr.log.
type Output struct {
	Lives int   // earlier lives kept, as stderr.log.1 (the last one) and on; 0: 3
	Bytes int64 // a file that grows beyond this is cut to its second half; 0: 16 MiB
}

func (o Output) withDefaults() Output {
	if o.Lives == 0 {
		o.Lives = 3
	}
	if o.Bytes == 0 {
		o.Bytes = 16 << 20
	}
	return o
}

// open puts the files of earlier lives aside and opens new ones.
func (o Output) open(dir string) (out, errOut *os.File, err error) {
	if out, err = o.openOne(filepath.Join(dir, "stdout.log")); err != nil {
		return nil, nil, err
	}
	if errOut, err = o.openOne(filepath.Join(dir, "stderr.log")); err != nil {
		out.Close()
		return nil, nil, err
	}
	return out, errOut, nil
}

func (o Output) openOne(path string) (*os.File, error) {
	for i := o.Lives; i > 0; i-- {
		from := path
		if i > 1 {
			from = fmt.Sprintf("%s.%d", path, i-1)
		}
		if err := os.Rename(from, fmt.Sprintf("%s.%d", path, i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("put output of the last life aside: %w", err)
		}
	}
	// The node appends, so a cut below moves no offset of its.
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}

// trim cuts files that grew too large to their second half. What the node
// writes in between is lost; the mark says that something is.
func (o Output) trim(dir string) error {
	var errs []error
	for _, name := range []string{"stdout.log", "stderr.log"} {
		if err := o.trimOne(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("trim output: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (o Output) trimOne(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() <= o.Bytes {
		return err
	}
	tail := make([]byte, o.Bytes/2)
	n, err := f.ReadAt(tail, st.Size()-int64(len(tail)))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.Write(append([]byte("... (picket cut this file)\n"), tail[:n]...))
	return err
}
