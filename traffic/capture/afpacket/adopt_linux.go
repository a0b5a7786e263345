package afpacket

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Adopt takes over a group whose owner has died, from the workers that still
// have its sockets, while they go on capturing. Holders are in the order of the
// group; the caller makes sure that each PID is still the process it means, and
// may look into it (same user, or root). If a worker has died after the owner,
// its socket is gone and the kernel has spread its flows over the others: that
// is ErrLost, and only a new group repairs it.
func Adopt(r Ring, holders []Holder) (*Group, error) {
	g := &Group{ring: r}
	for i, h := range holders {
		f, err := take(h, r.Interface)
		if err != nil {
			g.Close()
			return nil, fmt.Errorf("capture %s: take over socket %d of %d from process %d: %w", r.Interface, i+1, len(holders), h.PID, err)
		}
		g.files = append(g.files, f)
	}
	return g, nil
}

func take(h Holder, iface string) (*os.File, error) {
	pidfd, err := unix.PidfdOpen(h.PID, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLost, err)
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, h.FD, 0) // close-on-exec is set
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("%w; run as root or as the user of the workers", err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLost, err)
	}
	f := os.NewFile(uintptr(fd), "capture "+iface)
	if d, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || d != unix.AF_PACKET {
		f.Close()
		return nil, fmt.Errorf("%w: descriptor %d is something else", ErrLost, h.FD)
	}
	return f, nil
}
