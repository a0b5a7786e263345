// Package pe reads the headers of Portable Executable files (Microsoft PE/COFF
// specification; offsets in PE32 and PE32+) as their bytes arrive.
//
// It stands beside traffic/files and knows nothing of logs. A Reader owns at most
// one header's bytes and the section names; it reads no further than the last
// section header.
package pe

import (
	"bytes"
	"encoding/binary"
)

const (
	dosHeader  = 64
	maxStub    = 4 << 20 // a longer DOS program is taken for a mistake, as in Zeek
	fileHeader = 4 + 20  // the signature and COFF's header
	section    = 40
	// MaxSections is how many section names are kept.
	MaxSections = 1000
)

// Characteristics of the file and of the image.
const (
	Machine32Bit = 0x0100 // in Header.Characteristics

	DynamicBase    = 0x0040 // in Optional.Characteristics
	ForceIntegrity = 0x0080
	NXCompatible   = 0x0100
	NoSEH          = 0x0400
)

// Kinds of optional headers.
const (
	pe32     = 0x10b
	pe32Plus = 0x20b
	rom      = 0x107
)

// Data directories, in the order of Optional.Sizes.
const (
	ExportTable = 0
	ImportTable = 1
	CertTable   = 4
	DebugData   = 6
	directories = 7 // those that anybody asks for
)

// Header is what a file says of itself.
type Header struct {
	Machine         uint16
	Time            uint32 // seconds since 1970
	Characteristics uint16
	Executable      bool // there is an optional header
	Optional        *Optional
	Sections        []string // set when all headers came; MaxSections at most
}

// Optional is the optional header, which executables have.
type Optional struct {
	OSMajor, OSMinor uint16
	Subsystem        uint16
	Characteristics  uint16
	Sizes            [directories]uint32 // of the first data directories
}

// Reader takes a file's bytes in order. The zero value is ready.
type Reader struct {
	Header Header
	// Found says that the file header came; without it there is nothing to tell.
	Found bool

	state    int
	skip     uint32 // bytes of the DOS program still to come
	opt      int    // length of the optional header
	sections int    // still to come
	names    []string
	buf      []byte
}

// States of a Reader: what comes next.
const (
	atDOS = iota
	atStub
	atFile
	atOptional
	atSection
	atEnd
)

// Reset makes a Reader as new, but keeps its buffer.
func (r *Reader) Reset() { *r = Reader{buf: r.buf[:0]} }

// Data takes the next bytes. It returns false when it wants no more: the
// headers are complete, or this is no such file.
func (r *Reader) Data(b []byte) bool {
	for r.state != atEnd {
		if r.state == atStub {
			n := min(uint64(r.skip), uint64(len(b)))
			r.skip -= uint32(n)
			if b = b[n:]; r.skip > 0 {
				return true
			}
			r.state = atFile
		}
		var unit []byte
		if unit, b = r.take(b, r.need()); unit == nil {
			return true
		}
		r.unit(unit)
		r.buf = r.buf[:0]
	}
	return false
}

// need returns the length of the unit that comes next.
func (r *Reader) need() int {
	switch r.state {
	case atDOS:
		return dosHeader
	case atFile:
		return fileHeader
	case atOptional:
		return r.opt
	}
	return section
}

// take returns the next n bytes, nil if they have not all come, and what is
// behind them.
func (r *Reader) take(b []byte, n int) (unit, rest []byte) {
	if len(r.buf) == 0 && len(b) >= n {
		return b[:n:n], b[n:]
	}
	k := min(n-len(r.buf), len(b))
	r.buf = append(r.buf, b[:k]...)
	if len(r.buf) < n {
		return nil, nil
	}
	return r.buf, b[k:]
}

var order = binary.LittleEndian

// unit reads one complete header.
func (r *Reader) unit(b []byte) {
	switch r.state {
	case atDOS:
		at := order.Uint32(b[60:])
		if at < dosHeader || at-dosHeader >= maxStub {
			r.state = atEnd
			return
		}
		r.skip, r.state = at-dosHeader, atStub
	case atFile:
		h := &r.Header
		r.Found = true
		h.Machine, h.Time, h.Characteristics = order.Uint16(b[4:]), order.Uint32(b[8:]), order.Uint16(b[22:])
		r.sections, r.opt = int(order.Uint16(b[6:])), int(order.Uint16(b[20:]))
		if h.Executable = r.opt > 0; h.Executable {
			r.state = atOptional
			return
		}
		r.toSections()
	case atOptional:
		o, ok := optional(b)
		if !ok {
			r.state = atEnd
			return
		}
		r.Header.Optional = o
		r.toSections()
	case atSection:
		if len(r.names) < MaxSections {
			name, _, _ := bytes.Cut(b[:8], []byte{0})
			r.names = append(r.names, string(name))
		}
		if r.sections--; r.sections == 0 {
			r.Header.Sections, r.state = r.names, atEnd
		}
	}
}

func (r *Reader) toSections() {
	if r.state = atSection; r.sections == 0 {
		r.state = atEnd
	}
}

// optional reads an optional header. ok is false if it does not hold what it
// says; a header of an unknown kind is nil.
func optional(b []byte) (o *Optional, ok bool) {
	if len(b) < 2 {
		return nil, false
	}
	// base is where the section alignment stands, behind the image base, and memory
	// how long the sizes of stack and heap are: both are wider in PE32+. A ROM image
	// has no base of data and no such sizes.
	var base, memory int
	magic := order.Uint16(b)
	switch magic {
	case pe32:
		base, memory = 32, 16
	case pe32Plus:
		base, memory = 32, 32
	default:
		base, memory = 28, 0
	}
	tables := base + 40 + memory + 8
	if len(b) < tables {
		return nil, false
	}
	n := order.Uint32(b[tables-4:])
	if uint64(len(b)-tables) < 8*uint64(n) {
		return nil, false
	}
	if magic != pe32 && magic != pe32Plus && magic != rom {
		return nil, true
	}
	o = &Optional{
		OSMajor: order.Uint16(b[base+8:]), OSMinor: order.Uint16(b[base+10:]),
		Subsystem: order.Uint16(b[base+36:]), Characteristics: order.Uint16(b[base+38:]),
	}
	for i := range min(int(n), directories) {
		o.Sizes[i] = order.Uint32(b[tables+8*i+4:])
	}
	return o, true
}
