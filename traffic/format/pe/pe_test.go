package pe

import (
	"bytes"
	stdpe "debug/pe"
	"encoding/binary"
	"fmt"
	"reflect"
	"testing"
)

// image is a program to make.
type image struct {
	stub     int // bytes of the DOS program
	machine  uint16
	flags    uint16
	magic    uint16 // 0: no optional header
	dll      uint16
	tables   []uint32
	sections []string
}

// bytes makes the headers.
func (m image) bytes() []byte {
	le := binary.LittleEndian
	b := make([]byte, 64+m.stub)
	copy(b, "MZ")
	le.PutUint32(b[60:], uint32(len(b)))
	var opt []byte
	if m.magic != 0 {
		w := &bytes.Buffer{}
		put := func(vs ...any) {
			for _, v := range vs {
				_ = binary.Write(w, le, v)
			}
		}
		put(m.magic, [2]byte{14, 1}, [5]uint32{1, 2, 3, 4, 5})
		if m.magic == pe32Plus {
			put(uint64(0x140000000))
		} else if m.magic == pe32 {
			put(uint32(7), uint32(0x400000))
		} else {
			put(uint32(0x400000))
		}
		put(uint32(4096), uint32(512), [6]uint16{6, 1, 0, 0, 6, 1}, uint32(0), uint32(8192), uint32(1024), uint32(0), uint16(3), m.dll)
		switch m.magic {
		case pe32Plus:
			put([4]uint64{})
		case pe32:
			put([4]uint32{})
		}
		put(uint32(0), uint32(len(m.tables)))
		for _, n := range m.tables {
			put(uint32(4096), n)
		}
		opt = w.Bytes()
	}
	b = append(b, "PE\x00\x00"...)
	b = le.AppendUint16(b, m.machine)
	b = le.AppendUint16(b, uint16(len(m.sections)))
	b = le.AppendUint32(b, 1700000000)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint16(b, uint16(len(opt)))
	b = le.AppendUint16(b, m.flags)
	b = append(b, opt...)
	for _, s := range m.sections {
		h := make([]byte, section)
		copy(h, s)
		b = append(b, h...)
	}
	return b
}

func images() map[string]image {
	many := make([]string, 1200)
	for i := range many {
		many[i] = fmt.Sprint(".s", i)
	}
	sixteen := []uint32{1, 0, 3, 4, 0, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	return map[string]image{
		"pe32":     {stub: 64, machine: 0x14c, flags: Machine32Bit, magic: pe32, dll: NoSEH, tables: sixteen, sections: []string{".text", ".longest"}},
		"pe32+":    {machine: 0x8664, magic: pe32Plus, dll: DynamicBase | NXCompatible, tables: sixteen, sections: []string{".text"}},
		"rom":      {machine: 0x166, magic: rom, sections: []string{".rom"}},
		"object":   {machine: 0x8664, sections: []string{".text"}},
		"few":      {machine: 0x8664, magic: pe32Plus, tables: []uint32{1, 2}, sections: []string{"a"}},
		"nothing":  {machine: 0x8664, magic: pe32},
		"many":     {machine: 0x8664, magic: pe32, sections: many},
		"long":     {stub: 1 << 16, machine: 1, magic: pe32, sections: []string{"x"}},
		"odd kind": {machine: 1, magic: 0x999, sections: []string{"x"}},
	}
}

// read gives b in pieces of n bytes.
func read(b []byte, n int) *Reader {
	r := &Reader{}
	for len(b) > 0 {
		k := min(n, len(b))
		if !r.Data(b[:k:k]) {
			break
		}
		b = b[k:]
	}
	return r
}

// Go's own reader agrees, and pieces of any size give the same.
func TestImages(t *testing.T) {
	for name, m := range images() {
		t.Run(name, func(t *testing.T) {
			b := m.bytes()
			r := read(b, len(b))
			h := &r.Header
			if !r.Found || h.Machine != m.machine || h.Time != 1700000000 || h.Executable != (m.magic != 0) {
				t.Fatalf("%+v", h)
			}
			if want := m.sections[:min(len(m.sections), MaxSections)]; len(h.Sections) != len(want) || len(want) > 0 && !reflect.DeepEqual(h.Sections, want) {
				t.Errorf("sections %q", h.Sections)
			}
			for _, n := range []int{1, 2, 7, 63, 64, 65} {
				if got := read(b, n); !reflect.DeepEqual(got.Header, r.Header) {
					t.Errorf("pieces of %d: %+v", n, got.Header)
				}
			}
			if m.magic != pe32 && m.magic != pe32Plus || len(m.tables) != 16 {
				return
			}
			std, err := stdpe.NewFile(bytes.NewReader(append(b, make([]byte, 4096)...)))
			if err != nil {
				t.Fatal(err)
			}
			want := Optional{Subsystem: 3, OSMajor: 6, OSMinor: 1}
			switch o := std.OptionalHeader.(type) {
			case *stdpe.OptionalHeader32:
				want.Characteristics = o.DllCharacteristics
				for i := range want.Sizes {
					want.Sizes[i] = o.DataDirectory[i].Size
				}
			case *stdpe.OptionalHeader64:
				want.Characteristics = o.DllCharacteristics
				for i := range want.Sizes {
					want.Sizes[i] = o.DataDirectory[i].Size
				}
			}
			if *h.Optional != want {
				t.Errorf("%+v, debug/pe has %+v", *h.Optional, want)
			}
		})
	}
}

// What is cut gives what came, and what lies gives nothing more.
func TestCut(t *testing.T) {
	m := images()["pe32"]
	whole := m.bytes()
	for n := range whole {
		r := read(whole[:n], 100)
		if r.Found != (n >= 64+m.stub+fileHeader) || (r.Header.Optional != nil) != (n >= len(whole)-2*section) || r.Header.Sections != nil {
			t.Fatalf("%d bytes: %+v", n, r)
		}
	}
	lie := bytes.Clone(whole)
	lie[64+64+24+92] = 200 // more data directories than there is room
	if r := read(lie, 1<<20); !r.Found || r.Header.Optional != nil || r.Header.Sections != nil {
		t.Errorf("%+v", r.Header)
	}
	for _, at := range []uint32{0, 63, maxStub + 64, 1 << 31} {
		binary.LittleEndian.PutUint32(lie[60:], at)
		if r := read(lie, 1<<20); r.Found || r.state != atEnd {
			t.Errorf("header at %d: %+v", at, r)
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, m := range images() {
		if b := m.bytes(); len(b) < 4096 {
			f.Add(b, 7)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		n = max(1, min(n, len(b)))
		whole, parts := read(b, max(1, len(b))), read(b, n)
		if !reflect.DeepEqual(whole.Header, parts.Header) || whole.Found != parts.Found {
			t.Errorf("%+v, in pieces of %d %+v", whole.Header, n, parts.Header)
		}
		if cap(parts.buf) > 1<<17 {
			t.Errorf("%d bytes kept", cap(parts.buf))
		}
	})
}
