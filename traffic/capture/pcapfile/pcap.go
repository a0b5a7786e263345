package pcapfile

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Magic numbers of pcap files (draft-ietf-opsawg-pcap), as a file of our byte
// order shows them.
const (
	magicMicro     = 0xa1b2c3d4
	magicNano      = 0xa1b23c4d
	magicKuznetzov = 0xa1b2cd34 // Alexey Kuznetzov's patched libpcap: longer record headers
)

// classic reads pcap.
type classic struct {
	big     bool   // numbers are big-endian
	nano    bool   // fractions are nanoseconds
	header  int    // bytes of a record header
	snap    uint32 // longest packet the file says it holds
	lengths uint8  // which of the two lengths comes first
	link    capture.LinkType
}

// Order of the two lengths in a record header: old versions had them swapped.
const (
	lengthsNormal = iota
	lengthsSwapped
	lengthsMaybe // swapped if the captured length is the larger one
)

func classicMagic(b []byte) bool {
	switch m := binary.LittleEndian.Uint32(b); m {
	case magicMicro, magicNano, magicKuznetzov,
		0xd4c3b2a1, 0x4d3cb2a1, 0x34cdb2a1:
		return true
	}
	return false
}

// newClassic reads the file header of 24 bytes.
func newClassic(b []byte) (*classic, error) {
	c := &classic{header: 16}
	m := binary.LittleEndian.Uint32(b)
	if m&0xff == 0xa1 {
		c.big = true
		m = bits.ReverseBytes32(m)
	}
	switch m {
	case magicNano:
		c.nano = true
	case magicKuznetzov:
		c.header = 24
	}
	v := c.u32(b[4:])
	major, minor := v&0xffff, v>>16
	if c.big {
		major, minor = minor, major
	}
	switch {
	case major == 543, major == 2 && minor < 3:
		c.lengths = lengthsSwapped
	case major == 2 && minor == 3:
		c.lengths = lengthsMaybe
	case major < 2:
		return nil, fmt.Errorf("%w: pcap version %d.%d is too old", ErrFormat, major, minor)
	case major > 2, minor > 4:
		return nil, fmt.Errorf("%w: pcap version %d.%d is not known", ErrFormat, major, minor)
	}
	c.snap = c.u32(b[16:])
	if c.snap == 0 || c.snap > maxCaptured {
		c.snap = maxCaptured
	}
	l := c.u32(b[20:]) & 0x03ffffff // the upper bits tell of a frame check sequence
	if l > 0xffff {
		return nil, fmt.Errorf("%w: link type %d is not known", ErrFormat, l)
	}
	c.link = capture.LinkType(l)
	return c, nil
}

func (c *classic) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if c.big {
		v = bits.ReverseBytes32(v)
	}
	return v
}

func (c *classic) parse(b []byte, out []capture.Frame) ([]capture.Frame, int, error) {
	pos := 0
	for len(out) < cap(out) && len(b)-pos >= c.header {
		h := b[pos : pos+c.header]
		sec, frac := c.u32(h), c.u32(h[4:])
		caplen, wire := c.u32(h[8:]), c.u32(h[12:])
		if c.lengths == lengthsSwapped || (c.lengths == lengthsMaybe && caplen > wire) {
			caplen, wire = wire, caplen
		}
		if caplen > maxCaptured {
			return out, pos, fmt.Errorf("%w: %d captured bytes in a packet, more than %d", ErrFormat, caplen, maxCaptured)
		}
		n := c.header + int(caplen)
		if len(b)-pos < n {
			break
		}
		if c.nano {
			frac /= 1000
		}
		from, to := pos+c.header, pos+c.header+int(min(caplen, c.snap))
		data := b[from:to:to]
		if c.big && c.link == packet.LinkNFLOG {
			swapNFLOG(data)
		}
		out = append(out, capture.Frame{
			Time:    seconds(int64(sec), frac),
			Data:    data,
			WireLen: int(wire),
			Link:    c.link,
		})
		pos += n
	}
	return out, pos, nil
}

// seconds makes a packet time the way libpcap and Zeek do: microseconds are
// all that is kept.
func seconds(sec int64, micro uint32) packet.Time {
	return packet.Time(float64(sec) + float64(micro)/1e6)
}

// swapNFLOG turns the numbers of a netfilter log record around, which are in
// the byte order of the host that captured, as libpcap does.
func swapNFLOG(d []byte) {
	if len(d) < 4 || d[1] != 0 {
		return
	}
	for d = d[4:]; len(d) >= 4; {
		d[0], d[1] = d[1], d[0]
		d[2], d[3] = d[3], d[2]
		n := (int(binary.LittleEndian.Uint16(d)) + 3) &^ 3
		if n < 4 || n > len(d) || binary.LittleEndian.Uint16(d[2:]) == 9 {
			return
		}
		d = d[n:]
	}
}
