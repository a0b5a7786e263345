package afpacket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// find returns the interface, or an error that says what there is instead.
func find(name string) (*net.Interface, error) {
	ifi, err := net.InterfaceByName(name)
	if err == nil {
		return ifi, nil
	}
	all, lerr := net.Interfaces()
	if lerr != nil {
		return nil, fmt.Errorf("%w: %v", ErrNoInterface, err)
	}
	var names []string
	best, limit := "", 3
	for _, i := range all {
		names = append(names, i.Name)
		if d := distance(strings.ToLower(name), strings.ToLower(i.Name)); d < limit {
			best, limit = i.Name, d
		}
	}
	hint := ""
	if best != "" {
		hint = fmt.Sprintf("; did you mean %s?", best)
	}
	return nil, fmt.Errorf("%w%s (this machine has %s)", ErrNoInterface, hint, strings.Join(names, ", "))
}

// distance is the number of letters to change, add or take away to get from a
// to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diag, row[j] = row[j], min(row[j]+1, row[j-1]+1, diag+cost)
		}
	}
	return row[len(b)]
}

// alive reports whether the interface of a bound socket still exists and is up.
// It asks through the socket, so it works in any network namespace.
func alive(fd int, name string) error {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("ask for the socket's interface: %w", err)
	}
	ll, ok := sa.(*unix.SockaddrLinklayer)
	if !ok || ll.Ifindex <= 0 {
		return fmt.Errorf("%w; bring it back and restart the capture, its sockets cannot be used again", ErrGone)
	}
	flags, err := ifFlags(fd, name)
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("%w (removed or renamed); bring it back and restart the capture", ErrGone)
	}
	if err != nil {
		return fmt.Errorf("ask for the interface's state: %w", err)
	}
	if flags&unix.IFF_UP == 0 {
		return downError(name)
	}
	return nil
}

func downError(name string) error {
	return fmt.Errorf("%w; bring it up with: ip link set %s up", ErrDown, name)
}

func ifFlags(fd int, name string) (uint16, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	err = unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req)
	return req.Uint16(), err
}

// explain puts into words what an operator can do about a failed call.
func explain(err error, what string, ringMiB, n int) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		exe, xerr := os.Executable()
		if xerr != nil {
			exe = "picket"
		}
		return fmt.Errorf("%w: %s needs CAP_NET_RAW; run as root, or once: setcap cap_net_raw+ep %s", ErrPermission, what, exe)
	case what == doRing && (errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.EINVAL)):
		return fmt.Errorf("%s of %d MiB for each of %d workers: %w; lower capture.ring or the number of workers", what, ringMiB, n, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
