package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/picket-nsm/picket/internal/nearest"
	"github.com/picket-nsm/picket/traffic/capture/filter"
	"github.com/picket-nsm/picket/zeek/stock"
)

// Problem is a value that cannot be, and its key.
type Problem struct {
	Key  string // cluster.workers, interface[1].name
	Text string
}

const (
	maxNodes     = 1000
	maxInterface = 15 // IFNAMSIZ without its zero
	linkEthernet = 1  // LINKTYPE_ETHERNET: most mistakes in a filter do not depend on it
)

// Problems returns all that is wrong with values, as far as that can be known
// without looking at the machine.
func (c Config) Problems() []Problem {
	var out []Problem
	bad := func(key, format string, args ...any) {
		out = append(out, Problem{key, fmt.Sprintf(format, args...)})
	}
	if !regexp.MustCompile(`^[A-Za-z0-9][-_A-Za-z0-9]{0,62}$`).MatchString(c.Cluster.Name) {
		bad("cluster.name", "%q: want 1 to 63 letters, digits, - and _, a letter or digit first", c.Cluster.Name)
	}
	count := func(key string, n, least int) {
		if n < least || n > maxNodes {
			bad(key, "%d: want %d to %d", n, least, maxNodes)
		}
	}
	count("cluster.workers", c.Cluster.Workers, 0)
	count("cluster.loggers", c.Cluster.Loggers, 1)
	count("cluster.proxies", c.Cluster.Proxies, 0)
	for _, p := range []struct{ key, path string }{{"cluster.spool", c.Cluster.Spool}, {"logs.dir", c.Logs.Dir}} {
		if p.path == "" {
			bad(p.key, "want a folder")
		}
	}
	c.interfaces(bad, count)
	live := slices.ContainsFunc(c.Interfaces, func(f Interface) bool { return f.Filter == "" }) // which take this one
	if err := checkFilter(c.Capture.Filter, live); err != nil {
		bad("capture.filter", "%v", err)
	}
	for _, n := range c.Capture.LocalNets {
		if _, err := netip.ParsePrefix(n); err != nil {
			bad("capture.local_nets", "%q is no network; write it as 10.0.0.0/8", n)
		}
	}
	if c.Capture.Ring < 1<<20 {
		bad("capture.ring", "%s: want at least 1MiB", c.Capture.Ring)
	}
	oneOf := func(key, v string, of ...string) {
		if slices.Contains(of, v) {
			return
		}
		if s := nearest.Of(v, of); s != "" {
			bad(key, "%q: did you mean %q?", v, s)
			return
		}
		bad(key, "%q: want %s", v, strings.Join(of, " or "))
	}
	oneOf("logs.format", c.Logs.Format, "tsv", "json")
	for _, h := range c.Files.Hash {
		oneOf("files.hash", h, "md5", "sha1", "sha256")
	}
	for _, t := range c.Files.Extract {
		if t != "*" && !strings.Contains(t, "/") {
			bad("files.extract", "%q: want a type as files.log shows it, as text/html, or * for all", t)
		}
	}
	oneOf("bus.backend", c.Bus.Backend, "nats", "zeromq")
	oneOf("bus.codec", c.Bus.Codec, "broker-bin-v1", "broker-json-v1")
	if _, err := time.Parse("15:04", c.Logs.RotateAt); err != nil && c.Logs.RotateAt != "" {
		bad("logs.rotate_at", "%q: want a time of day, as 00:00", c.Logs.RotateAt)
	}
	c.bus(bad)
	c.zeek(bad, oneOf)
	c.API.WebSocket.problems(bad)
	c.API.Control.problems(bad)
	c.API.Web.problems(c.API.Control.ACL != "", bad)
	c.Metrics.problems(bad)
	for _, d := range []struct {
		key string
		d   Duration
	}{
		{"supervisor.start_timeout", c.Supervisor.StartTimeout}, {"supervisor.stop_timeout", c.Supervisor.StopTimeout},
		{"supervisor.hang_after", c.Supervisor.HangAfter}, {"supervisor.restart_first", c.Supervisor.RestartFirst},
		{"supervisor.restart_max", c.Supervisor.RestartMax}, {"supervisor.healthy_after", c.Supervisor.HealthyAfter},
	} {
		if d.d <= 0 {
			bad(d.key, "want more than 0s")
		}
	}
	if h := c.Supervisor.HangAfter; h > 0 && h < Duration(3*time.Second) {
		bad("supervisor.hang_after", "%s: want at least 3s, as hearts beat once a second", h)
	}
	if c.Supervisor.RestartMax < c.Supervisor.RestartFirst {
		bad("supervisor.restart_max", "%s: less than restart_first, %s", c.Supervisor.RestartMax, c.Supervisor.RestartFirst)
	}
	if n := c.Supervisor.OutputLives; n < 0 || n > 100 {
		bad("supervisor.output_lives", "%d: want 0 to 100", n)
	}
	if c.Supervisor.OutputSize < 64<<10 {
		bad("supervisor.output_size", "%s: want at least 64KiB", c.Supervisor.OutputSize)
	}
	if m := c.Supervisor.Memory; m != 0 && m < 48<<20 { // node.LeastMemory
		bad("supervisor.memory", "%s: want at least 48MiB, or 0 for none", m)
	}
	return out
}

func (c Config) interfaces(bad func(key, format string, args ...any), count func(key string, n, least int)) {
	seen := map[string]int{}
	asked := 0
	for i, f := range c.Interfaces {
		key := fmt.Sprintf("interface[%d]", i)
		name := Device(f.Name)
		switch {
		case name == "":
			bad(key+".name", "want the name of a network interface, as eth0")
		case len(name) > maxInterface || strings.ContainsAny(name, "/ \t\n"):
			bad(key+".name", "%q is no name of a network interface", name)
		case seen[name] > 0:
			bad(key+".name", "%s is there twice; say workers = N to have several on it", name)
		}
		seen[name]++
		if err := checkFilter(f.Filter, true); err != nil {
			bad(key+".filter", "%v", err)
		}
		count(key+".workers", f.Workers, 0)
		if f.Workers == 0 {
			asked++
		}
	}
	if c.Cluster.Workers > 0 && asked > c.Cluster.Workers {
		bad("cluster.workers", "%d: fewer than the %d interfaces that share them", c.Cluster.Workers, asked)
	}
}

// checkFilter says what is wrong with a filter; one for a live interface must be
// one that the kernel can run.
func checkFilter(expr string, live bool) error {
	p, err := filter.Compile(expr, linkEthernet, 0)
	if err == nil && live {
		_, err = p.Kernel()
	}
	return err
}

func (c Config) bus(bad func(key, format string, args ...any)) {
	b := c.Bus
	if b.Backend == "zeromq" {
		for _, p := range []struct{ key, v string }{{"url", b.URL}, {"user", b.User}, {"token_file", b.TokenFile}, {"ca", b.CA}, {"cert", b.Cert}, {"key", b.Key}} {
			if p.v != "" {
				bad("bus."+p.key, "is for backend = \"nats\"")
			}
		}
		if b.Port != 0 {
			bad("bus.port", "is for backend = \"nats\"; real Zeek nodes come by bus.zeromq.xpub and xsub")
		}
		return
	}
	if b.Port < 0 || b.Port > 65535 {
		bad("bus.port", "%d: want 0 to 65535", b.Port)
	}
	if (b.Cert == "") != (b.Key == "") {
		bad("bus.cert", "cert and key belong together")
	}
	if b.URL == "" {
		for _, p := range []struct{ key, v string }{{"user", b.User}, {"token_file", b.TokenFile}, {"ca", b.CA}, {"cert", b.Cert}} {
			if p.v != "" {
				bad("bus."+p.key, "is for an existing server; say bus.url too")
			}
		}
		return
	}
	if b.Port != 0 {
		bad("bus.port", "is for our own hub; leave it out with bus.url")
	}
	for part := range strings.SplitSeq(b.URL, ",") {
		u, err := url.Parse(part)
		if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" {
			bad("bus.url", "%q: want nats://host:4222 or tls://host:4222", part)
			continue
		}
		if u.User != nil {
			bad("bus.url", "holds a password, which status would show; use bus.user and bus.token_file")
		}
		if u.Scheme == "nats" && b.CA+b.Cert != "" {
			bad("bus.url", "%q: a certificate needs tls://", u.Redacted())
		}
	}
}

// zeek checks what concerns real Zeek processes.
func (c Config) zeek(bad func(key, format string, args ...any), oneOf func(key, v string, of ...string)) {
	z := c.Bus.ZeroMQ
	local := true
	for _, p := range []struct{ key, v string }{{"bus.zeromq.xpub", z.XPUB}, {"bus.zeromq.xsub", z.XSUB}} {
		if p.v == "" {
			continue
		}
		at, err := netip.ParseAddrPort(strings.TrimPrefix(p.v, "tcp://"))
		if err != nil || !strings.HasPrefix(p.v, "tcp://") || at.Port() == 0 {
			bad(p.key, "%q: want tcp://127.0.0.1:5555 or tcp://[::1]:5555", p.v)
			continue
		}
		local = local && at.Addr().IsLoopback()
	}
	addr, err := netip.ParseAddr(z.Address)
	if err != nil {
		bad("bus.zeromq.address", "%q: want an IP address", z.Address)
	}
	if local = local && addr.IsLoopback(); !local && z.CurveDir == "" {
		bad("bus.zeromq.curve_dir", "is needed beyond loopback: whoever reached the ports could read and send everything")
	}
	if z.Port < 1 || z.Port > 65535-maxNodes {
		bad("bus.zeromq.port", "%d: want 1 to %d", z.Port, 65535-maxNodes)
	}
	if (z.XPUB == "") != (z.XSUB == "") {
		bad("bus.zeromq.xsub", "xpub and xsub belong together")
	}
	if len(c.Zeek) > 0 && z.XPUB == "" {
		bad("zeek[0].name", "a real Zeek needs bus.zeromq.xpub and xsub to connect to")
	}
	if c.TLS.Fingerprints && slices.ContainsFunc(c.Zeek, func(z Zeek) bool { return z.Role == "logger" }) {
		bad("tls.fingerprints", "a real Zeek logger does not know the columns ja3, ja3s and ja4")
	}
	seen := map[string]bool{}
	for i, n := range c.Zeek {
		key := fmt.Sprintf("zeek[%d]", i)
		if !regexp.MustCompile(`^[A-Za-z0-9][-_.A-Za-z0-9]{0,62}$`).MatchString(n.Name) {
			bad(key+".name", "%q: want 1 to 63 letters, digits, -, _ and .", n.Name)
		} else if seen[n.Name] {
			bad(key+".name", "%s is there twice", n.Name)
		}
		seen[n.Name] = true
		oneOf(key+".role", n.Role, "worker", "proxy", "logger")
		oneOf(key+".version", n.VersionOr(), stock.Versions()...)
		oneOf(key+".scripts", cmp.Or(n.Scripts, "local"), "local", "default")
		if _, err := netip.ParseAddr(n.AddressOr()); err != nil {
			bad(key+".address", "%q: want an IP address", n.Address)
		}
		if n.Port < 0 || n.Port > 65535 || n.Port == 0 && n.Role == "logger" {
			bad(key+".port", "%d: a logger needs the port where it takes log batches", n.Port)
		}
	}
}

// AddressOr is the node's address; where none is given, this machine.
func (z Zeek) AddressOr() string {
	if z.Address == "" {
		return "127.0.0.1"
	}
	return z.Address
}

// VersionOr is the node's version; where none is given, the newest known.
func (z Zeek) VersionOr() string {
	if z.Version == "" {
		versions := stock.Versions()
		return versions[len(versions)-1]
	}
	return z.Version
}

// Device takes away the name of Zeek's packet source: af_packet::eth0 is eth0.
func Device(name string) string { return strings.TrimPrefix(name, "af_packet::") }

// below makes relative paths count from dir.
func (c Config) below(dir string) Config {
	for _, p := range c.Paths() {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	return c
}

// Paths returns the settings that are paths, empty ones too, to be changed in
// place. Lists are made c's own first.
func (c *Config) Paths() []*string {
	w := &c.API.WebSocket
	out := []*string{
		&c.Cluster.Spool, &c.Logs.Dir, &c.Logs.Archive, &c.Files.Dir,
		&c.Bus.TokenFile, &c.Bus.CA, &c.Bus.Cert, &c.Bus.Key, &c.Bus.ZeroMQ.CurveDir,
		&w.Cert, &w.Key, &w.ClientCA, &w.ACL,
		&c.API.Control.Cert, &c.API.Control.Key, &c.API.Control.ClientCA, &c.API.Control.ACL,
		&c.API.Web.Cert, &c.API.Web.Key, &c.API.Web.ClientCA,
	}
	w.Declarations = slices.Clone(w.Declarations)
	for i := range w.Declarations {
		out = append(out, &w.Declarations[i])
	}
	return out
}
