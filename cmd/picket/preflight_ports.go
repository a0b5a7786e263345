package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/control/plan"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/internal/procinfo"
)

// ports looks whether the doors can open where they are told to, and who is there
// already. A port that is taken costs the cluster that door, and no more.
func ports(c *config.Config) findings {
	if supervisor.Held(c.Cluster.Spool) {
		return nil // by the cluster itself
	}
	var out findings
	for _, p := range []struct{ key, at string }{
		{"api.websocket.listen", c.API.WebSocket.Listen},
		{"api.web.listen", plan.Web(*c).Listen},
		{"api.control.listen", c.API.Control.Listen},
		{"metrics.listen", c.Metrics.Listen},
	} {
		if _, port, err := net.SplitHostPort(p.at); err != nil || port == "0" {
			continue // none, or a free one
		}
		l, err := net.Listen("tcp", p.at)
		if err == nil {
			l.Close()
			out = append(out, finding{"ok", p.key, p.at + " is free"})
			continue
		}
		out = append(out, finding{"warn", p.key, taken(p.at, err) + "; the cluster starts without it"})
	}
	return out
}

// taken says why nobody can listen at an address, and who does.
func taken(at string, err error) string {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Sprintf("%s: %v", at, err)
	}
	if addr, err := net.ResolveTCPAddr("tcp", at); err == nil {
		if who := procinfo.Listener(addr.AddrPort()); who != "" {
			return at + " is taken by " + who
		}
	}
	return at + " is taken"
}
