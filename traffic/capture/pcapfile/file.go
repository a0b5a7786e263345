package pcapfile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/picket-nsm/picket/traffic/capture"
)

// format takes records off a byte stream.
type format interface {
	// parse appends the frames of the whole records at the front of b to out,
	// not beyond its capacity, and returns how many bytes they took. That is
	// more than len(b) where the end of the last record is not needed. n is 0 if
	// b holds no whole record.
	parse(b []byte, out []capture.Frame) (frames []capture.Frame, n int, err error)
}

// file is one open capture.
type file struct {
	path   string
	name   string // as errors show it
	raw    io.Reader
	closer []func()
	r      io.Reader // decompressed
	buf    []byte    // owned by the source, used by one file at a time
	pos    int       // buf[pos:end] is read and not parsed
	end    int
	skip   int64 // bytes to throw away before the next record
	off    int64 // place of buf[0] in the decompressed stream
	err    error // what the reader said last
	format format
	broken error // what ends this file, once all before it is handed out
	poll   *os.File
}

// counter counts what is read of a file as it lies on the disk.
type counter struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// openFile opens a capture and reads its header. buf is lent to the file.
func openFile(path string, stdin io.Reader, buf []byte, read *atomic.Int64) (*file, error) {
	f := &file{path: path, name: path, buf: buf}
	if path == "-" {
		f.name = "- (standard input)"
		f.raw = stdin
		if stdin == nil {
			f.raw = os.Stdin
			f.pollable(os.Stdin)
		}
	} else {
		o, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("open capture: %w", err)
		}
		f.raw = o
		f.closer = append(f.closer, func() { o.Close() })
		f.pollable(o)
	}
	f.raw = &counter{f.raw, read}
	if err := f.header(); err != nil {
		f.close()
		return nil, fmt.Errorf("open capture %s: %w", f.name, err)
	}
	return f, nil
}

// pollable remembers a pipe whose reads can be interrupted.
func (f *file) pollable(o *os.File) {
	if st, err := o.Stat(); err == nil && !st.Mode().IsRegular() && o.SetReadDeadline(time.Time{}) == nil {
		f.poll = o
	}
}

// header finds compression and format. It leaves the records in the buffer.
func (f *file) header() error {
	f.r = f.raw
	for range 2 {
		if err := f.need(4); err != nil {
			return err
		}
		head := f.buf[f.pos:f.end]
		var open func(io.Reader) (io.Reader, error)
		switch {
		case head[0] == 0x1f && head[1] == 0x8b:
			open = f.gunzip
		case binary.LittleEndian.Uint32(head) == 0xfd2fb528:
			open = f.unzstd
		default:
			return f.start()
		}
		if f.r != f.raw {
			return fmt.Errorf("%w: it is compressed twice: decompress it once", ErrFormat)
		}
		// What is in the buffer goes to the decompressor, which needs it for
		// itself: the buffer is filled anew.
		r, err := open(io.MultiReader(bytes.NewReader(bytes.Clone(head)), f.raw))
		if err != nil {
			return err
		}
		f.r = r
		f.pos, f.end, f.err = 0, 0, nil
	}
	return nil
}

func (f *file) gunzip(r io.Reader) (io.Reader, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	f.closer = append(f.closer, func() { z.Close() })
	return z, nil
}

func (f *file) unzstd(r io.Reader) (io.Reader, error) {
	// One goroutine, and no more memory than the largest window that the zstd
	// program writes without being told to by both sides.
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(128<<20))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	f.closer = append(f.closer, z.Close)
	return z, nil
}

// start reads the file header behind the compression.
func (f *file) start() error {
	head := f.buf[f.pos:f.end]
	if binary.LittleEndian.Uint32(head) == blockSection {
		f.format = &pcapng{}
		return nil
	}
	if !classicMagic(head) {
		return fmt.Errorf("%w: neither pcap nor pcapng (it begins with % x)", ErrFormat, head[:4])
	}
	if err := f.need(24); err != nil {
		return err
	}
	c, err := newClassic(f.buf[f.pos : f.pos+24])
	if err != nil {
		return err
	}
	f.format = c
	f.pos += 24
	return nil
}

// need reads until n bytes are in the buffer.
func (f *file) need(n int) error {
	for f.end-f.pos < n {
		if err := f.fill(context.Background()); err != nil {
			if err != io.EOF && err != io.ErrUnexpectedEOF {
				return err
			}
			if f.end == f.pos {
				return fmt.Errorf("%w: the file is empty", ErrFormat)
			}
			return fmt.Errorf("%w: the file ends within its header", ErrFormat)
		}
	}
	return nil
}

// fill moves what is left to the front of the buffer and reads once. At the end
// of the stream it returns io.EOF.
func (f *file) fill(ctx context.Context) error {
	if f.err != nil {
		return f.err
	}
	if f.pos > 0 {
		copy(f.buf, f.buf[f.pos:f.end])
		f.off += int64(f.pos)
		f.end -= f.pos
		f.pos = 0
	}
	if f.end == len(f.buf) {
		return fmt.Errorf("%w: a record of more than %d bytes", ErrFormat, len(f.buf))
	}
	if f.poll != nil && ctx.Done() != nil {
		f.poll.SetReadDeadline(time.Time{}) // an earlier call may have been given up
		stop := context.AfterFunc(ctx, func() { f.poll.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
	}
	for range 100 {
		n, err := f.r.Read(f.buf[f.end:])
		f.end += n
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
				return ctx.Err()
			}
			f.err = err
		}
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	f.err = io.ErrNoProgress
	return f.err
}

// move goes on in another buffer, with what is left in this one.
func (f *file) move(buf []byte) {
	f.end = copy(buf, f.buf[f.pos:f.end])
	f.off += int64(f.pos)
	f.buf, f.pos = buf, 0
}

// next appends the frames of as many whole records as are in the buffer, after
// reading on if there are none. With frames it returns no error.
func (f *file) next(ctx context.Context, out []capture.Frame) ([]capture.Frame, error) {
	for f.broken == nil {
		if f.skip > 0 {
			n := min(f.skip, int64(f.end-f.pos))
			f.pos += int(n)
			f.skip -= n
		}
		if f.skip == 0 && f.end > f.pos {
			var n int
			var err error
			out, n, err = f.format.parse(f.buf[f.pos:f.end], out)
			if n > f.end-f.pos {
				f.skip = int64(n - (f.end - f.pos))
				n = f.end - f.pos
			}
			f.pos += n
			if err != nil {
				f.broken = fmt.Errorf("read capture %s: record at byte %d: %w", f.name, f.off+int64(f.pos), err)
			}
			if len(out) > 0 {
				return out, nil
			}
			if n > 0 || err != nil {
				continue
			}
		}
		if err := f.fill(ctx); err != nil {
			if ctx.Err() != nil && f.err == nil {
				return nil, ctx.Err()
			}
			f.broken = f.last(err)
		}
	}
	return out, f.broken
}

// last turns the reader's last word into the end of the file or an error.
func (f *file) last(err error) error {
	left := f.end - f.pos
	switch {
	case err == io.EOF && left == 0 && f.skip == 0:
		return io.EOF
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("read capture %s: record at byte %d: %w", f.name, f.off+int64(f.pos), ErrTruncated)
	}
	return fmt.Errorf("read capture %s: byte %d: %w", f.name, f.off+int64(f.end), err)
}

func (f *file) close() {
	for i := len(f.closer) - 1; i >= 0; i-- {
		f.closer[i]()
	}
	f.closer = nil
}
