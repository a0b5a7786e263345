package capturetest

import (
	"context"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/picket-nsm/picket/traffic/capture"
)

// Packets is a source of the given packets, at most n in a block; n 0 means all
// at once. Seq counts from 1. It keeps frames and hands out copies.
func Packets(frames []capture.Frame, n int) capture.Source {
	if n <= 0 {
		n = max(len(frames), 1)
	}
	return &memory{frames: frames, n: n}
}

type memory struct {
	frames []capture.Frame
	n      int
	seq    uint64
	closed bool
	mu     sync.Mutex
	st     capture.Stats
}

func (m *memory) Next(ctx context.Context) ([]capture.Frame, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.closed {
		return nil, os.ErrClosed
	}
	if len(m.frames) == 0 {
		return nil, io.EOF
	}
	n := min(m.n, len(m.frames))
	m.mu.Lock()
	defer m.mu.Unlock()
	out := slices.Clone(m.frames[:n])
	m.frames = m.frames[n:]
	for i := range out {
		m.seq++
		out[i].Seq = m.seq
		out[i].Data = slices.Clone(out[i].Data)
		m.st.Bytes += uint64(len(out[i].Data))
	}
	m.st.Received, m.st.Link = m.seq, m.seq
	return out, nil
}

func (m *memory) Stats() capture.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.st
}

func (m *memory) Close() error {
	m.closed = true
	return nil
}

// Poison wraps a source: each block is overwritten when the next call is made,
// so a consumer that keeps what it borrowed shows.
func Poison(src capture.Source) capture.Source { return &poisoned{Source: src} }

type poisoned struct {
	capture.Source
	last []capture.Frame
}

func (p *poisoned) Next(ctx context.Context) ([]capture.Frame, error) {
	poison(p.last)
	fr, err := p.Source.Next(ctx)
	p.last = slices.Clone(fr)
	for i := range p.last {
		p.last[i].Data = slices.Clone(p.last[i].Data)
	}
	return p.last, err
}
