package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/picket-nsm/picket/bus/backend/zeromq"
	"github.com/picket-nsm/picket/control/config"
	"github.com/picket-nsm/picket/control/plan"
	"github.com/picket-nsm/picket/host/supervisor"
	"github.com/picket-nsm/picket/node"
)

const upLong = `Start a cluster on this machine and keep it alive: hub, loggers, manager, proxies
and workers, each a process. Nodes start in this order, each group when the one
before is ready, and stop in reverse order, each draining what it holds. A node
that dies is started again, at once the first time, then after 1, 2, 4 ... 60
seconds. On a terminal one screen shows what goes on; elsewhere a line is printed
for each thing that happens.

With --read the cluster reads capture files, each worker its share of the flows,
and ends by itself when all is read and written. Else it captures from network
interfaces until Ctrl-C or picket stop. A second Ctrl-C kills what still runs.

If this command dies, the nodes work on. The next picket up with the same spool
takes them over; what runs otherwise than the configuration wants is stopped
first. There is never a second copy of a node.

Logs go to ./logs and the nodes' folders to ./spool, unless flags or the
configuration say otherwise. At the end it says where the logs are, how many
records each has, and where every packet and record went. The exit code is 4 if
something was lost.`

const upExample = `  picket up --read trace.pcap                   a cluster fed from a capture; no root needed
  picket up --read a.pcap b.pcap.zst -W 4 -o out --pace 10s
  sudo picket up -i eth0                        a worker per CPU
  sudo picket up -i eth0 -i eth1 -W 4           worker-1-1 ... worker-2-4
  sudo picket up -c cluster.toml                as configured; docs/config.md has every setting`

// upFlags are the flags of up and check.
type upFlags struct {
	file        string
	interfaces  []string
	read        bool
	workers     int
	loggers     int
	proxies     int
	logs        string
	spool       string
	seed        string
	json        bool
	noChecksums bool
	filter      string
	pace        time.Duration
	plain       bool
}

func upCommand() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:     "up [-i INTERFACE]... | up --read FILE...",
		Short:   "Start a cluster on this machine and keep it alive",
		Long:    upLong,
		Example: upExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := f.input(cmd, args)
			if err != nil {
				return err
			}
			if len(in.Files) == 0 && len(in.Config.Interfaces) == 0 {
				return usagef("up: nothing to watch: give -i INTERFACE, --read FILE, or a configuration with [[interface]] by -c")
			}
			if err := preflight(in).failure(); err != nil {
				return err
			}
			return runCluster(in, screenFor(cmd.OutOrStdout(), cmd.ErrOrStderr(), f.plain))
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "write JSON logs instead of TSV")
	cmd.Flags().BoolVar(&f.plain, "plain", false, "print lines also on a terminal")
	return cmd
}

// add declares the flags that stand for a configuration.
func (f *upFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&f.file, "config", "c", "", "configuration file (TOML)")
	fl.StringArrayVarP(&f.interfaces, "interface", "i", nil, "network interface to watch; may be given again (af_packet::eth0 is taken too)")
	fl.BoolVarP(&f.read, "read", "r", false, "read the capture files named as arguments; - is not possible here")
	fl.DurationVar(&f.pace, "pace", 0, "replay files by their timestamps in about this time")
	fl.IntVarP(&f.workers, "workers", "W", 0, "workers: of each interface, or in all for files (default 2 for files)")
	fl.IntVarP(&f.loggers, "loggers", "L", 0, "loggers (default 1)")
	fl.IntVarP(&f.proxies, "proxies", "P", 0, "proxies (default 1)")
	fl.StringVarP(&f.logs, "logs", "o", "", "folder where the logs grow (default logs)")
	fl.StringVar(&f.spool, "spool", "", "folder of the nodes' folders and the state (default spool)")
	fl.StringVarP(&f.filter, "filter", "f", "", "only packets that match this tcpdump expression")
	fl.StringVar(&f.seed, "seed", "", "key of the UIDs, for the same UIDs each time")
	fl.BoolVarP(&f.noChecksums, "no-checksums", "C", false, "take packets with bad checksums too")
}

// input makes of file, flags and arguments what shall run.
func (f *upFlags) input(cmd *cobra.Command, args []string) (plan.Input, error) {
	in := plan.Input{Config: config.Default(), CPUs: runtime.NumCPU(), Pace: f.pace}
	if f.file != "" {
		c, err := config.Load(f.file)
		if err != nil {
			return in, withCode(exitConfig, err)
		}
		in.Config = c
	}
	switch {
	case f.read && len(args) == 0:
		return in, usagef("%s: --read wants a capture file", cmd.Name())
	case !f.read && len(args) > 0:
		return in, usagef("%s %s: to read a capture file say --read %s; to watch an interface say -i %s", cmd.Name(), args[0], args[0], args[0])
	case f.read && len(f.interfaces) > 0:
		return in, usagef("%s: either --read or -i", cmd.Name())
	}
	for _, a := range args {
		if a == "-" {
			return in, usagef("%s: several workers cannot share standard input; use: picket read -", cmd.Name())
		}
		p, err := filepath.Abs(a)
		if err != nil {
			return in, fmt.Errorf("capture file %s: %w", a, err)
		}
		in.Files = append(in.Files, p)
	}
	if f.pace < 0 {
		return in, usagef("%s: --pace %v: want 0 or more", cmd.Name(), f.pace)
	}
	f.override(cmd, &in)
	var mistakes []string
	for _, p := range in.Config.Problems() {
		mistakes = append(mistakes, p.Key+": "+p.Text)
	}
	if len(mistakes) > 0 {
		return in, withCode(exitConfig, fmt.Errorf("%s: %s", cmd.Name(), strings.Join(mistakes, "\n")))
	}
	return in, absolute(&in.Config)
}

// override lets flags have the last word.
func (f *upFlags) override(cmd *cobra.Command, in *plan.Input) {
	c := &in.Config
	set := cmd.Flags().Changed
	if len(f.interfaces) > 0 {
		c.Interfaces = nil
		for _, name := range f.interfaces {
			c.Interfaces = append(c.Interfaces, config.Interface{Name: config.Device(name), Workers: f.workers})
		}
	} else if set("workers") {
		if len(in.Files) > 0 {
			c.Cluster.Workers = f.workers
		}
		for i := range c.Interfaces {
			c.Interfaces[i].Workers = f.workers
		}
	}
	if len(in.Files) > 0 {
		c.Interfaces = nil
		if f.file == "" {
			c.Logs.Rotate = 0 // a capture's logs are wanted in one piece
		}
	}
	if set("loggers") {
		c.Cluster.Loggers = f.loggers
	}
	if set("proxies") {
		c.Cluster.Proxies = f.proxies
	}
	if set("logs") {
		c.Logs.Dir = f.logs
	}
	if set("spool") {
		c.Cluster.Spool = f.spool
	}
	if set("filter") {
		c.Capture.Filter = f.filter
	}
	if set("seed") {
		c.Capture.Seed = f.seed
	}
	if f.json {
		c.Logs.Format = "json"
	}
	if f.noChecksums {
		c.Capture.Checksums = false
	}
}

// absolute makes paths good for processes that work in other folders.
func absolute(c *config.Config) error {
	for _, p := range c.Paths() {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return fmt.Errorf("path %s: %w", *p, err)
		}
		*p = abs
	}
	return nil
}

// newCredentials says where the bus of a new run is, and makes the password.
func newCredentials(b config.Bus) (c supervisor.Credentials, err error) {
	url := ""
	if b.Backend == node.BackendNATS && b.URL == "" {
		if url, err = busURL(b); err != nil {
			return c, err
		}
	}
	c = supervisor.NewCredentials(url, time.Now())
	if b.URL != "" {
		if c.Bus, err = existingBus(b); err != nil {
			return c, err
		}
	}
	c.Bus.Backend, c.Bus.Codec = b.Backend, b.Codec
	c.Bus.ZeroMQ.Keys, err = busKeys(b.ZeroMQ.CurveDir, os.Getenv)
	return c, err
}

// busKeys reads the four CURVE keys from a folder, or from Zeek's variables.
func busKeys(dir string, env func(string) string) (node.Keys, error) {
	var k zeromq.Keys
	if dir != "" {
		for name, key := range map[string]*string{
			"server_publickey": &k.ServerPublic, "server_secretkey": &k.ServerSecret, "client_publickey": &k.ClientPublic, "client_secretkey": &k.ClientSecret,
		} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return node.Keys{}, withCode(exitConfig, fmt.Errorf("bus.zeromq.curve_dir: %w; picket broker --new-keys %s makes a cluster's keys", err, dir))
			}
			*key = strings.TrimSpace(string(text))
		}
	}
	k, err := zeromq.KeysFromEnv(k, env)
	if err == nil {
		_, err = k.Server()
	}
	if err == nil {
		_, err = k.Client()
	}
	if err != nil {
		return node.Keys{}, withCode(exitConfig, fmt.Errorf("bus.zeromq.curve_dir: %w", err))
	}
	return node.Keys(k), nil
}

// busURL is where our own hub will listen. The port is found free now and is
// the hub's from then on; should another program take it meanwhile, the hub
// says so when it starts.
func busURL(c config.Bus) (string, error) {
	if c.Port != 0 {
		return fmt.Sprintf("nats://127.0.0.1:%d", c.Port), nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port for the hub: %w", err)
	}
	defer l.Close()
	return "nats://" + l.Addr().String(), nil
}

// existingBus is the user's own server.
func existingBus(c config.Bus) (node.Bus, error) {
	b := node.Bus{URL: c.URL, User: c.User, CA: c.CA, Cert: c.Cert, Key: c.Key, Codec: c.Codec}
	if c.TokenFile != "" {
		text, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return b, withCode(exitConfig, fmt.Errorf("bus.token_file: %w", err))
		}
		b.Token = strings.TrimSpace(string(text))
	}
	return b, nil
}
