// Package record holds what a log is made of: a stream's schema, rows, batches
// of encoded rows with their envelope, and a cursor that reads an encoded
// batch without building values.
//
// Rows are encoded once, by the worker that produced them, and read by the
// sink that writes the file: Batch is what travels between. The byte layout is
// Zeek's (wire.md section 3, docs/formats/log-batch.md). Everything here is
// data and pure functions.
package record

import "github.com/picket-nsm/picket/zeek/value"

// Field is one column of a log.
type Field struct {
	Name     string     // flattened with dots: id.orig_h
	Kind     value.Kind // KindSet and KindVector have Elem
	Elem     value.Kind // KindVoid for scalars
	Optional bool       // whether Zeek declares the field &optional; part of the encoded header
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

// New returns a schema with Zeek's default writer and filter.
func New(stream, path string, fields ...Field) *Schema {
	return &Schema{Stream: stream, Writer: "Log::WRITER_ASCII", Filter: "default", Path: path, Fields: fields}
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
