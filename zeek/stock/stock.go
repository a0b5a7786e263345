// Package stock knows the columns that the logs of a real Zeek have, by version.
//
// A real Zeek's logger throws away a batch that has another number of columns than
// its own, or other types. So whoever sends to one asks here first. The table is
// data, stock.txt; it covers Zeek 8.1 to 9.0 with the scripts that are loaded by
// default, and with local.zeek as it is delivered. What a site's own scripts add,
// only the site knows.
package stock

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/picket-nsm/picket/zeek/record"
)

//go:embed stock.txt
var table string

// Column is a column's name and its type as a log's #types line shows it.
type Column struct{ Name, Type string }

// Zeek is a version of Zeek, with what it loads.
type Zeek struct {
	name    string
	version int
	streams map[string][]Column
}

// Versions are those that are known, oldest first.
func Versions() []string { return []string{"8.1", "8.2", "9.0"} }

// New returns a version, as 9.0; local says that it loads local.zeek.
func New(version string, local bool) (*Zeek, error) {
	i := slices.Index(Versions(), version)
	if i < 0 {
		return nil, fmt.Errorf("version %q of Zeek: known are %s", version, strings.Join(Versions(), ", "))
	}
	z := &Zeek{name: "Zeek " + version, version: i, streams: map[string][]Column{}}
	if local {
		z.name += " with local.zeek"
	}
	for line := range strings.Lines(table) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] == "#" {
			continue
		}
		if columns, ok := z.columns(words[2:], local); ok {
			z.streams[words[1]] = columns
		}
	}
	return z, nil
}

// columns reads a line of the table; false: this Zeek has no such log.
func (z *Zeek) columns(words []string, local bool) ([]Column, bool) {
	var out []Column
	for _, w := range words {
		if since, ok := strings.CutPrefix(w, "since="); ok {
			if z.version < slices.Index(Versions(), since) {
				return nil, false
			}
			continue
		}
		if w == "local" {
			if !local {
				return nil, false
			}
			continue
		}
		w, more := strings.CutPrefix(w, "+")
		if more && !local {
			continue
		}
		name, typ, _ := strings.Cut(w, ":")
		out = append(out, Column{name, typ})
	}
	return out, true
}

// String is the version for people.
func (z *Zeek) String() string { return z.name }

// Columns returns a log's columns; false: there is no such log. They are not to be
// changed.
func (z *Zeek) Columns(stream string) ([]Column, bool) {
	c, ok := z.streams[stream]
	return c, ok
}

// Misfit says why a log's rows cannot be sent to a logger of this Zeek.
type Misfit struct {
	Zeek, Stream, Path string
	Unknown            bool     // it has no such log
	Extra              []string // columns that it does not have
	Missing            []string // columns that it has besides
	Other              string   // a column elsewhere, or of another type
}

// Error implements error.
func (m *Misfit) Error() string {
	text := fmt.Sprintf("%s.log: ", m.Path)
	switch {
	case m.Unknown:
		return text + fmt.Sprintf("%s has no %s, and throws such rows away", m.Zeek, m.Stream)
	case len(m.Extra) > 0:
		return text + fmt.Sprintf("%s does not have the columns %s, and throws rows away that do", m.Zeek, strings.Join(m.Extra, ", "))
	case len(m.Missing) > 0:
		return text + fmt.Sprintf("%s has the columns %s besides, and throws rows away without them", m.Zeek, strings.Join(m.Missing, ", "))
	}
	return text + fmt.Sprintf("%s has %s, and throws other rows away", m.Zeek, m.Other)
}

// Fit says whether a logger of this Zeek takes rows of the schema; the error is a
// *Misfit.
func (z *Zeek) Fit(s *record.Schema) error {
	bad := &Misfit{Zeek: z.name, Stream: s.Stream, Path: s.Path}
	want, ok := z.streams[s.Stream]
	if !ok {
		bad.Unknown = true
		return bad
	}
	for i := range s.Fields {
		if f := s.Fields[i].Name; !slices.ContainsFunc(want, func(c Column) bool { return c.Name == f }) {
			bad.Extra = append(bad.Extra, f)
		}
	}
	for i, c := range want {
		at := s.Index(c.Name)
		switch {
		case at < 0:
			bad.Missing = append(bad.Missing, c.Name)
		case bad.Other == "" && (at != i || s.Fields[at].TypeName() != c.Type):
			bad.Other = fmt.Sprintf("%s of type %s as column %d", c.Name, c.Type, i+1)
		}
	}
	if bad.Extra != nil || bad.Missing != nil || bad.Other != "" {
		return bad
	}
	return nil
}
