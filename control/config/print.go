package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// TOML writes the whole of a Config as a file that Parse reads, each setting
// with its comment if comments is set.
func (c Config) TOML(comments bool) string {
	var b strings.Builder
	each(c, func(section, doc string, v reflect.Value) {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		if comments {
			wrap(&b, doc)
		}
		b.WriteString(section + "\n")
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Type.Kind() == reflect.Struct {
				continue
			}
			if comments {
				wrap(&b, f.Tag.Get("doc"))
			}
			fmt.Fprintf(&b, "%s = %s\n", f.Tag.Get("toml"), literal(v.Field(i)))
		}
	})
	return b.String()
}

// Markdown is docs/config.md: every setting with its default.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`# Settings

<!-- Made by: go test ./control/config -update. Do not edit. -->

One TOML file, read by ` + "`picket up -c FILE`" + ` and checked by ` + "`picket check -c FILE`" + `, which prints what is in effect. Every setting
may be left out. An unknown key, a value of the wrong kind or one that cannot be is an error with file and line. All of them are told
at once. Durations are written as "30s", "5m", "1h"; sizes as "512KiB", "64MiB", "2GiB".

`)
	c := Default()
	c.Interfaces = []Interface{{}}
	c.Zeek = []Zeek{{}}
	each(c, func(section, doc string, v reflect.Value) {
		fmt.Fprintf(&b, "## %s\n\n%s\n\n| key | default | meaning |\n|---|---|---|\n", section, doc)
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Type.Kind() == reflect.Struct {
				continue
			}
			fmt.Fprintf(&b, "| %s | `%s` | %s |\n", f.Tag.Get("toml"), literal(v.Field(i)), strings.ReplaceAll(f.Tag.Get("doc"), "|", `\|`))
		}
		b.WriteByte('\n')
	})
	b.WriteString("## Example\n\n```toml\n" + Example + "```\n")
	return b.String()
}

// Example is a small file; a test parses it.
const Example = `# Two interfaces, four workers each, JSON logs put aside each day at midnight.
[[interface]]
name = "eth0"
workers = 4
pin = "2-5"

[[interface]]
name = "eth1"
workers = 4
filter = "not port 9100"

[cluster]
loggers = 2
spool = "/var/spool/picket"

[logs]
dir = "/var/log/picket"
format = "json"
rotate = "24h"
`

// each calls f with each section, and with each element of a list of them.
func each(c Config, f func(section, doc string, v reflect.Value)) {
	eachIn(reflect.ValueOf(c), "", f)
}

func eachIn(v reflect.Value, at string, f func(section, doc string, v reflect.Value)) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, doc := join(at, field.Tag.Get("toml")), field.Tag.Get("doc")
		if field.Type.Kind() == reflect.Struct && field.Type.Field(0).Type.Kind() == reflect.Struct {
			eachIn(v.Field(i), name, f)
			continue
		}
		if field.Type.Kind() != reflect.Slice {
			f("["+name+"]", doc, v.Field(i))
			for k := range v.Field(i).NumField() {
				if s := field.Type.Field(k); s.Type.Kind() == reflect.Struct {
					f("["+join(name, s.Tag.Get("toml"))+"]", s.Tag.Get("doc"), v.Field(i).Field(k))
				}
			}
			continue
		}
		for k := range v.Field(i).Len() {
			f("[["+name+"]]", doc, v.Field(i).Index(k))
		}
	}
}

func literal(v reflect.Value) string {
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return strconv.Quote(s.String())
	}
	switch v.Kind() {
	case reflect.String:
		return quote(v.String())
	case reflect.Slice:
		var out []string
		for i := range v.Len() {
			out = append(out, literal(v.Index(i)))
		}
		return "[" + strings.Join(out, ", ") + "]"
	default:
		return fmt.Sprint(v.Interface())
	}
}

// quote writes a TOML basic string: unlike Go's, it knows no \x and no \a.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// wrap writes a comment in lines of at most 100 letters.
func wrap(b *strings.Builder, text string) {
	line := "#"
	for w := range strings.FieldsSeq(text) {
		if len(line)+1+len(w) > 100 {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + w
	}
	b.WriteString(line + "\n")
}
