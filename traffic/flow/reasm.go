package flow

import "math"

// Reassembly keeps two marks per end: delivered (every byte below went to the
// analyzers or was given up) and trimmed (the peer acknowledged every byte
// below). Bytes beyond delivered wait in pieces, in the side table; where no
// analyzer wants them a piece is only its two numbers. When an ACK passes bytes
// that never came, that is a gap.

// piece is a run of bytes that came before its time.
type piece struct {
	from, to uint64
	data     []byte // nil if nobody wants it
}

// pieceCost is what a piece costs beside its bytes.
const pieceCost = 48

// smallPiece is the size of buffers that are kept for reuse.
const smallPiece = 2048

// maxSpare is how many of them are kept.
const maxSpare = 1024

// dataSent takes the payload of a segment; rel is its first byte.
func (t *Table) dataSent(s *segment, rel uint64, data []byte) {
	me := s.me
	if me.skip {
		return
	}
	to := rel + uint64(len(data))
	if to < rel {
		to = math.MaxUint64
		data = data[:to-rel]
	}
	if ack := full(me.acked, me.ackWraps) - uint64(me.start); rel < ack {
		if to <= ack {
			return // acknowledged before: delivered or a gap by now
		}
		data = data[ack-rel:]
		rel = ack
	}
	if to > me.trimmed {
		if rel < me.trimmed {
			data = data[me.trimmed-rel:]
			rel = me.trimmed
		}
		if t.take(s, s.e, rel, to, data) {
			t.afterDelivery(s, s.e)
		}
	}
	if me.pieces {
		list := t.sides.get(s.c.side).pieces[s.e]
		if lim := t.cfg.Limits.AboveHole; lim > 0 && list[len(list)-1].to-me.delivered > lim && me.nothingAcked() {
			t.giveUp(s, "above_hole_data_without_any_acks")
		}
	}
	if lim := t.cfg.Limits.Excessive; lim > 0 && !me.skip && t.heldBytes(s, s.e) > lim {
		t.giveUp(s, "excessive_data_without_further_acks")
	}
}

// heldBytes is what Zeek would keep for an end: bytes not acknowledged yet, and
// bytes out of order.
func (t *Table) heldBytes(s *segment, e uint8) uint64 {
	end := &s.tc.end[e]
	var n uint64
	if end.delivered > end.trimmed {
		n = end.delivered - end.trimmed
	}
	if end.pieces {
		for _, p := range t.sides.get(s.c.side).pieces[e] {
			n += p.to - p.from
		}
	}
	return n
}

// giveUp ends the reassembly of the segment's sender.
func (t *Table) giveUp(s *segment, weird string) {
	t.tcpWeird(s, weird)
	if s.me.pieces {
		sd := t.sides.get(s.c.side)
		t.dropPieces(sd, s.e, len(sd.pieces[s.e]))
		s.me.pieces = false
	}
	s.me.skip = true
}

// take delivers what of [from, to) comes next and keeps the rest; where bytes
// came twice, the first ones win. It reports whether anything was delivered.
func (t *Table) take(s *segment, e uint8, from, to uint64, data []byte) (any bool) {
	end := &s.tc.end[e]
	for i := 0; from < to; {
		if end.trimmed <= end.delivered && from < end.delivered {
			if to <= end.delivered {
				return any
			}
			data = data[end.delivered-from:]
			from = end.delivered
			continue
		}
		stop := to
		if end.pieces {
			list := t.sides.get(s.c.side).pieces[e]
			for i < len(list) && list[i].to <= from {
				i++
			}
			if i < len(list) && list[i].from <= from {
				if list[i].to >= to {
					return any
				}
				data = data[list[i].to-from:]
				from = list[i].to
				continue
			}
			if i < len(list) {
				stop = min(stop, list[i].from)
			}
		}
		n := stop - from
		if from == end.delivered {
			end.delivered = stop
			any = true
			t.deliver(s.c, e, data[:n], 0)
			t.drain(s, e)
			i = 0
		} else if !t.keep(s, e, i, from, stop, data[:n]) {
			return any
		}
		data = data[n:]
		from = stop
	}
	return any
}

// drain delivers pieces whose time has come.
func (t *Table) drain(s *segment, e uint8) bool {
	end := &s.tc.end[e]
	if !end.pieces {
		return false
	}
	sd := t.sides.get(s.c.side)
	n := 0
	for n < len(sd.pieces[e]) && sd.pieces[e][n].from <= end.delivered {
		p := sd.pieces[e][n]
		n++
		if p.from == end.delivered {
			end.delivered = p.to
			if p.data != nil {
				t.deliver(s.c, e, p.data, 0)
			}
		}
	}
	t.dropPieces(sd, e, n)
	end.pieces = len(sd.pieces[e]) > 0
	return n > 0
}

// keep stores a piece before place i of the list. It reports false if a limit
// forbids that.
func (t *Table) keep(s *segment, e uint8, i int, from, to uint64, data []byte) bool {
	c := s.c
	sd := t.needSide(c)
	list := sd.pieces[e]
	if c.flags&flagAnalyzers == 0 {
		// Only numbers: neighbours grow together.
		if i > 0 && list[i-1].to == from && list[i-1].data == nil {
			list[i-1].to = to
			if i < len(list) && list[i].from == to && list[i].data == nil {
				list[i-1].to = list[i].to
				sd.pieces[e] = append(list[:i], list[i+1:]...)
				sd.held -= pieceCost
				t.stats.ReassemblyBytes -= pieceCost
			}
			return true
		}
		if i < len(list) && list[i].from == to && list[i].data == nil {
			list[i].from = from
			return true
		}
		data = nil
	}
	cost := pieceCost + len(data)
	lim := &t.cfg.Limits
	if len(list) >= lim.Segments || sd.held+cost > lim.ReassemblyPerConn ||
		t.stats.ReassemblyBytes+cost > lim.ReassemblyTotal {
		t.stats.ShedSegments++
		s.tc.end[e].pieces = len(list) > 0
		return false
	}
	sd.held += cost
	t.stats.ReassemblyBytes += cost
	p := piece{from: from, to: to}
	if data != nil {
		p.data = append(t.spare(len(data)), data...)
	}
	list = append(list, piece{})
	copy(list[i+1:], list[i:])
	list[i] = p
	sd.pieces[e] = list
	s.tc.end[e].pieces = true
	return true
}

// spare returns an empty buffer with room for n bytes.
func (t *Table) spare(n int) []byte {
	if n > smallPiece {
		return make([]byte, 0, n)
	}
	if b := t.bufs.Take(); b != nil {
		return b
	}
	return make([]byte, 0, smallPiece)
}

// giveBack takes a buffer of spare.
func (t *Table) giveBack(b []byte) {
	if cap(b) == smallPiece {
		t.bufs.Keep(b[:0])
	}
}

// dropPieces forgets the first n pieces of an end.
func (t *Table) dropPieces(sd *side, e uint8, n int) {
	if n == 0 {
		return
	}
	list := sd.pieces[e]
	for i := range n {
		cost := pieceCost + len(list[i].data)
		sd.held -= cost
		t.stats.ReassemblyBytes -= cost
		t.giveBack(list[i].data)
	}
	rest := copy(list, list[n:])
	clear(list[rest:])
	sd.pieces[e] = list[:rest]
}

// afterDelivery lets go of delivered bytes when no ACKs are to be seen.
func (t *Table) afterDelivery(s *segment, e uint8) {
	end := &s.tc.end[e]
	if lim := t.cfg.Limits.MaxInitialWindow; lim > 0 && end.nothingAcked() && s.tc.size(e) > lim {
		end.trimmed = max(end.trimmed, end.delivered)
	}
}

// ackReceived says that everything of an end below seq was acknowledged.
func (t *Table) ackReceived(s *segment, e uint8, seq uint64) {
	end := &s.tc.end[e]
	if end.fins > 0 && seq >= end.finAt {
		seq = end.finAt - 1
	}
	if seq <= end.trimmed {
		return
	}
	counts := !end.skip && end.state == stEstablished && s.tc.end[1-e].state == stEstablished
	if counts {
		t.stats.AckEvents++
		t.stats.AckBytes += seq - end.trimmed
	}
	if seq > end.delivered {
		if n := t.holes(s, e, seq); counts && n > 0 {
			t.stats.GapEvents++
			t.stats.GapBytes += n
		}
		t.missing(s, e, seq)
	}
	if end.pieces {
		sd := t.sides.get(s.c.side)
		n := 0
		for n < len(sd.pieces[e]) && sd.pieces[e][n].to <= seq {
			n++
		}
		t.dropPieces(sd, e, n)
		end.pieces = len(sd.pieces[e]) > 0
		if t.drain(s, e) {
			t.afterDelivery(s, e)
		}
	}
	end.trimmed = max(end.trimmed, seq)
	t.checkEOF(s, e)
}

// holes counts the bytes below seq that never came.
func (t *Table) holes(s *segment, e uint8, seq uint64) uint64 {
	end := &s.tc.end[e]
	n := seq - end.delivered
	if end.pieces {
		for _, p := range t.sides.get(s.c.side).pieces[e] {
			if p.from >= seq {
				break
			}
			n -= min(p.to, seq) - p.from
		}
	}
	return n
}

// missing gives up what was not seen below seq, and delivers what was.
func (t *Table) missing(s *segment, e uint8, seq uint64) {
	end := &s.tc.end[e]
	if seq <= 2 && s.tc.partial {
		return // the SYN that we made up, or a keep-alive's byte
	}
	if !end.skip {
		for end.pieces {
			first := t.sides.get(s.c.side).pieces[e][0].from
			if first >= seq {
				break
			}
			if first > end.delivered {
				t.gap(s, e, first-end.delivered)
				end.delivered = first
			}
			if t.drain(s, e) {
				t.afterDelivery(s, e)
			}
		}
		if seq > end.delivered {
			t.gap(s, e, seq-end.delivered)
		}
	}
	end.delivered = max(end.delivered, seq)
}

// gap reports n missing bytes. Only gaps between ends that opened cleanly
// count; elsewhere numbers may just be wrong.
func (t *Table) gap(s *segment, e uint8, n uint64) {
	end := &s.tc.end[e]
	if end.clean() && s.tc.end[1-e].clean() {
		t.scaledHistory(s.c, e, &end.gaps, 'G')
		s.c.missed += n
	}
	end.gapped = true
	t.deliver(s.c, e, nil, n)
}

func (e *tcpEnd) clean() bool {
	return e.state == stEstablished || e.state == stClosed && e.before == stEstablished
}

// pending reports whether bytes before an end's FIN or RST are still to come,
// from it or from its peer.
func (t *Table) pending(tc *tcpConn, e uint8, c *conn) bool {
	end, peer := &tc.end[e], &tc.end[1-e]
	if end.skip {
		return false
	}
	at, last := uint64(end.start)+end.delivered, full(end.last, end.lastWraps)
	if last < at {
		return false
	}
	if at != last-1 && at != last {
		return true
	}
	return end.state != stReset && !peer.skip && (peer.pieces || peer.delivered > peer.trimmed)
}

// checkEOF notices that an end has sent its last byte and all were delivered.
func (t *Table) checkEOF(s *segment, e uint8) {
	tc := s.tc
	end := &tc.end[e]
	if end.eof || end.fins == 0 && end.state != stClosed && end.state != stReset || t.pending(tc, e, s.c) {
		return
	}
	end.eof = true
	t.sideEnded(s.c, e)
	if tc.closeDeferred {
		if t.pending(tc, e, s.c) && tc.end[0].closed && tc.end[1].closed {
			t.tcpWeird(s, "pending_data_when_closed")
		}
		t.endClosed(s, e, tc.deferredFinal)
		tc.closeDeferred = false
	}
}
