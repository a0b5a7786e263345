package share

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/packet"
)

// blocks is how many blocks are on their way to the workers: the bound of their
// queues. The reader waits for the slowest worker.
const blocks = 4

// Split reads one source for n workers. run reads until the source ends or ctx
// does, and returns its error, nil for io.EOF; the caller runs it in a goroutine
// and waits for it. The shares get every packet, the end, and any error, after
// which Next goes on to return it. A share that is closed is no longer waited
// for; with all closed, run returns. The caller closes src when run is back.
//
// joint, if not nil, tells TCP ports of protocols by which a share's packets may
// depend on those of others. A share answers Lockstep for the block it handed out
// last: whether such a packet is in it, or was not long before. Frames of such
// packets are marked Joint.
func Split(src capture.Source, n int, joint func(a, b uint16) bool) (shares []capture.Source, run func(context.Context) error) {
	s := &split{src: src, joint: joint, free: make(chan *block, blocks), gone: make(chan struct{})}
	for range blocks {
		s.free <- &block{}
	}
	s.open = n
	for i := range n {
		part := &part{s: s, i: i, ch: make(chan *block, blocks)}
		s.parts = append(s.parts, part)
		shares = append(shares, part)
	}
	return shares, s.run
}

// block is a source's block: its bytes are lent by the source, or copied.
type block struct {
	frames []capture.Frame
	owner  []uint16
	lock   bool
	buf    []byte
	refs   atomic.Int32 // parts that still read it
}

type split struct {
	src   capture.Source
	joint func(a, b uint16) bool
	until packet.Time // packets before it may depend on others
	free  chan *block
	gone  chan struct{} // closed when all parts are
	parts []*part

	mu   sync.Mutex // guards the parts' closed and the sends to them
	open int
	err  error // set before the channels close
}

func (s *split) run(ctx context.Context) error {
	err := s.read(ctx)
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	for _, p := range s.parts {
		close(p.ch)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (s *split) read(ctx context.Context) error {
	var p packet.Packet
	lender, _ := s.src.(capture.Lender)
	for {
		var b *block
		select {
		case b = <-s.free:
		case <-s.gone:
			return io.EOF
		case <-ctx.Done():
			return ctx.Err()
		}
		fr, err := s.src.Next(ctx)
		if err != nil {
			return err
		}
		if !b.keep(lender, fr) {
			b.copy(fr)
		}
		s.settle(b, &p)
		s.hand(b)
	}
}

// keep takes over the bytes of a block, where the source lends them.
func (b *block) keep(lender capture.Lender, fr []capture.Frame) bool {
	if lender == nil {
		return false
	}
	lent := lender.Lend(b.buf[:cap(b.buf)])
	if lent == nil {
		return false
	}
	b.buf, b.frames = lent, append(b.frames[:0], fr...)
	return true
}

// copy copies a block, from a source that needs its bytes back.
func (b *block) copy(fr []capture.Frame) {
	size := 0
	for i := range fr {
		size += len(fr[i].Data)
	}
	if cap(b.buf) < size {
		b.buf = make([]byte, 0, size)
	}
	b.buf, b.frames = b.buf[:0], append(b.frames[:0], fr...)
	for i := range b.frames {
		f := &b.frames[i]
		at := len(b.buf)
		b.buf = append(b.buf, f.Data...)
		f.Data = b.buf[at:len(b.buf):len(b.buf)]
	}
}

// memory is for how many seconds packets may depend on one of a joint port: as
// long as connections are expected, and some more.
const memory = 600

// settle decides whose each packet is, and whether some may depend on others.
func (s *split) settle(b *block, p *packet.Packet) {
	b.owner, b.lock = b.owner[:0], false
	for i := range b.frames {
		f := &b.frames[i]
		p.IP, p.Payload = nil, nil // to see whether ShareOf decodes
		b.owner = append(b.owner, uint16(packet.ShareOf(p, uint16(f.Link), f.Data, f.WireLen, len(s.parts))))
		if s.joint == nil {
			continue
		}
		from, to, ok := tcpPorts(p, f)
		if f.Joint = ok && s.joint(from, to); f.Joint {
			s.until = max(s.until, f.Time+memory)
		}
		b.lock = b.lock || f.Time < s.until
	}
}

// tcpPorts returns the ports of a frame: p is what ShareOf has left.
func tcpPorts(p *packet.Packet, f *capture.Frame) (from, to uint16, ok bool) {
	b := p.Payload
	if p.IP == nil { // not decoded: Ethernet, and IPv4 without options
		if len(f.Data) < 38 || f.Data[12] != 8 || f.Data[14] != 0x45 || f.Data[23] != packet.TCP || f.Data[20]&0x1f|f.Data[21] != 0 {
			return 0, 0, false
		}
		b = f.Data[34:]
	} else if p.Proto != packet.TCP || p.FragOff != 0 || len(b) < 4 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), true
}

// hand gives a block to all open parts. Their queues have room for all blocks
// there are, so this does not wait.
func (s *split) hand(b *block) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.refs.Store(int32(s.open))
	if s.open == 0 {
		s.free <- b
		return
	}
	for _, p := range s.parts {
		if !p.closed {
			p.ch <- b
		}
	}
}

func (s *split) release(b *block) {
	if b.refs.Add(-1) == 0 {
		s.free <- b
	}
}

// part is one share of a Split.
type part struct {
	s      *split
	i      int
	ch     chan *block
	last   *block // what Next handed out
	lock   bool   // as it says
	out    []capture.Frame
	closed bool // written under s.mu, by the goroutine that uses the part
	counts
}

// Next hands out a view of the next block with the skip marks of this share.
func (p *part) Next(ctx context.Context) ([]capture.Frame, error) {
	if p.closed {
		return nil, os.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.drop()
	var b *block
	select {
	case b = <-p.ch:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if b == nil {
		p.s.mu.Lock()
		defer p.s.mu.Unlock()
		return nil, p.s.err
	}
	p.last, p.lock = b, b.lock
	p.out = append(p.out[:0], b.frames...)
	var n, size uint64
	for k := range p.out {
		f := &p.out[k]
		if f.Skip = f.Skip || int(b.owner[k]) != p.i; !f.Skip {
			n++
			size += uint64(len(f.Data))
		}
	}
	p.packets.Add(n)
	p.bytes.Add(size)
	return p.out, nil
}

// Lockstep reports whether packets of the last block may depend on what other
// shares make of theirs: workers should go through it in step.
func (p *part) Lockstep() bool { return p.lock }

func (p *part) drop() {
	if p.last != nil {
		p.s.release(p.last)
		p.last = nil
	}
}

// Stats counts the own packets.
func (p *part) Stats() capture.Stats { return p.stats(p.s.src, p.i) }

// Close lets the other shares go on without this one.
func (p *part) Close() error {
	p.s.mu.Lock()
	if p.closed {
		p.s.mu.Unlock()
		return nil
	}
	p.closed = true
	p.s.open--
	if p.s.open == 0 {
		close(p.s.gone)
	}
	p.s.mu.Unlock()
	p.drop()
	for {
		select {
		case b := <-p.ch:
			if b == nil { // the reader is done
				return nil
			}
			p.s.release(b)
		default:
			return nil
		}
	}
}
