package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/internal/ledger"
)

// Limits of a search. It reads only ends of files that loggers have open.
const (
	searchEnd   = 1 << 20  // of one file
	searchAll   = 32 << 20 // of all files
	searchHead  = 64 << 10 // of a file, for the names of its columns
	searchTime  = 2 * time.Second
	searchRows  = 200  // given
	searchTerms = 16   // of a query
	maxField    = 2048 // bytes of a value that are shown
)

// Found is what a search gives.
type Found struct {
	Rows      []Row      `json:"rows"`    // newest first
	Matched   int        `json:"matched"` // in what was searched; Rows has the newest of them
	Looked    int        `json:"looked"`  // records
	Files     []Searched `json:"files"`
	Truncated bool       `json:"truncated"` // time or size ended the search before all was looked at
}

// Searched says how far back a file was looked at.
type Searched struct {
	Path  string  `json:"path"`
	Size  int64   `json:"size"`  // bytes
	Read  int64   `json:"read"`  // of its end
	Rows  int     `json:"rows"`  // records in there
	From  float64 `json:"from"`  // time of the first of them; 0: not known
	Error string  `json:"error"` // why it could not be read
}

// Row is one record, with values as the log has them.
type Row struct {
	Path   string      `json:"path"`
	Time   float64     `json:"time"`
	Logger string      `json:"logger"`
	Fields [][2]string `json:"fields"` // names and values; unset ones are left out
}

// query is words that must all be there: text anywhere, field=value, field:part,
// and !word for what must not be there.
type query struct {
	terms []term
}

type term struct {
	not   bool
	field string // "": any
	whole bool
	text  string
}

func parseQuery(text string) (q query, err error) {
	words := strings.Fields(text)
	if len(words) > searchTerms {
		return q, fmt.Errorf("%d words: a search has at most %d", len(words), searchTerms)
	}
	for _, w := range words {
		var t term
		if rest, ok := strings.CutPrefix(w, "!"); ok && rest != "" {
			t.not, w = true, rest
		}
		t.text = w
		// An IPv6 address has colons, too: a field's name has none and begins with a letter.
		if i := strings.IndexAny(w, "=:"); i > 0 && fieldName(w[:i]) {
			t.field, t.whole, t.text = w[:i], w[i] == '=', w[i+1:]
		}
		if !t.whole {
			t.text = strings.ToLower(t.text)
		}
		q.terms = append(q.terms, t)
	}
	return q, nil
}

func fieldName(s string) bool {
	if s[0] < 'a' || s[0] > 'z' {
		return false
	}
	// Hexadecimal digits and a colon are more likely an address: dead:beef.
	hex := true
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			return false
		}
		hex = hex && (c >= '0' && c <= '9' || c >= 'a' && c <= 'f')
	}
	return !hex || len(s) > 4
}

func (q query) match(r *Row) bool {
	for _, t := range q.terms {
		if t.match(r) == t.not {
			return false
		}
	}
	return true
}

func (t term) match(r *Row) bool {
	for _, f := range r.Fields {
		if t.field != "" && f[0] != t.field {
			continue
		}
		if t.whole && f[1] == t.text || !t.whole && strings.Contains(strings.ToLower(f[1]), t.text) {
			return true
		}
	}
	return false
}

// search looks through the ends of all logs, or of one. Without a token it reads
// what every user of this machine may read, and no more.
func (s *Server) search(w http.ResponseWriter, r *http.Request) {
	if s.deps.Files == nil {
		access.Fail(w, http.StatusNotFound, "there is no search here: the loggers' files are elsewhere")
		return
	}
	q, err := parseQuery(r.FormValue("q"))
	if err != nil {
		access.Fail(w, http.StatusBadRequest, err.Error())
		return
	}
	limit := searchRows
	if n, err := strconv.Atoi(r.FormValue("limit")); err == nil && n > 0 {
		limit = min(limit, n)
	}
	ctx, cancel := context.WithTimeout(r.Context(), searchTime)
	defer cancel()
	type open struct {
		ledger.File
		logger string
	}
	var files []open
	out := Found{Rows: []Row{}, Files: []Searched{}}
	if st, _ := s.feed.last(); st != nil {
		for i := range st.Nodes {
			n := &st.Nodes[i]
			if n.Role != "logger" {
				continue
			}
			fs, err := s.deps.Files(n.Name)
			if err != nil {
				out.Files = append(out.Files, Searched{Path: n.Name, Error: err.Error()})
			}
			for _, f := range fs {
				if want := r.FormValue("path"); want == "" || want == f.Path {
					files = append(files, open{f, n.Name})
				}
			}
		}
	}
	slices.SortStableFunc(files, func(a, b open) int { return strings.Compare(a.Path, b.Path) })
	end := int64(searchEnd)
	if len(files) > 0 {
		end = min(end, searchAll/int64(len(files)))
	}
	known := s.deps.Guard.Known(access.From(r.Context())) == nil
	for _, f := range files {
		if ctx.Err() != nil {
			out.Truncated = true
			break
		}
		done := Searched{Path: f.Path, Size: f.Size}
		if !known && !public(f.Name) {
			done.Error = "a token is needed: not every user of this machine may read it"
			out.Files = append(out.Files, done)
			continue
		}
		rows, read, err := readEnd(f.Name, f.Path, f.Size, end)
		done.Read, done.Rows = read, len(rows)
		if err != nil {
			done.Error = err.Error()
		}
		out.Truncated = out.Truncated || read < f.Size
		for i := range rows {
			if done.From == 0 || rows[i].Time > 0 && rows[i].Time < done.From {
				done.From = rows[i].Time
			}
			rows[i].Logger = f.logger
			if q.match(&rows[i]) {
				out.Matched++
				out.Rows = append(out.Rows, rows[i])
			}
		}
		out.Looked += len(rows)
		out.Files = append(out.Files, done)
		// Keep no more than may be needed.
		if len(out.Rows) > 16*limit {
			out.Rows = newest(out.Rows, limit)
		}
	}
	out.Rows = newest(out.Rows, limit)
	answer(w, out)
}

// public says whether the file's mode lets everybody on this machine read it,
// and the folders above it let everybody come there.
func public(name string) bool {
	f, err := os.Stat(name)
	if err != nil {
		return errors.Is(err, os.ErrNotExist) // just rotated: there is nothing to hide
	}
	if f.Mode()&0o004 == 0 {
		return false
	}
	for dir := filepath.Dir(name); ; dir = filepath.Dir(dir) {
		d, err := os.Stat(dir)
		if err != nil || d.Mode()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

// newest keeps the youngest records; those of the same time stay in their order.
func newest(rows []Row, limit int) []Row {
	slices.SortStableFunc(rows, func(a, b Row) int {
		switch {
		case a.Time > b.Time:
			return -1
		case a.Time < b.Time:
			return 1
		}
		return 0
	})
	return slices.Clip(rows[:min(len(rows), limit)])
}

// readEnd returns the records in the last bytes of a log file, oldest first. size
// is how much of it is known to be whole.
func readEnd(name, path string, size, end int64) (rows []Row, read int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = nil // just rotated
		}
		return nil, 0, err
	}
	defer f.Close()
	from := max(0, size-end)
	text := make([]byte, size-from)
	n, err := f.ReadAt(text, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	text = text[:n]
	head := text
	if from > 0 {
		// The first line is part of one.
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return nil, int64(n), nil
		}
		text = text[i+1:]
		head = make([]byte, min(size, searchHead))
		k, err := f.ReadAt(head, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
		head = head[:k]
	}
	return parseRows(head, text, path), int64(n), nil
}

// parseRows reads TSV as far as head names the columns, and JSON lines. A line
// that is neither is left out.
func parseRows(head, text []byte, path string) []Row {
	h := tsvHead(head)
	var rows []Row
	for line := range bytes.Lines(text) {
		whole := len(line) > 0 && line[len(line)-1] == '\n'
		line = bytes.TrimRight(line, "\r\n")
		if !whole || len(line) == 0 || line[0] == '#' {
			continue
		}
		r := Row{Path: path}
		ok := false
		if line[0] == '{' && h.fields == nil {
			ok = r.json(line)
		} else {
			ok = r.tsv(line, &h)
		}
		if ok {
			rows = append(rows, r)
		}
	}
	return rows
}

// header is what the first lines of a TSV log say.
type header struct {
	separator string
	unset     string
	fields    []string
}

const maxColumns = 512

func tsvHead(head []byte) header {
	h := header{separator: "\t", unset: "-"}
	for line := range bytes.Lines(head) {
		if len(line) == 0 || line[0] != '#' {
			break
		}
		text := strings.TrimRight(string(line), "\r\n")
		if sep, ok := strings.CutPrefix(text, "#separator "); ok {
			if b, err := strconv.ParseUint(strings.TrimPrefix(sep, `\x`), 16, 8); err == nil && len(sep) == 4 {
				h.separator = string(rune(b))
			}
			continue
		}
		key, rest, ok := strings.Cut(text, h.separator)
		switch {
		case ok && key == "#fields":
			h.fields = strings.SplitN(rest, h.separator, maxColumns)
		case ok && key == "#unset_field":
			h.unset = rest
		}
	}
	return h
}

func (r *Row) tsv(line []byte, h *header) bool {
	if h.fields == nil {
		return false
	}
	values := strings.SplitN(string(line), h.separator, len(h.fields)+1)
	if len(values) != len(h.fields) {
		return false
	}
	for i, v := range values {
		if v != h.unset {
			r.put(h.fields[i], v)
		}
	}
	return true
}

// json reads one object, in the order that it is written in.
func (r *Row) json(line []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(line))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	for dec.More() && len(r.Fields) < maxColumns {
		key, err := dec.Token()
		if err != nil {
			return false
		}
		var v json.RawMessage
		if dec.Decode(&v) != nil {
			return false
		}
		var text string
		if json.Unmarshal(v, &text) != nil {
			text = string(v)
		}
		if text != "null" {
			r.put(key.(string), text)
		}
	}
	return len(r.Fields) > 0
}

func (r *Row) put(name, value string) {
	if len(value) > maxField {
		cut := maxField
		for cut > 0 && !utf8.RuneStart(value[cut]) {
			cut--
		}
		value = value[:cut] + " ... (" + strconv.Itoa(len(value)) + " bytes)"
	}
	if name == "ts" {
		r.Time, _ = strconv.ParseFloat(value, 64) // else it is written another way; it sorts last
	}
	r.Fields = append(r.Fields, [2]string{name, strings.ToValidUTF8(value, "\uFFFD")})
}
