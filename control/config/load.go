package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/picket-nsm/picket/internal/nearest"
)

// Mistake is one thing that is wrong, and where.
type Mistake struct {
	File string
	Line int // 0: the file as a whole
	Text string
}

func (m Mistake) String() string {
	if m.Line == 0 {
		return fmt.Sprintf("%s: %s", m.File, m.Text)
	}
	return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Text)
}

// Error is all mistakes of a configuration, by line.
type Error struct{ Mistakes []Mistake }

func (e *Error) Error() string {
	var lines []string
	for _, m := range e.Mistakes {
		lines = append(lines, m.String())
	}
	return strings.Join(lines, "\n")
}

// maxFile bounds a configuration: finding line numbers takes time by its square.
const maxFile = 256 << 10

// Load reads a file. Paths in the Config count from the file's folder. The
// error is an *Error, or says why the file could not be read.
func Load(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	c, err := Parse(path, text)
	if err != nil {
		return Config{}, err
	}
	return c.below(filepath.Dir(path)), nil
}

// Parse reads the text of a file; name is for messages.
func Parse(name string, text []byte) (Config, error) {
	w := walker{file: name, lines: map[string]int{}, arrays: map[string]int{}, wrong: map[string]bool{}}
	if len(text) > maxFile {
		return Config{}, &Error{[]Mistake{{File: name, Text: fmt.Sprintf("%d bytes: a configuration has at most %d; is this the right file?", len(text), maxFile)}}}
	}
	c := Default()
	if right, ok := w.walk(text); !ok {
		// No TOML: nothing else can be said of it.
	} else if err := toml.Unmarshal(right, &c); err != nil {
		w.decodeError(err)
	} else {
		for _, p := range c.Problems() {
			if !w.follows(p.Key) {
				w.mistake(w.line(p.Key), "%s: %s", p.Key, p.Text)
			}
		}
	}
	if len(w.mistakes) == 0 {
		return c, nil
	}
	sort.SliceStable(w.mistakes, func(i, k int) bool { return w.mistakes[i].Line < w.mistakes[k].Line })
	return Config{}, &Error{w.mistakes}
}

// walker goes through the syntax tree beside the types: it notes where each key
// stands and finds keys that do not exist and values of the wrong kind, all of
// them. The decoder alone stops at the first and knows no sections.
type walker struct {
	file     string
	parser   unstable.Parser
	mistakes []Mistake
	lines    map[string]int  // key path to line; interface[0].name
	arrays   map[string]int  // array tables seen so far
	wrong    map[string]bool // keys with a value of the wrong kind, and sections with any such mistake
}

func (w *walker) mistake(line int, format string, args ...any) {
	w.mistakes = append(w.mistakes, Mistake{w.file, line, fmt.Sprintf(format, args...)})
}

// walk returns the text without what is wrong, line for line, so that the
// values of the rest are told of in the same round; false if it is no TOML.
func (w *walker) walk(text []byte) ([]byte, bool) {
	p := &w.parser
	p.Reset(text)
	root := reflect.TypeFor[Config]()
	table, at, known := root, "", true
	right := slices.Clone(text)
	from, bad := 0, false
	next := func(to int) { // an expression begins on a line of its own
		if bad {
			blank(right[from:to])
		}
		from = to
	}
	for p.NextExpression() {
		e := p.Expression()
		if it := e.Key(); it.Next() {
			next(bytes.LastIndexByte(text[:it.Node().Raw.Offset], '\n') + 1)
		}
		mistakes := len(w.mistakes)
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table, at, known = w.table(root, e)
		case unstable.KeyValue:
			if known {
				w.keyValue(table, at, e)
			}
		}
		bad = !known || len(w.mistakes) > mistakes
		w.wrong[at] = w.wrong[at] || bad && known
	}
	next(len(text))
	if err := p.Error(); err != nil {
		w.mistakes = nil // a file that is no TOML has no other mistakes yet
		w.parseError(err, text)
		return nil, false
	}
	return right, true
}

// blank leaves nothing of lines but their number.
func blank(lines []byte) {
	for i, b := range lines {
		if b != '\n' {
			lines[i] = ' '
		}
	}
}

// follows tells whether a problem only follows from a mistake that is told of:
// the setting has a wrong value, or is missing where a key is wrong.
func (w *walker) follows(key string) bool {
	i := max(strings.LastIndexByte(key, '.'), 0)
	return w.wrong[key] || w.lines[key] == 0 && w.wrong[key[:i]]
}

// table finds the type that a [section] means.
func (w *walker) table(t reflect.Type, e *unstable.Node) (reflect.Type, string, bool) {
	at := ""
	it := e.Key()
	for it.Next() {
		key := string(it.Node().Data)
		f, ok := field(t, key)
		if !ok {
			w.unknown(t, at, "section", key, w.at(it.Node()))
			return nil, "", false
		}
		t, at = f.Type, join(at, key)
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
			if e.Kind != unstable.ArrayTable {
				w.mistake(w.at(it.Node()), "[%s] is a list: write [[%s]]", key, key)
				return nil, "", false
			}
			n := w.arrays[at]
			w.arrays[at]++
			t, at = t.Elem(), fmt.Sprintf("%s[%d]", at, n)
		} else if e.Kind == unstable.ArrayTable {
			w.mistake(w.at(it.Node()), "[[%s]] is no list: write [%s]", key, key)
			return nil, "", false
		}
		w.lines[at] = w.at(it.Node())
	}
	if t.Kind() != reflect.Struct {
		w.mistake(w.lines[at], "%s is no section: write %s = ...", at, at)
		return nil, "", false
	}
	return t, at, true
}

func (w *walker) keyValue(t reflect.Type, at string, e *unstable.Node) {
	it := e.Key()
	line := 0
	for it.Next() {
		key := string(it.Node().Data)
		line = w.at(it.Node())
		if t.Kind() != reflect.Struct {
			w.mistake(line, "%s has no keys of its own", at)
			return
		}
		f, ok := field(t, key)
		if !ok {
			w.unknown(t, at, "key", key, line)
			return
		}
		t, at = f.Type, join(at, key)
		w.lines[at] = line
	}
	v := e.Value()
	if t.Kind() == reflect.Struct && v.Kind == unstable.InlineTable {
		for c := v.Children(); c.Next(); {
			w.keyValue(t, at, c.Node())
		}
		return
	}
	mistakes := len(w.mistakes)
	w.value(t, at, v, line)
	w.wrong[at] = len(w.mistakes) > mistakes
}

// value checks that a value is of the kind that its setting wants.
func (w *walker) value(t reflect.Type, at string, v *unstable.Node, line int) {
	if u, ok := reflect.New(t).Interface().(encoding.TextUnmarshaler); ok {
		if v.Kind != unstable.String {
			w.mistake(line, "%s: want text in quotes, as in %s", at, example(t))
		} else if err := u.UnmarshalText(v.Data); err != nil {
			w.mistake(line, "%s: %v", at, err)
		}
		return
	}
	want := map[reflect.Kind]struct {
		kind unstable.Kind
		text string
	}{
		reflect.String: {unstable.String, "text in quotes"},
		reflect.Int:    {unstable.Integer, "a whole number"},
		reflect.Bool:   {unstable.Bool, "true or false"},
		reflect.Slice:  {unstable.Array, "a list, as in [\"a\", \"b\"]"},
		reflect.Struct: {unstable.InlineTable, "a section"},
	}[t.Kind()]
	if v.Kind != want.kind {
		w.mistake(line, "%s: want %s", at, want.text)
		return
	}
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String {
		for c := v.Children(); c.Next(); {
			if c.Node().Kind != unstable.String {
				w.mistake(line, "%s: want a list of texts, as in [\"a\", \"b\"]", at)
				return
			}
		}
	}
}

func example(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Duration]():
		return `"30s"`
	case reflect.TypeFor[Size]():
		return `"64MiB"`
	default:
		return `"2-5,8"`
	}
}

func (w *walker) at(n *unstable.Node) int {
	return w.parser.Shape(n.Raw).Start.Line
}

// line is where a key stands; where it is not written, its section.
func (w *walker) line(key string) int {
	for key != "" {
		if n := w.lines[key]; n > 0 {
			return n
		}
		i := strings.LastIndexByte(key, '.')
		if i < 0 {
			break
		}
		key = key[:i]
	}
	return 0
}

func (w *walker) parseError(err error, text []byte) {
	var pe *unstable.ParserError
	if !errors.As(err, &pe) {
		w.mistake(0, "%v", err)
		return
	}
	line := 1 + strings.Count(string(text), "\n")
	if len(pe.Highlight) > 0 {
		line = w.parser.Shape(w.parser.Range(pe.Highlight)).Start.Line
	}
	w.mistake(line, "%s", pe.Message)
}

func (w *walker) decodeError(err error) {
	var de *toml.DecodeError
	if errors.As(err, &de) {
		line, _ := de.Position()
		w.mistake(line, "%s", strings.TrimPrefix(de.Error(), "toml: "))
		return
	}
	w.mistake(0, "%s", strings.TrimPrefix(err.Error(), "toml: "))
}

// unknown tells of a key that does not exist, and which one was meant.
func (w *walker) unknown(t reflect.Type, at, what, key string, line int) {
	where := ""
	if at != "" && what == "key" {
		where = " in [" + strings.TrimRight(at, "[]0123456789") + "]"
	}
	if s := nearest.Of(key, keys(t)); s != "" {
		w.mistake(line, "unknown %s %q: did you mean %q?", what, key, s)
		return
	}
	if t := sectionOf(key); t != "" && what == "key" {
		w.mistake(line, "unknown key %q%s: it belongs into %s", key, where, t)
		return
	}
	w.mistake(line, "unknown %s %q%s: there are %s", what, key, where, strings.Join(keys(t), ", "))
}

// sectionOf names the section that has such a key.
func sectionOf(key string) string {
	name := ""
	c := Default()
	c.Interfaces = []Interface{{}}
	each(c, func(section, _ string, v reflect.Value) {
		if _, ok := field(v.Type(), key); ok && name == "" {
			name = section
		}
	})
	return name
}

func field(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("toml") == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

func keys(t reflect.Type) []string {
	var out []string
	for i := range t.NumField() {
		out = append(out, t.Field(i).Tag.Get("toml"))
	}
	return out
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}
