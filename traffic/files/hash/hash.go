// Package hash gives files their MD5, SHA-1 and SHA-256.
//
// It is a file analyzer: policy attaches it to the files that the user wants
// hashed. It owns one hash state per file and leaves its result in the file. A
// file with a gap, or without content, gets none.
package hash

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/files"
)

// Kinds are the hashes there are, by the names of their columns.
func Kinds() []string { return []string{"md5", "sha1", "sha256"} }

// Maker makes the analyzers of one kind for a worker. One goroutine.
type Maker struct {
	kind string
	make func() hash.Hash
	free freelist.List[*analyzer]
}

// maxFree is how many hash states are kept for reuse.
const maxFree = 256

// New returns the maker of a kind; nil if there is no such kind.
func New(kind string) *Maker {
	m := &Maker{kind: kind, free: freelist.New[*analyzer](maxFree)}
	switch kind {
	case "md5":
		m.make = md5.New
	case "sha1":
		m.make = sha1.New
	case "sha256":
		m.make = sha256.New
	default:
		return nil
	}
	return m
}

// Analyzer returns an analyzer for one file.
func (m *Maker) Analyzer() files.Analyzer {
	if a := m.free.Take(); a != nil {
		return a
	}
	return &analyzer{m: m, h: m.make()}
}

type analyzer struct {
	m      *Maker
	h      hash.Hash
	fed    bool
	broken bool
	sum    [sha256.Size]byte
}

// Data implements files.Analyzer.
func (a *analyzer) Data(_ *files.File, data []byte) bool {
	a.fed = true
	a.h.Write(data)
	return true
}

// Gap implements files.Analyzer.
func (a *analyzer) Gap(*files.File, uint64) bool {
	a.broken = true
	return false
}

// End implements files.Analyzer.
func (a *analyzer) End(f *files.File) {
	if a.fed && !a.broken {
		f.AddResult(files.Result{Name: a.m.kind, Text: hex.EncodeToString(a.h.Sum(a.sum[:0]))})
	}
	a.h.Reset()
	a.fed, a.broken = false, false
	a.m.free.Keep(a)
}
