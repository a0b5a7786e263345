// Package pcapfile reads packets from capture files, pcap and pcapng, plain or
// compressed, and writes pcap.
//
// It is a driver of package capture, at the start of the data path. A source
// owns the open file, one buffer of 1 MiB and the frames of one block, whatever
// the file says; all frames point into the buffer. It reads in blocks, never
// maps the file, and so takes pipes as well. It never looks into a packet.
package pcapfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/traffic/capture"
)

// ErrTruncated is the kind of error of a file that ends in the middle of a
// record. All whole records before it were handed out.
var ErrTruncated = errors.New("the file ends in the middle of a record")

// ErrFormat is the kind of error of a file that is no capture, or a damaged one.
var ErrFormat = errors.New("bad capture file")

// Options changes how a source reads. The zero value reads as fast as it is
// asked and stops at the first cut file.
type Options struct {
	// Pace, if not 0, hands packets out by their timestamps, stretched so that
	// all of them take about that long. It reads each file once before, so it
	// does not work with standard input.
	Pace time.Duration
	// Truncated, if not nil, is told of a file that ends in the middle of a
	// record; the source then goes on as if the file ended there. Else Next
	// returns that error.
	Truncated func(error)
	// Clock tells the time for Pace; nil is the machine's.
	Clock Clock
	// Stdin is what "-" reads; nil is os.Stdin.
	Stdin io.Reader
}

// Source reads one or several captures, one after the other. Next and Close are
// for one goroutine; Stats and Progress for any.
type Source struct {
	opt   Options
	paths []string // those not opened yet
	cur   *file    // nil before Next goes on to the next file
	buf   []byte
	out   []capture.Frame
	pend  []capture.Frame // paced frames not due yet
	pace  *pacer
	err   error // what ended the source
	seq   uint64

	mu    sync.Mutex
	stats capture.Stats
	read  atomic.Int64 // bytes of the files read
	total int64        // bytes of all files, 0 if not known
}

const (
	bufSize   = 1 << 20
	maxFrames = 4096
	// maxCaptured is the largest packet a capture may hold, libpcap's
	// MAXIMUM_SNAPLEN.
	maxCaptured = 262144
)

// Open opens a capture file; "-" is standard input.
func Open(path string, opt Options) (*Source, error) {
	return OpenAll([]string{path}, opt)
}

// OpenAll opens several captures as one source, which reads them in the order
// given. Frame.Seq counts on over all of them.
func OpenAll(paths []string, opt Options) (*Source, error) {
	if len(paths) == 0 {
		return nil, errors.New("open capture: no file given")
	}
	if opt.Clock == nil {
		opt.Clock = wallClock{}
	}
	s := &Source{opt: opt, paths: paths, buf: make([]byte, bufSize), out: make([]capture.Frame, 0, maxFrames)}
	known := true
	for _, p := range paths {
		if p == "-" {
			known = false
			if opt.Pace > 0 {
				return nil, errors.New("open capture -: standard input cannot be paced: give a file")
			}
			continue
		}
		st, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("open capture: %w", err)
		}
		if st.IsDir() {
			return nil, fmt.Errorf("open capture %s: is a folder: give the capture files in it", p)
		}
		if !st.Mode().IsRegular() {
			known = false
			if opt.Pace > 0 {
				return nil, fmt.Errorf("open capture %s: a pipe cannot be paced: give a file", p)
			}
		}
		s.total += st.Size()
	}
	if !known {
		s.total = 0
	}
	if opt.Pace > 0 {
		p, err := newPacer(paths, opt, s.buf, s.out)
		if err != nil {
			return nil, err
		}
		s.pace = p
	}
	// The first file is opened now, so that mistakes show at once.
	if err := s.openNext(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Source) openNext() error {
	f, err := openFile(s.paths[0], s.opt.Stdin, s.buf, &s.read)
	if err != nil {
		return err
	}
	s.paths = s.paths[1:]
	s.cur = f
	if s.pace != nil {
		s.pace.nextFile()
	}
	return nil
}

// Next returns the next block of frames; see capture.Source.
func (s *Source) Next(ctx context.Context) ([]capture.Frame, error) {
	if s.err != nil {
		return nil, s.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(s.pend) > 0 {
		return s.due(ctx)
	}
	for {
		if s.cur == nil {
			if len(s.paths) == 0 {
				return s.end(io.EOF)
			}
			if err := s.openNext(); err != nil {
				return s.end(err)
			}
		}
		out, err := s.cur.next(ctx, s.out[:0])
		for i := range out {
			s.seq++
			out[i].Seq = s.seq
		}
		if len(out) > 0 {
			// An error comes back with the next call.
			if s.pace != nil {
				s.pend = out
				return s.due(ctx)
			}
			s.count(out)
			return out, nil
		}
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.cur.close()
		s.cur = nil
		switch {
		case err == io.EOF:
		case errors.Is(err, ErrTruncated) && s.opt.Truncated != nil:
			s.opt.Truncated(err)
		default:
			return s.end(err)
		}
	}
}

// Lend implements capture.Lender. What is read and not parsed yet moves to the
// spare bytes.
func (s *Source) Lend(spare []byte) []byte {
	if len(s.pend) > 0 {
		return nil // frames that are not due yet lie there, too
	}
	if len(spare) < len(s.buf) {
		spare = make([]byte, len(s.buf))
	}
	lent := s.buf
	s.buf = spare
	if s.cur != nil {
		s.cur.move(spare)
	}
	return lent
}

func (s *Source) end(err error) ([]capture.Frame, error) {
	s.err = err
	return nil, err
}

// count adds a block to the statistics.
func (s *Source) count(out []capture.Frame) {
	var n uint64
	for i := range out {
		n += uint64(len(out[i].Data))
	}
	s.mu.Lock()
	s.stats.Received += uint64(len(out))
	s.stats.Link += uint64(len(out))
	s.stats.Bytes += n
	s.mu.Unlock()
}

// Stats tells what was handed out so far.
func (s *Source) Stats() capture.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Progress tells how many bytes of the files were read, and how many there are,
// 0 if that is not known. Compressed files count as they lie on the disk.
func (s *Source) Progress() (read, total int64) {
	return s.read.Load(), s.total
}

// Close closes the file. Frames handed out are no longer valid.
func (s *Source) Close() error {
	if s.cur != nil {
		s.cur.close()
		s.cur = nil
	}
	s.pend = nil
	s.paths = nil
	if s.err == nil {
		s.err = os.ErrClosed
	}
	return nil
}

var (
	_ capture.Source = (*Source)(nil)
	_ capture.Lender = (*Source)(nil)
)
