package trafficgen

import (
	"context"
	"fmt"
	"net"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is how many frames one system call sends.
const batch = 64

// Sender sends frames onto an interface through an AF_PACKET socket. One
// goroutine uses it.
type Sender struct {
	fd     int
	name   string
	bufs   [batch][65536 + 64]byte
	iov    [batch]unix.Iovec
	msgs   [batch]mmsghdr
	filled int
	sent   uint64
	bytes  uint64
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// NewSender opens a sender in the network namespace of the calling thread.
func NewSender(iface string) (*Sender, error) {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, fmt.Errorf("send on %s: %w", iface, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("send on %s: %w", iface, err)
	}
	// Protocol 0: it receives nothing.
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: ifi.Index}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("send on %s: bind: %w", iface, err)
	}
	unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
	s := &Sender{fd: fd, name: iface}
	for i := range s.msgs {
		s.iov[i].Base = &s.bufs[i][0]
		s.msgs[i].hdr.Iov = &s.iov[i]
		s.msgs[i].hdr.SetIovlen(1)
	}
	return s, nil
}

// Write queues a copy of a frame, from the link layer on.
func (s *Sender) Write(frame []byte) error {
	s.iov[s.filled].SetLen(copy(s.bufs[s.filled][:], frame))
	if s.filled++; s.filled == batch {
		return s.Flush()
	}
	return nil
}

// Flush sends what is queued. It tries again while the interface takes no more,
// so that every frame counted as sent was given to the interface.
func (s *Sender) Flush() error {
	for i, tries := 0, 0; i < s.filled; {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd),
			uintptr(unsafe.Pointer(&s.msgs[i])), uintptr(s.filled-i), 0, 0, 0)
		switch errno {
		case 0:
			for ; n > 0; n-- {
				s.sent++
				s.bytes += uint64(s.iov[i].Len)
				i++
			}
			tries = 0
		case unix.EINTR:
		case unix.ENOBUFS, unix.EAGAIN:
			if tries++; tries > 10000 {
				return fmt.Errorf("send on %s: %w", s.name, errno)
			}
			time.Sleep(10 * time.Microsecond)
		default:
			return fmt.Errorf("send on %s: %w", s.name, errno)
		}
	}
	s.filled = 0
	return nil
}

// Sent returns the frames and bytes that the interface took.
func (s *Sender) Sent() (packets, bytes uint64) { return s.sent, s.bytes }

// Close closes the socket; what was not flushed is not sent.
func (s *Sender) Close() error { return unix.Close(s.fd) }

// Send sends all frames of next, which returns nil at the end, at about rate
// frames a second (0: as fast as it goes), until ctx ends.
func (s *Sender) Send(ctx context.Context, next func() []byte, rate int) error {
	start := time.Now()
	from := s.sent
	for n := 0; ; n++ {
		if n%batch == 0 {
			if err := s.Flush(); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if rate > 0 {
				due := start.Add(time.Duration(float64(s.sent-from) / float64(rate) * float64(time.Second)))
				if d := time.Until(due); d > time.Millisecond {
					time.Sleep(d)
				}
			}
		}
		f := next()
		if f == nil {
			return s.Flush()
		}
		if err := s.Write(f); err != nil {
			return err
		}
	}
}
