package record

import "github.com/picket-nsm/picket/zeek/value"

// Columns are columns that stand side by side: one, or those that belong
// together. New makes a schema of them.
type Columns []Field

// Of returns a column of a type. A set or a vector also needs the type of its
// elements; without it, or with one for anything else, Of panics, for that is a
// mistake of whoever writes the schema.
func Of(name string, kind value.Kind, elem ...value.Kind) Columns {
	f := Field{Name: name, Kind: kind}
	want := 0
	if kind == value.KindSet || kind == value.KindVector {
		want = 1
	}
	if len(elem) != want {
		panic("column " + name + ": a set or a vector has one type of elements, and nothing else has")
	}
	for _, e := range elem {
		f.Elem = e
	}
	return Columns{f}
}

// Optional returns a column as Of does, of a field that Zeek declares &optional
// or gives a &default.
func Optional(name string, kind value.Kind, elem ...value.Kind) Columns {
	c := Of(name, kind, elem...)
	c[0].Optional = true
	return c
}

// Conn returns the columns with which the log of a protocol begins: when, and of
// which connection.
func Conn() Columns {
	return append(append(Of("ts", value.KindTime), Of("uid", value.KindString)...), ConnID()...)
}

// ConnID returns the columns of a connection's two ends.
func ConnID() Columns {
	return Columns{
		{Name: "id.orig_h", Kind: value.KindAddr}, {Name: "id.orig_p", Kind: value.KindPort},
		{Name: "id.resp_h", Kind: value.KindAddr}, {Name: "id.resp_p", Kind: value.KindPort},
	}
}
