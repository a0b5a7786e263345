package flow

import (
	"encoding/binary"
	"math"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// pair is a tunnel between two hosts: IP in IP, or GRE. The first packet decides
// what it is called.
type pair struct {
	src, dst    packet.Addr
	start, last packet.Time
	seq         uint64
	gen         uint32
	kind        packet.Tunnel
	proto       uint8
}

// pairs are the hosts with tunnels between them. Hosts are forgotten when they
// have been silent for Timeouts.IPTunnel; then the next packet gets another UID.
type pairs struct {
	byHosts map[hosts]uint32
	slab    slab[pair]
	gens    uint32
	hand    uint32 // where the search for a silent one goes on
	uid     [maxUID]byte
}

// hosts is an unordered pair of addresses: the lower first.
type hosts [2]packet.Addr

func hostsOf(a, b *packet.Addr) hosts {
	if b.Less(a) {
		a, b = b, a
	}
	return hosts{*a, *b}
}

// pair returns the tunnel between the hosts of p.
func (t *Table) pair(p *packet.Packet, kind packet.Tunnel) layer {
	x := &t.pairs
	k := hostsOf(&p.Src, &p.Dst)
	slot, known := x.byHosts[k]
	if !known {
		if len(x.byHosts) >= t.cfg.Limits.TunnelPairs {
			t.evictPair()
		}
		slot = x.slab.alloc()
		if x.gens++; x.gens == 0 {
			x.gens = 1
		}
		*x.slab.get(slot) = pair{src: p.Src, dst: p.Dst, start: p.Time, seq: p.Seq, gen: x.gens, kind: kind, proto: p.Proto}
		x.byHosts[k] = slot
		t.stats.TunnelPairs = len(x.byHosts)
		if d := t.cfg.Timeouts.IPTunnel; d > 0 {
			t.clock.add(timer{at: t.now + packet.Time(d), slot: slot, gen: x.gens, kind: timerPair})
		}
	}
	q := x.slab.get(slot)
	q.last = t.now
	return layer{slot: slot, gen: q.gen, kind: q.kind}
}

// pairID names a pair.
func (t *Table) pairID(slot uint32) analyzer.ID {
	q := t.pairs.slab.get(slot)
	k := hostsOf(&q.src, &q.dst)
	w := [8]uint64{
		binary.BigEndian.Uint64(k[0][:8]), binary.BigEndian.Uint64(k[0][8:]),
		binary.BigEndian.Uint64(k[1][:8]), binary.BigEndian.Uint64(k[1][8:]),
		1 << 63, // no connection's ports and protocol
		math.Float64bits(float64(q.start)), q.seq,
	}
	b := appendHashed(t.pairs.uid[:0], t.uidKey, &w)
	return analyzer.ID{UID: value.Borrow(b), Orig: q.src, Resp: q.dst, Proto: transport(q.proto), Start: q.start}
}

func (x *pairs) live(tm *timer) bool { return x.slab.get(tm.slot).gen == tm.gen }

// pairTimeout forgets a pair that has been silent.
func (t *Table) pairTimeout(tm *timer) {
	if !t.pairs.live(tm) {
		t.clock.dead--
		return
	}
	d := packet.Time(t.cfg.Timeouts.IPTunnel)
	if t.now-t.pairs.slab.get(tm.slot).last >= d {
		t.dropPair(tm.slot)
		return
	}
	t.clock.add(timer{at: t.now + d, slot: tm.slot, gen: tm.gen, kind: timerPair})
}

func (t *Table) dropPair(slot uint32) {
	q := t.pairs.slab.get(slot)
	delete(t.pairs.byHosts, hostsOf(&q.src, &q.dst))
	q.gen = 0
	t.pairs.slab.release(slot)
	t.stats.TunnelPairs = len(t.pairs.byHosts)
}

// evictPair forgets the pair silent for longest among a few, but none that the
// packet at hand is in.
func (t *Table) evictPair() {
	const look = 16
	x := &t.pairs
	var worst uint32
	for seen, steps := 0, 0; seen < look && steps < int(x.slab.used); steps++ {
		x.hand++
		if x.hand > x.slab.used {
			x.hand = 1
		}
		q := x.slab.get(x.hand)
		if q.gen == 0 || t.onPath(x.hand) {
			continue
		}
		seen++
		if worst == 0 || q.last < x.slab.get(worst).last {
			worst = x.hand
		}
	}
	if worst == 0 {
		return
	}
	t.stats.ShedTunnels++
	if t.cfg.Timeouts.IPTunnel > 0 {
		t.clock.dead++
	}
	t.dropPair(worst)
	t.sweep()
}

// onPath reports whether the packet at hand is in the tunnel of a pair.
func (t *Table) onPath(slot uint32) bool {
	for i := range t.path.n {
		l := &t.path.layers[i]
		if l.slot == slot && (l.kind == packet.TunnelIP || l.kind == packet.TunnelGRE) {
			return true
		}
	}
	return false
}

// clear forgets all pairs.
func (x *pairs) clear() {
	for _, slot := range x.byHosts {
		x.slab.get(slot).gen = 0
	}
	clear(x.byHosts)
	x.slab.free = x.slab.free[:0]
	x.slab.used, x.hand = 0, 0
}
