package pcapfile

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Writer writes a pcap file, for tests and tools. It writes two pieces a
// packet, so give it a buffered io.Writer.
type Writer struct {
	w    io.Writer
	o    binary.ByteOrder
	nano bool
	head [24]byte
}

// WriterOptions chooses a kind of pcap. The zero value is little-endian with
// microseconds.
type WriterOptions struct {
	Big     bool   // big-endian
	Nano    bool   // nanoseconds
	Snaplen uint32 // 0: 262144; it is only noted, nothing is cut
}

// NewWriter writes the file header.
func NewWriter(w io.Writer, link capture.LinkType, opt WriterOptions) (*Writer, error) {
	p := &Writer{w: w, o: binary.LittleEndian, nano: opt.Nano}
	if opt.Big {
		p.o = binary.BigEndian
	}
	magic := uint32(magicMicro)
	if opt.Nano {
		magic = magicNano
	}
	if opt.Snaplen == 0 {
		opt.Snaplen = maxCaptured
	}
	h := p.head[:]
	p.o.PutUint32(h, magic)
	p.o.PutUint16(h[4:], 2)
	p.o.PutUint16(h[6:], 4)
	p.o.PutUint32(h[16:], opt.Snaplen)
	p.o.PutUint32(h[20:], uint32(link))
	if _, err := w.Write(h); err != nil {
		return nil, fmt.Errorf("write capture: %w", err)
	}
	return p, nil
}

// Write writes a packet of which data was captured. The time is rounded to the
// microsecond.
func (p *Writer) Write(t packet.Time, data []byte, wireLen int) error {
	sec := math.Floor(float64(t))
	micro := math.Round((float64(t) - sec) * 1e6)
	if micro >= 1e6 {
		sec, micro = sec+1, 0
	}
	frac := uint32(micro)
	if p.nano {
		frac *= 1000
	}
	h := p.head[:16]
	p.o.PutUint32(h, uint32(int64(sec)))
	p.o.PutUint32(h[4:], frac)
	p.o.PutUint32(h[8:], uint32(len(data)))
	p.o.PutUint32(h[12:], uint32(wireLen))
	if _, err := p.w.Write(h); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	if _, err := p.w.Write(data); err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}
