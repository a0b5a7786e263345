// Package weird writes weird.log: odd things in the traffic, thinned out.
//
// It stands behind the flow table, whose weirds it takes, and hands rows to the
// log stream. On the way it does what Zeek 9.0 does between its reporter and
// weird.log (zeek-semantics.md section 9): sampling by name and place, an action
// by name, once per originator or per connection, no repeat within ten minutes.
// It owns these memories, bounded in number and in packet time. What must be
// reported once in the whole cluster it asks of a Once; rows that wait for the
// answer are kept in a bounded queue. It never decides what is odd.
package weird

import (
	"net/netip"
	"strings"

	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Day is how long "once" lasts, in seconds (Zeek's did_log and did_notice).
const Day = 86400.0

// repeatTime is how long a repeat is ignored, in seconds (Zeek's weird_ignore).
const repeatTime = 600.0

// Config is what a user may set. Default has Zeek's values.
type Config struct {
	Peer string // the peer column: name of the node

	// Sampling: Threshold weirds of a name pass in one place, then one in Rate (0:
	// none), until Duration seconds are over. Allow names those that always pass,
	// Global those that are counted together wherever they come from.
	Threshold, Rate uint64
	Duration        float64
	Allow, Global   []string

	Actions     map[string]Action // instead of the built-in ones
	IgnoreHosts []IgnoreHost

	// Bounds. What is forgotten early may be reported again.
	MaxConns, MaxPairs, MaxNames int // places whose counts are kept
	MaxRepeats                   int // recent rows remembered
	MaxOnce                      int // rows remembered for a day
	MaxWaiting                   int // rows that wait for an answer; more are dropped
}

// IgnoreHost silences a weird of one host, at either end.
type IgnoreHost struct {
	Host netip.Addr
	Name string
}

// Default returns Zeek's values and generous bounds.
func Default() Config {
	return Config{
		Peer: "zeek", Threshold: 25, Rate: 1000, Duration: 600,
		MaxConns: 1 << 15, MaxPairs: 1 << 15, MaxNames: 1 << 12, MaxRepeats: 1 << 16, MaxOnce: 1 << 16, MaxWaiting: 4096,
	}
}

// Deps is what the program passes.
type Deps struct {
	// Write takes a row in the order of Schema, valid until it returns.
	Write func(row []value.Value)
	// Once is asked where the whole cluster reports once; nil: a Local of its own.
	Once Once
	// Producer and Start name this node's life in claims.
	Producer string
	Start    uint64
	// Notice, if set, is told of weirds that are notices (Weird::Activity) as well.
	Notice func(w *flow.Weird)
}

// Stats counts what became of weirds.
type Stats struct {
	Seen      uint64
	Sampled   uint64 // kept back by sampling
	Ignored   uint64 // by action, repeat or once
	Rows      uint64
	Refused   uint64 // somebody else in the cluster has reported it
	Dropped   uint64 // rows lost because too many waited for an answer
	Unasked   uint64 // rows written at the end although no answer had come
	Forgotten uint64 // memories given up early because there were too many
}

// Log makes the rows of one worker. One goroutine.
type Log struct {
	cfg     Config
	deps    Deps
	actions map[string]Action
	silent  map[IgnoreHost]bool
	repeats map[string]bool // names whose repeats are logged
	names   map[string]string
	sampler *sampler
	recent  *memory[place, struct{}] // rows of the last ten minutes
	did     *memory[place, struct{}] // rows of the last day
	once    Once
	seq     uint64
	waiting []*row
	nwait   int
	now     packet.Time
	cols    [numColumns]value.Value
	stats   Stats
}

// place is what a row is remembered by: its name and where it happened.
type place struct {
	name         string
	kind         uint8
	orig, resp   packet.Addr
	origP, respP uint16
}

// What a place holds.
const (
	nowhere uint8 = iota
	atConn
	atPair
	atOrig
	repeatOf // a claim to be the one of its name in ten minutes
)

// New returns a Log.
func New(cfg Config, deps Deps) *Log {
	l := &Log{
		cfg: cfg, deps: deps, actions: actions(), silent: make(map[IgnoreHost]bool),
		repeats: set(repeated), names: make(map[string]string), sampler: newSampler(&cfg),
		recent: newMemory[place, struct{}](repeatTime, cfg.MaxRepeats),
		did:    newMemory[place, struct{}](Day, cfg.MaxOnce),
		once:   deps.Once,
	}
	for n, a := range cfg.Actions {
		l.actions[n] = a
	}
	for _, h := range cfg.IgnoreHosts {
		l.silent[IgnoreHost{h.Host.Unmap(), h.Name}] = true
	}
	if l.once == nil {
		l.once = NewLocal(Day, cfg.MaxOnce)
	}
	return l
}

// Schema returns the columns of weird.log.
func Schema() *record.Schema {
	return record.New("Weird::LOG", "weird",
		record.Of("ts", value.KindTime),
		record.Optional("uid", value.KindString),
		record.ConnID(),
		record.Of("name", value.KindString),
		record.Optional("addl", value.KindString),
		record.Optional("notice", value.KindBool),
		record.Optional("peer", value.KindString),
		record.Optional("source", value.KindString),
	)
}

// Weird takes a weird. Its strings are borrowed.
func (l *Log) Weird(w flow.Weird) {
	l.stats.Seen++
	l.now = max(l.now, w.Time)
	w.Name = l.intern(w.Name)
	if !l.sampler.permit(&w, l.now) {
		l.stats.Sampled++
		return
	}
	if !l.decide(&w) {
		l.stats.Ignored++
	}
}

// ConnRemoved says that a connection is over: its counts are forgotten.
func (l *Log) ConnRemoved(uid string) {
	if len(l.sampler.conns.m) > 0 {
		l.sampler.conns.remove(uid)
	}
}

// Stats returns the counters.
func (l *Log) Stats() Stats {
	s := l.stats
	s.Forgotten = l.sampler.conns.shed + l.sampler.pairs.shed + l.sampler.names.shed + l.recent.shed + l.did.shed
	return s
}

// maxInterned bounds the names that are kept; there are about 480.
const maxInterned = 1 << 12

// intern returns a copy of name that may be kept.
func (l *Log) intern(name string) string {
	if n, ok := l.names[name]; ok {
		return n
	}
	n := strings.Clone(name)
	if len(l.names) < maxInterned {
		l.names[n] = n
	}
	return n
}

// where returns the place of a weird.
func where(w *flow.Weird) place {
	p := place{name: w.Name}
	switch w.Scope {
	case flow.WeirdConn:
		p.kind, p.orig, p.resp, p.origP, p.respP = atConn, w.ID.Orig, w.ID.Resp, w.ID.OrigP, w.ID.RespP
	case flow.WeirdFlow:
		p.kind, p.orig, p.resp = atPair, w.ID.Orig, w.ID.Resp
	}
	return p
}

// decide does what the name's action says. It returns false if the weird is
// ignored.
func (l *Log) decide(w *flow.Weird) bool {
	action := l.actions[w.Name]
	if action == ActionIgnore {
		return false
	}
	at := where(w)
	// Without addresses any worker may see it: the cluster ignores its repeats.
	everywhere := at.kind == nowhere && !action.limits() && !l.repeats[w.Name]
	if _, ok := l.recent.get(at, l.now); ok && !everywhere {
		return false
	}
	if len(l.silent) > 0 && at.kind != nowhere {
		if l.silent[IgnoreHost{address(at.orig), w.Name}] || l.silent[IgnoreHost{address(at.resp), w.Name}] {
			return false
		}
	}
	notice := action.notices()
	key, shared := at, false
	switch {
	case everywhere:
		key, shared = place{name: w.Name, kind: repeatOf}, true
	case !action.limits():
		l.write(w, at, notice)
		return true
	case action.once() || at.kind == nowhere:
		key, shared = place{name: w.Name}, true
	case action.perOrig():
		key, shared = place{name: w.Name, kind: atOrig, orig: at.orig}, true
	}
	if _, ok := l.did.get(key, l.now); ok {
		return false
	}
	if shared && l.nwait >= l.cfg.MaxWaiting {
		l.stats.Dropped++
		return true
	}
	if key.kind != repeatOf {
		l.did.put(key, struct{}{}, l.now)
	}
	if !shared {
		l.write(w, at, notice)
		return true
	}
	l.claim(w, at, key, notice)
	return true
}

func address(a packet.Addr) netip.Addr { return netip.AddrFrom16(a).Unmap() }
