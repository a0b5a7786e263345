// Package record holds what a log is made of: a stream's schema, rows, batches
// of encoded rows with their envelope, and a cursor that reads an encoded
// batch without building values.
//
// Rows are encoded once, by the worker that produced them, and read by the
// sink that writes the file: Batch is what travels between. The byte layout is
// Zeek's (wire.md section 3, docs/formats/log-batch.md). Everything here is
// data and pure functions.
package record

import (
	"slices"

	"github.com/picket-nsm/picket/zeek/value"
)

// Field is one column of a log.
type Field struct {
	Name     string     // flattened with dots: id.orig_h
	Kind     value.Kind // KindSet and KindVector have Elem
	Elem     value.Kind // KindVoid for scalars
	Optional bool       // whether Zeek declares the field &optional; part of the encoded header

	HasSecondary bool   // logs have none; kept so that a header re-encodes to its bytes
	Secondary    string // only Zeek's input framework uses it
}

// Schema describes one log stream as one filter writes it. It is frozen once
// rows are written; an extension is a new Schema.
type Schema struct {
	Stream string // Conn::LOG
	Writer string // Log::WRITER_ASCII
	Filter string // default
	Path   string // conn
	Fields []Field
}

// New returns a schema of these columns, in this order, with Zeek's default
// writer and filter.
func New(stream, path string, columns ...Columns) *Schema {
	return &Schema{Stream: stream, Writer: "Log::WRITER_ASCII", Filter: "default", Path: path, Fields: slices.Concat(columns...)}
}

// Index returns the position of the named column, or -1.
func (s *Schema) Index(name string) int {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// TypeName returns the type as a log's #types line shows it: set[string].
func (f *Field) TypeName() string {
	switch f.Kind {
	case value.KindSet:
		return "set[" + kindName(f.Elem) + "]"
	case value.KindVector:
		return "vector[" + kindName(f.Elem) + "]"
	}
	return kindName(f.Kind)
}

// kindName returns Zeek's name of a type tag.
func kindName(k value.Kind) string {
	switch k {
	case value.KindVoid:
		return "void"
	case value.KindBool:
		return "bool"
	case value.KindInt:
		return "int"
	case value.KindCount:
		return "count"
	case value.KindDouble:
		return "double"
	case value.KindTime:
		return "time"
	case value.KindInterval:
		return "interval"
	case value.KindString:
		return "string"
	case value.KindPattern:
		return "pattern"
	case value.KindEnum:
		return "enum"
	case value.KindPort:
		return "port"
	case value.KindAddr:
		return "addr"
	case value.KindSubnet:
		return "subnet"
	case value.KindAny:
		return "any"
	case value.KindSet, value.KindTable:
		return "table"
	case value.KindRecord:
		return "record"
	case value.KindList:
		return "types"
	case value.KindFunc:
		return "func"
	case value.KindFile:
		return "file"
	case value.KindVector:
		return "vector"
	case value.KindOpaque:
		return "opaque"
	}
	return "error"
}

// Batch is a number of encoded rows of one stream and path, and the envelope
// that says where they came from. A Batch has one owner; passing it on gives
// it away, payload included.
type Batch struct {
	Producer string // name of the node that encoded it
	Start    uint64 // which life of the producer: unix nanoseconds of its start
	Seq      uint64 // number of the batch in that life, from 1, over all streams
	Records  int
	Stream   string
	Path     string
	Payload  []byte // wire.md section 3.1
}
