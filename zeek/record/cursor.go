package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/picket-nsm/picket/zeek/value"
)

// ErrCorrupt is the kind of every error that the bytes of a batch can cause.
var ErrCorrupt = errors.New("corrupt log batch")

// Cursor reads the rows of an encoded batch (wire.md section 3.1) without
// building values. It checks every byte it passes: lengths, counts, address
// families, transports, and that the type inside each value is the column's.
// It allocates in proportion to the bytes given, never to a claimed count. One
// goroutine. Payload and Refs are borrowed: valid until the payload changes.
//
//	for c.Next() { use(c.Field(0)) }
//	return c.Err()
type Cursor struct {
	p      []byte
	schema *Schema
	head   []byte // copy of the header that schema was made from: most batches repeat it
	vals   []Ref  // of the row that Next moved to
	at     int    // start of the next row
	rows   int    // claimed by the batch
	read   int
	err    error
}

// Open reads a batch's header. The error is of kind ErrCorrupt.
func Open(payload []byte) (*Cursor, error) {
	c := new(Cursor)
	if err := c.Reset(payload); err != nil {
		return nil, err
	}
	return c, nil
}

// Reset reads the header of another batch. The schema of the batch before
// stays valid, and is kept if the header is the same.
func (c *Cursor) Reset(payload []byte) error {
	c.p, c.rows, c.read, c.at, c.err = payload, 0, 0, 0, nil
	if len(payload) > math.MaxInt32 {
		return c.fail("%d bytes are too many", len(payload))
	}
	n := len(c.head)
	if n == 0 || len(payload) < n || string(payload[:n]) != string(c.head) {
		r := reader{p: payload}
		s := r.header()
		if r.bad != "" {
			return c.fail("header: %s at byte %d", r.bad, r.at)
		}
		n = r.at
		c.schema = s
		c.head = append(c.head[:0], payload[:n]...)
		c.vals = slices.Grow(c.vals[:0], len(s.Fields))[:len(s.Fields)]
		for i := range c.vals {
			c.vals[i] = Ref{kind: s.Fields[i].Kind, elem: s.Fields[i].Elem}
		}
	}
	if len(payload)-n < 4 {
		return c.fail("header: cut at byte %d", n)
	}
	rows := int64(binary.BigEndian.Uint32(payload[n:]))
	c.at = n + 4
	// A row has at least the heads of its values: a count that cannot be met,
	// or that costs no bytes, is refused before anyone believes it.
	least := rows * int64(len(c.schema.Fields)) * valueHead
	if rows > 0 && len(c.schema.Fields) == 0 || least > int64(len(payload)-c.at) {
		return c.fail("%d records of %d columns do not fit into %d bytes", rows, len(c.schema.Fields), len(payload)-c.at)
	}
	c.rows = int(rows)
	return nil
}

func (c *Cursor) fail(format string, args ...any) error {
	c.rows, c.read = 0, 0
	c.err = fmt.Errorf("read log batch: %w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
	return c.err
}

// Schema returns the batch's schema. It may be kept and must not be changed.
func (c *Cursor) Schema() *Schema { return c.schema }

// Records returns the number of rows the batch claims; if Err stays nil, Next finds them all.
func (c *Cursor) Records() int { return c.rows }

// Err returns why Next stopped early, of kind ErrCorrupt, or nil.
func (c *Cursor) Err() error { return c.err }

// Next moves to the next row, and reports false at the end or at the first
// byte that is wrong. Bytes after the last row are ignored, as Zeek does.
func (c *Cursor) Next() bool {
	if c.read >= c.rows {
		return false
	}
	p, at := c.p, c.at
	for i := range c.vals {
		v := &c.vals[i]
		// Most values have eight bytes or are strings: no call for them.
		const room = valueHead + 8
		if len(p)-at >= room {
			d := p[at : at+room]
			if binary.BigEndian.Uint32(d) == uint32(v.kind) && d[8] == 1 {
				switch v.kind {
				case value.KindBool, value.KindInt, value.KindCount, value.KindDouble, value.KindTime, value.KindInterval:
					v.body = d[valueHead:]
					at += room
					continue
				case value.KindString, value.KindEnum:
					end := uint64(at+valueHead+4) + uint64(binary.BigEndian.Uint32(d[valueHead:]))
					if end <= uint64(len(p)) {
						v.body = p[at+valueHead : end]
						at = int(end)
						continue
					}
				}
			}
		}
		from, to, bad := scan(p, at, v.kind, v.elem)
		if bad != "" {
			read := c.read
			c.fail("record %d: column %s: %s at byte %d", read, c.schema.Fields[i].Name, bad, at)
			return false
		}
		if v.body = nil; from > 0 {
			v.body = p[from:to]
		}
		at = to
	}
	c.at = at
	c.read++
	return true
}

// Offset returns where in the payload the row that Next moved to ends.
func (c *Cursor) Offset() int { return c.at }

// Release lets go of the payload. The schema is kept for the next Reset.
func (c *Cursor) Release() {
	c.p, c.rows, c.read = nil, 0, 0
	for i := range c.vals {
		c.vals[i].body = nil
	}
}

// rowBytes returns the bytes of the row that Next moved to, given where it began.
func (c *Cursor) rowBytes(from int) []byte { return c.p[from:c.at] }

// Field returns column i of the row that Next moved to.
func (c *Cursor) Field(i int) Ref { return c.vals[i] }

// Row appends the row that Next moved to as values, which own their bytes.
// Sinks use Field; this is for tests and for code that keeps rows.
func (c *Cursor) Row(dst []value.Value) []value.Value {
	for i := range c.vals {
		dst = append(dst, c.Field(i).Value())
	}
	return dst
}

// scan checks the value at p[at:] and returns where its body lies; from 0 is
// an unset value. A column without element type (elem void) holds no container.
func scan(p []byte, at int, kind, elem value.Kind) (from, to int, bad string) {
	if len(p)-at < valueHead {
		return 0, 0, "cut value"
	}
	if binary.BigEndian.Uint32(p[at:]) != uint32(kind) {
		return 0, 0, "type is not the column's"
	}
	present := p[at+8] == 1 // only 01 is true, as Zeek reads it
	at += valueHead
	if !present {
		return 0, at, ""
	}
	rest := len(p) - at
	size := 8
	switch kind {
	case value.KindBool, value.KindInt, value.KindCount, value.KindDouble, value.KindTime, value.KindInterval:
	case value.KindString, value.KindEnum, value.KindFunc, value.KindFile:
		if rest < 4 {
			return 0, 0, "cut string"
		}
		n := binary.BigEndian.Uint32(p[at:])
		if uint64(n)+4 > uint64(rest) {
			return 0, 0, "string longer than the batch"
		}
		return at, at + 4 + int(n), ""
	case value.KindPort:
		if size = 12; rest >= size {
			if binary.BigEndian.Uint64(p[at:]) > math.MaxUint16 {
				return 0, 0, "port above 65535"
			}
			if binary.BigEndian.Uint32(p[at+8:]) > uint32(value.ProtoICMP) {
				return 0, 0, "unknown transport"
			}
		}
	case value.KindAddr:
		if rest < 1 {
			return 0, 0, "cut address"
		}
		if size = addrSize(p[at]); size == 0 {
			return 0, 0, "unknown address family"
		}
	case value.KindSubnet:
		if rest < 2 {
			return 0, 0, "cut subnet"
		}
		if size = 1 + addrSize(p[at+1]); size == 1 {
			return 0, 0, "unknown address family"
		}
		if p[at] > 128 || p[at+1] == 4 && p[at] < 96 {
			return 0, 0, "impossible prefix length"
		}
	case value.KindSet, value.KindVector:
		return scanElems(p, at, elem)
	default:
		return 0, 0, "type cannot be in a log"
	}
	if rest < size {
		return 0, 0, "cut value"
	}
	return at, at + size, ""
}

// scanElems checks the body of a container. Containers hold no containers.
func scanElems(p []byte, from int, elem value.Kind) (int, int, string) {
	if len(p)-from < 8 {
		return 0, 0, "cut container"
	}
	if elem == value.KindSet || elem == value.KindVector {
		return 0, 0, "container in a container"
	}
	n := binary.BigEndian.Uint64(p[from:])
	at := from + 8
	if n > uint64(len(p)-at)/valueHead {
		return 0, 0, "container larger than the batch"
	}
	for range n {
		var bad string
		if _, at, bad = scan(p, at, elem, value.KindVoid); bad != "" {
			return 0, 0, "element: " + bad
		}
	}
	return from, at, ""
}

func addrSize(family byte) int {
	switch family {
	case 4:
		return 5
	case 6:
		return 17
	}
	return 0
}

// reader reads a header. bad holds what was wrong first.
type reader struct {
	p   []byte
	at  int
	bad string
}

func (r *reader) header() *Schema {
	s := &Schema{Stream: r.str(), Writer: r.str(), Filter: r.str(), Path: r.str()}
	n := r.u32()
	const least = 14 // secondary flag, name length, type, subtype, optional
	if r.bad == "" && uint64(n)*least > uint64(len(r.p)-r.at) {
		r.bad = "more columns than bytes"
	}
	if r.bad != "" {
		return nil
	}
	s.Fields = make([]Field, 0, n)
	for range n {
		var f Field
		if f.HasSecondary = r.flag(); f.HasSecondary {
			f.Secondary = r.str()
		}
		f.Name, f.Kind, f.Elem, f.Optional = r.str(), r.kind(), r.kind(), r.flag()
		if r.bad != "" {
			return nil
		}
		s.Fields = append(s.Fields, f)
	}
	return s
}

func (r *reader) take(n uint64) []byte {
	if r.bad != "" || n > uint64(len(r.p)-r.at) {
		if r.bad == "" {
			r.bad = "cut"
		}
		return nil
	}
	b := r.p[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) str() string { return string(r.take(uint64(r.u32()))) }

func (r *reader) flag() bool {
	b := r.take(1)
	return b != nil && b[0] == 1
}

// kind reads a type tag. Odd ones are kept, so that the header re-encodes to
// its bytes; a column of such a type can only hold unset values.
func (r *reader) kind() value.Kind {
	n := r.u32()
	if n >= 64 && r.bad == "" {
		r.bad = "unknown type"
	}
	return value.Kind(n)
}
