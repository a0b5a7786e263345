package record_test

import (
	"bytes"
	"testing"

	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// FuzzCursor: what the cursor accepts, the encoder can write again, and the
// cursor reads the same from that.
func FuzzCursor(f *testing.F) {
	f.Add(unhex(f, goldenUnknown))
	f.Add(unhex(f, goldenCluster))
	for _, c := range valueCases {
		var e record.Encoder
		e.Reset(one(c.kind, c.elem))
		if err := e.Append([]value.Value{c.v}); err != nil {
			f.Fatal(err)
		}
		f.Add(e.Finish())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := record.Open(in)
		if err != nil {
			return
		}
		var e record.Encoder
		e.Reset(c.Schema())
		var row []value.Value
		for c.Next() {
			row = c.Row(row[:0])
			if err := e.Append(row); err != nil {
				t.Fatal(err)
			}
		}
		n := e.Records()
		b := e.Finish()
		if b == nil {
			return
		}
		if !bytes.Equal(recode(t, b), b) {
			t.Fatal("encoding is not stable")
		}
		if c.Err() == nil {
			parts, tooLarge, err := record.Split(b, len(b)/2)
			for _, p := range parts {
				tooLarge += p.Records
			}
			if err != nil || tooLarge != n {
				t.Fatal(tooLarge, n, err)
			}
		}
	})
}
