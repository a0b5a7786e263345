package procinfo

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// zombie is SZOMB of sys/proc.h.
const zombie = 5

// Identity tells a process from all others that had or will have its number.
func Identity(pid int) (string, error) {
	k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return "", err
	}
	if k.Proc.P_stat == zombie {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	t := k.Proc.P_starttime
	return fmt.Sprintf("%d.%06d", t.Sec, t.Usec), nil
}

// Folder is where a process works; macOS does not tell without cgo.
func Folder(int) (string, error) { return "", errors.ErrUnsupported }

// Of reads what a process uses; macOS tells nothing without cgo.
func Of(pid int) (Usage, error) {
	_, err := Identity(pid)
	return Usage{}, err
}

// Listener says who listens on a TCP address; macOS does not tell.
func Listener(netip.AddrPort) string { return "" }
