package status

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stderr.log")
	write := func(text string, flags int) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flags, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(text)
		f.Close()
	}
	tl := &Tail{Path: path}
	var out bytes.Buffer
	step := func(what, want string, err error) {
		t.Helper()
		if err != nil || out.String() != want {
			t.Errorf("%s: %q, %v; want %q", what, out.String(), err, want)
		}
		out.Reset()
	}
	step("no file", "", tl.Last(&out, 2))
	write("a\nb\nc\n", 0)
	step("last lines", "b\nc\n", tl.Last(&out, 2))
	step("nothing new", "", tl.More(&out))
	write("d\n", os.O_APPEND)
	step("more", "d\n", tl.More(&out))
	write("cut\n", os.O_TRUNC)
	step("cut", "cut\n", tl.More(&out))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	step("between two lives", "", tl.More(&out))
	write("a new life\n", 0)
	step("next life", "a new life\n", tl.More(&out))
	all := &Tail{Path: path}
	step("more lines than there are", "a new life\n", all.Last(&out, 10))
	step("none", "", all.Last(&out, 0))
}
