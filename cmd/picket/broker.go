package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/api/telemetry"
	"github.com/picket-nsm/picket/bus/backend/zeromq/broker"
	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/host/hub"
	"github.com/picket-nsm/picket/internal/procinfo"
)

const brokerLong = `Forward events and subscriptions between ZeroMQ nodes, as the XPUB/XSUB proxy in
a Zeek manager does. Zeek nodes use it with run_proxy_thread = F in their
configuration and the endpoints given here; the ports are Zeek's defaults. Unlike
that proxy it goes on when the manager dies, and a node that stops reading stalls
nobody: what it misses is dropped and counted.

Encryption (CURVE) is on when keys are given, in one of two places:

  --curve-dir DIR    the files server_secretkey and client_publickey, as zeekctl
                     keeps them in spool/zeromq/curve; --new-keys DIR makes them
  the environment    ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_SERVER_SECRETKEY and
                     ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_CLIENT_PUBLICKEY, as Zeek

Then only clients with that key get in. Connections are logged on standard error.
--json prints statistics on standard output, a JSON object a line: proxy has the
eight numbers that Zeek exports as zeek_cluster_zeromq_proxy_*, peers is who is
connected, dropped counts by class of topic what full subscribers missed. The
same numbers are at --metrics ADDRESS for Prometheus, under Zeek's names. The
broker needs no privilege and ends on SIGTERM or SIGINT.`

const brokerExample = `  picket broker
  picket broker --listen-xpub tcp://10.0.0.1:5555 --listen-xsub tcp://10.0.0.1:5556 --curve-dir keys
  picket broker --new-keys keys
  picket broker --json --every 1s | jq .proxy`

// Zeek's variables with CURVE keys.
const (
	envServerSecret = "ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_SERVER_SECRETKEY"
	envClientPublic = "ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_CLIENT_PUBLICKEY"
)

func brokerCommand() *cobra.Command {
	var xpub, xsub []string
	var curveDir, newKeys string
	var asJSON bool
	var metrics string
	var every time.Duration
	var queue int
	var noDrop bool
	cmd := &cobra.Command{
		Use:     "broker",
		Short:   "Forward between ZeroMQ nodes, in place of a Zeek manager's proxy",
		Long:    brokerLong,
		Example: brokerExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if newKeys != "" {
				return writeCurveKeys(newKeys, cmd.OutOrStdout())
			}
			if every <= 0 || queue < 1 {
				return usagef("broker: --every and --queue must be above zero")
			}
			keys, err := curveKeys(curveDir, os.Getenv)
			if err != nil {
				return withCode(exitConfig, err)
			}
			log := slog.New(slog.NewTextHandler(os.Stderr, nil))
			told := &brokerLog{log: log, now: time.Now}
			cfg := broker.Config{XPUB: xpub, XSUB: xsub, Curve: keys, Queue: queue}
			if noDrop {
				cfg.Full = zmtp.Block
			}
			b, err := broker.New(cfg, broker.Deps{Monitor: told.event})
			if err != nil {
				return withCode(exitConfig, err)
			}
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			shut, err := brokerMetrics(metrics, b, log)
			if err != nil {
				return err
			}
			defer shut()
			return runBroker(ctx, b, keys != nil, asJSON, every, log, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&xpub, "listen-xpub", []string{broker.DefaultXPUB}, "where nodes receive: tcp://ADDRESS:PORT (* for any, IPv6 in brackets) or ipc://PATH")
	f.StringSliceVar(&xsub, "listen-xsub", []string{broker.DefaultXSUB}, "where nodes send")
	f.StringVar(&curveDir, "curve-dir", "", "folder with the keys server_secretkey and client_publickey")
	f.StringVar(&newKeys, "new-keys", "", "make the four keys of a cluster in this folder, and end")
	f.IntVar(&queue, "queue", 65536, "messages that may wait for one node; more are dropped for it")
	f.BoolVar(&noDrop, "nodrop", false, "stall all publishers instead, as Zeek's listen_xpub_nodrop does")
	f.BoolVar(&asJSON, "json", false, "print statistics, and once more at the end")
	f.StringVar(&metrics, "metrics", "", "ADDRESS:PORT where Prometheus finds the numbers, without a password; empty: nowhere")
	f.DurationVar(&every, "every", 10*time.Second, "how often, with --json")
	return cmd
}

// brokerMetrics serves the broker's counters at an address until shut, which waits;
// with none it does nothing.
func brokerMetrics(at string, b *broker.Broker, log *slog.Logger) (shut func(), err error) {
	if at == "" {
		return func() {}, nil
	}
	start := time.Now()
	s := telemetry.New(telemetry.Config{Listen: at}, telemetry.Deps{Log: log, Holder: procinfo.Listener, Version: versionLine(), Source: func() (*telemetry.Snapshot, error) {
		counters := hub.BrokerCounters(b.Status())
		return &telemetry.Snapshot{Time: time.Now(), Nodes: []telemetry.Node{
			{Name: "broker", Role: hub.Role, State: "ready", Up: true, Ready: true, Start: start, Total: counters, Life: counters},
		}}, nil
	}})
	url, err := s.Listen()
	if err != nil {
		return nil, fmt.Errorf("broker: --metrics: %w", err)
	}
	log.Info("metrics", "url", url)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { tell(log, s.Run(ctx)) })
	return func() {
		cancel()
		running.Wait()
	}, nil
}

func runBroker(ctx context.Context, b *broker.Broker, encrypted, asJSON bool, every time.Duration, log *slog.Logger, out io.Writer) error {
	xpub, xsub, err := b.Listen()
	if err != nil {
		return fmt.Errorf("%w; is another broker or a Zeek manager running?", err)
	}
	log.Info("broker listens", "xpub", strings.Join(xpub, ","), "xsub", strings.Join(xsub, ","), "encrypted", encrypted)
	if open := slices.DeleteFunc(append(xpub, xsub...), onlyLocal); len(open) > 0 && !encrypted {
		log.Warn("anyone who reaches these ports can read and send the cluster's events; use --curve-dir", "endpoints", strings.Join(open, ","))
	}
	var wg sync.WaitGroup
	var runErr, printErr error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() {
		defer cancel()
		runErr = b.Run(ctx)
	})
	if asJSON {
		t := time.NewTicker(every)
		defer t.Stop()
		for printErr == nil && ctx.Err() == nil {
			select {
			case <-t.C:
				printErr = printBroker(out, b.Status(), time.Now())
			case <-ctx.Done():
			}
		}
		cancel()
	}
	wg.Wait()
	if asJSON && printErr == nil {
		printErr = printBroker(out, b.Status(), time.Now())
	}
	return errors.Join(runErr, printErr)
}

// onlyLocal says whether a bound endpoint is reached from this machine only.
func onlyLocal(endpoint string) bool {
	a, err := netip.ParseAddrPort(strings.TrimPrefix(endpoint, "tcp://"))
	return err != nil || a.Addr().Unmap().IsLoopback() // ipc:// does not parse
}

// brokerPeer and brokerStats are the shape of --json.
type brokerPeer struct {
	Side          string `json:"side"`
	Remote        string `json:"remote"`
	Subscriptions int    `json:"subscriptions"`
	Received      uint64 `json:"received"`
	Sent          uint64 `json:"sent"`
	Queued        int    `json:"queued"`
	Dropped       uint64 `json:"dropped"`
}

type brokerStats struct {
	Time     string            `json:"time"`
	Proxy    broker.Proxy      `json:"proxy"`
	Topics   int               `json:"topics"`
	Unwanted uint64            `json:"unwanted"` // messages that nobody had subscribed to
	Lost     uint64            `json:"lost"`     // still queued when a subscriber's connection ended
	Dropped  map[string]uint64 `json:"dropped"`
	Peers    []brokerPeer      `json:"peers"`
}

func printBroker(out io.Writer, s broker.Status, now time.Time) error {
	j := brokerStats{Time: now.UTC().Format(time.RFC3339Nano), Proxy: s.Proxy, Topics: s.Topics, Unwanted: s.XPUB.Unwanted,
		Lost: s.XPUB.Total().Lost, Dropped: s.Dropped, Peers: []brokerPeer{}}
	if j.Dropped == nil {
		j.Dropped = map[string]uint64{}
	}
	for side, peers := range map[string][]zmtp.PeerStatus{"xpub": s.XPUB.Peers, "xsub": s.XSUB.Peers} {
		for _, p := range peers {
			j.Peers = append(j.Peers, brokerPeer{side, p.Remote, p.Subscriptions, p.Received, p.Sent, p.Queued, p.Dropped})
		}
	}
	slices.SortStableFunc(j.Peers, func(a, b brokerPeer) int {
		return cmp.Or(cmp.Compare(a.Side, b.Side), cmp.Compare(a.Remote, b.Remote))
	})
	line, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("broker: statistics: %w", err)
	}
	if _, err := out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("broker: print statistics: %w", err)
	}
	return nil
}

// brokerLog writes what happens to connections, at most some lines a second: a
// port scan must not fill the disk.
type brokerLog struct {
	log *slog.Logger
	now func() time.Time

	mu      sync.Mutex
	second  int64
	lines   int
	skipped int
}

const brokerLinesPerSecond = 20

func (l *brokerLog) event(side broker.Side, e zmtp.Event) {
	if e.Kind == zmtp.Listening {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.now().Unix(); s != l.second {
		if l.skipped > 0 {
			l.log.Warn("more happened to connections than is logged", "lines", l.skipped)
		}
		l.second, l.lines, l.skipped = s, 0, 0
	}
	if l.lines++; l.lines > brokerLinesPerSecond {
		l.skipped++
		return
	}
	args := []any{"side", side, "remote", e.Remote}
	switch {
	case e.Kind == zmtp.Connected || e.Err == nil || errors.Is(e.Err, io.EOF):
		l.log.Info(e.Kind.String(), args...)
	default:
		l.log.Warn(e.Kind.String(), append(args, "error", e.Err)...)
	}
}

// curveKeys reads a server's keys from a folder or from the environment; nil: none are given.
func curveKeys(dir string, env func(string) string) (*zmtp.Curve, error) {
	secret, public := env(envServerSecret), env(envClientPublic)
	from := []string{envServerSecret, envClientPublic}
	if dir != "" {
		if secret != "" || public != "" {
			return nil, fmt.Errorf("broker: keys from --curve-dir and from the environment: unset %s and %s, or leave the flag out", envServerSecret, envClientPublic)
		}
		from = []string{filepath.Join(dir, "server_secretkey"), filepath.Join(dir, "client_publickey")}
		for i, key := range []*string{&secret, &public} {
			b, err := os.ReadFile(from[i])
			if err != nil {
				return nil, fmt.Errorf("broker: read key: %w; picket broker --new-keys %s makes a cluster's keys", err, dir)
			}
			*key = strings.TrimSpace(string(b))
		}
	}
	if secret == "" && public == "" && dir == "" {
		return nil, nil
	}
	if secret == "" || public == "" {
		return nil, fmt.Errorf("broker: encryption needs both %s and %s", from[0], from[1])
	}
	s, err := zmtp.ParseSecret(secret)
	if err != nil {
		return nil, fmt.Errorf("broker: %s: %w", from[0], err)
	}
	p, err := zmtp.ParseKey(public)
	if err != nil {
		return nil, fmt.Errorf("broker: %s: %w", from[1], err)
	}
	return &zmtp.Curve{Server: true, Secret: s, Clients: []zmtp.Key{p}}, nil
}

// writeCurveKeys makes the keys of a cluster, in files as zeekctl has them.
func writeCurveKeys(dir string, out io.Writer) error {
	files := map[string]string{}
	for _, who := range []string{"server", "client"} {
		public, secret, err := zmtp.NewKey(rand.Reader)
		if err != nil {
			return fmt.Errorf("broker: %w", err)
		}
		files[who+"_publickey"], files[who+"_secretkey"] = public.String(), secret.Text()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("broker: make keys: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, name)
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("broker: make keys: %w; existing keys are not replaced", err)
		}
		_, err = f.WriteString(files[name] + "\n")
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("broker: make keys: %w", err)
		}
		fmt.Fprintln(out, path)
	}
	return nil
}
