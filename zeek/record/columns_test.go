package record_test

import (
	"fmt"
	"testing"

	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

func ExampleNew() {
	s := record.New("Proxied::LOG", "proxied",
		record.Conn(),
		record.Of("version", value.KindCount),
		record.Optional("names", value.KindVector, value.KindString),
	)
	for i := range s.Fields {
		f := &s.Fields[i]
		fmt.Println(f.Name, f.TypeName(), f.Optional)
	}
	// Output:
	// ts time false
	// uid string false
	// id.orig_h addr false
	// id.orig_p port false
	// id.resp_h addr false
	// id.resp_p port false
	// version count false
	// names vector[string] true
}

// A column of elements without their type could hold nothing.
func TestColumnsThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		kind value.Kind
		elem []value.Kind
	}{
		{value.KindSet, nil}, {value.KindVector, nil}, {value.KindString, []value.Kind{value.KindString}},
		{value.KindSet, []value.Kind{value.KindString, value.KindCount}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d of %v is a column", c.kind, c.elem)
				}
			}()
			record.Optional("x", c.kind, c.elem...)
		}()
	}
}
