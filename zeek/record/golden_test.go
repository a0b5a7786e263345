package record_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
)

// Every batch of a real worker re-encodes to its bytes.
func TestRecordedBatches(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testenv.Shared(t, "golden", "log-batches"), "*", "batches.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	n := 0
	for _, file := range files {
		for i, frames := range testenv.Frames(t, file) {
			if got := recode(t, frames[3]); !bytes.Equal(got, frames[3]) {
				t.Errorf("%s: batch %d: got %d bytes, want %d", file, i, len(got), len(frames[3]))
			}
			n++
		}
	}
	t.Logf("%d batches", n)
}
