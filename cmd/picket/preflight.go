package main

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/api/websocket"
	"github.com/picket-nsm/picket/control/plan"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/standard"
	"github.com/picket-nsm/picket/traffic/capture/afpacket"
	"github.com/picket-nsm/picket/traffic/capture/pcapfile"
)

// finding is one thing that was looked at before a start.
type finding struct {
	Level   string `json:"level"` // ok, warn, fail
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

type findings []finding

// failure is an error if something stands in the way.
func (f findings) failure() error {
	var lines []string
	for _, x := range f {
		if x.Level == "fail" {
			lines = append(lines, x.Subject+": "+x.Text)
		}
	}
	if lines == nil {
		return nil
	}
	return fmt.Errorf("cannot start: %s", strings.Join(lines, "\n"))
}

// preflight looks for what would stop a cluster, and changes nothing.
func preflight(in plan.Input) findings {
	var out findings
	add := func(level, subject, format string, args ...any) {
		out = append(out, finding{level, subject, fmt.Sprintf(format, args...)})
	}
	c := in.Config
	for _, p := range []struct{ key, path string }{{"cluster.spool", c.Cluster.Spool}, {"logs.dir", c.Logs.Dir}, {"logs.archive", c.Logs.Archive}} {
		if p.path == "" {
			continue
		}
		if err := writable(p.path); err != nil {
			add("fail", p.key, "%v", err)
		} else {
			add("ok", p.key, "%s can be written", p.path)
		}
	}
	for _, path := range in.Files {
		if st, err := os.Stat(path); err == nil && !st.IsDir() && !st.Mode().IsRegular() {
			add("fail", "capture file", "%s is no regular file; several workers cannot share it: use picket read", path)
			continue
		}
		f, err := pcapfile.Open(path, pcapfile.Options{})
		if err != nil {
			add("fail", "capture file", "%v", err)
			continue
		}
		f.Close()
		add("ok", "capture file", "%s can be read", path)
	}
	for _, i := range c.Interfaces {
		for _, f := range afpacket.Check(i.Name) {
			add(string(f.Level), "interface "+i.Name, "%s", f.Text)
		}
	}
	if path := plan.LongestSocket(in); len(path) > maxSocket {
		add("fail", "cluster.spool", "%s: the path of a socket has at most %d characters; choose a shorter spool", path, maxSocket)
	}
	if c.Bus.ZeroMQ.CurveDir != "" {
		if _, err := busKeys(c.Bus.ZeroMQ.CurveDir, os.Getenv); err != nil {
			add("fail", "bus.zeromq.curve_dir", "%v", err)
		} else {
			add("ok", "bus.zeromq.curve_dir", "%s has the four keys", c.Bus.ZeroMQ.CurveDir)
		}
	}
	if len(c.Zeek) > 0 {
		if nodes, err := plan.Nodes(in); err != nil {
			add("fail", "zeek", "%v", err)
		} else if i := slices.IndexFunc(nodes, func(n supervisor.Node) bool { return n.Role == "worker" }); i >= 0 {
			out = append(out, stockFindings(c.Zeek, node.Schemas(standard.Protocols(), nodes[i].Node.Capture))...)
		}
		if !supervisor.Held(c.Cluster.Spool) {
			for _, p := range []struct{ key, at string }{{"bus.zeromq.xpub", c.Bus.ZeroMQ.XPUB}, {"bus.zeromq.xsub", c.Bus.ZeroMQ.XSUB}} {
				at := strings.TrimPrefix(p.at, "tcp://")
				if l, err := net.Listen("tcp", at); err != nil {
					add("warn", p.key, "%v; if not by a hub of this cluster, is another broker or a Zeek manager running?", err)
				} else {
					l.Close()
					add("ok", p.key, "%s is free", at)
				}
			}
		}
	}
	if c.Bus.URL == "" && c.Bus.Port != 0 && !supervisor.Held(c.Cluster.Spool) {
		addr := fmt.Sprintf("127.0.0.1:%d", c.Bus.Port)
		if l, err := net.Listen("tcp", addr); err != nil {
			add("warn", "bus.port", "%s is in use; if not by a hub of this cluster, choose another: %v", addr, err)
		} else {
			l.Close()
			add("ok", "bus.port", "%s is free", addr)
		}
	}
	for _, p := range []struct{ key, path string }{{"bus.token_file", c.Bus.TokenFile}, {"bus.ca", c.Bus.CA}, {"bus.cert", c.Bus.Cert}, {"bus.key", c.Bus.Key}} {
		if p.path == "" {
			continue
		}
		if f, err := os.Open(p.path); err != nil {
			add("fail", p.key, "%v", err)
		} else {
			f.Close()
			add("ok", p.key, "%s can be read", p.path)
		}
	}
	if w := c.API.WebSocket; w.Listen != "" {
		if err := websocket.Config(plan.WebSocket(w)).Check(); err != nil {
			add("fail", "api.websocket", "%v", err)
		}
	}
	if w := plan.Web(c); w.Listen != "" {
		if _, bad := access.NewGate(dashboardAccess(w)); bad != nil {
			add("fail", "api.web", "%v", bad)
		}
	}
	if x := c.API.Control; x.Listen != "" {
		if _, err := access.NewGate(controlAccess(plan.Control(c))); err != nil {
			add("fail", "api.control", "%v", err)
		} else {
			add("ok", "api.control", "%s says who may operate", x.ACL)
		}
	} else if x.ACL != "" {
		if _, err := access.ReadACL(x.ACL); err != nil {
			add("fail", "api.control.acl", "%v", err)
		}
	}
	if g := c.API.Control.Group; g != "" {
		if _, err := user.LookupGroup(g); err != nil {
			add("fail", "api.control.group", "%v", err)
		}
	}
	out = append(out, ports(&c)...)
	if supervisor.Held(c.Cluster.Spool) {
		add("warn", "cluster.spool", "a cluster runs there; picket up will refuse until it has ended")
	}
	return out
}

// maxSocket is the longest path that all systems take for a unix socket.
const maxSocket = 100

// writable says whether files can be made in a folder, or in the nearest one
// above it that exists, without leaving anything there.
func writable(dir string) error {
	at := dir
	for {
		st, err := os.Stat(at)
		if err == nil && !st.IsDir() {
			return fmt.Errorf("%s is no folder", at)
		}
		if err == nil {
			break
		}
		up := filepath.Dir(at)
		if !os.IsNotExist(err) || up == at {
			return err
		}
		at = up
	}
	f, err := os.CreateTemp(at, ".picket-check-")
	if err != nil {
		return fmt.Errorf("cannot write: %w", err)
	}
	f.Close()
	return os.Remove(f.Name())
}
