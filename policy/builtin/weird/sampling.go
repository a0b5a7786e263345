package weird

import (
	"strings"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/traffic/packet"
)

// count is how often a weird was seen in one place.
type count struct {
	name  string
	n     uint64
	since packet.Time // connections: when sampling began
}

// counts are those of one connection, pair or all traffic; few names each.
type counts struct{ list []count }

func (c *counts) of(name string) *count {
	for i := range c.list {
		if c.list[i].name == name {
			return &c.list[i]
		}
	}
	c.list = append(c.list, count{name: name})
	return &c.list[len(c.list)-1]
}

type pair struct{ orig, resp packet.Addr }

// sampler lets the first weirds of a name pass and then one in many, per
// connection, per pair of addresses, or per name alone.
type sampler struct {
	threshold, rate uint64
	duration        float64
	allow, global   map[string]bool
	conns           *perConn
	pairs           *memory[pair, *counts]
	names           *memory[string, *count]
}

func newSampler(cfg *Config) *sampler {
	return &sampler{
		threshold: cfg.Threshold, rate: cfg.Rate, duration: cfg.Duration,
		allow: set(cfg.Allow), global: set(cfg.Global),
		conns: newPerConn(cfg.MaxConns),
		pairs: newMemory[pair, *counts](cfg.Duration, cfg.MaxPairs),
		names: newMemory[string, *count](cfg.Duration, cfg.MaxNames),
	}
}

func set(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

// permit reports whether a weird passes. w.Name is one that may be kept.
func (s *sampler) permit(w *flow.Weird, now packet.Time) bool {
	if s.allow[w.Name] {
		return true
	}
	if w.Scope == flow.WeirdNet || s.global[w.Name] {
		return s.permitName(w.Name, now)
	}
	if w.Scope == flow.WeirdConn {
		return s.permitConn(w, now)
	}
	k := pair{w.ID.Orig, w.ID.Resp}
	c, ok := s.pairs.get(k, now)
	if !ok {
		c = &counts{}
		s.pairs.put(k, c, now)
	}
	e := c.of(w.Name)
	e.n++
	return s.passes(e.n)
}

func (s *sampler) permitName(name string, now packet.Time) bool {
	e, ok := s.names.get(name, now)
	if !ok {
		e = &count{}
		s.names.put(name, e, now)
	}
	e.n++
	return s.passes(e.n)
}

// permitConn counts for as long as the connection lasts; the duration is that
// of the sampling and not of the count.
func (s *sampler) permitConn(w *flow.Weird, now packet.Time) bool {
	e := s.conns.get(w.ID.UID).of(w.Name)
	e.n++
	switch {
	case e.n <= s.threshold:
		return true
	case e.n == s.threshold+1:
		e.since = now
	case now > e.since+packet.Time(s.duration):
		e.n, e.since = 1, 0
		return true
	}
	return s.passes(e.n)
}

func (s *sampler) passes(n uint64) bool {
	if n <= s.threshold {
		return true
	}
	return s.rate > 0 && (n-s.threshold)%s.rate == 0
}

// perConn holds the counts of connections. Where there are too many, the one
// that has been known for longest is forgotten.
type perConn struct {
	max   int
	m     map[string]*counts
	order []string // as they came; some are gone already
	free  freelist.List[*counts]
	shed  uint64
}

func newPerConn(max int) *perConn {
	return &perConn{max: max, m: make(map[string]*counts), free: freelist.New[*counts](256)}
}

func (p *perConn) get(uid string) *counts {
	if c := p.m[uid]; c != nil {
		return c
	}
	for len(p.m) >= p.max {
		p.shed++
		p.remove(p.order[0])
		p.order = p.order[1:]
	}
	if len(p.order) > 2*len(p.m)+1024 {
		kept := make([]string, 0, len(p.m)+1)
		for _, u := range p.order {
			if p.m[u] != nil {
				kept = append(kept, u)
			}
		}
		p.order = kept
	}
	uid = strings.Clone(uid)
	c := p.free.Take()
	if c == nil {
		c = &counts{}
	}
	p.m[uid] = c
	p.order = append(p.order, uid)
	return c
}

func (p *perConn) remove(uid string) {
	if c := p.m[uid]; c != nil {
		delete(p.m, uid)
		c.list = c.list[:0]
		p.free.Keep(c)
	}
}
