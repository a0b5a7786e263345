package flow

import (
	"encoding/binary"

	"github.com/picket-nsm/picket/traffic/packet"
)

// tcpConn is the TCP part of a connection: its ends, numbered as in conn.
type tcpConn struct {
	end     [2]tcpEnd
	seen    uint8 // which roles have sent a packet: seenOrig, seenResp
	partial bool  // its beginning was not seen
	// active: nothing final was reported yet (an attempt, a reset, an end);
	// most timers stop at it.
	active        bool
	closeDeferred bool // an end waits until the bytes before it were delivered
	deferredFinal bool
}

const (
	seenOrig = 1 << iota
	seenResp
)

// tcpEnd is one end of a TCP connection. Sequence numbers are counted from
// start, one below the first byte, in 64 bits where it matters.
type tcpEnd struct {
	lastSYN, lastFIN, lastRST uint64 // relative; for the history
	finAt                     uint64 // relative end of its FIN
	delivered                 uint64 // relative: every byte below was delivered or given up
	trimmed                   uint64 // relative: nothing below is needed again
	lastTime                  packet.Time
	start, last, acked        uint32 // acked: by the peer
	lastWraps, ackWraps       uint32
	window, windowAt          uint32 // scaled window, and the ACK it was said with
	windowSeq                 uint32
	fins, rsts                uint32
	rexmits, zeroWins, gaps   uint32
	state, before             tcpState
	scale                     uint8
	closed                    bool // its end was processed
	eof                       bool // all its bytes before the end were delivered
	skip                      bool // reassembly was given up
	pieces                    bool // the side table has bytes out of order
	gapped                    bool // bytes are missing
}

// tcpState is the state of an end.
type tcpState uint8

const (
	stInactive   tcpState = iota // nothing seen
	stSynSent                    // SYN
	stSynAckSent                 // SYN+ACK, but no SYN from the other end
	stPartial                    // data, but no SYN
	stEstablished
	stClosed // FIN
	stReset  // RST
)

// TCP flags.
const (
	fFIN = 1 << iota
	fSYN
	fRST
	fPSH
	fACK
	fURG
)

// bigJump is how far a sequence number may move without doubt.
const bigJump = 1 << 20

func delta(a, b uint32) int32 { return int32(a - b) }

// full counts wraps of 32 bits in.
func full(seq, wraps uint32) uint64 { return uint64(wraps)<<32 + uint64(seq) }

// relative turns seq, as near to last as can be, into a relative number.
// early is true if it is before the start.
func (e *tcpEnd) relative(seq, last, wraps uint32) (rel uint64, early bool) {
	switch d := delta(seq, last); {
	case d < 0 && wraps > 0 && seq > last:
		wraps-- // of the 32 bits before
	case d > 0 && seq < last:
		wraps++
	}
	if wraps == 0 {
		d := delta(seq, e.start)
		return uint64(int64(d)), d < 0
	}
	return full(seq, wraps) - uint64(e.start), false
}

// nothingAcked: nothing but perhaps the SYN was acknowledged.
func (e *tcpEnd) nothingAcked() bool {
	a := full(e.acked, e.ackWraps) - uint64(e.start)
	return a <= 1
}

func (e *tcpEnd) setLast(seq uint32) {
	if seq < e.last {
		e.lastWraps++
	}
	e.last = seq
}

// restart sets the numbers as if a SYN had been sent with seq.
func (e *tcpEnd) restart(seq, last uint32) { e.start, e.acked, e.last = seq, seq, last }

// size is how many payload bytes an end sent, from sequence numbers.
func (tc *tcpConn) size(end uint8) uint64 {
	e, peer := &tc.end[end], &tc.end[1-end]
	if e.before == stSynSent && e.state == stReset && peer.state == stInactive && !e.nothingAcked() {
		// A half-open connection was found and dropped: the numbers mean nothing.
		return 0
	}
	n := max(full(e.last, e.lastWraps), full(e.acked, e.ackWraps)) - uint64(e.start)
	if n > 0 {
		n-- // SYN, or the place that we kept for it
	}
	if e.fins > 0 && n > 0 {
		n--
	}
	return n
}

func (tc *tcpConn) flipped() {
	tc.seen = tc.seen>>1 | tc.seen&1<<1
	tc.partial = false
}

// segment is a TCP packet while it is looked at.
type segment struct {
	slot        uint32
	c           *conn
	tc          *tcpConn
	me, peer    *tcpEnd
	e           uint8 // end that sent it
	orig        bool  // whether that was the originator when it came
	flags       uint8
	seq, ack    uint32
	n           int // payload bytes as stated
	close       bool
	final       bool // worth an event in Zeek: ends its active life
	established bool
}

func (s *segment) has(f uint8) bool { return s.flags&f != 0 }

// tcp takes a TCP packet.
func (t *Table) tcp(p *packet.Packet) {
	if !t.header(p, 20, "TCP") {
		return
	}
	b := p.Payload
	sp, dp := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	k, srcHi := makeKey(&p.Src, &p.Dst, sp, dp, p.Proto, false)
	slot, c, h := t.find(&k)
	if c != nil && b[13]&fSYN != 0 && t.reused(slot, c, b) {
		t.remove(slot)
		c = nil
	}
	if c == nil {
		slot, c = t.newTCP(&k, h, srcHi, sp, dp, p)
	} else if t.path.n > 0 || c.flags&flagInside != 0 {
		t.sawPath(slot, c)
	}
	t.setCur(slot, c)
	s := segment{slot: slot, c: c, tc: t.tcps.get(c.tcp), e: c.end(srcHi)}
	hdr := int(b[12]>>4) * 4
	if hdr < 20 {
		t.connWeird(slot, c, "bad_TCP_header_len", "", "TCP")
		t.stats.DroppedHeader++
		return
	}
	if hdr > p.PayloadLen || hdr > len(b) {
		t.connWeird(slot, c, "truncated_header", "", "TCP")
		t.stats.DroppedHeader++
		return
	}
	s.n = p.PayloadLen - hdr
	if t.verify(p) && len(b) >= p.PayloadLen && !p.TransportChecksumOK(p.PayloadLen) {
		t.connWeird(slot, c, "bad_TCP_checksum", "", "TCP")
		t.scaledHistory(c, s.e, &c.badSums[s.e], 'C')
		t.stats.DroppedChecksum++
		return
	}
	s.me, s.peer = &s.tc.end[s.e], &s.tc.end[1-s.e]
	s.orig = s.e == c.orig
	s.flags = b[13]
	s.seq, s.ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	t.segment(&s, b, hdr)
	c.counted(s.e, p)
}

// newTCP adds a connection and guesses who started it: a first packet that is
// no plain SYN may come from the server.
func (t *Table) newTCP(k *key, h uint32, srcHi bool, sp, dp uint16, p *packet.Packet) (uint32, *conn) {
	flip := false
	if f := p.Payload[13]; f&(fSYN|fACK) != fSYN {
		servers := &t.choices.servers[0]
		if servers.has(sp) {
			flip = !servers.has(dp) || f&fSYN == 0 && sp < dp
		}
	}
	slot, c := t.create(k, h, srcHi, flip, p, t.cfg.Timeouts.UDPInactivity)
	c.tcp = t.tcps.alloc()
	tc := t.tcps.get(c.tcp)
	*tc = tcpConn{active: true}
	for e := range tc.end {
		tc.end[e].delivered, tc.end[e].trimmed = 1, 1
	}
	t.timer(slot, c, timerCheck, t.now+packet.Time(t.cfg.Timeouts.TCPSYN))
	t.attach(slot, c)
	t.expected.began(slot, c)
	return slot, c
}

// reused reports whether a SYN on a known key begins another connection.
func (t *Table) reused(slot uint32, c *conn, b []byte) bool {
	if b[12]>>4 < 5 {
		return false
	}
	tc := t.tcps.get(c.tcp)
	orig, resp := &tc.end[c.orig], &tc.end[1-c.orig]
	first := orig
	withACK := b[13]&fACK != 0
	if withACK {
		if orig.state != stInactive {
			return false
		}
		first = resp // a half connection starts with it
	}
	if !orig.closed && !resp.closed {
		seq := binary.BigEndian.Uint32(b[4:])
		if seq == first.start {
			return false
		}
		if !withACK && first.state == stSynAckSent && resp.state == stInactive && seq == resp.start {
			return false // SYN and SYN+ACK came in the wrong order
		}
		if first.state == stSynSent {
			t.connWeird(slot, c, "SYN_seq_jump", "", "TCP")
		} else {
			t.connWeird(slot, c, "active_connection_reuse", "", "TCP")
		}
		return true
	}
	if orig.state != stReset && resp.state != stReset {
		if orig.state != stInactive && !orig.closed || resp.state != stInactive && !resp.closed {
			t.connWeird(slot, c, "active_connection_reuse", "", "TCP")
		} else if float64(t.pktTime-c.last) < t.cfg.Timeouts.TCPLinger {
			t.connWeird(slot, c, "premature_connection_reuse", "", "TCP")
		}
	}
	return true
}

// segment is the way of one segment, in Zeek's order; much of conn.log depends
// on that order.
func (t *Table) segment(s *segment, b []byte, hdr int) {
	tc, me, peer, c := s.tc, s.me, s.peer, s.c
	if s.orig {
		if tc.seen&seenOrig == 0 {
			tc.partial = s.flags&(fSYN|fACK) != fSYN
		}
	} else if tc.seen&seenResp == 0 && !tc.partial {
		tc.partial = !s.has(fSYN)
	}

	length := s.n
	if s.has(fRST) {
		length = 0 // its payload is no part of the stream
	}
	if s.has(fSYN) {
		length++
	}
	if s.has(fFIN) {
		length++
	}
	next := s.seq + uint32(length)
	t.initEnd(s, next)

	rel, early := me.relative(s.seq, me.last, me.lastWraps)
	if early && !s.has(fRST) {
		t.tcpWeird(s, "TCP_seq_underflow_or_misorder")
	}
	t.segmentHistory(s, rel)
	t.window(s, uint32(binary.BigEndian.Uint16(b[14:])))
	if !me.closed || !peer.closed {
		c.last = t.pktTime
	}
	if s.has(fSYN) {
		t.synSeen(s, b[20:hdr])
	}
	if s.has(fFIN) {
		me.fins++
		t.storm(s, me.fins, "FIN_storm")
		me.finAt = rel + uint64(length)
	}
	if s.has(fRST) {
		me.rsts++
		t.storm(s, me.rsts, "RST_storm")
		t.interrupted(c)
	}

	var relAck uint64
	if s.has(fACK) {
		relAck = t.ackSeen(s)
	}
	advanced := t.moveLast(s, next)
	me.lastTime = t.pktTime
	t.move(s, advanced)
	if s.has(fACK) {
		// Behind the state machine, so that a gap at the very end is known as such.
		t.ackReceived(s, 1-s.e, relAck)
	}
	if s.orig {
		tc.seen |= seenOrig
	} else {
		tc.seen |= seenResp
	}

	if s.n > 0 && !s.has(fRST) && !early {
		if data := b[hdr:]; len(data) >= s.n {
			if s.has(fSYN) {
				rel++
			}
			t.dataSent(s, rel, data[:s.n])
		} else {
			t.tcpWeird(s, "truncated_tcp_payload")
		}
	}
	t.checkEOF(s, s.e)
	if s.close {
		t.endClosed(s, s.e, s.final)
	}
	if s.established {
		t.established(s)
	}
}

// initEnd sets sequence numbers where a segment starts or restarts them.
func (t *Table) initEnd(s *segment, next uint32) {
	me := s.me
	switch me.state {
	case stInactive:
		if s.has(fSYN) {
			me.restart(s.seq, next)
		} else {
			// As if there had been a SYN; last so that this segment is no
			// retransmission.
			me.restart(s.seq-1, s.seq)
		}
	case stSynSent, stSynAckSent:
		if s.has(fSYN) && s.seq != me.start {
			t.connWeird(s.slot, s.c, "SYN_seq_jump", "", "")
			me.restart(s.seq, next)
		}
	case stEstablished, stPartial:
		if s.has(fSYN) {
			if s.tc.size(s.e) > 0 {
				t.connWeird(s.slot, s.c, "SYN_inside_connection", "", "")
			}
			if s.seq != me.start {
				t.connWeird(s.slot, s.c, "SYN_seq_jump", "", "")
			}
			me.restart(s.seq, next)
		}
	case stReset:
		if s.has(fSYN) && me.before == stInactive {
			me.restart(s.seq, next) // the RST may have been forged
		}
	}
}

// storm reports FINs or RSTs that come too often.
func (t *Table) storm(s *segment, n uint32, name string) {
	if n >= t.cfg.Limits.StormThreshold && t.pktTime < s.me.lastTime+1 {
		t.tcpWeird(s, name)
	}
}

// ackSeen notes what the segment acknowledges and returns it as a relative
// number of the peer, 0 if it makes no sense.
func (t *Table) ackSeen(s *segment) uint64 {
	me, peer := s.me, s.peer
	if peer.state == stInactive {
		if !s.has(fSYN|fFIN|fRST) && (me.state == stSynSent || me.state == stSynAckSent || me.state == stEstablished) &&
			s.c.flags&flagWeird == 0 {
			t.connWeird(s.slot, s.c, "possible_split_routing", "", "")
		}
		peer.restart(s.ack-1, s.ack-1)
		return 1
	}
	rel, early := peer.relative(s.ack, peer.acked, peer.ackWraps)
	if early {
		t.tcpWeird(s, "TCP_ack_underflow_or_misorder")
		return 0
	}
	if !s.has(fRST) {
		// A jump to 0 is rather a broken ACK.
		if d := delta(s.ack, peer.acked); d > 0 && (s.ack != 0 || d <= bigJump) {
			if s.ack < peer.acked {
				peer.ackWraps++
			}
			peer.acked = s.ack
		}
	}
	return rel
}

// moveLast advances the sender's highest sequence number, if it can be
// believed, and returns by how much the segment is ahead.
func (t *Table) moveLast(s *segment, next uint32) int32 {
	me := s.me
	d := delta(next, me.last)
	switch {
	case s.has(fSYN|fRST) && (d > bigJump || d < -bigJump):
	case s.has(fFIN) && me.last == me.start+1:
		me.setLast(next) // only SYN and FIN seen: right even above 2 GiB
	case me.state == stReset:
	case d > 0:
		me.setLast(next)
	case s.n > 0:
		t.scaledHistory(s.c, s.e, &me.rexmits, 'T')
	}
	return d
}

func (t *Table) tcpWeird(s *segment, name string) { t.connWeird(s.slot, s.c, name, "", "TCP") }
