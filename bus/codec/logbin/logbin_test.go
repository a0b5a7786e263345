package logbin_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/picket-nsm/picket/bus/codec/logbin"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

func batch(t testing.TB) []byte {
	t.Helper()
	var e record.Encoder
	e.Reset(record.New("X::LOG", "x", record.Of("a", value.KindCount), record.Of("b", value.KindString)))
	for i := range 3 {
		if err := e.Append([]value.Value{value.Count(uint64(i)), value.String("s")}); err != nil {
			t.Fatal(err)
		}
	}
	return e.Finish()
}

func TestCheck(t *testing.T) {
	b := batch(t)
	var g logbin.Gate
	for _, in := range [][]byte{b, append(bytes.Clone(b), "trailing"...)} {
		info, err := g.Check(in)
		want := logbin.Info{Stream: "X::LOG", Writer: "Log::WRITER_ASCII", Filter: "default", Path: "x", Records: 3, Size: len(b)}
		if err != nil || info != want {
			t.Errorf("got %+v, want %+v (%v)", info, want, err)
		}
	}
	for n := range b {
		if info, err := g.Check(b[:n]); !errors.Is(err, record.ErrCorrupt) || info.Records != 0 {
			t.Errorf("%d of %d bytes: %+v %v", n, len(b), info, err)
		}
	}
	if _, err := g.Check(b); err != nil {
		t.Errorf("after bad ones: %v", err)
	}
}

func TestRecorded(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testenv.Shared(t, "golden", "log-batches"), "*", "batches.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var g logbin.Gate
	for _, file := range files {
		for _, frames := range testenv.Frames(t, file) {
			info, err := g.Check(frames[3])
			if err != nil || string(frames[2]) != logbin.Name || info.Records == 0 || info.Size != len(frames[3]) {
				t.Errorf("%s: %+v %v", file, info, err)
			}
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(batch(f))
	var g logbin.Gate
	f.Fuzz(func(t *testing.T, in []byte) {
		info, err := g.Check(in)
		if err == nil && info.Size > len(in) || err != nil && !errors.Is(err, record.ErrCorrupt) {
			t.Fatal(info, err)
		}
	})
}
