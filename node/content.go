package node

import (
	"fmt"
	"slices"
	"strings"

	fileslog "github.com/picket-nsm/picket/policy/builtin/files"
	"github.com/picket-nsm/picket/policy/builtin/reporter"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/files/extract"
	"github.com/picket-nsm/picket/traffic/files/hash"
)

// Content says what a worker does with the content of files.
type Content struct {
	Hash    []string `json:"hash,omitempty"`    // md5, sha1, sha256: of every file
	Extract []string `json:"extract,omitempty"` // types of files that are written to disk; *: all
	Dir     string   `json:"dir,omitempty"`     // where to
	Limit   uint64   `json:"limit,omitempty"`   // bytes of one file; 0: the default
	Total   uint64   `json:"total,omitempty"`   // bytes of all files in this life of the worker; 0: the default
}

// AllTypes stands for every file in Content.Extract.
const AllTypes = "*"

// drivers makes the analyzers of files that c asks for. out is nil if nothing is
// extracted.
func (c *Content) drivers() (list []fileslog.Driver, out *extract.Maker, err error) {
	for _, kind := range c.Hash {
		m := hash.New(kind)
		if m == nil {
			return nil, nil, fmt.Errorf("hash %q: not known, there are %s", kind, strings.Join(hash.Kinds(), ", "))
		}
		list = append(list, fileslog.Driver{
			Name: strings.ToUpper(kind), New: func(*files.File) files.Analyzer { return m.Analyzer() },
		})
	}
	if len(c.Extract) == 0 {
		return list, nil, nil
	}
	cfg := extract.Default()
	if c.Dir != "" {
		cfg.Dir = c.Dir
	}
	if c.Limit > 0 {
		cfg.Limit = c.Limit
	}
	if c.Total > 0 {
		cfg.Total = c.Total
	}
	out = extract.New(cfg)
	types := c.Extract
	if slices.Contains(types, AllTypes) {
		types = nil
	}
	return append(list, fileslog.Driver{Name: "EXTRACT", Types: types, New: out.Analyzer}), out, nil
}

// extracted tells once that files could not be written, or that a limit was
// reached.
func (w *worker) extracted() {
	if w.extract == nil || w.extractSaid {
		return
	}
	s := w.extract.Stats()
	switch err := w.extract.Err(); {
	case err != nil:
		w.report.Message(float64(w.now), reporter.Error, err.Error(), "")
	case s.Refused > 0:
		w.report.Message(float64(w.now), reporter.Warning, "extract files: a limit was reached: further files are not written", "")
	default:
		return
	}
	w.extractSaid = true
}
