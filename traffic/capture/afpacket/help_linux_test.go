package afpacket

import (
	"testing"

	"golang.org/x/sys/unix"
)

// dup returns a descriptor of socket i for a reader to own.
func dup(t testing.TB, g *Group, i int) uintptr {
	t.Helper()
	fd, err := unix.FcntlInt(g.Files()[i].Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return uintptr(fd)
}
