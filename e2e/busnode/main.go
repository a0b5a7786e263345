// Command busnode is a node of a cluster that does nothing but publish and take
// events, or a hub for such nodes, for measurements and tests with processes that
// can be stopped and killed. It stands on bus/cluster and the real drivers as a
// picket node does. It is no part of the product.
//
//	busnode hub nats|zeromq PORT               prints the bus's URL, serves until its input ends
//	busnode sub URL NAME N                     takes N events, prints the rate
//	busnode pub URL NAME TO N WINDOW           publishes N events to node TO, WINDOW without an answer
//	busnode load URL NAME DIR LIFE             publishes and counts in a ledger until its input ends
//	busnode probe URL RATE TOPIC,TOPIC         publishes the time; commands on its input
//	busnode ear URL TOPIC,TOPIC                tells how late it arrives; a line for each on its input
//	busnode logger URL DIR                     writes rows to DIR until its input ends
//	busnode rows URL DIR N                     makes N rows of conn.log, prints the rate
//	busnode fan URL SUBSCRIBERS N              publishes N events to as many subscribers
//	busnode bridge DIR                         a hub with a bridge to ZeroMQ until its input ends
//	busnode frames DIR                         writes what a Zeek-like peer of the bridge sends
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/nats"
	"github.com/picket-nsm/picket/bus/backend/nats/server"
	"github.com/picket-nsm/picket/bus/backend/zeromq"
	"github.com/picket-nsm/picket/bus/backend/zeromq/broker"
	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/zeek/layout"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "busnode:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	need := map[string]int{"hub": 3, "sub": 4, "pub": 6, "fan": 4, "load": 5, "probe": 4, "ear": 3, "logger": 3, "rows": 4, "bridge": 2, "frames": 2}
	if len(args) == 0 || len(args) != need[args[0]] {
		return fmt.Errorf("want a role and its arguments: see the comment of the program")
	}
	stopProfile, err := profile(args[0])
	if err != nil {
		return err
	}
	defer stopProfile()
	switch args[0] {
	case "hub":
		return hub(args[1], number(args[2]))
	case "bridge":
		return bridgeHub(args[1])
	case "frames":
		return writeFrames(args[1])
	case "sub":
		return sub(args[1], args[2], number(args[3]))
	case "load":
		return load(args[1], args[2], args[3], args[4])
	case "logger":
		return takeRows(args[1], args[2])
	case "rows":
		return makeRows(args[1], args[2], number(args[3]))
	case "probe":
		return probe(args[1], number(args[2]), strings.Split(args[3], ","))
	case "ear":
		return ear(args[1], strings.Split(args[2], ","))
	case "pub":
		return pub(args[1], args[2], args[3], number(args[4]), number(args[5]))
	}
	return fan(args[1], number(args[2]), number(args[3]))
}

// setting is a number in the environment, or what stands for none.
func setting(name string, none int) int {
	if s := os.Getenv("BUSNODE_" + name); s != "" {
		return number(s)
	}
	return none
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

const password = "busnode"

// hub serves a bus as Picket's hub does, on that port and the next, or free ones.
func hub(kind string, port int) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	switch kind {
	case "nats":
		s, err := server.Start(server.Options{Port: port, Users: []server.User{{Name: "node", Password: password}}})
		if err != nil {
			return err
		}
		fmt.Println(s.URL())
		wg.Go(func() { _ = s.Run(ctx) })
	case "zeromq":
		at := func(n int) []string {
			if port == 0 {
				return []string{"tcp://127.0.0.1:*"}
			}
			return []string{fmt.Sprintf("tcp://127.0.0.1:%d", port+n)}
		}
		b, err := broker.New(broker.Config{XPUB: at(0), XSUB: at(1), Queue: setting("QUEUE", 0)}, broker.Deps{})
		if err != nil {
			return err
		}
		xpub, xsub, err := b.Listen()
		if err != nil {
			return err
		}
		fmt.Println(xpub[0] + "," + xsub[0])
		wg.Go(func() { _ = b.Run(ctx) })
	default:
		return fmt.Errorf("bus %s", kind)
	}
	_, err := io.Copy(io.Discard, bufio.NewReader(os.Stdin))
	stop()
	wg.Wait()
	fmt.Printf("hub %s\n", cpu())
	return err
}

// connect makes a node's end of the bus.
func connect(url, name, id string) (backend.Driver, error) {
	if xpub, xsub, ok := strings.Cut(url, ",tcp:"); ok {
		cfg := zeromq.Config{Name: name, ID: id, ConnectXSUB: xpub, ConnectXPUB: "tcp:" + xsub, Outbox: setting("OUTBOX", 0), OnloopQueueHWM: setting("INBOX", 0)}
		if at := os.Getenv("BUSNODE_LOGGER"); at != "" && name == theLogger {
			cfg.ListenLog = []string{at}
		} else if at != "" {
			cfg.Loggers = []zeromq.Logger{{Name: theLogger, Endpoint: at}}
		}
		return zeromq.New(cfg, zeromq.Deps{Codec: brokerbin.New()})
	}
	cfg := nats.Config{Cluster: "bench", ID: id, URL: url, User: "node", Password: password, Outbox: setting("OUTBOX", 0), Events: setting("INBOX", 0)}
	if os.Getenv("BUSNODE_OPEN") != "" {
		cfg.User, cfg.Password = "", ""
	}
	if name := os.Getenv("BUSNODE_CLUSTER"); name != "" {
		cfg.Cluster = name
	}
	return nats.New(cfg, func() int64 { return time.Now().UnixNano() })
}

// node is a node of the cluster; stop takes it out in good order.
type node struct {
	*cluster.Cluster
	bus  backend.Driver
	stop func()
}

func newNode(url, name string, books cluster.Books) (*node, error) {
	id := cluster.NodeID("bench", name, "localhost", os.Getpid(), "N"+strconv.FormatInt(time.Now().UnixNano(), 36))
	bus, err := connect(url, name, id)
	if err != nil {
		return nil, err
	}
	role := layout.Worker
	if name == theLogger {
		role = layout.Logger
	}
	n := &node{bus: bus}
	n.Cluster = cluster.New(cluster.Config{Name: name, ID: id, Role: role, RoleOf: func(string) layout.Role { return role }}, cluster.Deps{
		Events: bus, Codec: brokerbin.New(), Books: books, Status: bus.Status,
	})
	return n, nil
}

// start runs the node and waits until it is on the bus.
func (n *node) start() error {
	in, leave := context.WithCancel(context.Background())
	on, disconnect := context.WithCancel(context.Background())
	var member, bus sync.WaitGroup
	bus.Go(func() {
		if err := n.bus.Run(on); err != nil {
			fmt.Fprintln(os.Stderr, "busnode:", err)
		}
	})
	member.Go(func() { _ = n.Run(in) })
	n.stop = func() { leave(); member.Wait(); disconnect(); bus.Wait() }
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return n.bus.Flush(ctx)
}

// lines calls do with each line of the input until it ends.
func lines(do func(string)) {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		do(in.Text())
	}
}

// cpu is what this process has used.
func cpu() string {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	d := func(t syscall.Timeval) time.Duration { return time.Duration(t.Nano()).Round(time.Millisecond) }
	return fmt.Sprintf("cpu user %s system %s", d(u.Utime), d(u.Stime))
}
