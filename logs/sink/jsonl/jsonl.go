// Package jsonl writes logs as Zeek's JSON writer does, to the byte: one
// object per line, no header, unset columns left out.
//
// It is a sink format: the logger calls it with encoded rows and writes the
// bytes to a file. It owns nothing but its settings, opens no file and keeps
// nothing of a row. The layout is docs/formats/json-lines.md.
package jsonl

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/picket-nsm/picket/logs/sink"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/text"
	"github.com/picket-nsm/picket/zeek/value"
)

// Config is what a user may set; the values are those of Zeek's LogAscii module.
type Config struct {
	Times        string `toml:"json_timestamps"`           // epoch, millis, millis_unsigned, iso8601
	IncludeUnset bool   `toml:"json_include_unset_fields"` // write null instead of leaving a column out
	Escape       string `toml:"json_string_escape_policy"` // hex, pua, tsv: what becomes of bytes that are not UTF-8
}

// Default returns Zeek's settings.
func Default() Config { return Config{Times: "epoch", Escape: "hex"} }

// Validate reports unknown words.
func (c Config) Validate() error {
	switch c.Times {
	case "epoch", "millis", "millis_unsigned", "iso8601":
	default:
		return fmt.Errorf("json: json_timestamps %q: must be epoch, millis, millis_unsigned or iso8601", c.Times)
	}
	switch c.Escape {
	case "hex", "pua", "tsv":
	default:
		return fmt.Errorf("json: json_string_escape_policy %q: must be hex, pua or tsv", c.Escape)
	}
	return nil
}

// Factory names the format, with Zeek's settings.
func Factory() sink.Factory {
	return sink.Factory{Name: "json", New: func() sink.Format {
		f, _ := New(Default()) // the default is valid: TestKit
		return f
	}}
}

// Format writes JSON lines. See sink.Format.
type Format struct {
	c    Config
	tmp  []byte         // a string whose bytes were escaped, before JSON quotes it
	s    *record.Schema // what keys were made from
	keys [][]byte       // `"name":`, quoted once
}

// New returns a format with the given settings.
func New(c Config) (*Format, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Format{c: c}, nil
}

// Ext returns .log, as Zeek names its JSON logs too.
func (f *Format) Ext() string { return ".log" }

// Header returns nothing: JSON logs have none.
func (f *Format) Header(dst []byte, _ *record.Schema, _ time.Time) []byte { return dst }

// Footer returns nothing.
func (f *Format) Footer(dst []byte, _ time.Time) []byte { return dst }

// Rows appends a line per row left in the cursor. The error is the cursor's.
func (f *Format) Rows(dst []byte, c *record.Cursor) ([]byte, int, error) {
	if s := c.Schema(); s != f.s {
		f.s, f.keys = s, f.keys[:0]
		for i := range s.Fields {
			f.keys = append(f.keys, append(appendQuoted(nil, []byte(s.Fields[i].Name)), ':'))
		}
	}
	n := 0
	for ; c.Next(); n++ {
		sep := byte('{')
		for i := range f.keys {
			r := c.Field(i)
			if !r.Present() && !f.c.IncludeUnset {
				continue
			}
			dst = append(dst, sep)
			dst = append(dst, f.keys[i]...)
			dst = f.value(dst, r)
			sep = ','
		}
		if sep == '{' {
			dst = append(dst, '{')
		}
		dst = append(dst, '}', '\n')
	}
	return dst, n, c.Err()
}

func (f *Format) value(dst []byte, r record.Ref) []byte {
	if !r.Present() {
		return append(dst, "null"...)
	}
	switch r.Kind() {
	case value.KindBool:
		return strconv.AppendBool(dst, r.Bool())
	case value.KindInt:
		return strconv.AppendInt(dst, r.Int(), 10)
	case value.KindCount, value.KindPort:
		return text.AppendUint(dst, r.Count())
	case value.KindDouble, value.KindInterval:
		return appendDouble(dst, r.Float())
	case value.KindTime:
		return f.time(dst, r.Float())
	case value.KindAddr:
		return append(text.AppendAddr(append(dst, '"'), r.Addr()), '"')
	case value.KindSubnet:
		return append(text.AppendSubnet(append(dst, '"'), r.Addr(), r.Bits()), '"')
	case value.KindString:
		return f.str(dst, r.Str(), f.c.Escape)
	case value.KindEnum, value.KindFunc, value.KindFile:
		return f.str(dst, r.Str(), "hex")
	case value.KindSet, value.KindVector:
		dst = append(dst, '[')
		for it, first := r.Elems(), true; it.Next(); first = false {
			if !first {
				dst = append(dst, ',')
			}
			dst = f.value(dst, it.Elem())
		}
		return append(dst, ']')
	}
	return append(dst, "null"...)
}

func (f *Format) time(dst []byte, sec float64) []byte {
	switch f.c.Times {
	case "millis":
		return strconv.AppendInt(dst, int64(sec*1000), 10)
	case "millis_unsigned":
		return strconv.AppendUint(dst, uint64(int64(sec*1000)), 10)
	case "iso8601":
		return appendISO(dst, sec)
	}
	return appendDouble(dst, sec)
}

// appendISO appends the time in UTC with microseconds. They are rounded, so
// the last half microsecond of a second shows as .1000000, as in Zeek.
func appendISO(dst []byte, sec float64) []byte {
	whole, frac := math.Floor(sec), 0.0
	if _, frac = math.Modf(sec); frac < 0 {
		frac++
	}
	if !(math.Abs(sec) < 6.7e16) { // beyond any calendar, or no number: a time that stands out
		return append(dst, `"2000-01-01T00:00:00.000000"`...)
	}
	dst = time.Unix(int64(whole), 0).UTC().AppendFormat(append(dst, '"'), "2006-01-02T15:04:05.")
	micros := strconv.AppendUint(nil, uint64(math.RoundToEven(frac*1000000)), 10)
	for range 6 - len(micros) {
		dst = append(dst, '0')
	}
	return append(append(dst, micros...), 'Z', '"')
}

// str appends a string after what the policy does to bytes that are not UTF-8.
func (f *Format) str(dst, s []byte, policy string) []byte {
	plain := true
	for _, c := range s {
		if !text.Printable(c) || c == '"' || c == '\\' {
			plain = false
			break
		}
	}
	if plain {
		dst = append(append(dst, '"'), s...)
		return append(dst, '"')
	}
	switch policy {
	case "pua":
		return appendPUA(dst, s)
	case "tsv":
		f.tmp = appendTSV(f.tmp[:0], s)
	default:
		f.tmp = text.AppendUTF8(f.tmp[:0], s, true)
	}
	return appendQuoted(dst, f.tmp)
}
