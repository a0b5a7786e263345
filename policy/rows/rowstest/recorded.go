package rowstest

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/record"
)

// Schema returns the header of a stream's first batch in a recording of what real Zeek
// sent, or ends the test.
func Schema(t testing.TB, recording, stream string) *record.Schema {
	t.Helper()
	for _, frames := range testenv.Frames(t, testenv.Shared(t, "golden", "log-batches", recording, "batches.jsonl")) {
		c, err := record.Open(frames[3])
		if err != nil {
			t.Fatal(err)
		}
		if s := c.Schema(); s.Stream == stream {
			return s
		}
	}
	t.Fatalf("no batch of %s is recorded in %s", stream, recording)
	return nil
}

// SameHeader compares a schema with the one that real Zeek sent, column by column.
func SameHeader(t *testing.T, got *record.Schema, recording string) {
	t.Helper()
	if want := Schema(t, recording, got.Stream); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// SameColumns compares a schema with the names and types at the head of a log that
// real Zeek wrote, a path below golden/zeek-logs.
func SameColumns(t *testing.T, got *record.Schema, path ...string) {
	t.Helper()
	b, err := os.ReadFile(testenv.Shared(t, append([]string{"golden", "zeek-logs"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	names, types := "#fields", "#types"
	for i := range got.Fields {
		names += "\t" + got.Fields[i].Name
		types += "\t" + got.Fields[i].TypeName()
	}
	for _, line := range []string{names, types} {
		if !strings.Contains(string(b), line+"\n") {
			t.Errorf("no such line in the recorded log: %q", line)
		}
	}
}
