package pcapfile

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng).
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockEnhanced  = 6

	magicSection = 0x1a2b3c4d
	maxInterface = 1 << 16
	// maxBlock is libpcap's limit for one block.
	maxBlock = 16 << 20
	// maxOptions is how much of an interface block is looked at.
	maxOptions = 64 << 10
)

// pcapng reads sections of blocks.
type pcapng struct {
	big   bool
	in    bool // within a section
	iface []iface
}

// iface is one interface of a section.
type iface struct {
	link   capture.LinkType
	snap   uint32
	units  uint64 // timestamp units in a second
	offset int64  // seconds to add
}

func (p *pcapng) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if p.big {
		v = bits.ReverseBytes32(v)
	}
	return v
}

func (p *pcapng) u16(b []byte) uint16 {
	v := binary.LittleEndian.Uint16(b)
	if p.big {
		v = bits.ReverseBytes16(v)
	}
	return v
}

func (p *pcapng) parse(b []byte, out []capture.Frame) ([]capture.Frame, int, error) {
	pos := 0
	for len(out) < cap(out) && len(b)-pos >= 12 {
		d := b[pos:]
		typ := p.u32(d)
		if typ == blockSection { // reads alike in both byte orders
			switch binary.LittleEndian.Uint32(d[8:]) {
			case magicSection:
				p.big = false
			case 0x4d3c2b1a:
				p.big = true
			default:
				return out, pos, fmt.Errorf("%w: section with byte order mark % x", ErrFormat, d[8:12])
			}
		} else if !p.in {
			return out, pos, fmt.Errorf("%w: block of type %d before any section", ErrFormat, typ)
		}
		total := p.u32(d[4:])
		if total < 12 || total%4 != 0 || total > maxBlock {
			return out, pos, fmt.Errorf("%w: block of type %d has %d bytes", ErrFormat, typ, total)
		}
		// What of the block must be in the buffer: see the cases.
		body := int(total) - 12
		have := min(len(d)-8, body)
		whole := len(d) >= int(total)
		if whole && p.u32(d[total-4:]) != total {
			return out, pos, fmt.Errorf("%w: block of type %d has %d bytes, but %d at its end", ErrFormat, typ, total, p.u32(d[total-4:]))
		}
		var wait bool
		var err error
		switch typ {
		case blockSection:
			if wait = have < min(body, 16); !wait {
				err = p.section(d[8 : 8+have])
			}
		case blockInterface:
			if wait = have < min(body, maxOptions); !wait {
				err = p.addInterface(d[8 : 8+have])
			}
		case blockEnhanced, blockPacket:
			if wait = have < min(body, 20); !wait {
				out, wait, err = p.packet(typ, d[8:8+have], body, out)
			}
		case blockSimple:
			if wait = have < min(body, 4); !wait {
				out, wait, err = p.simple(d[8:8+have], body, out)
			}
		}
		if wait {
			break
		}
		if err != nil {
			return out, pos, err
		}
		pos += int(total)
		if !whole { // the rest of it is skipped
			return out, pos, nil
		}
	}
	return out, pos, nil
}

func (p *pcapng) section(d []byte) error {
	if len(d) < 16 {
		return fmt.Errorf("%w: section header of %d bytes", ErrFormat, len(d))
	}
	if major := p.u16(d[4:]); major != 1 {
		return fmt.Errorf("%w: pcapng version %d.%d is not known", ErrFormat, major, p.u16(d[6:]))
	}
	p.in = true
	p.iface = p.iface[:0]
	return nil
}

// addInterface reads an interface description; its options give the clock.
func (p *pcapng) addInterface(d []byte) error {
	if len(d) < 8 {
		return fmt.Errorf("%w: interface block of %d bytes", ErrFormat, len(d))
	}
	if len(p.iface) == maxInterface {
		return fmt.Errorf("%w: more than %d interfaces", ErrFormat, maxInterface)
	}
	f := iface{link: capture.LinkType(p.u16(d)), snap: p.u32(d[4:]), units: 1e6}
	if f.snap == 0 || f.snap > maxCaptured {
		f.snap = maxCaptured
	}
	for o := d[8:]; len(o) >= 4; {
		code, n := p.u16(o), int(p.u16(o[2:]))
		pad := (n + 3) &^ 3
		if code == 0 || 4+pad > len(o) {
			break
		}
		v := o[4 : 4+n]
		switch {
		case code == 9 && n == 1: // if_tsresol
			units, ok := resolution(v[0])
			if !ok {
				return fmt.Errorf("%w: interface %d has time resolution %#02x", ErrFormat, len(p.iface), v[0])
			}
			f.units = units
		case code == 14 && n == 8: // if_tsoffset
			hi, lo := p.u32(v), p.u32(v[4:])
			if !p.big {
				hi, lo = lo, hi
			}
			f.offset = int64(uint64(hi)<<32 | uint64(lo))
		}
		o = o[4+pad:]
	}
	p.iface = append(p.iface, f)
	return nil
}

// resolution is the number of units in a second: a negative power of 10 or, with
// the top bit, of 2.
func resolution(v byte) (uint64, bool) {
	if v&0x80 != 0 {
		n := v & 0x7f
		return 1 << (n & 63), n <= 63
	}
	if v > 19 {
		return 0, false
	}
	u := uint64(1)
	for range v {
		u *= 10
	}
	return u, true
}

// time turns a timestamp into packet time.
func (f *iface) time(t uint64) packet.Time {
	if f.units == 1e6 { // the usual one, and cheap to divide by
		return seconds(satAdd(int64(t/1e6), f.offset), uint32(t%1e6))
	}
	hi, lo := bits.Mul64(t%f.units, 1e6)
	micro, _ := bits.Div64(hi, lo, f.units)
	return seconds(satAdd(int64(min(t/f.units, math.MaxInt64)), f.offset), uint32(micro))
}

// satAdd adds and stays within the type.
func satAdd(a, b int64) int64 {
	c := a + b
	if b > 0 && c < a {
		return math.MaxInt64
	}
	if b < 0 && c > a {
		return math.MinInt64
	}
	return c
}

// packet reads an enhanced packet block, or its forerunner. d is what is there
// of the body of the given length; wait says that more of it is needed.
func (p *pcapng) packet(typ uint32, d []byte, body int, out []capture.Frame) ([]capture.Frame, bool, error) {
	if len(d) < 20 {
		return out, false, fmt.Errorf("%w: packet block of %d bytes", ErrFormat, body)
	}
	id := p.u32(d)
	if typ == blockPacket {
		id = uint32(p.u16(d))
	}
	if uint64(id) >= uint64(len(p.iface)) {
		return out, false, fmt.Errorf("%w: packet of interface %d, but there are %d", ErrFormat, id, len(p.iface))
	}
	f := &p.iface[id]
	caplen := p.u32(d[12:])
	if caplen > maxCaptured || int(caplen) > body-20 {
		return out, false, fmt.Errorf("%w: %d captured bytes in a packet block of %d", ErrFormat, caplen, body)
	}
	if len(d) < 20+int(caplen) {
		return out, true, nil
	}
	return append(out, capture.Frame{
		Time:    f.time(uint64(p.u32(d[4:]))<<32 | uint64(p.u32(d[8:]))),
		Data:    p.data(d[20:20+caplen], f),
		WireLen: int(p.u32(d[16:])),
		Link:    f.link,
	}), false, nil
}

// simple reads a packet block without a time or an interface; it is of the
// first.
func (p *pcapng) simple(d []byte, body int, out []capture.Frame) ([]capture.Frame, bool, error) {
	if len(p.iface) == 0 || len(d) < 4 {
		return out, false, fmt.Errorf("%w: simple packet block of %d bytes, %d interfaces", ErrFormat, body, len(p.iface))
	}
	f := &p.iface[0]
	wire := p.u32(d)
	caplen := min(wire, f.snap)
	if int(caplen) > body-4 {
		return out, false, fmt.Errorf("%w: %d captured bytes in a packet block of %d", ErrFormat, caplen, body)
	}
	if len(d) < 4+int(caplen) {
		return out, true, nil
	}
	return append(out, capture.Frame{Data: p.data(d[4:4+caplen], f), WireLen: int(wire), Link: f.link}), false, nil
}

func (p *pcapng) data(d []byte, f *iface) []byte {
	if p.big && f.link == packet.LinkNFLOG {
		swapNFLOG(d)
	}
	return d[:len(d):len(d)]
}
