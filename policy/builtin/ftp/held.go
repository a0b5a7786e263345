package ftp

import (
	"bytes"

	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/packet"
)

// A row whose file came over another worker's connection may be due before the
// news of that file: it is held for a moment. News go to it if they were seen
// before it was due, so that it says what it would with one worker.

const (
	// holdRow is for how many seconds of packet time a row waits.
	holdRow = 1
	// maxRows is how many may wait; more, and the oldest is written as it is.
	maxRows = 1 << 10
)

type heldRow struct {
	s  *session // a copy
	at packet.Time
}

// moves tells the commands that move files.
func moves(name []byte) bool {
	switch string(name) {
	case "APPE", "RETR", "STOR", "STOU":
		return true
	}
	return false
}

// writeAt writes the row, or holds it.
func (s *session) writeAt(now packet.Time) {
	if !s.shared || !s.fuid.IsZero() || !moves(s.command.B) {
		s.write()
		return
	}
	l := s.log
	if len(l.rows) >= maxRows {
		l.rows[0].s.write()
		l.rows = append(l.rows[:0], l.rows[1:]...)
	}
	l.rows = append(l.rows, heldRow{s.copy(), now})
}

// copy returns what a row is made of.
func (s *session) copy() *session {
	text := func(t rows.Text) rows.Text { return rows.Text{Set: t.Set, B: bytes.Clone(t.B)} }
	return &session{
		log: s.log, Conn: s.Conn.Clone(), user: bytes.Clone(s.user), password: text(s.password),
		command: text(s.command), arg: text(s.arg), mime: text(s.mime), replyMsg: text(s.replyMsg),
		code: s.code, size: s.size, hasCode: s.hasCode, hasSize: s.hasSize, channel: s.channel, hasChannel: s.hasChannel,
	}
}

// meant returns the row that news of a control connection are for: one that is
// held and was due when they were seen, or the session's next one.
func (l *Log) meant(uid []byte, at packet.Time) *session {
	for i := range l.rows {
		if r := &l.rows[i]; at <= r.at && bytes.Equal(r.s.UID(), uid) {
			return r.s
		}
	}
	return l.shared[string(uid)]
}

// Advance writes the rows that have waited long enough.
func (l *Log) Advance(now packet.Time) {
	l.release(func(r *heldRow) bool { return r.at+holdRow <= now })
}

// release writes those that are due, in their order.
func (l *Log) release(due func(*heldRow) bool) {
	n := 0
	for i := range l.rows {
		r := l.rows[i]
		if due(&r) {
			r.s.write()
			continue
		}
		l.rows[n] = r
		n++
	}
	clear(l.rows[n:])
	l.rows = l.rows[:n]
}
