package flow

import "github.com/picket-nsm/picket/traffic/packet"

// Bits of the history, shifted by 16 for the responder.
const (
	histSYN = 1 << iota
	histFIN
	histRST
	histFINRST
	histData
	histACK
	histMulti
)

// note enters a letter once per direction. An A or D that follows nothing but a
// SYN+ACK shows that this was no scan: its sender was the responder, so the
// connection turns.
func (t *Table) note(s *segment, bit uint32, letter byte) bool {
	c := s.c
	if (letter == 'A' || letter == 'D') && c.histLen == 1 && c.hist[0] == 'H' {
		t.flip(c)
		c.hist[0], c.hist[1], c.histLen = '^', 'h', 2
		s.tc.seen |= seenOrig
	}
	if s.e != c.orig {
		bit <<= 16
	}
	return t.noteHistory(c, bit, c.sided(s.e, letter))
}

// segmentHistory enters a segment's flags and payload into the history. SYN,
// FIN and RST are entered again when their sequence number differs from the
// last one's.
func (t *Table) segmentHistory(s *segment, rel uint64) {
	c, me := s.c, s.me
	again := func(bit uint32, letter byte, at uint64, last *uint64) {
		if t.note(s, bit, letter) && at != *last {
			t.addHistory(c, c.sided(s.e, letter))
		}
		*last = at
	}
	switch s.flags & (fSYN | fFIN | fRST) {
	case 0:
		if s.n > 0 {
			t.note(s, histData, 'D')
		} else if s.has(fACK) {
			t.note(s, histACK, 'A')
		}
	case fSYN:
		letter := byte('S')
		if s.has(fACK) {
			letter = 'H'
		}
		again(histSYN, letter, rel, &me.lastSYN)
	case fFIN:
		again(histFIN, 'F', rel+uint64(s.n), &me.lastFIN)
	case fRST:
		again(histRST, 'R', rel, &me.lastRST)
	default:
		if s.has(fFIN) && s.has(fRST) {
			t.note(s, histFINRST, 'I')
		} else {
			t.note(s, histMulti, 'Q')
		}
	}
}

func handshake(st tcpState) bool { return st <= stSynAckSent }

// setState moves an end. The longer inactivity timeout starts when the first
// end leaves the handshake.
func (t *Table) setState(s *segment, end *tcpEnd, st tcpState) {
	if end.state == st {
		return
	}
	peer := s.peer
	if end == s.peer {
		peer = s.me
	}
	if !handshake(st) && handshake(end.state) && handshake(peer.state) {
		t.setSilence(s.slot, s.c, packet.Time(t.cfg.Timeouts.TCPInactivity))
	}
	end.before, end.state = end.state, st
}

// move is the state machine: what the segment does to its sender's state.
func (t *Table) move(s *segment, advanced int32) {
	me, peer := s.me, s.peer
	switch me.state {
	case stInactive:
		t.moveInactive(s)
	case stSynSent, stSynAckSent:
		t.moveSynSent(s)
	case stEstablished, stPartial:
		if s.has(fSYN) && me.state == stPartial && peer.state == stInactive && !s.has(fACK) {
			t.tcpWeird(s, "SYN_after_partial")
			t.setState(s, me, stSynSent)
		}
		if s.has(fFIN) && !s.has(fRST) {
			t.setState(s, me, stClosed)
			if peer.state == stReset && peer.before == stClosed {
				t.setState(s, peer, stClosed) // FIN, then RST: a normal end
			}
			s.close, s.final = true, true
		}
		if s.has(fRST) {
			t.setState(s, me, stReset)
			s.close = true
			if peer.state != stReset || peer.before != stEstablished {
				s.tc.active = false
			}
		}
	case stClosed:
		if s.has(fSYN) {
			t.tcpWeird(s, "SYN_after_close")
		}
		if s.has(fFIN) && advanced > 0 {
			t.tcpWeird(s, "FIN_advanced_last_seq")
		}
		if s.has(fRST) && peer.state != stClosed {
			t.setState(s, me, stReset)
			if !me.closed {
				s.close = true
			}
		}
	case stReset:
		if s.has(fSYN) {
			t.tcpWeird(s, "SYN_after_reset")
		}
		if s.has(fFIN) {
			t.tcpWeird(s, "FIN_after_reset")
		}
		if s.n > 0 && !s.has(fRST) {
			t.tcpWeird(s, "data_after_reset")
		}
	}
}

// moveInactive is the first segment of an end that says something.
func (t *Table) moveInactive(s *segment) {
	me, peer, tc := s.me, s.peer, s.tc
	if s.has(fSYN) {
		if s.orig {
			if s.has(fACK) {
				t.tcpWeird(s, "connection_originator_SYN_ack")
				t.setState(s, me, stSynAckSent)
			} else {
				t.setState(s, me, stSynSent)
			}
			if d := t.cfg.Timeouts.TCPAttempt; d > 0 {
				t.timer(s.slot, s.c, timerAttempt, t.pktTime+packet.Time(d))
			}
		} else {
			t.synAnswer(s)
		}
	}
	if s.has(fFIN) {
		t.setState(s, me, stClosed)
		s.close, s.final = true, true
		if peer.state != stPartial && !s.has(fSYN) {
			t.tcpWeird(s, "spontaneous_FIN")
		}
	}
	if s.has(fRST) {
		t.setState(s, me, stReset)
		// A reset rejects a SYN; or, from the originator, a SYN+ACK that came
		// without a SYN (a reverse scan).
		reject := s.orig && peer.state == stEstablished ||
			!s.orig && (peer.state == stSynSent || peer.state == stSynAckSent)
		s.close, s.final = true, !reject
		if !reject && peer.state == stInactive {
			t.tcpWeird(s, "spontaneous_RST")
		}
	}
	if me.state != stInactive {
		return
	}
	switch orig := &tc.end[s.c.orig]; {
	case !s.orig && s.n == 0 && orig.state == stSynSent:
		// Some stacks acknowledge a SYN before they answer it.
	case s.has(fACK) && peer.state == stEstablished:
		// We missed the SYN.
		t.setState(s, me, stEstablished)
		tc.partial = false
		tc.see(s.orig)
	default:
		t.setState(s, me, stPartial)
	}
}

func (tc *tcpConn) see(orig bool) {
	if orig {
		tc.seen |= seenOrig
	} else {
		tc.seen |= seenResp
	}
}

// synAnswer is a responder's first SYN, with or without ACK.
func (t *Table) synAnswer(s *segment) {
	me, peer := s.me, s.peer
	switch {
	case s.has(fACK):
		if peer.state != stInactive && peer.state != stPartial && !between(s.ack, peer.start, peer.last) {
			t.tcpWeird(s, "bad_SYN_ack")
		}
	case peer.state == stSynAckSent && s.seq == me.start:
		// SYN and SYN+ACK came in the wrong order.
		s.tc.partial = false
		t.flip(s.c)
		t.setState(s, peer, stEstablished)
		s.tc.seen |= seenOrig
	default:
		t.tcpWeird(s, "simultaneous_open")
	}
	if peer.state == stSynSent {
		t.setState(s, peer, stEstablished)
	} else if peer.state == stInactive {
		t.tcpWeird(s, "unsolicited_SYN_response")
	}
	t.setState(s, me, stEstablished)
	if peer.state != stPartial {
		s.established = true
	}
}

// between reports whether a is in [b, c] on the circle.
func between(a, b, c uint32) bool {
	if b <= c {
		return a >= b && a <= c
	}
	return a >= b || a <= c
}

func (t *Table) moveSynSent(s *segment) {
	me, peer := s.me, s.peer
	if s.has(fSYN) {
		if s.orig {
			if s.has(fACK) && !s.has(fFIN|fRST) && me.state != stSynAckSent {
				t.tcpWeird(s, "repeated_SYN_with_ack")
			}
		} else if !s.has(fACK) && me.state != stSynSent {
			t.tcpWeird(s, "repeated_SYN_reply_wo_ack")
		}
	}
	if s.has(fFIN) {
		if peer.state == stInactive || peer.state == stSynSent {
			t.tcpWeird(s, "inappropriate_FIN")
		}
		t.setState(s, me, stClosed)
		s.close, s.final = true, true
	}
	if s.has(fRST) {
		t.setState(s, me, stReset)
		s.tc.active = false
		s.close = true
	} else if s.n > 0 {
		t.tcpWeird(s, "data_before_established")
	}
}

// established gives interactive protocols a longer silence.
func (t *Table) established(s *segment) {
	c := s.c
	port := c.key.port(1 - c.orig)
	if s.tc.end[c.orig].state == stInactive {
		// Half of a connection: the service may be at the other end.
		servers := &t.choices.servers[0]
		if p := c.key.port(c.orig); !servers.has(port) && servers.has(p) {
			port = p
		}
	}
	if interactive(port) {
		t.setSilence(s.slot, c, packet.Time(t.cfg.Timeouts.InteractiveInactivity))
	}
}

// endClosed is what follows a FIN or RST once all bytes before it were
// delivered: the connection is over, or another look is taken later.
func (t *Table) endClosed(s *segment, e uint8, final bool) {
	tc, c := s.tc, s.c
	me, peer := &tc.end[e], &tc.end[1-e]
	t.closed(c)
	if t.pending(tc, e, c) {
		tc.closeDeferred = true
		tc.deferredFinal = tc.deferredFinal || final
		return
	}
	tc.closeDeferred = false
	if me.closed {
		return
	}
	me.closed = true
	if me.state == stReset || peer.closed || peer.state == stInactive {
		if me.before != stInactive || peer.state != stInactive {
			if tc.deferredFinal {
				final, tc.deferredFinal = true, false
			}
			if final {
				t.interrupted(c)
				tc.active = false
			}
		}
		c.epoch++
		t.timer(s.slot, c, timerDelete, c.last+packet.Time(t.cfg.Timeouts.TCPClose))
	} else if me.before != stInactive {
		t.timer(s.slot, c, timerCheck, c.last+packet.Time(t.cfg.Timeouts.TCPSession))
	}
}

// tcpTimer fires a deadline of a TCP connection.
func (t *Table) tcpTimer(slot uint32, c *conn, kind timerKind) {
	tc := t.tcps.get(c.tcp)
	orig, resp := &tc.end[c.orig], &tc.end[1-c.orig]
	if kind == timerDelete {
		t.remove(slot)
		return
	}
	if !tc.active {
		return
	}
	if kind == timerAttempt {
		if (orig.state == stSynSent || orig.state == stSynAckSent) && resp.state == stInactive {
			t.remove(slot)
		}
		return
	}
	if c.last+packet.Time(t.cfg.Timeouts.TCPLinger) < t.now {
		oneSilent := orig.state == stInactive || resp.state == stInactive
		oneReset := orig.state == stReset || resp.state == stReset
		over := (orig.closed || resp.closed) && (orig.closed && resp.closed || oneReset || oneSilent)
		if over || orig.state == stInactive && resp.state == stInactive {
			t.remove(slot)
			return
		}
	}
	t.timer(slot, c, timerCheck, t.now+packet.Time(t.cfg.Timeouts.TCPSession))
}
