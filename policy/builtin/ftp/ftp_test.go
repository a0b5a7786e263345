package ftp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	wire "github.com/picket-nsm/picket/traffic/analyzer/ftp"

	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// harness writes each row as one line of name=value, unset columns left out.
func harness() analyzertest.Harness {
	schema := Schema()
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			var log *Log
			log = New(Default(), Deps{
				Write: func(row []value.Value) {
					if rec.Quiet {
						return
					}
					var b strings.Builder
					for i, v := range row {
						if i > 0 && i < rows.Columns || !v.IsSet() {
							continue
						}
						fmt.Fprintf(&b, " %s=%s", schema.Fields[i].Name, plain(v))
					}
					rec.Eventf("row%s", b.String())
				},
				Weird: func(_ packet.Time, name, addl string) { rec.Eventf("net weird %s %s", name, addl) },
			})
			return wire.Factory(wire.Default(), log.Handler)
		},
		Allocs: 40, // the kit's notes, and texts longer than what is kept
		State:  300 << 10,
	}
}

func plain(v value.Value) string {
	switch v.Kind() {
	case value.KindTime:
		return fmt.Sprintf("%.1f", v.Float()-1e9)
	case value.KindString:
		if s := v.Str(); len(s) > 200 {
			return fmt.Sprintf("%q and %d more", s[:40], len(s)-40)
		}
		return fmt.Sprintf("%q", v.Str())
	case value.KindAddr:
		return v.Addr().String()
	case value.KindPort:
		p, _ := v.Port()
		return fmt.Sprint(p)
	case value.KindBool:
		return fmt.Sprint(v.Bool())
	}
	return fmt.Sprint(v.Count())
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzFTPLog(f *testing.F) { analyzertest.Fuzz(f, harness()) }

func TestPaths(t *testing.T) {
	for _, x := range []struct{ dir, name, want string }{
		{".", "a", "./a"},
		{".", "", "."},
		{".", "..", ".."},
		{".", "../..", "../.."},
		{"/", "a", "/a"},
		{"/a", "b", "/a/b"},
		{"/a/", "b/", "/a/b"},
		{"/a", "/b", "/b"},
		{"/a", "..", "/"},
		{"/a/b", "../c/./d", "/a/c/d"},
		{"/a", "../../..", "/../.."},
		{"/", "/..", "/.."},
		{"/a", "c:/x", "c:/x"},
		{"/a", `c:\x`, `c:\x`},
		{"", "a", "a"},
		{"", "", ""},
		{"~", "..", "~/.."},
		{"/a//b", "c///d", "/a/b/c/d"},
		{"/a", ".b", "/a/.b"},
		{"/a/.b", "..", "/a"},
		{"/a", "b/..", "/a"},
		{"a", "..", ""},
		{"/a", "...", "/a/..."},
	} {
		if got := string(appendPath(nil, []byte(x.dir), []byte(x.name))); got != x.want {
			t.Errorf("%q and %q: %q, want %q", x.dir, x.name, got, x.want)
		}
	}
}

func TestExtractPath(t *testing.T) {
	for in, want := range map[string]string{
		`"/pub" is the current directory.`: "/pub",
		`/a\ b c`:                          `/a\ b`,
		`in c:\x y`:                        `c:\x`,
		`in c:\ y`:                         `c:\`,
		`nothing`:                          "",
		``:                                 "",
		`x/`:                               "/",
		"/\xff\n":                          "/\xff\n",
	} {
		if got := string(extractPath([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLastNumber(t *testing.T) {
	for in, want := range map[string]uint64{
		"Opening BINARY mode data connection for a2.txt (1234 bytes).": 1234,
		"6": 6, "": 0, "none": 0, "99999999999999999999999": 1<<64 - 1, "18446744073709551615": 1<<64 - 1,
	} {
		if got := lastNumber([]byte(in)); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
}

// FuzzPath shortens any path; it must not grow, and a second time changes
// nothing more than the first.
func FuzzPath(f *testing.F) {
	f.Add([]byte("/a/../b"))
	f.Add([]byte("./.././a//"))
	f.Fuzz(func(t *testing.T, p []byte) {
		q := bytes.Clone(p)
		if n := compress(q); n > len(p) {
			t.Errorf("%q became longer", p)
		}
		extractPath(p)
	})
}
