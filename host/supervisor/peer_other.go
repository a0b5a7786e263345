//go:build !linux

package supervisor

import (
	"net"
	"os/user"

	"github.com/picket-nsm/picket/host/audit"
)

// peer is who is at the other end of the control socket. Only its owner can be.
func peer(*net.UnixConn) audit.Actor {
	a := audit.Actor{Role: "owner", From: "unix", Via: "socket"}
	if u, err := user.Current(); err == nil {
		a.Who = u.Username
	}
	return a
}
