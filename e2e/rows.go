package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/picket-nsm/picket/host/status"
	"github.com/picket-nsm/picket/internal/ledger"
)

// Rows are the rows of one log path, of one file or of several loggers' files.
type Rows struct {
	Fields []string
	Lines  []string // in the order of the files
}

// ReadRows reads PATH.log and PATH-*.log of a folder. A torn line, a line with too few or
// too many fields, a header in the middle or two headers that differ are errors.
func ReadRows(dir, path string) (*Rows, error) {
	names, err := filepath.Glob(filepath.Join(dir, path+"*.log"))
	if err != nil {
		return nil, err
	}
	r := &Rows{}
	for _, name := range names {
		rest := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), path), ".log")
		if rest != "" && !strings.ContainsAny(rest[:1], "-._") {
			continue // of a path whose name begins like this one's
		}
		if err := r.file(name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return r, nil
}

func (r *Rows) file(name string) error {
	text, err := os.ReadFile(name)
	if err != nil || len(text) == 0 {
		return err
	}
	if text[len(text)-1] != '\n' {
		return fmt.Errorf("the last line is torn: %q", text[bytes.LastIndexByte(text, '\n')+1:])
	}
	var fields []string
	for i, l := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if head, ok := strings.CutPrefix(l, "#fields\t"); ok {
			fields = strings.Split(head, "\t")
			if r.Fields != nil && !slices.Equal(fields, r.Fields) {
				return fmt.Errorf("line %d: other fields than before", i+1)
			}
			r.Fields = fields
		}
		if strings.HasPrefix(l, "#") {
			continue
		}
		if fields == nil {
			return fmt.Errorf("line %d: a row before its header", i+1)
		}
		if n := strings.Count(l, "\t") + 1; n != len(fields) {
			return fmt.Errorf("line %d: %d fields, not %d: torn: %q", i+1, n, len(fields), l)
		}
		r.Lines = append(r.Lines, l)
	}
	return nil
}

// Key returns some fields of a row, joined.
func (r *Rows) Key(line string, names ...string) string {
	f := strings.Split(line, "\t")
	var out []string
	for _, n := range names {
		if i := slices.Index(r.Fields, n); i >= 0 {
			out = append(out, f[i])
		}
	}
	return strings.Join(out, " ")
}

// Sorted is the set of rows, in an order of its own.
func (r *Rows) Sorted() []string { return slices.Sorted(slices.Values(r.Lines)) }

// Double returns the rows whose key some other row has, too.
func (r *Rows) Double(names ...string) []string {
	seen := map[string]int{}
	for _, l := range r.Lines {
		seen[r.Key(l, names...)]++
	}
	var out []string
	for _, l := range r.Lines {
		if seen[r.Key(l, names...)] > 1 {
			out = append(out, l)
		}
	}
	return out
}

// Differ says in what the two sorted sets differ, a few lines of each.
func Differ(want, got []string) string {
	count := map[string]int{}
	for _, l := range want {
		count[l]++
	}
	for _, l := range got {
		count[l]--
	}
	var b strings.Builder
	n := 0
	for _, l := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(want, got)))) {
		if c := count[l]; c != 0 {
			if n++; n <= 6 {
				fmt.Fprintf(&b, "\n%+d %s", -c, l)
			}
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d rows wanted, %d got, %d differ:%s", len(want), len(got), n, b.String())
}

// Books are the numbers of an accounting that tests ask about.
type Books struct {
	Read, Analyzed, PacketsDropped, PacketsLost    uint64
	Produced, Written, RecordsDropped, RecordsLost uint64
	Connections                                    uint64   // open in workers that died
	Losers                                         []string // nodes with whose death something was lost
	Settled                                        bool
	Remainder                                      int64
}

// NewBooks adds up an accounting.
func NewBooks(s *status.Status) Books {
	r := s.Accounting
	if r == nil {
		return Books{}
	}
	b := Books{
		Read: r.PacketTotal.Produced, Analyzed: r.PacketTotal.Written,
		Produced: r.RecordTotal.Produced, Written: r.RecordTotal.Written,
		Settled: r.Settled, Remainder: r.Remainder(),
	}
	for _, n := range r.PacketTotal.Dropped {
		b.PacketsDropped += n
	}
	for _, n := range r.RecordTotal.Dropped {
		b.RecordsDropped += n
	}
	b.PacketsLost = b.lost(r.PacketTotal.Lost)
	b.RecordsLost = b.lost(r.RecordTotal.Lost)
	b.Connections = b.lost(r.Connections)
	return b
}

func (b *Books) lost(all []ledger.Lost) (n uint64) {
	for _, l := range all {
		n += l.Count
		if !slices.Contains(b.Losers, l.Node) {
			b.Losers = append(b.Losers, l.Node)
		}
	}
	return n
}
