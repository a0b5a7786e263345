// Package tsv writes logs as Zeek's ASCII writer does, to the byte: eight
// header lines, a row per record, tabs between columns, #close at the end.
//
// It is a sink format: the logger calls it with encoded rows and writes the
// bytes to a file. It owns nothing but its settings, opens no file and keeps
// nothing of a row. The layout is docs/formats/tsv.md.
package tsv

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/picket-nsm/picket/logs/sink"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/text"
	"github.com/picket-nsm/picket/zeek/value"
)

// Config is what a user may set; the names are those of Zeek's LogAscii module.
type Config struct {
	Separator    string `toml:"separator"`     // between columns, one byte
	SetSeparator string `toml:"set_separator"` // between elements, one byte
	Empty        string `toml:"empty_field"`   // an empty string or container
	Unset        string `toml:"unset_field"`   // a value that is not there
	MetaPrefix   string `toml:"meta_prefix"`   // what header lines begin with
	NoUTF8       bool   `toml:"no_utf8"`       // escape every byte outside printable ASCII
	NoMeta       bool   `toml:"no_meta"`       // no header and no footer
	Names        bool   `toml:"names"`         // a line of column names instead of the header: Zeek's tsv=T
}

// Default returns Zeek's settings.
func Default() Config {
	return Config{Separator: "\t", SetSeparator: ",", Empty: "(empty)", Unset: "-", MetaPrefix: "#"}
}

// Validate reports settings that would give files nobody can read back.
func (c Config) Validate() error {
	if len(c.Separator) != 1 || len(c.SetSeparator) != 1 {
		return fmt.Errorf("tsv: separator %q and set_separator %q must be one byte each", c.Separator, c.SetSeparator)
	}
	if c.Separator == c.SetSeparator || c.Separator == "\n" || c.SetSeparator == "\n" || c.Separator == `\` || c.SetSeparator == `\` {
		return fmt.Errorf("tsv: separator %q and set_separator %q must differ, and be neither newline nor backslash", c.Separator, c.SetSeparator)
	}
	if c.Empty == "" || c.Unset == "" || c.Empty == c.Unset {
		return fmt.Errorf("tsv: empty_field %q and unset_field %q must differ and not be empty", c.Empty, c.Unset)
	}
	if c.MetaPrefix == "" && !c.NoMeta {
		return fmt.Errorf("tsv: meta_prefix must not be empty")
	}
	return nil
}

// Factory names the format, with Zeek's settings.
func Factory() sink.Factory {
	return sink.Factory{Name: "tsv", New: func() sink.Format {
		f, _ := New(Default()) // the default is valid: TestKit
		return f
	}}
}

// Format writes TSV. See sink.Format.
type Format struct {
	c    Config
	sep  byte
	cell cell
}

// cell writes values: those of columns, or those inside a container, in which the
// set separator is escaped too.
type cell struct {
	c        *Config
	sep, set byte
	inside   bool
	plain    [256]bool // bytes that need no escaping
	elems    *cell     // writes those inside
}

// New returns a format with the given settings.
func New(c Config) (*Format, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	f := &Format{c: c, sep: c.Separator[0]}
	f.cell = cell{c: &f.c, sep: f.sep, set: c.SetSeparator[0]}
	for i := range f.cell.plain {
		b := byte(i)
		f.cell.plain[i] = text.Printable(b) && b != '\\' && b != f.sep
	}
	elems := f.cell
	elems.inside, elems.plain[elems.set], elems.elems = true, false, &elems
	f.cell.elems = &elems
	return f, nil
}

// Ext returns .log.
func (f *Format) Ext() string { return ".log" }

// Header returns the lines a file begins with. The time is shown in its own location.
func (f *Format) Header(dst []byte, s *record.Schema, open time.Time) []byte {
	if f.c.NoMeta {
		return dst
	}
	if f.c.Names {
		return append(f.names(dst, s), '\n')
	}
	dst = append(dst, f.c.MetaPrefix...)
	dst = append(dst, "separator "...) // a space, so that it can be read before the separator is known
	dst = append(appendMeta(dst, f.c.Separator), '\n')
	dst = f.meta(dst, "set_separator", f.c.SetSeparator)
	dst = f.meta(dst, "empty_field", f.c.Empty)
	dst = f.meta(dst, "unset_field", f.c.Unset)
	dst = f.meta(dst, "path", s.Path)
	dst = f.stamp(dst, "open", open)
	dst = append(dst, f.c.MetaPrefix...)
	dst = append(dst, "fields"...)
	dst = append(f.names(append(dst, f.sep), s), '\n')
	dst = append(dst, f.c.MetaPrefix...)
	dst = append(dst, "types"...)
	for i := range s.Fields {
		dst = append(dst, f.sep)
		dst = append(dst, s.Fields[i].TypeName()...)
	}
	return append(dst, '\n')
}

// Footer returns the #close line.
func (f *Format) Footer(dst []byte, close time.Time) []byte {
	if f.c.NoMeta || f.c.Names {
		return dst
	}
	return f.stamp(dst, "close", close)
}

func (f *Format) names(dst []byte, s *record.Schema) []byte {
	for i := range s.Fields {
		if i > 0 {
			dst = append(dst, f.sep)
		}
		dst = append(dst, s.Fields[i].Name...)
	}
	return dst
}

func (f *Format) meta(dst []byte, key, val string) []byte {
	dst = append(dst, f.c.MetaPrefix...)
	dst = append(dst, key...)
	return append(appendMeta(append(dst, f.sep), val), '\n')
}

func (f *Format) stamp(dst []byte, key string, t time.Time) []byte {
	dst = append(dst, f.c.MetaPrefix...)
	dst = append(dst, key...)
	return append(t.AppendFormat(append(dst, f.sep), "2006-01-02-15-04-05"), '\n')
}

// appendMeta escapes blanks and what is not printable ASCII; a backslash stays.
func appendMeta(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; text.Printable(c) && c != ' ' {
			dst = append(dst, c)
		} else {
			dst = text.AppendHex(dst, c)
		}
	}
	return dst
}

// Rows appends a line per row left in the cursor. The error is the cursor's.
func (f *Format) Rows(dst []byte, c *record.Cursor) ([]byte, int, error) {
	n, cols := 0, len(c.Schema().Fields)
	for ; c.Next(); n++ {
		start := len(dst)
		for i := range cols {
			if i > 0 {
				dst = append(dst, f.sep)
			}
			dst = f.cell.append(dst, c.Field(i))
		}
		if len(f.c.MetaPrefix) > 0 && bytes.HasPrefix(dst[start:], []byte(f.c.MetaPrefix)) {
			dst = escapeFirst(dst, start)
		}
		dst = append(dst, '\n')
	}
	return dst, n, c.Err()
}

// escapeFirst replaces the byte at start by \xHH: the row would read as a header line.
func escapeFirst(dst []byte, start int) []byte {
	c := dst[start]
	dst = append(dst, 0, 0, 0)
	copy(dst[start+4:], dst[start+1:])
	text.AppendHex(dst[:start], c)
	return dst
}

// append appends one value. All it is given fits into registers.
func (f *cell) append(dst []byte, r record.Ref) []byte {
	if !r.Present() {
		return append(dst, f.c.Unset...)
	}
	switch r.Kind() {
	case value.KindBool:
		if r.Bool() {
			return append(dst, 'T')
		}
		return append(dst, 'F')
	case value.KindInt:
		return strconv.AppendInt(dst, r.Int(), 10)
	case value.KindCount, value.KindPort:
		return text.AppendUint(dst, r.Count())
	case value.KindDouble:
		return text.AppendDouble(dst, r.Float())
	case value.KindTime, value.KindInterval:
		return text.AppendFixed6(dst, r.Float())
	case value.KindAddr:
		return text.AppendAddr(dst, r.Addr())
	case value.KindSubnet:
		return text.AppendSubnet(dst, r.Addr(), r.Bits())
	case value.KindString, value.KindEnum, value.KindFunc, value.KindFile:
		return f.str(dst, r.Str())
	case value.KindSet, value.KindVector:
		if r.Len() == 0 {
			return append(dst, f.c.Empty...)
		}
		for it, first := r.Elems(), true; it.Next(); first = false {
			if !first {
				dst = append(dst, f.set)
			}
			dst = f.elems.append(dst, it.Elem())
		}
	}
	return dst
}

// str appends a string. One that reads as unset or empty gets its first byte escaped.
func (f *cell) str(dst, s []byte) []byte {
	if len(s) == 0 {
		return append(dst, f.c.Empty...)
	}
	if string(s) == f.c.Unset || string(s) == f.c.Empty {
		dst, s = text.AppendHex(dst, s[0]), s[1:]
	}
	for _, c := range s {
		if !f.plain[c] {
			return f.escape(dst, s)
		}
	}
	return append(dst, s...)
}

// escape appends s by segments between what must be escaped in any case:
// whether multi-byte characters pass is decided for each segment (text.AppendUTF8).
func (f *cell) escape(dst, s []byte) []byte {
	from := 0
	for i, c := range s {
		if c != '\\' && c != f.sep && !(f.inside && c == f.set) && !(f.c.NoUTF8 && !text.Printable(c)) {
			continue
		}
		dst = text.AppendUTF8(dst, s[from:i], false)
		if c == '\\' {
			dst = append(dst, `\\`...)
		} else {
			dst = text.AppendHex(dst, c)
		}
		from = i + 1
	}
	return text.AppendUTF8(dst, s[from:], false)
}
