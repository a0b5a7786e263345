package supervisor

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/picket-nsm/picket/host/audit"
)

// peer is who is at the other end of the control socket, as the kernel tells.
func peer(conn *net.UnixConn) audit.Actor {
	a := audit.Actor{Role: "owner", From: "unix", Via: "socket"}
	raw, err := conn.SyscallConn()
	if err != nil {
		return a
	}
	var cred *unix.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) { cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil || cerr != nil {
		return a
	}
	a.From = fmt.Sprintf("unix pid %d", cred.Pid)
	a.Who = UserName(int(cred.Uid))
	if cred.Uid != 0 && int(cred.Uid) != os.Getuid() {
		a.Role = "group"
	}
	return a
}
