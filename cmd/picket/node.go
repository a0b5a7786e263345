package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/api/websocket"
	"github.com/picket-nsm/picket/bus/backend/zeromq/broker"
	"github.com/picket-nsm/picket/host/engine"
	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/stock"
)

const nodeLong = `Run one node of a cluster: a worker, logger, proxy or manager. Its name, from the
argument or the variable CLUSTER_NODE, is looked up in cluster-layout.zeek, which
gives its role. The layout is searched in the working folder, then in the folders
of ZEEKPATH. The working folder is the node's folder: its ledger and a logger's
logs grow there.

picket up starts its nodes with this command. You can do the same from a shell,
from systemd, or from any other supervisor: picket layout prints a layout, picket
hub runs the bus, and this runs a node. docs/howto/run-without-the-supervisor.md
shows it all.

With --backend zeromq it is a node as in a Zeek cluster with ZeroMQ: the broker is
picket broker or a real Zeek manager, loggers listen where the layout says, and
CURVE keys are taken from Zeek's variables, ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_*.

The node ends on SIGTERM or SIGINT, after it has drained; a worker that reads
files ends by itself. The password of the bus is taken from the variable
PICKET_BUS_TOKEN, the user from PICKET_BUS_USER.`

const nodeExample = `  mkdir worker-1 && cd worker-1 && cp ../cluster-layout.zeek .
  CLUSTER_NODE=worker-1 picket node -i eth0
  CLUSTER_NODE=worker-1 picket node --read ../trace.pcap --share 1/2
  picket node logger-1 --bus nats://127.0.0.1:4222 --logs ../logs
  picket node logger-1 --backend zeromq --xpub tcp://10.0.0.1:5555 --xsub tcp://10.0.0.1:5556`

// nodeFlags is what a node run by hand is told.
type nodeFlags struct {
	spec   node.Spec
	iface  string
	read   []string
	share  string
	layout string
	xpub   string
	xsub   string
	json   bool
	zeeks  []string

	websocket string
}

func nodeCommand() *cobra.Command {
	var f nodeFlags
	cmd := &cobra.Command{
		Use:     "node [NAME]",
		Short:   "Run one node of a cluster",
		Long:    nodeLong,
		Example: nodeExample,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := nodeSpec(&f, args)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			deps := nodeDeps()
			defer serveMetrics(spec, deps.Log)()
			if err := node.Run(ctx, spec, deps); err != nil {
				return fmt.Errorf("node %s: %w", spec.Name, err)
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.iface, "interface", "i", "", "worker: network interface to capture from (af_packet::eth0 is taken too)")
	fl.StringArrayVarP(&f.read, "read", "r", nil, "worker: capture file to read instead; may be given again")
	fl.StringVar(&f.share, "share", "1/1", "worker: which share of a file's flows, as K/N")
	fl.DurationVar(&f.spec.Capture.Pace, "pace", 0, "worker: replay a file by its timestamps in about this time")
	fl.StringVarP(&f.spec.Capture.Filter, "filter", "f", "", "worker: only packets that match this tcpdump expression")
	fl.BoolVarP(&f.spec.Capture.NoChecksums, "no-checksums", "C", false, "worker: take packets with bad checksums too")
	fl.StringVar(&f.spec.Capture.Seed, "seed", "", "worker: key of the UIDs, for the same UIDs each time")
	fl.StringVar(&f.spec.Bus.Backend, "backend", node.BackendNATS, "what carries events and logs: nats or zeromq")
	fl.StringVar(&f.xpub, "xpub", broker.DefaultXPUB, "with zeromq: the broker's XPUB, where this node receives")
	fl.StringVar(&f.xsub, "xsub", broker.DefaultXSUB, "with zeromq: the broker's XSUB, where it publishes")
	fl.StringArrayVar(&f.zeeks, "zeek-logger", nil, "with zeromq: a logger that is a real Zeek's, as logger-1=9.0, or logger-1=9.0,default without local.zeek; may be given again")
	fl.StringVar(&f.spec.Bus.Codec, "codec", "broker-bin-v1", "format of events, the cluster's: broker-bin-v1 or broker-json-v1")
	fl.StringVar(&f.spec.Bus.URL, "bus", "nats://127.0.0.1:4222", "where the bus is")
	fl.StringVar(&f.spec.Bus.CA, "bus-ca", "", "PEM file with the bus's certificate authority, for tls:// URLs")
	fl.StringVar(&f.spec.Bus.Cert, "bus-cert", "", "PEM file with this node's certificate, for tls:// URLs")
	fl.StringVar(&f.spec.Bus.Key, "bus-key", "", "PEM file with this node's key, for tls:// URLs")
	fl.StringVar(&f.spec.Cluster, "cluster", "picket", "name of the cluster; nodes of different clusters do not hear each other")
	fl.StringVar(&f.layout, "layout", "", "cluster layout file (default cluster-layout.zeek in . or ZEEKPATH)")
	fl.StringVar(&f.spec.Logs.Dir, "logs", ".", "logger: folder where the logs grow")
	fl.StringVar(&f.spec.Logs.Archive, "archive", "", "logger: folder where rotated logs go (default: they stay)")
	fl.DurationVar(&f.spec.Logs.Rotate, "rotate", 0, "logger: rotate this often; 0: never")
	fl.BoolVar(&f.json, "json", false, "logger: write JSON instead of TSV")
	fl.StringVar(&f.websocket, "websocket", "", "address of Zeek's WebSocket API, on loopback; off: none (default "+websocket.DefaultListen+" for a manager, else off)")
	return cmd
}

// nodeSpec takes the spec from the supervisor's descriptor, or makes one from
// flags, environment and layout file.
func nodeSpec(f *nodeFlags, args []string) (node.Spec, error) {
	if fd := os.Getenv(engine.EnvSpecFD); fd != "" {
		return inheritedSpec(fd)
	}
	s := f.spec
	s.Name = os.Getenv("CLUSTER_NODE")
	if len(args) == 1 {
		s.Name = args[0]
	}
	if s.Name == "" {
		return s, usagef("node: no name: set CLUSTER_NODE or give it as argument, as in: picket node worker-1")
	}
	wd, err := os.Getwd()
	if err != nil {
		return s, fmt.Errorf("node %s: working folder: %w", s.Name, err)
	}
	s.Dir = wd
	s.Bus.User, s.Bus.Token = os.Getenv("PICKET_BUS_USER"), os.Getenv("PICKET_BUS_TOKEN")
	if s.Bus.User == "" && s.Bus.Token != "" {
		s.Bus.User = "picket"
	}
	s.Capture.Interface = strings.TrimPrefix(f.iface, "af_packet::")
	s.Capture.Files = f.read
	if s.Capture.Share, s.Capture.Of, err = parseShare(f.share); err != nil {
		return s, usagef("node: --share %s: want K/N, as in 1/2", f.share)
	}
	s.Logs.Format = "tsv"
	if f.json {
		s.Logs.Format = "json"
	}
	file, text, err := findLayout(f.layout)
	if err != nil {
		return s, withCode(exitConfig, err)
	}
	l, err := layout.Parse(file, text)
	if err != nil {
		return s, withCode(exitConfig, fmt.Errorf("node %s: %w", s.Name, err))
	}
	n, ok := l.Node(s.Name)
	if !ok {
		return s, withCode(exitConfig, fmt.Errorf("node %s: not in %s; there are %s", s.Name, file, strings.Join(l.Names(), ", ")))
	}
	s.Layout, s.Role = string(text), n.Role.String()
	if s.Role == "worker" && s.Capture.Interface == "" && len(s.Capture.Files) == 0 {
		return s, usagef("node %s: a worker needs -i INTERFACE or --read FILE", s.Name)
	}
	if f.websocket == "" && s.Role == "manager" {
		f.websocket = websocket.DefaultListen
	}
	s.Doors = websocketDoor(f.websocket)
	switch s.Bus.Backend {
	case "", node.BackendNATS:
	case node.BackendZeroMQ:
		if s.Bus.ZeroMQ, err = zeromqByHand(l, f.xpub, f.xsub); err != nil {
			return s, err
		}
	default:
		return s, usagef("node: --backend %s: there are nats and zeromq", s.Bus.Backend)
	}
	if s.Stock, err = zeekLoggers(f.zeeks, l, s.Bus.Backend); err != nil {
		return s, err
	}
	if len(l.Role(layout.Logger)) > 1 {
		s.Logs.Suffix = s.Name
		if filepath.Clean(s.Logs.Dir) != "." {
			s.Logs.Tag = s.Name // the folder may be another logger's, too
		}
	}
	return s, nil
}

// zeekLoggers reads NAME=VERSION, or NAME=VERSION,default, of loggers that are real
// Zeek's.
func zeekLoggers(given []string, l *layout.Layout, backend string) (map[string]node.Stock, error) {
	if len(given) > 0 && backend != node.BackendZeroMQ {
		return nil, usagef("node: --zeek-logger is for --backend zeromq; on nats the hub knows them")
	}
	all := map[string]node.Stock{}
	for _, g := range given {
		name, of, ok := strings.Cut(g, "=")
		version, scripts, more := strings.Cut(of, ",")
		if !ok || more && scripts != "default" && scripts != "local" {
			return nil, usagef("node: --zeek-logger %s: want NAME=VERSION, as logger-1=9.0, or NAME=VERSION,default", g)
		}
		if _, err := stock.New(version, true); err != nil {
			return nil, usagef("node: --zeek-logger %s: %v", g, err)
		}
		if !slices.ContainsFunc(l.Loggers(), func(n layout.Node) bool { return n.Name == name }) {
			return nil, withCode(exitConfig, fmt.Errorf("node: --zeek-logger %s: the layout has no logger %s", g, name))
		}
		all[name] = node.Stock{Version: version, Local: scripts != "default"}
	}
	return all, nil
}

// zeromqByHand says where the sockets of a ZeroMQ cluster are, as a Zeek node finds
// them: the broker as told, loggers by the layout, keys in Zeek's variables.
func zeromqByHand(l *layout.Layout, xpub, xsub string) (node.ZeroMQ, error) {
	z := node.ZeroMQ{XPUB: []string{xpub}, XSUB: []string{xsub}}
	for _, n := range l.Loggers() {
		ip, err := n.IP()
		if err != nil {
			return z, withCode(exitConfig, err)
		}
		if n.Port == 0 {
			return z, withCode(exitConfig, fmt.Errorf("logger %s has no port in the layout", n.Name))
		}
		z.Loggers = append(z.Loggers, node.Endpoints{Name: n.Name, At: []string{"tcp://" + netip.AddrPortFrom(ip, uint16(n.Port)).String()}})
	}
	var err error
	z.Keys, err = busKeys("", os.Getenv)
	return z, err
}

// inheritedSpec reads the spec that a supervisor wrote for this process.
func inheritedSpec(fd string) (node.Spec, error) {
	var s node.Spec
	n, err := strconv.ParseUint(fd, 10, 16)
	if err != nil || n < 3 {
		return s, usagef("node: %s=%s is no descriptor; unset it to run a node by hand", engine.EnvSpecFD, fd)
	}
	f := os.NewFile(uintptr(n), "spec")
	if f == nil {
		return s, usagef("node: %s=%s is not open; unset it to run a node by hand", engine.EnvSpecFD, fd)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 16<<20))
	if err != nil {
		return s, fmt.Errorf("node: read spec from descriptor %s: %w", fd, err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("node: spec on descriptor %s: %w", fd, err)
	}
	return s, nil
}

// parseShare reads "K/N", K from 1, into the spec's share from 0.
func parseShare(s string) (share, of int, err error) {
	k, n, ok := strings.Cut(s, "/")
	if !ok {
		return 0, 0, errors.New("no slash")
	}
	if share, err = strconv.Atoi(k); err != nil {
		return 0, 0, err
	}
	if of, err = strconv.Atoi(n); err != nil {
		return 0, 0, err
	}
	if share < 1 || share > of {
		return 0, 0, errors.New("out of range")
	}
	return share - 1, of, nil
}

// findLayout returns the layout file and its text: the named one, or
// cluster-layout.zeek in the working folder or in a folder of ZEEKPATH.
func findLayout(path string) (file string, text []byte, err error) {
	const name = "cluster-layout.zeek"
	tries := []string{path}
	if path == "" {
		tries = []string{name}
		for _, dir := range filepath.SplitList(os.Getenv("ZEEKPATH")) {
			tries = append(tries, filepath.Join(dir, name))
		}
	}
	for _, p := range tries {
		text, err := os.ReadFile(p)
		switch {
		case err == nil:
			return p, text, nil
		case path != "" || !errors.Is(err, os.ErrNotExist):
			return "", nil, fmt.Errorf("read layout: %w", err)
		}
	}
	return "", nil, fmt.Errorf("no %s in the working folder or in ZEEKPATH; make one with: picket layout -W 2 > %s", name, name)
}
