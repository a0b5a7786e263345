package flow

import "strconv"

// window follows the receive window that the sender offers.
func (t *Table) window(s *segment, raw uint32) {
	me := s.me
	win := raw << me.scale
	// Zero is no news in or after a reset, or once the peer has said its last.
	if win == 0 && !s.has(fRST) && s.peer.state != stClosed && me.state != stReset {
		t.scaledHistory(s.c, s.e, &me.zeroWins, 'W')
	}
	if s.has(fSYN|fFIN|fRST) || me.state == stClosed || me.state == stReset {
		return // often taken back at once
	}
	if delta(s.seq, me.windowSeq) >= 0 && delta(s.ack, me.windowAt) >= 0 {
		if d := delta(s.ack+win, me.windowAt+me.window); d < 0 && -int64(d) >= 1<<me.scale {
			t.connWeird(s.slot, s.c, "window_recision", "", "")
		}
		me.window, me.windowAt, me.windowSeq = win, s.ack, s.seq
	}
}

// synSeen looks at a SYN's oddities and its window scale.
func (t *Table) synSeen(s *segment, options []byte) {
	if s.has(fRST) {
		t.tcpWeird(s, "TCP_christmas")
	}
	if s.has(fURG) {
		t.tcpWeird(s, "baroque_SYN")
	}
	if s.n > 0 {
		t.tcpWeird(s, "SYN_with_data")
	}
	me, peer := s.me, s.peer
	scale, ok := windowScale(options)
	if !ok {
		me.scale = 0
		if s.has(fACK) {
			peer.scale = 0
		}
		return
	}
	if scale > 14 {
		if s.c.flags&flagWeird == 0 {
			t.connWeird(s.slot, s.c, "TCP_scale_range", strconv.Itoa(int(scale)), "TCP")
		}
		scale = 14
	}
	me.scale = scale
	me.windowSeq, me.windowAt = s.seq, s.ack
	peer.windowSeq, peer.windowAt = s.ack, s.seq
}

// windowScale finds the window scale option (RFC 7323).
func windowScale(o []byte) (scale uint8, ok bool) {
	for len(o) > 0 && o[0] != 0 {
		if o[0] == 1 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] == 0 || int(o[1]) > len(o) {
			break
		}
		if o[0] == 3 && o[1] >= 3 {
			scale, ok = o[2], true
		}
		o = o[o[1]:]
	}
	return scale, ok
}
