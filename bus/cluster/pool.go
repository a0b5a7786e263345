package cluster

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"strconv"

	"github.com/picket-nsm/picket/zeek/value"
)

// Pools as Zeek has them: wire.md sections 4.4 and 4.5.

func fnv1a32(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// weight is how much a site wants a key.
func weight(site, digest uint32) uint32 {
	const a, b = 1103515245, 12345
	d := digest & 0x7fffffff
	return (a*((a*site+b)^d) + b) & 0x7fffffff
}

// KeyBytes returns what Zeek hashes for a key: a string's bytes, else a type
// tag and the value. ok is false for types whose form is not settled (interval,
// enum, record, set).
func KeyBytes(v value.Value) (b []byte, ok bool) {
	if v.Kind() == value.KindString {
		return []byte(v.Str()), true
	}
	b = binary.LittleEndian.AppendUint32(nil, uint32(v.Kind()))
	switch v.Kind() {
	case value.KindCount:
		return binary.LittleEndian.AppendUint64(b, v.Count()), true
	case value.KindInt:
		return binary.LittleEndian.AppendUint64(b, uint64(v.Int())), true
	case value.KindBool:
		n := uint64(0)
		if v.Bool() {
			n = 1
		}
		return binary.LittleEndian.AppendUint64(b, n), true
	case value.KindDouble, value.KindTime:
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Float())), true
	case value.KindAddr:
		return append(append(b, v.Addr().String()...), 0), true
	case value.KindSubnet:
		bits := int(v.Bits())
		if v.Is4() {
			bits -= 96
		}
		return append(append(b, netip.PrefixFrom(v.Addr(), bits).String()...), 0), true
	case value.KindPort:
		n, p := v.Port()
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
		return append(append(b, '/', 0), p.String()...), true
	}
	return nil, false
}

// Pool is nodes of one role among which a key or a turn chooses. A Pool is not
// safe for several goroutines.
type Pool struct {
	self  string
	nodes []member // sorted by name, bytewise
	next  map[string]int
}

type member struct {
	name  string
	site  uint32
	alive bool // for turns
	hello bool // in the rendezvous set: it said hello, so never this node itself
}

// NewPool returns a pool of the named nodes as seen by the node self, which may
// be among them. All others are down.
func NewPool(self string, names []string) *Pool {
	p := &Pool{self: self, next: map[string]int{}}
	names = slices.Clone(names)
	slices.Sort(names)
	used := map[uint32]bool{}
	for _, n := range slices.Compact(names) {
		// The alias counts up where two names hash alike.
		site := fnv1a32([]byte(n + ".0"))
		for i := 1; used[site]; i++ {
			site = fnv1a32([]byte(n + "." + strconv.Itoa(i)))
		}
		used[site] = true
		p.nodes = append(p.nodes, member{name: n, site: site, alive: n == self})
	}
	return p
}

// Up and Down say that a node came or went. Others than members are ignored.
func (p *Pool) Up(name string) { p.set(name, true) }

// Down is the opposite of Up.
func (p *Pool) Down(name string) { p.set(name, false) }

func (p *Pool) set(name string, up bool) {
	for i := range p.nodes {
		if m := &p.nodes[i]; m.name == name && name != p.self {
			m.alive, m.hello = up, up
		}
	}
}

// Rendezvous returns the live node that wants the key most. false: none is up.
// As in Zeek, a member never chooses itself.
func (p *Pool) Rendezvous(key []byte) (string, bool) {
	return p.choose(key, func(m *member) bool { return m.hello })
}

// Owner returns the node that owns the key whether it is up or not, so that
// ownership does not move when a node is away for a moment.
func (p *Pool) Owner(key []byte) (string, bool) {
	return p.choose(key, func(*member) bool { return true })
}

func (p *Pool) choose(key []byte, may func(*member) bool) (string, bool) {
	digest := fnv1a32(key)
	var best *member
	var most uint32
	for i := range p.nodes {
		m := &p.nodes[i]
		if !may(m) {
			continue
		}
		if w := weight(m.site, digest); best == nil || w > most || w == most && m.site > best.site {
			best, most = m, w
		}
	}
	if best == nil {
		return "", false
	}
	return best.name, true
}

// RoundRobin returns the next live node for a caller's key; the node itself has its turn too.
func (p *Pool) RoundRobin(key string) (string, bool) {
	for range p.nodes {
		i := p.next[key] % len(p.nodes)
		p.next[key] = i + 1
		if p.nodes[i].alive {
			return p.nodes[i].name, true
		}
	}
	return "", false
}
