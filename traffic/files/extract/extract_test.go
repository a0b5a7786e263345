package extract

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/picket-nsm/picket/traffic/files"
)

func TestExtract(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	m := New(Config{Dir: dir, Limit: 10, Open: 1, Missing: true})
	f := files.File{Source: "HTTP", LastActive: 1.5}
	a := m.Analyzer(&f)
	if a == nil {
		t.Fatal(m.Err())
	}
	if m.Analyzer(&f) != nil {
		t.Error("more files are open than allowed")
	}
	a.Data(&f, []byte("abc"))
	a.Gap(&f, 2)
	if !a.Data(&f, []byte("def")) {
		t.Error("cut too early")
	}
	if a.Data(&f, []byte("ghijk")) {
		t.Error("not cut")
	}
	a.End(&f)
	name := filepath.Join(dir, "extract-1.500000-HTTP-F00")
	got, err := os.ReadFile(name)
	if err != nil || string(got) != "abc\x00\x00defgh" {
		t.Errorf("%q, %v", got, err)
	}
	if r := f.Results; len(r) != 1 || r[0] != (files.Result{Name: "extracted", Text: "extract-1.500000-HTTP-F00", Flag: true, Count: 10}) {
		t.Errorf("%+v", r)
	}
	// The same name again is refused, never overwritten.
	if m.Analyzer(&f) != nil || m.Err() == nil {
		t.Error("overwritten")
	}
	if s := m.Stats(); s != (Stats{Files: 1, Bytes: 8, Cut: 1, Refused: 1, Failed: 1}) {
		t.Errorf("%+v", s)
	}
}

// The limit of all files is for the life of the worker.
func TestTotal(t *testing.T) {
	m := New(Config{Dir: t.TempDir(), Total: 5, Open: 9})
	f := files.File{Source: "A"}
	a := m.Analyzer(&f)
	if a.Data(&f, []byte("0123456")) {
		t.Error("not cut")
	}
	a.End(&f)
	f = files.File{Source: "B"}
	if m.Analyzer(&f) != nil {
		t.Error("begun behind the limit")
	}
	if s := m.Stats(); s.Bytes != 5 || s.Refused != 1 {
		t.Errorf("%+v", s)
	}
}

// A folder that cannot be made is an error, and nothing else happens.
func TestNoFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := New(Config{Dir: filepath.Join(file, "x"), Open: 1})
	if m.Analyzer(&files.File{}) != nil || m.Err() == nil || m.Stats().Failed != 1 {
		t.Error("no error")
	}
}
