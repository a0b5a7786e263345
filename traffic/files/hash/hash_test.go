package hash

import (
	"testing"

	"github.com/picket-nsm/picket/traffic/files"
)

func TestHash(t *testing.T) {
	for kind, want := range map[string]string{
		"md5":    "900150983cd24fb0d6963f7d28e17f72",
		"sha1":   "a9993e364706816aba3e25717850c26c9cd0d89d",
		"sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	} {
		m := New(kind)
		for range 2 { // the second time with a state that was used before
			var f files.File
			a := m.Analyzer()
			a.Data(&f, []byte("a"))
			a.Data(&f, []byte("bc"))
			a.End(&f)
			if len(f.Results) != 1 || f.Results[0].Name != kind || f.Results[0].Text != want {
				t.Errorf("%s: %+v, want %s", kind, f.Results, want)
			}
		}
		// Neither with a gap nor without content.
		var f files.File
		a := m.Analyzer()
		a.Data(&f, []byte("a"))
		if a.Gap(&f, 1) {
			t.Error("goes on after a gap")
		}
		a.End(&f)
		m.Analyzer().End(&f)
		if len(f.Results) != 0 {
			t.Errorf("%s: %+v", kind, f.Results)
		}
	}
	if New("crc32") != nil {
		t.Error("a kind that there is not")
	}
}
