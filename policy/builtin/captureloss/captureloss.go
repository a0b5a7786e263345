// Package captureloss writes capture_loss.log: how many acknowledgements were
// for data that was never seen, which estimates what the capture lost before
// anybody could count it.
//
// Zeek writes it where misc/capture-loss is loaded, Picket where the
// configuration asks for it. The first row comes a minute of packet time after
// the start, further ones every 15 minutes.
package captureloss

import (
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Zeek's CaptureLoss::initial_watch_interval and watch_interval in seconds.
const (
	First    = 60
	Interval = 900
)

// Log writes capture_loss.log. One goroutine.
type Log struct {
	peer             string
	write            func(row []value.Value)
	read             func() (acks, gaps uint64)
	since, next      packet.Time
	lastAcks, lastGs uint64
}

// New returns the log of the named peer. It hands its rows to write in the
// order of Schema; a row is valid until write returns. read gives the number of
// TCP acknowledgements seen and of those for data that was not.
func New(write func(row []value.Value), peer string, read func() (acks, gaps uint64)) *Log {
	return &Log{peer: peer, write: write, read: read}
}

// Schema returns the columns of capture_loss.log.
func Schema() *record.Schema {
	return record.New("CaptureLoss::LOG", "capture_loss",
		record.Of("ts", value.KindTime),
		record.Of("ts_delta", value.KindInterval),
		record.Of("peer", value.KindString),
		record.Of("gaps", value.KindCount),
		record.Of("acks", value.KindCount),
		record.Of("percent_lost", value.KindDouble),
	)
}

// Advance writes a row when an interval of packet time has passed.
func (l *Log) Advance(now packet.Time) {
	switch {
	case l.next == 0:
		l.since, l.next = now, now+First
	case now >= l.next:
		l.report(now)
	}
}

// Finish writes the last row.
func (l *Log) Finish(now packet.Time) {
	if l.next != 0 && now > l.since {
		l.report(now)
	}
}

func (l *Log) report(now packet.Time) {
	a, g := l.read()
	acks, gaps := a-l.lastAcks, g-l.lastGs
	lost := 0.0
	if acks > 0 {
		lost = 100 * float64(gaps) / float64(acks)
	}
	l.write([]value.Value{
		value.Time(float64(now)), value.Interval(float64(now - l.since)), value.String(l.peer),
		value.Count(gaps), value.Count(acks), value.Double(lost),
	})
	l.lastAcks, l.lastGs, l.since, l.next = a, g, now, now+Interval
}
