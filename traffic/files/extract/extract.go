// Package extract writes the content of files to disk.
//
// It is a file analyzer: policy attaches it to the files that the user wants
// kept. It owns the open files of a worker. It writes on the worker's goroutine,
// in the order the bytes come; missing bytes become holes. It never overwrites
// what it wrote before, follows no name that traffic gives, and stops at its
// limits: bytes of one file, bytes of all, and open files.
package extract

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/picket-nsm/picket/traffic/files"
)

// Config is what a user may set.
type Config struct {
	Dir     string // where files go; it is made if it is not there
	Limit   uint64 // bytes of one file (FileExtract::default_limit); 0: no limit
	Total   uint64 // bytes of all files in this life of the worker; 0: no limit
	Open    int    // files open at the same time
	Missing bool   // missing bytes count towards Limit
}

// Default returns Zeek's settings, and limits where Zeek has none.
func Default() Config {
	return Config{Dir: "extract_files", Limit: 100 << 20, Total: 10 << 30, Open: 256, Missing: true}
}

// Stats counts what was done.
type Stats struct {
	Files, Bytes uint64
	Cut          uint64 // files that reached the limit of one
	Refused      uint64 // files not begun: too many open, or the total reached
	Failed       uint64 // files that could not be written
}

// Maker makes the analyzers of a worker. One goroutine.
type Maker struct {
	cfg   Config
	open  int
	stats Stats
	err   error
}

// New returns a maker. The folder is made when the first file is.
func New(cfg Config) *Maker { return &Maker{cfg: cfg} }

// Stats returns the counters.
func (m *Maker) Stats() Stats { return m.stats }

// Err returns the last error of the disk, nil if there was none.
func (m *Maker) Err() error { return m.err }

// Analyzer returns an analyzer for f, or nil if a limit forbids it.
func (m *Maker) Analyzer(f *files.File) files.Analyzer {
	if m.open >= m.cfg.Open || m.cfg.Total > 0 && m.stats.Bytes >= m.cfg.Total {
		m.stats.Refused++
		return nil
	}
	if err := os.MkdirAll(m.cfg.Dir, 0o755); err != nil {
		m.failed(fmt.Errorf("extract file: %w", err))
		return nil
	}
	// Zeek's name: extract-TIME-SOURCE-ID. Nothing in it comes from the traffic.
	name := "extract-" + strconv.FormatFloat(float64(f.LastActive), 'f', 6, 64) + "-" + f.Source + "-" + f.ID.String()
	file, err := os.OpenFile(filepath.Join(m.cfg.Dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		m.failed(fmt.Errorf("extract file: %w", err))
		return nil
	}
	m.open++
	m.stats.Files++
	return &analyzer{m: m, name: name, file: file}
}

func (m *Maker) failed(err error) {
	m.stats.Failed++
	m.err = err
}

// analyzer writes one file.
type analyzer struct {
	m       *Maker
	name    string
	file    *os.File
	at      int64  // where in the file
	written uint64 // towards the limit
	cut     bool
}

// allow returns how many of n bytes are within the limits.
func (a *analyzer) allow(n uint64) uint64 {
	if l := a.m.cfg.Limit; l > 0 && a.written+n > l {
		a.cut = true
		n = l - min(a.written, l)
	}
	if t := a.m.cfg.Total; t > 0 && a.m.stats.Bytes+n > t {
		a.cut = true
		n = t - min(a.m.stats.Bytes, t)
	}
	return n
}

// Data implements files.Analyzer.
func (a *analyzer) Data(_ *files.File, data []byte) bool {
	n := a.allow(uint64(len(data)))
	if n > 0 {
		if _, err := a.file.WriteAt(data[:n], a.at); err != nil {
			a.m.failed(fmt.Errorf("extract file: %w", err))
			return false
		}
		a.at += int64(n)
		a.written += n
		a.m.stats.Bytes += n
	}
	return !a.cut
}

// Gap implements files.Analyzer: the bytes become a hole.
func (a *analyzer) Gap(_ *files.File, n uint64) bool {
	if n > 1<<62 || a.at > 1<<62 {
		return false
	}
	if a.m.cfg.Missing {
		if l := a.m.cfg.Limit; l > 0 && a.written+n > l {
			a.cut = true
			return false
		}
		a.written += n
	}
	a.at += int64(n)
	return true
}

// End implements files.Analyzer.
func (a *analyzer) End(f *files.File) {
	if err := a.file.Close(); err != nil {
		a.m.failed(fmt.Errorf("extract file: %w", err))
	}
	a.m.open--
	r := files.Result{Name: "extracted", Text: a.name, Flag: a.cut}
	if a.cut {
		a.m.stats.Cut++
		r.Count = a.m.cfg.Limit
	}
	f.AddResult(r)
}
