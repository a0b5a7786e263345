// Package eventjson is Zeek's JSON form of values and events, and of the
// messages of its WebSocket API that hold them (wire.md sections 2.6 and 5).
// Every value is an object {"@data-type":T,"data":V}.
//
// It stands under bus/codec/brokerjson, which sends such values between nodes,
// and under both ends of the WebSocket API. Everything is a pure function: it
// appends to a slice or reads one, keeps nothing of it, and takes any bytes in
// bounded depth and memory. It looks up no names: whether an event exists, and
// what the fields of its records are called, says package declare.
package eventjson

import "errors"

// Kinds of error.
var (
	ErrSyntax = errors.New("not Zeek's JSON")     // the text is wrong
	ErrValue  = errors.New("cannot be written")   // ours has no such form: nothing was written
	errWork   = errors.New("too much to look at") // never leaves this package
)

// Bounds on what is read and written. Zeek has only the first.
const (
	MaxDepth  = 128     // levels of JSON: a value is one or more
	MaxValues = 1 << 20 // values in one text: 64 MiB of memory
)

// Style is a dialect.
type Style uint8

const (
	// Zeek is what Zeek writes and reads, byte for byte. Strings are not always
	// JSON: a \v and raw bytes stand in them. NaN and infinity cannot be written.
	Zeek Style = iota
	// Strict is Zeek with all that is written valid JSON and UTF-8: controls
	// are \u00XX, bytes that are no UTF-8 are the text \xff as in Zeek's logs,
	// infinity is 1e999, NaN is null. It reads what Zeek reads.
	Strict
	// Named is Strict with two types more: record, whose data is an object of
	// its set fields by name, where the type is known; and bytes, base64 of a
	// string that is no UTF-8.
	Named
)
