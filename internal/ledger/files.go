package ledger

import (
	"fmt"
	"strings"
	"time"
)

// FileRef is a log file in the ledger's table of files.
type FileRef struct{ slot uint32 }

// File is a log file that a logger has open, or had when it died.
type File struct {
	Ref     FileRef
	Path    string    // log path: conn
	Name    string    // file name, absolute
	Size    int64     // how much of it is known to be whole; the rest is torn
	Opened  time.Time // wall clock
	Schema  uint64    // hash of what its columns are
	Target  string    // not empty: being closed, and to be renamed to this
	Closing time.Time // when the closing began
}

// OpenFile notes a file before it is created, with nothing in it yet.
func (l *Ledger) OpenFile(f File) (FileRef, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.logger || len(f.Name) > maxFile || strings.IndexByte(f.Name, 0) >= 0 {
		return FileRef{}, fmt.Errorf("ledger of %s: file %s: role %s, at most %d bytes of name", l.Node, f.Name, l.Role, maxFile)
	}
	p, err := l.name(f.Path)
	if err != nil {
		return FileRef{}, err
	}
	for i := range uint32(maxFiles) {
		at := tabFiles + int(i)*szFile
		if l.get32(at) != fileFree {
			continue
		}
		l.put32(at+4, p)
		l.put64(at+8, uint64(f.Size))
		l.put64(at+16, uint64(f.Opened.UnixNano()))
		l.put64(at+24, 0)
		l.put64(at+32, f.Schema)
		l.putName(at+fileName, f.Name)
		l.putName(at+fileTo, "")
		l.put32(at, fileOpen)
		return FileRef{i}, nil
	}
	return FileRef{}, fmt.Errorf("ledger of %s: file %s: %d files are open already", l.Node, f.Name, maxFiles)
}

// FileSize notes how much of the file is whole, for what is no batch: the header.
func (l *Ledger) FileSize(r FileRef, size int64) {
	l.put64(tabFiles+int(r.slot)*szFile+8, uint64(size))
}

// CloseFile notes that the file is about to get its footer and the name target.
// If the process dies on the way, its next life does the rest.
func (l *Ledger) CloseFile(r FileRef, target string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(target) > maxFile || target == "" {
		return fmt.Errorf("ledger of %s: file %s: a name has 1 to %d bytes", l.Node, target, maxFile)
	}
	at := tabFiles + int(r.slot)*szFile
	l.put64(at+24, uint64(now.UnixNano()))
	l.putName(at+fileTo, target)
	l.put32(at, fileClosing)
	return nil
}

// FileGone notes that the file is finished and nobody's any more.
func (l *Ledger) FileGone(r FileRef) { l.put32(tabFiles+int(r.slot)*szFile, fileFree) }

// Files returns the open files, after Continue those of the last life.
func (l *Ledger) Files() []File {
	l.mu.Lock()
	defer l.mu.Unlock()
	byIndex := make([]string, l.get32(offNames))
	for s, i := range l.names {
		byIndex[i] = s
	}
	var out []File
	for i := range uint32(maxFiles) {
		if f, ok := readFile(l.mem, i, byIndex); l.logger && ok {
			out = append(out, f)
		}
	}
	return out
}

func (l *Ledger) putName(at int, s string) {
	l.put16(at, uint16(len(s)))
	copy(l.mem[at+2:at+2+maxFile], s)
}
