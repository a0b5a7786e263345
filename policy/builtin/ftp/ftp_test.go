package ftp

import (
	"bytes"
	"testing"

	"github.com/picket-nsm/picket/policy/rows/rowstest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/ftp"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
)

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			log := New(Default(), Deps{Write: rowstest.Note(rec, Schema()), Weird: rowstest.NoteWeird(rec)})
			return wire.Factory(wire.Default(), log.Handler)
		},
		Allocs: 40, // the kit's notes, and texts longer than what is kept
		State:  300 << 10,
	}
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
