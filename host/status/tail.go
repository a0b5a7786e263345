package status

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// Tail follows a file by name, over restarts and cuts.
type Tail struct {
	Path string

	info os.FileInfo
	at   int64
}

// tailWindow is how far back lines are looked for.
const tailWindow = 1 << 20

// Last writes the last n lines, as far as they are in the last MiB. No file: none.
func (t *Tail) Last(w io.Writer, n int) error {
	f, err := os.Open(t.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if t.info, err = f.Stat(); err != nil {
		return err
	}
	from := max(0, t.info.Size()-tailWindow)
	text := make([]byte, t.info.Size()-from)
	k, err := f.ReadAt(text, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	text = text[:k]
	t.at = from + int64(k)
	for i := len(bytes.TrimRight(text, "\n")); i >= 0; {
		if n--; n < 0 {
			text = text[i+1:]
			break
		}
		i = bytes.LastIndexByte(text[:i], '\n')
	}
	_, err = w.Write(text)
	return err
}

// More writes what has been added since. No file: nothing.
func (t *Tail) More(w io.Writer) error {
	f, err := os.Open(t.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil // between two lives
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if t.info != nil && !os.SameFile(info, t.info) || info.Size() < t.at {
		t.at = 0
	}
	t.info = info
	k, err := io.Copy(w, io.NewSectionReader(f, t.at, info.Size()-t.at))
	t.at += k
	return err
}
