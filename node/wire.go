package node

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/policy/builtin"
	"github.com/picket-nsm/picket/policy/builtin/captureloss"
	dhcplog "github.com/picket-nsm/picket/policy/builtin/dhcp"
	"github.com/picket-nsm/picket/policy/builtin/reporter"
	"github.com/picket-nsm/picket/policy/builtin/stats"
	"github.com/picket-nsm/picket/policy/builtin/weird"
	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/traffic/packet"
)

// This file is the one place to read the data path. A worker:
//
//	capture.Source   blocks of frames from a file (pcapfile) or an interface
//	  |              (afpacket); share marks those of other workers Skip
//	packet.Decode    views over the bytes: addresses, ports, payload
//	  |
//	flow.Table       connections, TCP order, fragments, timers
//	  |
//	analyzer         protocols: dns ...; files.Table for the files they carry
//	  |
//	builtin.Policy   rows of conn.log, dns.log, weird.log ...
//	  |              up to here function calls on one goroutine, see worker.go
//	batch.Batcher    rows encoded into batches, numbered, noted in the ledger
//	  |
//	ship.Ship        to which logger, how many unanswered, again when one dies
//	  |
//	bus              mem in one process, NATS between processes
//	  |
//	logger.Logger    order, no batch twice, ledger before and after each write
//	  |
//	sink.Format      Zeek's TSV or JSON
//
// wireWorker puts the upper half together, wireLogger (logger.go) the lower.
func wireWorker(c wiring) (*worker, error) {
	key, err := c.deps.uidKey(c.capture.Seed)
	if err != nil {
		return nil, err
	}
	nets, err := localNets(c.capture.LocalNets)
	if err != nil {
		return nil, err
	}
	drivers, out, err := c.capture.Content.drivers()
	if err != nil {
		return nil, err
	}
	var w *worker
	var tell func(builtin.News)
	if c.news != nil {
		tell = func(n builtin.News) { w.tell(n) }
	}
	policy := builtin.New(builtin.Env{
		Peer: c.peer, Producer: c.ledger.Node, Start: c.ledger.Start, Once: c.once, DHCP: c.dhcp, Files: drivers, Tell: tell,
		Options: c.capture.Options,
	}, c.line.open, c.deps.Protocols)

	cfg := flow.Default()
	cfg.NoChecksums = c.capture.NoChecksums
	cfg.Key = key
	if nets != nil {
		cfg.LocalNets = nets
	}
	if c.memory > 0 {
		cfg.Limits = cfg.Limits.Within(c.memory)
	}
	table := flow.New(cfg, policy, policy.Analyzers)
	table.Follow(policy.Files.Deadline())

	w = &worker{
		source: c.source, news: c.news, table: table, policy: policy, line: c.line, deps: c.deps, once: c.once, patience: c.patience,
		report: reporter.New(c.line.open(reporter.Schema())),
		resume: resume{seq: c.capture.Resume, received: c.capture.ResumeReceived},
		ledger: c.ledger, count: newCounts(c.ledger), extract: out, guard: newGuard(memoryLimit()),
	}
	w.hears = w.hear
	c.line.cut = func(stream string, strings, containers int) { policy.LogCut(w.now, stream, strings, containers) }
	w.live = len(c.capture.Files) == 0
	if w.live {
		w.resume.taken = c.capture.Resume // a socket's packets are numbered for its worker alone
	}
	if c.capture.Stats {
		w.stats = stats.New(c.line.open(stats.Schema()), c.peer, w.live, w.statCounts)
	}
	if c.capture.CaptureLoss {
		w.loss = captureloss.New(c.line.open(captureloss.Schema()), c.peer, w.ackCounts)
	}
	return w, c.line.check()
}

// wiring is what wireWorker joins.
type wiring struct {
	capture Capture
	peer    string // name in the peer columns
	source  capture.Source
	line    *line
	ledger  *ledger.Ledger
	once    weird.Once
	dhcp    dhcplog.Place // nil: this worker is alone
	news    newsroom      // nil: this worker is alone
	deps    *Deps
	memory  int64 // bytes its flows may take; 0: flow's own limits

	patience time.Duration // see worker
}

// localNets reads the prefixes that a user gave; nil means Zeek's default.
func localNets(text []string) ([]netip.Prefix, error) {
	var nets []netip.Prefix
	for _, s := range text {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("local network %q: want an address and a length, as in 10.0.0.0/8", s)
		}
		nets = append(nets, p)
	}
	return nets, nil
}

// decode makes a packet of a frame.
func decode(p *packet.Packet, f *capture.Frame) {
	p.Time, p.Seq, p.NoChecksum = f.Time, f.Seq, f.NoChecksum
	packet.Decode(p, uint16(f.Link), f.Data, f.WireLen)
}
