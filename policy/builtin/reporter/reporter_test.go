package reporter

import (
	"testing"

	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

func TestRowsFitTheSchema(t *testing.T) {
	var e record.Encoder
	e.Reset(Schema())
	l := New(func(r []value.Value) {
		if err := e.Append(r); err != nil {
			t.Fatal(err)
		}
	})
	l.Message(1, Warning, "cut in the middle of a packet", "trace.pcap")
	l.Message(2, Error, "no such interface", "")
	c, err := record.Open(e.Finish())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false} {
		if !c.Next() {
			t.Fatal(c.Err())
		}
		if got := c.Field(3).Present(); got != want {
			t.Errorf("row %d: location present %v, want %v", i, got, want)
		}
	}
}
