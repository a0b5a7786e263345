// Package builtin is the built-in policy: the logs that Zeek writes by default,
// in Go, one folder per log.
//
// It stands between flow, whose Handler it is, and the log streams it opens. It
// puts the folders together and owns nothing but them. Protocols come as a
// list, so that a new one is a folder and a line in package standard.
package builtin

import (
	analyzerlog "github.com/picket-nsm/picket/policy/builtin/analyzer"
	"github.com/picket-nsm/picket/policy/builtin/conn"
	dhcplog "github.com/picket-nsm/picket/policy/builtin/dhcp"
	fileslog "github.com/picket-nsm/picket/policy/builtin/files"
	"github.com/picket-nsm/picket/policy/builtin/tunnel"
	"github.com/picket-nsm/picket/policy/builtin/weird"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Open opens a log stream and returns what takes its rows. A row is valid
// until that returns.
type Open func(*record.Schema) func(row []value.Value)

// Base is what the protocols of a worker build on.
type Base struct {
	Open  Open
	Files *files.Table  // the files that protocols carry
	Log   *fileslog.Log // what looks at them, and their log
	Once  Once          // who logs what the cluster logs once
	// Weird takes an oddity that belongs to no connection.
	Weird   func(now packet.Time, name, addl string)
	Tunnels *tunnel.Log   // the tunnels that proxies open
	Secured *Secured      // who wants to know where TLS begins
	Board   *Board        // what goes to the other workers
	Each    *Seconds      // who wants to know how late it is
	DHCP    dhcplog.Place // where DHCP messages are put together
	Options Options
}

// Options are what users may set of the logs of protocols. Zero is as in Zeek's
// default scripts.
type Options struct {
	// Fingerprints adds the columns ja3, ja3s and ja4 to ssl.log. Real Zeek loggers
	// do not know them.
	Fingerprints bool `json:"fingerprints,omitempty"`
	// HostCertificates leaves certificates that are not the first of their chain out
	// of x509.log.
	HostCertificates bool `json:"host_certificates,omitempty"`
	// LogAgain is how many seconds a certificate is not logged again; 0: a day;
	// below 0: it is logged each time.
	LogAgain float64 `json:"log_again,omitempty"`
}

// Secured tells those who asked of connections whose TLS is established: what
// was agreed before it may have waited for that.
type Secured struct{ list []func(c analyzer.Conn) }

// Listen asks to be told. Call it while protocols are made.
func (s *Secured) Listen(f func(c analyzer.Conn)) { s.list = append(s.list, f) }

// Tell tells all.
func (s *Secured) Tell(c analyzer.Conn) {
	for _, f := range s.list {
		f(c)
	}
}

// Seconds tells those who asked each second of packet time.
type Seconds struct{ list []func(now packet.Time) }

// Listen asks to be told. Call it while protocols are made.
func (s *Seconds) Listen(f func(now packet.Time)) { s.list = append(s.list, f) }

// Once answers who may log what the cluster logs once within ttl seconds. The
// answer comes once, on the worker's goroutine, from within Ask or later.
type Once interface {
	Ask(key string, ttl float64, now packet.Time, answer func(granted bool))
}

// Protocol makes the analyzers of a protocol and the logs that take their
// events, for one worker.
type Protocol func(Base) []analyzer.Factory

// Env is what the policy is told of its node.
type Env struct {
	Peer     string        // the peer column
	Producer string        // name of the node in what it claims
	Start    uint64        // which life of the node
	Once     weird.Once    // nil: nobody else is in the cluster
	DHCP     dhcplog.Place // where DHCP messages are put together; nil: here
	Options  Options

	Files []fileslog.Driver // what looks at files, beside what protocols bring
	// Tell, if not nil, passes news on to all other workers of the cluster, on the
	// worker's goroutine; its Data may change when Tell returns. Whoever gets it
	// there calls Policy.Hear.
	Tell func(News)
}

// Policy is the policy of one worker. One goroutine.
type Policy struct {
	Analyzers []analyzer.Factory
	Files     *files.Table

	conn     *conn.Log
	tunnel   *tunnel.Log
	weird    *weird.Log
	analyzer *analyzerlog.Log
	asker    *asker
	board    *Board
	each     Seconds
	text     []byte
	dhcp     dhcplog.Place
}

var (
	_ flow.Handler        = (*Policy)(nil)
	_ flow.TunnelHandler  = (*Policy)(nil)
	_ flow.FailureHandler = (*Policy)(nil)
	_ flow.ExpectHandler  = (*Policy)(nil)
)

// New opens the logs.
func New(env Env, open Open, protocols []Protocol) *Policy {
	cfg := weird.Default()
	cfg.Peer = env.Peer
	p := &Policy{
		conn:   conn.New(open(conn.Schema())),
		tunnel: tunnel.New(open(tunnel.Schema())),
		weird:  weird.New(cfg, weird.Deps{Write: open(weird.Schema()), Once: env.Once, Producer: env.Producer, Start: env.Start}),

		analyzer: analyzerlog.New(open(analyzerlog.Schema())),
		asker:    newAsker(&env),
		board:    &Board{tell: env.Tell, readers: map[string]func(packet.Time, []byte){}},
		dhcp:     env.DHCP,
	}
	if p.dhcp == nil {
		p.dhcp = dhcplog.NewShared(1).Worker(0)
	}
	log := fileslog.New(fileslog.Default(), open(fileslog.Schema()), env.Files...)
	p.Files = files.New(files.Default(), log)
	base := Base{
		Open: open, Files: p.Files, Log: log, Once: p.asker, Weird: p.odd, Tunnels: p.tunnel, Secured: &Secured{}, Board: p.board, Each: &p.each,
		DHCP: p.dhcp, Options: env.Options,
	}
	for _, protocol := range protocols {
		p.Analyzers = append(p.Analyzers, protocol(base)...)
	}
	return p
}

// ConnRemoved writes the connection's row; its protocols' rows came before.
func (p *Policy) ConnRemoved(c *flow.Conn) {
	p.tunnel.ConnRemoved(c)
	p.conn.ConnRemoved(c)
	p.weird.ConnRemoved(c.ID().UID)
}

// Weird passes on what the traffic has that is odd.
func (p *Policy) Weird(w flow.Weird) { p.weird.Weird(w) }

func (p *Policy) odd(now packet.Time, name, addl string) {
	p.weird.Weird(flow.Weird{Time: now, Scope: flow.WeirdNet, Name: name, Addl: addl})
}

// LogCut tells of strings and containers of a row that were cut because they
// exceed the limits of logs.
func (p *Policy) LogCut(now packet.Time, stream string, strings, containers int) {
	for range strings {
		p.odd(now, "log_string_field_truncated", stream)
	}
	for range containers {
		p.odd(now, "log_container_field_truncated", stream)
	}
}

// Tunnel notes a tunnel around a connection.
func (p *Policy) Tunnel(tn flow.Tunnel) { p.tunnel.Tunnel(tn) }

// AnalyzerFailed writes a row about an analyzer that was wrong.
func (p *Policy) AnalyzerFailed(f *flow.Failure) { p.analyzer.Failed(f) }

// Expected passes on which connection an analyzer expects at the time now.
func (p *Policy) Expected(e analyzer.Expectation, now packet.Time) {
	if !p.board.Alone() {
		p.text = appendExpectation(p.text[:0], &e)
		p.board.Tell(expected, now, p.text)
	}
}

// Advance tells the logs that go by packet time how late it is.
func (p *Policy) Advance(now packet.Time) {
	p.tunnel.Advance(now)
	p.dhcp.Advance(now)
	for _, f := range p.each.list {
		f(now)
	}
}

// Waiting returns how many rows wait for an answer from the cluster.
func (p *Policy) Waiting() int { return p.weird.Waiting() + p.asker.n }

// Close writes the rows whose answer has not come. Rows after it are lost.
func (p *Policy) Close() {
	p.dhcp.Finish()
	p.weird.Close()
	p.asker.close()
}

// Weirds tells what became of weirds.
func (p *Policy) Weirds() weird.Stats { return p.weird.Stats() }
