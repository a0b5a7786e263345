package pcapfile

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Clock tells and waits for wall time.
type Clock interface {
	Now() time.Time
	// Sleep waits for d or until ctx ends, and then returns its error.
	Sleep(ctx context.Context, d time.Duration) error
}

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pacer says when a packet is due: its time within its file, after all files
// before it, scaled so that everything takes the wanted time.
type pacer struct {
	clock  Clock
	scale  float64 // wall seconds for a second of packet time
	begin  time.Time
	first  []packet.Time // earliest packet of each file
	before []float64     // packet time that passes in the files before each
	file   int           // index of the open file; -1 before the first
}

// newPacer reads all files for their first and last times. Damage is left for
// the real reading to report. buf and out are lent for the call.
func newPacer(paths []string, opt Options, buf []byte, out []capture.Frame) (*pacer, error) {
	p := &pacer{clock: opt.Clock, file: -1}
	total := 0.0
	for _, path := range paths {
		var n atomic.Int64
		f, err := openFile(path, nil, buf, &n)
		if err != nil {
			return nil, err
		}
		lo, hi, any := packet.Time(0), packet.Time(0), false
		for {
			fr, err := f.next(context.Background(), out[:0])
			for i := range fr {
				t := fr[i].Time
				if !any || t < lo {
					lo = t
				}
				if !any || t > hi {
					hi = t
				}
				any = true
			}
			if err != nil {
				break
			}
		}
		f.close()
		p.first = append(p.first, lo)
		p.before = append(p.before, total)
		total += float64(hi - lo)
	}
	if total > 0 {
		p.scale = opt.Pace.Seconds() / total
	}
	return p, nil
}

func (p *pacer) nextFile() { p.file++ }

// due is when a packet of the open file is to be handed out.
func (p *pacer) due(t packet.Time) time.Time {
	d := (p.before[p.file] + float64(t-p.first[p.file])) * p.scale
	return p.begin.Add(time.Duration(d * float64(time.Second)))
}

// due waits until the first pending frame is due and hands out all that are.
// The clock starts with the first call.
func (s *Source) due(ctx context.Context) ([]capture.Frame, error) {
	p := s.pace
	now := p.clock.Now()
	if p.begin.IsZero() {
		p.begin = now
	}
	if at := p.due(s.pend[0].Time); at.After(now) {
		if err := p.clock.Sleep(ctx, at.Sub(now)); err != nil {
			return nil, err
		}
		now = p.clock.Now()
	}
	// Frames due within a millisecond go together: a sleep costs more.
	now = now.Add(time.Millisecond)
	n := 1
	for n < len(s.pend) && !p.due(s.pend[n].Time).After(now) {
		n++
	}
	out := s.pend[:n:n]
	s.pend = s.pend[n:]
	s.count(out)
	return out, nil
}
