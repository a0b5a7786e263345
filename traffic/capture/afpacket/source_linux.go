package afpacket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/picket-nsm/picket/traffic/capture"
)

// maxDown is how many waits an interface may stay down before Next gives up: a
// driver that resets its card takes it down for a second or two.
const maxDown = 30

// idle is the longest wait for a packet; then Next returns an empty block.
const idle = 100 // ms

// settleEvery is how many blocks pass between two looks at the kernel's
// counters: less than a second, and long before their 32 bits overflow.
const settleEvery = 64

// Source reads one ring; it is a capture.Source. One goroutine calls Next and
// Close; Stats, Totals and Drain may be called from any.
type Source struct {
	desc  Ring
	group *Group // owned by us if we opened it ourselves

	// Of the goroutine that calls Next.
	next   uint64 // number of the block to read next
	held   []byte // block handed out, or nil
	frames []capture.Frame
	parse  parser
	polled [2]unix.PollFd
	blocks int    // read since the counters were settled
	down   int    // waits since the interface went down, 0 while it is up
	dead   error  // what ended the interface; reported when the ring is empty
	last   uint64 // last block to hand out, once draining

	received, bytes, filtered atomic.Uint64
	draining                  atomic.Bool

	mu     sync.Mutex // guards the fields below and the counters in the ring
	ring   ring
	fd     int
	wakeFD int
	closed bool
	from   Resume
	behind uint64 // packets of the ring that earlier lives have dealt with
	final  capture.Stats
}

// FromFD maps the ring of a socket made by OpenGroup, of which fd is an
// inherited descriptor, and goes on where its last reader ended: blocks that it
// did not release are handed out again, without the packets up to from.Seq. It
// owns fd from then on, also if it fails. A ring has one reader at a time; a
// second one gets ErrBusy.
func FromFD(fd uintptr, r Ring, from Resume) (*Source, error) {
	s, err := fromFD(int(fd), r, from)
	if err != nil {
		unix.Close(int(fd))
		return nil, fmt.Errorf("capture %s: %w", r.Interface, err)
	}
	return s, nil
}

func fromFD(fd int, r Ring, from Resume) (*Source, error) {
	unix.CloseOnExec(fd)
	if d, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || d != unix.AF_PACKET {
		return nil, fmt.Errorf("descriptor %d is not a capture socket (start this node from its supervisor)", fd)
	}
	if r.BlockSize < 4096 || r.Blocks < 1 {
		return nil, fmt.Errorf("ring of %d blocks of %d bytes: not a ring", r.Blocks, r.BlockSize)
	}
	if err := alive(fd, r.Interface); err != nil {
		return nil, err
	}
	if err := lock(fd); err != nil {
		return nil, err
	}
	m, err := mapRing(fd, r)
	if err != nil {
		return nil, fmt.Errorf("map ring of %d blocks of %d bytes: %w", r.Blocks, r.BlockSize, err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Munmap(m.mem)
		return nil, fmt.Errorf("make eventfd: %w", err)
	}
	s := &Source{
		desc: r, ring: m, fd: fd, wakeFD: wake, from: from,
		next:   m.locate(),
		frames: make([]capture.Frame, 0, 1024),
		parse:  parser{link: r.Link, loopback: r.Loopback, resume: from.Seq},
	}
	s.behind = max(m.before(s.next), from.Seq) + from.Dropped
	s.polled[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	s.polled[1] = unix.PollFd{Fd: int32(wake), Events: unix.POLLIN}
	return s, nil
}

// lock makes us the one reader of the ring. The kernel lifts it when we die.
// The owner of the socket takes it for a moment to read counters, so we try
// for a while.
func lock(fd int) error {
	for try := 0; ; try++ {
		err := unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		if err == nil {
			return nil
		}
		if try == 100 {
			holder := unix.Flock_t{Type: unix.F_WRLCK}
			unix.FcntlFlock(uintptr(fd), unix.F_GETLK, &holder)
			return fmt.Errorf("%w (pid %d); stop that one first", ErrBusy, holder.Pid)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Next implements capture.Source. Frames are views into the ring; the next call
// gives the block back to the kernel, so a caller that keeps a ledger has noted
// them by then. When the interface is gone, or down for some seconds, it hands
// out what the ring still holds and then returns ErrGone or ErrDown.
func (s *Source) Next(ctx context.Context) ([]capture.Frame, error) {
	if s.closed {
		return nil, fmt.Errorf("capture %s: read: closed", s.desc.Interface)
	}
	if s.held != nil {
		s.ring.release(s.next)
		s.held = nil
		s.next++
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.draining.Load() && s.last == 0 {
		s.last = max(s.ring.newest(), s.next)
	}
	for waited := false; ; waited = true {
		if s.last != 0 && s.drained() {
			return nil, io.EOF
		}
		if b := s.ring.block(s.next); ours(b) {
			if n := number(b); n != s.next {
				s.next = s.ring.locate() // another reader was here
				continue
			}
			return s.hand(b), nil
		}
		s.skipDone()
		if waited {
			if s.dead != nil {
				return nil, s.dead
			}
			s.settle()
			return s.frames[:0], nil
		}
		if err := s.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// hand turns a block into frames.
func (s *Source) hand(b []byte) []capture.Frame {
	var sum parsed
	s.frames, sum = s.parse.parse(s.frames[:0], b, s.ring.before(s.next))
	s.held = b
	s.received.Add(uint64(len(s.frames)))
	s.bytes.Add(sum.bytes)
	s.filtered.Add(sum.filtered)
	if s.blocks++; s.blocks >= settleEvery {
		s.settle()
	}
	return s.frames
}

// skipDone moves on if the block we wait for has been filled and released
// already and the kernel is in the next: a predecessor read the whole ring and
// died before the kernel opened another block.
func (s *Source) skipDone() {
	if b := s.ring.block(s.next); number(b) != s.next || ours(b) {
		return
	}
	if s.ring.blocks > 1 && number(s.ring.block(s.next+1)) == s.next+1 && !ours(s.ring.block(s.next)) {
		s.next++
	}
}

// drained reports whether all blocks up to the last one have been handed out.
// The last is the one the kernel fills; it is not waited for while empty.
func (s *Source) drained() bool {
	if s.next > s.last {
		return true
	}
	b := s.ring.block(s.next)
	return s.next == s.last && !ours(b) && (packets(b) == 0 || number(b) != s.next)
}

// wait blocks until there is a block, the time is over, or somebody wakes us.
func (s *Source) wait(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.wake)
	timeout := idle
	if s.dead != nil || s.last != 0 {
		timeout = 2 * retireAfter
	}
	_, err := unix.Poll(s.polled[:], timeout)
	stop()
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("capture %s: poll: %w", s.desc.Interface, err)
	}
	if s.polled[1].Revents != 0 {
		var b [8]byte
		unix.Read(int(s.polled[1].Fd), b[:])
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.polled[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 || s.down > 0 {
		s.broken()
	}
	return nil
}

// broken looks at why the socket has an error. An interface that is down may
// come up again, one that has gone never comes back.
func (s *Source) broken() {
	fd := int(s.polled[0].Fd)
	soerr, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR) // clears it
	if err == nil && soerr != 0 {
		err = unix.Errno(soerr)
	}
	switch state := alive(fd, s.desc.Interface); {
	case errors.Is(state, ErrDown) && s.down < maxDown:
		s.down++
		return
	case state != nil:
		err = state
	case err == nil || errors.Is(err, unix.ENETDOWN):
		s.down = 0
		return
	}
	s.dead = fmt.Errorf("capture %s: %w", s.desc.Interface, err)
	// What the kernel has put into the open block comes out when that block's
	// time is over.
	unix.Poll(s.polled[1:], 3*retireAfter)
}

// wake ends a wait in Next.
func (s *Source) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		unix.Write(s.wakeFD, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// Drain makes Next return io.EOF after the packets that are in the ring now, in
// place of waiting for more. The socket goes on capturing for a successor,
// unless Open made it: then it ends here.
func (s *Source) Drain() {
	if s.group != nil {
		s.group.Stop() // fails only if the socket is gone, and then nothing comes either
	}
	s.draining.Store(true)
	s.wake()
}

func (s *Source) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks = 0
	if !s.closed {
		s.ring.settle(s.fd) // cannot fail on a socket with a ring
	}
}

// Stats implements capture.Source. Dropped counts from where Resume says: a drop
// while no reader lived is counted by the next one. So does Link.
func (s *Source) Stats() capture.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats()
}

func (s *Source) stats() capture.Stats {
	if s.closed {
		return s.final
	}
	s.ring.settle(s.fd)
	t := s.ring.totals()
	return capture.Stats{
		Received: s.received.Load(),
		Bytes:    s.bytes.Load(),
		Filtered: s.filtered.Load(),
		Dropped:  t.Dropped - min(t.Dropped, s.from.Dropped),
		Link:     t.Packets - min(t.Packets, s.behind),
	}
}

// Totals returns the counters of the ring over all lives of its readers.
func (s *Source) Totals() (Totals, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Totals{}, fmt.Errorf("capture %s: totals: closed", s.desc.Interface)
	}
	err := s.ring.settle(s.fd)
	t := s.ring.totals()
	t.Unread = s.ring.unread()
	return t, err
}

// Close unmaps the ring and closes the descriptor. A block that was handed out
// and not released stays for the successor.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.final = s.stats()
	s.closed = true
	s.held, s.frames = nil, nil
	err := errors.Join(unix.Munmap(s.ring.mem), unix.Close(s.fd), unix.Close(s.wakeFD))
	if s.group != nil {
		err = errors.Join(err, s.group.Close())
	}
	return err
}
