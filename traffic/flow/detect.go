package flow

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/picket-nsm/picket/internal/rx"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// Protocols are found by the first bytes of each direction. While a connection
// is looked at, what has passed is kept, so that an analyzer found late gets it
// from the beginning. The look ends when enough has passed, or when nothing that
// may follow can match.
//
// What has passed is in a chain of small blocks in a slab without pointers: a
// connection that nothing is found on costs no allocation.

// signatures are those of one transport.
type signatures struct {
	any  bool
	side [2]sideSignatures // of the originator, of the responder
}

type sideSignatures struct {
	m    *rx.Matcher // nil: there are none
	list []signature
}

// signature is an analyzer.Signature in one direction.
type signature struct {
	factory  int
	min, max int
	reverse  uint64 // one of these must have matched the other direction; 0: none need
	half     bool
}

// maxSignatures is how many one direction of a transport may have.
const maxSignatures = 64

// cacheSize bounds the states of one direction's automaton, in bytes.
const cacheSize = 4 << 20

// seen is what is known of a connection while it is looked at.
type seen struct {
	state      [2]rx.Stream // of originator and responder
	hits       [2]uint64    // patterns and sizes that matched
	done       [2]uint64    // signatures that matched
	first      [2]uint32    // size of the first piece
	size       uint32       // bytes that passed
	chunks     uint16       // in how many pieces
	used       uint16       // bytes in the last block
	head, tail uint32       // blocks of what passed
	over       bool         // nothing is matched any more: it is kept for an expectation
}

// block holds some of the bytes that passed. A piece begins with four bytes: its
// kind and its length. It is a run of bytes, or a gap: then its bytes are the
// gap's length.
type block struct {
	next uint32
	data [252]byte
}

const (
	pieceOrig = 1 << iota
	pieceGap
)

// detector is what the connections of a Table that are looked at share.
type detector struct {
	tcpSigs, udpSigs, noSigs signatures
	seen                     slab[seen]
	blocks                   slab[block]
}

// detection returns the signatures of a transport.
func (t *Table) detection(proto value.Proto) *signatures {
	switch proto {
	case value.ProtoTCP:
		return &t.tcpSigs
	case value.ProtoUDP:
		return &t.udpSigs
	}
	return &t.noSigs
}

// fill compiles the signatures of all factories. It panics if one is wrong, a
// programmer's mistake.
func (d *detector) fill(factories []analyzer.Factory) {
	type place struct {
		of   *signatures
		side int
		bit  uint64
	}
	names := map[string][]place{}
	patterns := map[*sideSignatures][]string{}
	var all []analyzer.Signature
	for i := range factories {
		for _, s := range factories[i].Signatures {
			of := &d.tcpSigs
			if s.Proto == value.ProtoUDP {
				of = &d.udpSigs
			} else if s.Proto != value.ProtoTCP {
				panic(fmt.Sprintf("flow: signature %s of %s is neither of TCP nor of UDP", s.Name, factories[i].Name))
			}
			if names[s.Name] != nil {
				panic(fmt.Sprintf("flow: two signatures are called %s", s.Name))
			}
			all = append(all, s)
			of.any = true
			for side, other := range []analyzer.Side{analyzer.FromResp, analyzer.FromOrig} {
				if s.From == other {
					continue
				}
				ss := &of.side[side]
				names[s.Name] = append(names[s.Name], place{of, side, 1 << len(ss.list)})
				ss.list = append(ss.list, signature{factory: i, min: s.MinSize, max: s.MaxSize, half: s.Half})
				patterns[ss] = append(patterns[ss], s.Pattern)
			}
		}
	}
	for _, s := range all {
		if s.Reverse == "" {
			continue
		}
		for _, p := range names[s.Name] {
			g := &p.of.side[p.side].list[bits.TrailingZeros64(p.bit)]
			for _, r := range names[s.Reverse] {
				if r.of == p.of && r.side != p.side {
					g.reverse |= r.bit
				}
			}
			if g.reverse == 0 {
				panic(fmt.Sprintf("flow: signature %s: there is no %s in the other direction", s.Name, s.Reverse))
			}
		}
	}
	for ss, list := range patterns {
		if len(list) > maxSignatures {
			panic(fmt.Sprintf("flow: %d signatures in one direction; at most %d fit", len(list), maxSignatures))
		}
		set, err := rx.Compile(list, rx.Options{DotNewline: true})
		if err != nil {
			panic("flow: " + err.Error())
		}
		ss.m = set.Matcher(cacheSize)
	}
}

// look is one step of looking at a connection: bytes that pass.
type look struct {
	c      *conn
	sigs   *signatures
	d      *seen
	parent uint32 // where what is found is put
	proto  value.Proto
	orig   bool
	data   []byte
	found  bool
}

// detect looks at bytes that pass, or a gap of n if data is nil. det is the slot
// of what was seen before. It reports whether to go on looking, and whether an
// analyzer was added.
func (t *Table) detect(c *conn, det *uint32, parent uint32, proto value.Proto, orig bool, data []byte, n uint64) (on, found bool) {
	if data != nil && len(data) == 0 {
		return true, false
	}
	if *det == 0 {
		*det = t.seen.alloc()
		*t.seen.get(*det) = seen{}
	}
	d := t.seen.get(*det)
	if d.over {
		on = t.hold(c, d, orig, data, n)
		if !on {
			t.forget(det)
		}
		return on, false
	}
	l := look{c: c, sigs: t.detection(proto), d: d, parent: parent, proto: proto, orig: orig, data: data}
	cfg := &t.cfg.Detection
	d.chunks++
	over := int(d.chunks) > cfg.MaxChunks
	kind := byte(0)
	if orig {
		kind = pieceOrig
	}
	var gap [8]byte
	kept := data
	if data == nil {
		kind |= pieceGap
		binary.BigEndian.PutUint64(gap[:], n)
		kept = gap[:]
	} else {
		d.size += uint32(len(data))
		over = over || int(d.size) > cfg.BufferSize
		t.match(&l)
		over = over || proto == value.ProtoTCP && d.hopeless(l.sigs)
	}
	if !over && t.remember(d, kind, kept) {
		return true, l.found
	}
	if over && parent == 0 && !l.found && t.hold(c, d, orig, data, n) {
		d.over = true
		return true, false
	}
	t.forget(det)
	return false, l.found
}

// hopeless reports that nothing that may follow in a stream can match.
func (d *seen) hopeless(sigs *signatures) bool {
	for side := range d.state {
		if sigs.side[side].m != nil && !d.state[side].Dead() {
			return false
		}
	}
	return true
}

// match runs the automaton over the bytes at hand and adds what was found.
func (t *Table) match(l *look) {
	side, d := 0, l.d
	if !l.orig {
		side = 1
	}
	ss := &l.sigs.side[side]
	size := len(l.data)
	if l.proto != value.ProtoTCP {
		d.state[side] = rx.Stream{} // each datagram begins anew
	} else if d.first[side] == 0 {
		d.first[side] = uint32(size)
	} else {
		size = int(d.first[side])
	}
	if ss.m == nil {
		return
	}
	var hits [1]uint64
	if ss.m.Feed(&d.state[side], l.data, hits[:]) == rx.Stale {
		t.again(l, side, hits[:])
	}
	fresh := hits[0] &^ d.hits[side]
	for b := fresh; b != 0; b &= b - 1 {
		g := &ss.list[bits.TrailingZeros64(b)]
		if size < g.min || g.max > 0 && size > g.max {
			fresh &^= b & -b
		}
	}
	if fresh != 0 {
		d.hits[side] |= fresh
		t.apply(l)
	}
}

// again matches the whole stream once more, because the automaton had to forget
// its states.
func (t *Table) again(l *look, side int, hits []uint64) {
	ss, d := &l.sigs.side[side], l.d
	d.state[side] = rx.Stream{}
	t.pieces(d, func(kind byte, data []byte) bool {
		if kind&pieceGap == 0 && kind&pieceOrig != 0 == (side == 0) {
			ss.m.Feed(&d.state[side], data, hits)
		}
		return true
	})
	ss.m.Feed(&d.state[side], l.data, hits)
}

// apply adds the analyzers of signatures all of whose conditions hold now. One
// that matches may be what another waits for.
func (t *Table) apply(l *look) {
	d := l.d
	for again := true; again; {
		again = false
		for side := range d.hits {
			for b := d.hits[side] &^ d.done[side]; b != 0; b &= b - 1 {
				g := &l.sigs.side[side].list[bits.TrailingZeros64(b)]
				if g.reverse != 0 && g.reverse&d.done[1-side] == 0 {
					continue
				}
				d.done[side] |= b & -b
				again = true
				if !g.half && !t.has(l.c, g.factory, l.parent) {
					t.replay(l, t.add(l.c, g.factory, l.parent, l.proto))
				}
			}
		}
	}
}

// replay gives an analyzer all that has passed. If it fails on the way it still
// gets all of it: in Zeek it would be taken off behind the packet at hand.
func (t *Table) replay(l *look, n uint32) {
	if n == 0 {
		return
	}
	l.found = true
	s := t.sides.get(l.c.side)
	s.analyzers[n-1].replaying = true
	alive := true
	t.pieces(l.d, func(kind byte, data []byte) bool {
		if alive = !s.analyzers[n-1].dead; !alive {
			return false
		}
		orig := kind&pieceOrig != 0
		if kind&pieceGap != 0 {
			t.handTo(l.c, s, n, orig, nil, binary.BigEndian.Uint64(data))
		} else {
			t.handTo(l.c, s, n, orig, data, 0)
		}
		return true
	})
	if alive && !s.analyzers[n-1].dead {
		t.handTo(l.c, s, n, l.orig, l.data, 0)
	}
	a := &s.analyzers[n-1]
	a.replaying = false
	if a.failed && !a.dead {
		t.end(&t.cur, s, n)
	}
}

// remember keeps a piece. It reports false if there is no room.
func (t *Table) remember(d *seen, kind byte, data []byte) bool {
	var head [4]byte
	binary.BigEndian.PutUint32(head[:], uint32(kind)<<24|uint32(len(data)))
	return t.keepBytes(d, head[:]) && t.keepBytes(d, data)
}

func (t *Table) keepBytes(d *seen, data []byte) bool {
	for len(data) > 0 {
		if d.tail == 0 || int(d.used) == len(block{}.data) {
			if t.stats.DetectBytes >= t.cfg.Limits.DetectTotal {
				t.stats.ShedDetections++
				return false
			}
			b := t.blocks.alloc()
			t.blocks.get(b).next = 0
			t.stats.DetectBytes += len(block{}.data)
			if d.tail == 0 {
				d.head = b
			} else {
				t.blocks.get(d.tail).next = b
			}
			d.tail, d.used = b, 0
		}
		n := copy(t.blocks.get(d.tail).data[d.used:], data)
		d.used += uint16(n)
		data = data[n:]
	}
	return true
}

// pieces calls f for each piece that passed, until it returns false.
func (t *Table) pieces(d *seen, f func(kind byte, data []byte) bool) {
	if d.head == 0 {
		return
	}
	buf := t.spare(smallPiece)
	b, at := d.head, 0
	read := func(n int) []byte {
		buf = buf[:0]
		for n > 0 {
			if at == len(block{}.data) {
				b, at = t.blocks.get(b).next, 0
			}
			from := t.blocks.get(b).data[at:]
			from = from[:min(n, len(from))]
			buf = append(buf, from...)
			at += len(from)
			n -= len(from)
		}
		return buf
	}
	for b != d.tail || at < int(d.used) {
		head := binary.BigEndian.Uint32(read(4))
		if !f(byte(head>>24), read(int(head&0xffffff))) {
			break
		}
	}
	t.giveBack(buf)
}

// forget ends the look at a connection.
func (t *Table) forget(det *uint32) {
	if *det == 0 {
		return
	}
	d := t.seen.get(*det)
	for b := d.head; b != 0; {
		next := t.blocks.get(b).next
		t.blocks.release(b)
		t.stats.DetectBytes -= len(block{}.data)
		b = next
	}
	t.seen.release(*det)
	*det = 0
}
