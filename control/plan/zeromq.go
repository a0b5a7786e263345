package plan

import (
	"fmt"
	"path/filepath"

	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/zeek/layout"
)

// zeromq says where ZeroMQ sockets are. Our own nodes meet at sockets in the spool,
// which only its owner can enter; real Zeek processes where the configuration and
// the layout say.
func zeromq(c config.Config, l *layout.Layout) node.ZeroMQ {
	var z node.ZeroMQ
	ours, zeeks := c.Bus.Backend == node.BackendZeroMQ, c.Bus.ZeroMQ.XPUB != ""
	if ours {
		z.XPUB, z.XSUB = []string{socket(c, "hub", "xpub")}, []string{socket(c, "hub", "xsub")}
	}
	if zeeks {
		z.XPUB, z.XSUB = append(z.XPUB, c.Bus.ZeroMQ.XPUB), append(z.XSUB, c.Bus.ZeroMQ.XSUB)
	}
	if !ours && !zeeks {
		return z
	}
	foreign := map[string]bool{}
	for _, n := range c.Zeek {
		foreign[n.Name] = true
	}
	for _, n := range l.Loggers() {
		e := node.Endpoints{Name: n.Name}
		if ours && !foreign[n.Name] {
			e.At = append(e.At, socket(c, n.Name, "log"))
		}
		if zeeks {
			e.At = append(e.At, fmt.Sprintf("tcp://%s:%d", n.Addr, n.Port))
		}
		z.Loggers = append(z.Loggers, e)
	}
	return z
}

func socket(c config.Config, node, name string) string {
	return "ipc://" + filepath.Join(c.Cluster.Spool, node, name+".sock")
}

// LongestSocket is the longest path of a socket in the spool, which systems bound
// to about a hundred bytes; empty: there is none.
func LongestSocket(in Input) string {
	if in.Config.Bus.Backend != node.BackendZeroMQ {
		return ""
	}
	return filepath.Join(in.Config.Cluster.Spool, fmt.Sprintf("logger-%d", in.Config.Cluster.Loggers), "log.sock")
}
