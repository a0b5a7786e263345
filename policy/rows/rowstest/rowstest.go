// Package rowstest has what the tests of logs share: rows as text, and the columns
// that real Zeek writes.
//
// It stands beside analyzertest, whose conversations end in rows here. It owns nothing
// and judges no row: what one should say is each log's own case.
package rowstest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/text"
	"github.com/picket-nsm/picket/zeek/value"
)

// Longest texts and lists that are shown whole.
const (
	maxText = 1000
	maxList = 64
)

// Show returns a row as name=value, a column after the other. Unset columns and those
// named in leave are left out. A row that does not fit its schema panics.
func Show(s *record.Schema, row []value.Value, leave ...string) string {
	if len(row) != len(s.Fields) {
		panic(fmt.Sprintf("rowstest: a row of %d columns, %s has %d", len(row), s.Path, len(s.Fields)))
	}
	var cells []string
	for i, v := range row {
		f := &s.Fields[i]
		if !v.IsSet() || slices.Contains(leave, f.Name) {
			continue
		}
		if v.Kind() != f.Kind {
			panic(fmt.Sprintf("rowstest: %s is of kind %d, should be of %d", f.Name, v.Kind(), f.Kind))
		}
		cells = append(cells, f.Name+"="+Value(v))
	}
	return strings.Join(cells, " ")
}

// Value returns one value as text: strings are quoted, numbers have at most six
// decimals, long texts and lists are cut.
func Value(v value.Value) string {
	switch v.Kind() {
	case value.KindBool:
		return string(text.AppendBool(nil, v.Bool()))
	case value.KindDouble, value.KindTime, value.KindInterval:
		return string(text.AppendDouble(nil, v.Float()))
	case value.KindString:
		if s := v.Str(); len(s) > maxText {
			return fmt.Sprintf("%q and %d more", s[:maxText], len(s)-maxText)
		}
		return fmt.Sprintf("%q", v.Str())
	case value.KindEnum:
		return v.Str()
	case value.KindPort:
		p, _ := v.Port()
		return fmt.Sprint(p)
	case value.KindAddr:
		return v.Addr().String()
	case value.KindSet, value.KindVector:
		var all []string
		for i, e := range v.Elems() {
			if i == maxList {
				all = append(all, fmt.Sprintf("and %d more", len(v.Elems())-i))
				break
			}
			all = append(all, Value(e))
		}
		return "[" + strings.Join(all, " ") + "]"
	}
	return fmt.Sprint(v.Count())
}

// Own shows the columns that are a log's own: not when, and of which connection.
func Own(s *record.Schema, row []value.Value) string {
	return Show(s, row, "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")
}

// Note returns where a log writes its rows in a conversation of analyzertest: each is
// a line, the log's path, the time and the log's own columns.
func Note(rec *analyzertest.Recorder, s *record.Schema) func(row []value.Value) {
	return func(row []value.Value) {
		if !rec.Quiet {
			rec.Eventf("%s %s %s", s.Path, Value(row[0]), Own(s, row))
		}
	}
}

// NoteWeird returns where a log tells of what is odd, a line each in a conversation of
// analyzertest.
func NoteWeird(rec *analyzertest.Recorder) func(at packet.Time, name, addl string) {
	return func(_ packet.Time, name, addl string) {
		if !rec.Quiet {
			rec.Eventf("net weird %s %s", name, addl)
		}
	}
}
