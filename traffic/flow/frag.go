package flow

import (
	"bytes"
	"encoding/binary"

	"github.com/picket-nsm/picket/traffic/packet"
)

// Zeek's bounds of what a sane fragment is.
const (
	minFragment = 64
	maxFragment = 64000
)

// fragKey tells datagrams apart; like Zeek's it leaves the protocol out.
type fragKey struct {
	src, dst packet.Addr
	id       uint32
}

// datagram is one that waits for fragments.
type datagram struct {
	key    fragKey
	gen    uint32 // 0: free
	hdr    []byte // headers before the fragment header, of the first fragment to come
	proto  uint8  // what follows them
	size   int    // of the payload; 0: not known, the last fragment is missing
	pieces []fragPiece
	data   []byte // payloads as they came
	cost   int
}

// fragPiece is a run of payload, kept at data[at:].
type fragPiece struct{ from, to, at int }

// fragCost is what a datagram costs beside its bytes; a piece costs less.
const (
	fragCost  = 256
	pieceSize = 24
)

// fragments are the datagrams of a Table that are not whole yet.
type fragments struct {
	byKey map[fragKey]uint32
	slab  slab[datagram]
	gens  uint32
	queue []fragRef // by age; those gone are skipped
	head  int
	whole [MaxTunnels + 1]packet.Packet // the last one put together, by the number of tunnels around it
	bufs  [MaxTunnels + 1][]byte
}

type fragRef struct{ slot, gen uint32 }

func (f *fragments) init() { f.byKey = map[fragKey]uint32{} }

func (f *fragments) live(tm *timer) bool { return f.slab.get(tm.slot).gen == tm.gen }

// clear forgets all datagrams.
func (f *fragments) clear() {
	for _, slot := range f.byKey {
		f.slab.get(slot).reset()
		f.slab.release(slot)
	}
	clear(f.byKey)
	f.queue, f.head = f.queue[:0], 0
}

func (d *datagram) reset() {
	*d = datagram{hdr: d.hdr[:0], pieces: d.pieces[:0], data: d.data[:0]}
	if cap(d.data) > 1<<14 || cap(d.pieces) > 1<<10 {
		d.data, d.pieces = nil, nil // do not keep what a flood left
	}
}

// fragment takes a fragment. It returns the datagram if that made it whole,
// else nil; the datagram is valid until the next call.
func (t *Table) fragment(p *packet.Packet) *packet.Packet {
	f := &t.frags
	k := fragKey{p.Src, p.Dst, p.FragID}
	slot, known := f.byKey[k]
	if !known {
		slot = t.newDatagram(k, p)
	}
	d := f.slab.get(slot)
	if !t.addFragment(d, p) {
		return nil
	}
	t.assemble(d, p)
	t.dropDatagram(slot)
	w := &f.whole[t.path.n]
	for i := range w.NWeirds {
		// The addresses are known by now, whatever is wrong behind them.
		t.pairWeird(p, w.Weirds[i].Name, w.Weirds[i].Addl(), w.Weirds[i].Source)
	}
	if w.IP == nil {
		t.stats.DroppedIP++
		return nil
	}
	return w
}

// unfragmented is the length of the headers in front of the fragment header.
func unfragmented(p *packet.Packet) int {
	if p.IPv6 {
		return p.HdrLen - 8
	}
	return p.HdrLen
}

func (t *Table) newDatagram(k fragKey, p *packet.Packet) uint32 {
	f := &t.frags
	for len(f.byKey) >= t.cfg.Limits.FragDatagrams || t.stats.FragBytes+fragCost > t.cfg.Limits.FragTotal {
		if !t.shedDatagram() {
			break
		}
	}
	slot := f.slab.alloc()
	d := f.slab.get(slot)
	if f.gens++; f.gens == 0 {
		f.gens = 1
	}
	d.key, d.gen, d.proto, d.cost = k, f.gens, p.Proto, fragCost
	d.hdr = append(d.hdr[:0], p.IP[:unfragmented(p)]...)
	f.byKey[k] = slot
	t.stats.FragBytes += fragCost
	t.stats.Frags = len(f.byKey)
	f.queue = append(f.queue, fragRef{slot, d.gen})
	if f.head > 1<<10 && f.head > len(f.queue)/2 {
		n := copy(f.queue, f.queue[f.head:])
		f.queue, f.head = f.queue[:n], 0
	}
	if d := t.cfg.Timeouts.Frag; d > 0 {
		t.clock.add(timer{at: t.pktTime + packet.Time(d), slot: slot, gen: f.gens, kind: timerFrag})
	}
	return slot
}

// shedDatagram gives up the oldest datagram.
func (t *Table) shedDatagram() bool {
	f := &t.frags
	for f.head < len(f.queue) {
		r := f.queue[f.head]
		f.head++
		if f.slab.get(r.slot).gen == r.gen {
			t.stats.ShedFragments++
			t.dropDatagram(r.slot)
			return true
		}
	}
	f.queue, f.head = f.queue[:0], 0
	return false
}

func (t *Table) dropDatagram(slot uint32) {
	f := &t.frags
	d := f.slab.get(slot)
	delete(f.byKey, d.key)
	t.stats.FragBytes -= d.cost
	t.stats.Frags = len(f.byKey)
	d.reset()
	f.slab.release(slot)
	if t.cfg.Timeouts.Frag > 0 {
		t.clock.dead++
		t.sweep()
	}
	// Datagrams that were put together leave the front of the queue here, so
	// that it does not grow without shedding.
	for f.head < len(f.queue) && f.slab.get(f.queue[f.head].slot).gen != f.queue[f.head].gen {
		f.head++
	}
	if f.head == len(f.queue) {
		f.queue, f.head = f.queue[:0], 0
	}
}

func (t *Table) fragTimeout(tm *timer) {
	if t.frags.live(tm) {
		t.dropDatagram(tm.slot)
	}
	t.clock.dead--
}

// addFragment adds a fragment and reports whether the datagram is whole.
func (t *Table) addFragment(d *datagram, p *packet.Packet) bool {
	if p.IPv6 {
		if p.Proto != d.proto || unfragmented(p) != len(d.hdr) {
			t.pairWeird(p, "fragment_protocol_inconsistency", "", "")
		}
	} else if p.Proto != d.proto || p.HdrLen != len(d.hdr) {
		t.pairWeird(p, "fragment_protocol_inconsistency", "", "")
	}
	if p.DF {
		t.pairWeird(p, "fragment_with_DF", "", "")
	}
	if p.IPLen < p.HdrLen {
		t.pairWeird(p, "fragment_protocol_inconsistency", "", "")
		return false
	}
	n := p.IPLen - p.HdrLen
	to := p.FragOff + n
	if p.FragOff == 0 && p.IPv6 {
		d.proto = p.Proto
	}
	if !p.MoreFrags {
		if d.size == 0 {
			d.size = to
		} else if to != d.size {
			t.pairWeird(p, "fragment_size_inconsistency", "", "")
			d.size = max(d.size, to)
		}
	} else if p.IPLen < minFragment {
		t.pairWeird(p, "excessively_small_fragment", "", "")
	}
	if to > maxFragment {
		t.pairWeird(p, "excessively_large_fragment", "", "")
	}
	if d.size > 0 && to > d.size {
		t.pairWeird(p, "fragment_size_inconsistency", "", "")
		d.size = to
	}
	if n == 0 {
		return false
	}
	t.fragOverlap(d, p, p.Payload[:n])
	if !t.fragInsert(d, p.FragOff, p.Payload[:n]) {
		return false
	}
	return t.fragWhole(d, p)
}

// firstAtOrBefore returns the place of the last piece that begins at or before
// at, or 0.
func (d *datagram) firstAtOrBefore(at int) int {
	lo, hi := 0, len(d.pieces)
	for lo < hi {
		if m := (lo + hi) / 2; d.pieces[m].from <= at {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return max(lo-1, 0)
}

// fragOverlap reports where a fragment says again what others said, or says
// otherwise.
func (t *Table) fragOverlap(d *datagram, p *packet.Packet, data []byte) {
	from, to := p.FragOff, p.FragOff+len(data)
	if n := len(d.pieces); n == 0 || d.pieces[n-1].to == from {
		return
	}
	for _, q := range d.pieces[d.firstAtOrBefore(from):] {
		if q.from >= to {
			return
		}
		lo, hi := max(q.from, from), min(q.to, to)
		if lo >= hi {
			continue
		}
		name := "fragment_overlap"
		if !bytes.Equal(d.data[q.at+lo-q.from:q.at+hi-q.from], data[lo-from:hi-from]) {
			name = "fragment_inconsistency"
		}
		t.pairWeird(p, name, "", "")
	}
}

// fragInsert keeps what of a fragment is new. It reports false if there was no
// room.
func (t *Table) fragInsert(d *datagram, from int, data []byte) bool {
	for t.stats.FragBytes+len(data)+pieceSize > t.cfg.Limits.FragTotal {
		gen := d.gen
		if !t.shedDatagram() || d.gen != gen {
			return false
		}
	}
	to := from + len(data)
	at := from
	for i := d.firstAtOrBefore(from); at < to; {
		for i < len(d.pieces) && d.pieces[i].to <= at {
			i++
		}
		stop := to
		if i < len(d.pieces) {
			q := d.pieces[i]
			if q.from <= at {
				at = q.to
				continue
			}
			stop = min(to, q.from)
		}
		part := data[at-from : stop-from]
		d.pieces = append(d.pieces, fragPiece{})
		copy(d.pieces[i+1:], d.pieces[i:])
		d.pieces[i] = fragPiece{at, stop, len(d.data)}
		d.data = append(d.data, part...)
		d.cost += len(part) + pieceSize
		t.stats.FragBytes += len(part) + pieceSize
		at = stop
	}
	return true
}

// fragWhole reports whether there is no hole up to the end, and sets the size
// to what is there.
func (t *Table) fragWhole(d *datagram, p *packet.Packet) bool {
	if d.size == 0 || d.pieces[0].from > 0 {
		return false
	}
	i := 0
	for i+1 < len(d.pieces) && d.pieces[i].to == d.pieces[i+1].from {
		i++
	}
	end := d.pieces[i].to
	if end < d.size {
		return false
	}
	if i+1 < len(d.pieces) || end > d.size {
		// Pieces of two datagrams in one: take what is in order.
		t.pairWeird(p, "fragment_size_inconsistency", "", "")
		d.size = end
	}
	return true
}

// assemble builds the packet.
func (t *Table) assemble(d *datagram, p *packet.Packet) {
	f := &t.frags
	n := t.path.n
	b := append(f.bufs[n][:0], d.hdr...)
	for _, q := range d.pieces {
		if q.from >= d.size || q.from != len(b)-len(d.hdr) {
			break
		}
		b = append(b, d.data[q.at:q.at+q.to-q.from]...)
	}
	f.bufs[n] = b
	if p.IPv6 {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
		setNext(b, len(d.hdr), d.proto)
	} else {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		b[6], b[7] = 0, 0
		binary.BigEndian.PutUint16(b[10:], 0)
	}
	w := &f.whole[n]
	packet.DecodeIP(w, b, len(b))
	w.Time, w.Seq, w.NoChecksum = p.Time, p.Seq, p.NoChecksum
	w.Depth = p.Depth
	w.SrcMAC, w.DstMAC, w.HasMAC = p.SrcMAC, p.DstMAC, p.HasMAC
}

// setNext writes what follows the last of the IPv6 headers in b[:n], in place
// of the fragment header.
func setNext(b []byte, n int, proto uint8) {
	at, next := 6, 40 // where the type of the next header stands, and where it begins
	for next < n && next+2 <= n {
		typ := b[at]
		at = next
		switch typ {
		case packet.AH:
			next += 8 + 4*int(b[next+1])
		default:
			next += 8 + 8*int(b[next+1])
		}
	}
	b[at] = proto
}
