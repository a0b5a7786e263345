// Package plan turns a configuration into the nodes that shall run: names,
// roles, shares, and for each one what it is told.
//
// It stands between config and the supervisor. It is a pure function: it opens
// nothing, and asks the machine only for what the caller passes in.
package plan

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/node"
)

// Input is all that decides what runs.
type Input struct {
	Config config.Config // paths absolute
	Bus    node.Bus      // where the bus is, with the password
	Run    string        // which run of the cluster this is
	CPUs   int           // of this machine
	// Files are capture files, absolute or - . With some, workers read them and
	// end, and interfaces are not looked at.
	Files []string
	Pace  time.Duration
}

// Worker is a worker's place.
type Worker struct {
	Name      string
	Interface int // index into the configuration's interfaces; -1: it reads files
	Index     int // among the workers of its interface, from 0
	Of        int // so many
	Filter    string
	Pin       []int
}

// Workers names the workers: worker-1 ... N on one interface or on files,
// worker-1-1, worker-1-2, worker-2-1 ... on several.
func Workers(in Input) []Worker {
	c := in.Config
	if len(in.Files) > 0 {
		n := c.Cluster.Workers
		if n == 0 {
			n = defaultReaders
		}
		var out []Worker
		for k := range n {
			out = append(out, Worker{Name: fmt.Sprintf("worker-%d", k+1), Interface: -1, Index: k, Of: n})
		}
		return out
	}
	var out []Worker
	for i, n := range shares(c, in.CPUs) {
		f := c.Interfaces[i]
		for k := range n {
			w := Worker{Name: fmt.Sprintf("worker-%d", k+1), Interface: i, Index: k, Of: n, Filter: f.Filter}
			if len(c.Interfaces) > 1 {
				w.Name = fmt.Sprintf("worker-%d-%d", i+1, k+1)
			}
			if w.Filter == "" {
				w.Filter = c.Capture.Filter
			}
			if len(f.Pin) > 0 {
				w.Pin = []int{f.Pin[k%len(f.Pin)]}
			}
			out = append(out, w)
		}
	}
	return out
}

// defaultReaders is how many workers read files where nobody says.
const defaultReaders = 2

// shares is the number of workers of each interface.
func shares(c config.Config, cpus int) []int {
	out := make([]int, len(c.Interfaces))
	left, asking := c.Cluster.Workers, 0
	if left == 0 {
		left = cpus
	}
	for i, f := range c.Interfaces {
		out[i] = f.Workers
		if f.Workers == 0 {
			asking++
		} else if c.Cluster.Workers == 0 {
			left -= f.Workers
		}
	}
	for i := range out {
		if c.Interfaces[i].Workers > 0 {
			continue
		}
		out[i] = max(1, left/asking)
		left -= out[i]
		asking--
	}
	return out
}

// Nodes is what shall run, in any order. Capture sockets are not in it: the
// caller opens them and puts them into the workers' Files.
func Nodes(in Input) ([]supervisor.Node, error) {
	c := in.Config
	workers := Workers(in)
	l, err := clusterLayout(c, workers)
	if err != nil {
		return nil, fmt.Errorf("plan cluster %s: %w", c.Cluster.Name, err)
	}
	base := node.Spec{
		Cluster: c.Cluster.Name, Run: in.Run, Layout: string(l.Zeek()), Bus: in.Bus,
		// A node that waits for hanging loggers gives up, and says so in its books,
		// before it is killed.
		Drain: time.Duration(c.Supervisor.StopTimeout) * 2 / 3,
	}
	for _, z := range c.Zeek {
		base.Zeek = append(base.Zeek, z.Name)
		if z.Role == "logger" {
			if base.Stock == nil {
				base.Stock = map[string]node.Stock{}
			}
			base.Stock[z.Name] = Stock(z)
		}
	}
	base.Bus.Backend, base.Bus.Outside = c.Bus.Backend, c.Bus.URL != ""
	bridge := base.Bus
	bridge.ZeroMQ = zeromq(c, l)
	bridge.ZeroMQ.Keys = in.Bus.ZeroMQ.Keys
	if base.Bus.ZeroMQ = (node.ZeroMQ{}); c.Bus.Backend == node.BackendZeroMQ {
		base.Bus = bridge
	}
	var out []supervisor.Node
	add := func(role, name string, change func(*supervisor.Node)) {
		n := supervisor.Node{Spec: engine.Spec{
			Name: name, Role: role, Args: []string{"node", name}, Node: base, Memory: goLimit(int64(c.Supervisor.Memory)),
		}}
		n.Node.Name, n.Node.Role, n.Node.Dir = name, role, filepath.Join(c.Cluster.Spool, name)
		if change != nil {
			change(&n)
		}
		out = append(out, n)
	}
	if c.Bus.URL == "" || c.Bus.ZeroMQ.XPUB != "" {
		add("hub", "hub", func(n *supervisor.Node) {
			n.Args = []string{"hub"}
			n.Node.Bus = bridge
			if c.Bus.ZeroMQ.XPUB == "" {
				n.Node.Layout = "" // it has no use for it
			}
		})
	}
	for i := range c.Cluster.Loggers {
		add("logger", fmt.Sprintf("logger-%d", i+1), func(n *supervisor.Node) {
			n.Node.Logs = logs(c)
			if c.Cluster.Loggers > 1 {
				// They share the folder: file names tell them apart, growing and rotated.
				n.Node.Logs.Suffix, n.Node.Logs.Tag = n.Name, n.Name
			}
		})
	}
	add("manager", "manager", nil)
	for i := range c.Cluster.Proxies {
		add("proxy", fmt.Sprintf("proxy-%d", i+1), nil)
	}
	for _, w := range workers {
		add("worker", w.Name, func(n *supervisor.Node) {
			n.Pin = w.Pin
			n.Once = w.Interface < 0
			n.Node.Capture = capture(in, w)
		})
	}
	if err := doors(c, out); err != nil {
		return nil, fmt.Errorf("plan cluster %s: %w", c.Cluster.Name, err)
	}
	metrics(c, out)
	remote(c, out)
	dashboard(in, workers, out)
	return out, nil
}

// Stock is the Zeek that a node is.
func Stock(z config.Zeek) node.Stock {
	return node.Stock{Version: z.VersionOr(), Local: z.Scripts != "default"}
}

// doors gives each door to the node that holds it.
func doors(c config.Config, nodes []supervisor.Node) error {
	w := c.API.WebSocket
	if w.Listen == "" {
		return nil
	}
	var names []string
	for i := range nodes {
		if names = append(names, nodes[i].Name); nodes[i].Name != w.Node {
			continue
		}
		door := WebSocket(w)
		nodes[i].Node.Doors.WebSocket = &door
		return nil
	}
	return fmt.Errorf("api.websocket.node: no node %q; there are %s", w.Node, strings.Join(names, ", "))
}

// remote has the hub hold the door for operators elsewhere, or the manager where
// there is no hub of ours.
func remote(c config.Config, nodes []supervisor.Node) {
	if c.API.Control.Listen == "" {
		return
	}
	role := "hub"
	if c.Bus.URL != "" {
		role = "manager"
	}
	for i := range nodes {
		if nodes[i].Role == role {
			door := Control(c)
			nodes[i].Node.Doors.Control = &door
		}
	}
}

// Control is what the node that holds the door is told.
func Control(c config.Config) node.Control {
	x := c.API.Control
	return node.Control{
		Listen: x.Listen, Cert: x.Cert, Key: x.Key, ClientCA: x.ClientCA, ACL: x.ACL, Origins: x.Origins, Spool: c.Cluster.Spool,
	}
}

// metrics has the hub serve all nodes' metrics, or the manager where there is
// no hub of ours.
func metrics(c config.Config, nodes []supervisor.Node) {
	for i := range nodes {
		nodes[i].Node.NoMetrics = !c.Metrics.Nodes
	}
	if c.Metrics.Listen == "" {
		return
	}
	role := "hub"
	if c.Bus.URL != "" {
		role = "manager"
	}
	for i := range nodes {
		if nodes[i].Role == role {
			nodes[i].Node.Metrics = &node.Metrics{Listen: c.Metrics.Listen, Spool: c.Cluster.Spool}
		}
	}
}

// Web is what the node that serves the dashboard is told.
func Web(c config.Config) node.Web {
	w := c.API.Web
	return node.Web{
		Listen: w.Listen, Cert: w.Cert, Key: w.Key, ClientCA: w.ClientCA, ACL: c.API.Control.ACL, Hosts: w.Hosts, Spool: c.Cluster.Spool,
	}
}

// dashboard has the hub serve the page, or the manager where there is no hub of
// ours.
func dashboard(in Input, workers []Worker, nodes []supervisor.Node) {
	c := in.Config
	if c.API.Web.Listen == "" {
		return
	}
	web := Web(c)
	web.Sources = map[string]node.Source{}
	for _, k := range workers {
		if k.Interface >= 0 {
			web.Sources[k.Name] = node.Source{Name: strings.TrimPrefix(c.Interfaces[k.Interface].Name, "af_packet::"), Live: true}
			continue
		}
		name := filepath.Base(in.Files[0])
		if n := len(in.Files); n > 1 {
			name = fmt.Sprintf("%d files", n)
		}
		web.Sources[k.Name] = node.Source{Name: name}
	}
	role := "hub"
	if c.Bus.URL != "" {
		role = "manager"
	}
	for i := range nodes {
		if nodes[i].Role == role {
			nodes[i].Node.Doors.Web = &web
		}
	}
}

func logs(c config.Config) node.Logs {
	return node.Logs{
		Dir: c.Logs.Dir, Archive: c.Logs.Archive, Format: c.Logs.Format,
		Rotate: time.Duration(c.Logs.Rotate), RotateAt: c.Logs.RotateAt,
	}
}

func capture(in Input, w Worker) node.Capture {
	c := in.Config
	out := node.Capture{
		Filter: w.Filter, NoChecksums: !c.Capture.Checksums, Seed: c.Capture.Seed, LocalNets: c.Capture.LocalNets,
		Stats: c.Logs.Stats, CaptureLoss: c.Logs.CaptureLoss,
		Options: node.Options{
			Fingerprints: c.TLS.Fingerprints, HostCertificates: c.TLS.HostCertificates, LogAgain: logAgain(time.Duration(c.TLS.LogAgain)),
		},
		Content: node.Content{
			Hash: c.Files.Hash, Extract: c.Files.Extract, Dir: c.Files.Dir, Limit: uint64(c.Files.Limit), Total: uint64(c.Files.Total),
		},
	}
	if w.Interface < 0 {
		out.Files, out.Share, out.Of, out.Pace = in.Files, w.Index, w.Of, in.Pace
		out.Filter = c.Capture.Filter
		return out
	}
	out.Interface = strings.TrimPrefix(c.Interfaces[w.Interface].Name, "af_packet::")
	return out
}

// logAgain is a time in seconds as the policy wants it: there 0 is the default.
func logAgain(d time.Duration) float64 {
	if d <= 0 {
		return -1
	}
	return d.Seconds()
}

// WebSocket is what the node that holds the door is told.
func WebSocket(w config.WebSocket) node.WebSocket {
	ping := time.Duration(w.Ping)
	if ping == 0 {
		ping = -1
	}
	return node.WebSocket{
		Listen: w.Listen, Cert: w.Cert, Key: w.Key, ClientCA: w.ClientCA, ACL: w.ACL, Hosts: w.Hosts, Origins: w.Origins,
		Declarations: w.Declarations, DeclaredOnly: w.DeclaredOnly, PingInterval: ping, MessageBytes: int(w.Message), Rate: w.Rate,
		Subscriptions: w.Subscriptions, Connections: w.Connections, Handshakes: w.Handshakes, QueueBytes: int(w.Queue),
	}
}

// goLimit is the limit of memory for a node's Go runtime. 0: none.
func goLimit(memory int64) int64 {
	if memory == 0 {
		return 0
	}
	return node.GoLimit(memory)
}
