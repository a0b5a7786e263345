package filter

import (
	"context"
	"sync/atomic"

	"github.com/picket-nsm/picket/traffic/capture"
)

// Source keeps only the packets of src that the expression lets pass. Numbers
// and times of packets stay; what is kept back is counted as Filtered. It
// compiles the expression for every link type it meets: a link type that
// filters are not made for is an error of Next. links are those known now;
// mistakes for them show at once.
func Source(src capture.Source, expr string, links ...uint16) (capture.Source, error) {
	s := &source{Source: src, expr: expr, programs: map[capture.LinkType]*Program{}}
	if len(links) == 0 {
		links = []uint16{1} // mistakes in the text show with any
	}
	for _, l := range links {
		p, err := Compile(expr, l, 0)
		if err != nil {
			return nil, err
		}
		s.programs[capture.LinkType(l)] = p
	}
	return s, nil
}

type source struct {
	capture.Source
	expr     string
	programs map[capture.LinkType]*Program
	last     *Program // of link
	link     capture.LinkType
	out      atomic.Uint64 // packets kept back, not counting skipped ones
	bytes    atomic.Uint64
}

// Next hands out the next block with packets that pass.
func (s *source) Next(ctx context.Context) ([]capture.Frame, error) {
	for {
		fr, err := s.Source.Next(ctx)
		if err != nil || len(fr) == 0 {
			return fr, err
		}
		keep := fr[:0]
		var n, size uint64
		for i := range fr {
			f := &fr[i]
			if s.last == nil || s.link != f.Link {
				p := s.programs[f.Link]
				if p == nil {
					if p, err = Compile(s.expr, uint16(f.Link), 0); err != nil {
						return nil, err
					}
					s.programs[f.Link] = p
				}
				s.last, s.link = p, f.Link
			}
			if s.last.Match(f.Data, f.WireLen) {
				keep = append(keep, *f)
			} else if !f.Skip {
				n++
				size += uint64(len(f.Data))
			}
		}
		s.out.Add(n)
		s.bytes.Add(size)
		if len(keep) > 0 {
			return keep, nil
		}
	}
}

// Stats counts what was handed out.
func (s *source) Stats() capture.Stats {
	st := s.Source.Stats()
	n, size := s.out.Load(), s.bytes.Load()
	st.Filtered += n
	st.Received -= min(n, st.Received)
	st.Bytes -= min(size, st.Bytes)
	return st
}
