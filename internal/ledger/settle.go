package ledger

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Options say how settlement looks at the world. The zero value is right but
// for tests.
type Options struct {
	Length Length                   // of log files; nil: FileLength
	Over   func(*Snapshot) bool     // whether a life has ended; nil: Snapshot.Over
	Show   func(node string) string // how a node is called in the report; nil: as it is
}

// Why records or packets are lost, as the report says it.
const (
	WhyHeld     = "in its hands when it died"
	WhyQueued   = "waiting for a logger when it died"
	WhyUnproven = "sent, not written, when it died"
	WhyOpen     = "open when it died" // connections, which had made no record yet
)

// Settle compares the books of all lives of all nodes and says of every record
// and packet where it went. It adds up only what somebody noted. Whatever no
// note explains is the remainder, and a remainder is a mistake of ours. For
// lives that go on, what has no answer yet is open; read their ledgers before
// the loggers'.
func Settle(snaps []*Snapshot, o Options) (*Report, error) {
	if o.Length == nil {
		o.Length = FileLength
	}
	if o.Over == nil {
		o.Over = (*Snapshot).Over
	}
	if o.Show == nil {
		o.Show = func(n string) string { return n }
	}
	b := &books{o: o, written: map[tallyKey]uint64{}, loggers: map[string][]*Snapshot{}, r: &Report{}}
	if err := b.readLoggers(snaps); err != nil {
		return nil, err
	}
	for _, s := range snaps {
		b.packets(s)
		if err := b.records(s); err != nil {
			return nil, err
		}
	}
	b.foreign(snaps)
	b.r.finish()
	return b.r, nil
}

type tallyKey struct {
	producer string
	start    uint64
	path     string
}

type books struct {
	o       Options
	written map[tallyKey]uint64
	loggers map[string][]*Snapshot // all lives by name
	r       *Report
}

// readLoggers adds up what all lives of all loggers wrote, the write under way
// at a death included if it is wholly in its file.
func (b *books) readLoggers(snaps []*Snapshot) error {
	for _, s := range snaps {
		if !s.logs {
			continue
		}
		b.loggers[s.Node] = append(b.loggers[s.Node], s)
		for _, t := range s.Written {
			b.written[tallyKey{t.Producer, t.Start, t.Path}] += t.Records
		}
		if !b.o.Over(s) {
			continue
		}
		f := s.flight
		if f == nil {
			continue
		}
		n, err := b.o.Length(f.File)
		if err != nil {
			return fmt.Errorf("settle %s: %w", s.Node, err)
		}
		if n >= f.After {
			b.written[tallyKey{f.Producer, f.Start, f.Path}] += f.Records
		}
	}
	return nil
}

// wrote reports whether any life of a logger wrote a batch.
func (b *books) wrote(logger, producer string, start, seq uint64) (bool, error) {
	for _, s := range b.loggers[logger] {
		length := b.o.Length
		if !b.o.Over(s) { // Still writing: the file proves nothing yet.
			length = func(string) (int64, error) { return 0, nil }
		}
		if w, err := s.wrote(producer, start, seq, length); w || err != nil {
			return w, err
		}
	}
	return false, nil
}

// loggerOver reports whether no life of a logger goes on.
func (b *books) loggerOver(name string) bool {
	for _, s := range b.loggers[name] {
		if !b.o.Over(s) {
			return false
		}
	}
	return true
}

func (b *books) packets(s *Snapshot) {
	// What the kernel or a filter kept back was never handed to the worker.
	read := s.Counters[PacketsReceived] + s.Counters[PacketsKernel] + s.Counters[PacketsFilter]
	if read == 0 {
		return
	}
	l := Line{Node: b.o.Show(s.Node), Start: s.Start, Produced: read, Written: s.Counters[PacketsAnalyzed], Dropped: map[string]uint64{}}
	for name, v := range s.Counters {
		if why, ok := strings.CutPrefix(name, "packets.dropped."); ok && v > 0 {
			l.Dropped[why] = v
		}
		if what, ok := strings.CutPrefix(name, FlowShed); ok && v > 0 {
			if b.r.Shed == nil {
				b.r.Shed = map[string]uint64{}
			}
			b.r.Shed[what] += v
		}
	}
	rest := int64(read) - int64(l.Written) - int64(sum(l.Dropped))
	switch {
	case !b.o.Over(s):
		l.Open = rest
	case s.State == Stopped || rest < 0:
		l.Remainder = rest
	case rest > 0:
		l.Lost = append(l.Lost, Lost{l.Node, s.Start, WhyHeld, uint64(rest)})
	}
	b.r.Packets = append(b.r.Packets, l)
	if n := s.Counters[FlowsOpen]; n > 0 && s.State != Stopped && b.o.Over(s) {
		b.r.Connections = append(b.r.Connections, Lost{l.Node, s.Start, WhyOpen, n})
	}
}

func (b *books) records(s *Snapshot) error {
	over := b.o.Over(s)
	for _, path := range s.Paths {
		l := Line{Node: b.o.Show(s.Node), Start: s.Start, Path: path, Produced: s.Counters[Produced(path)], Dropped: map[string]uint64{}}
		key := tallyKey{s.Node, s.Start, path}
		l.Written = b.written[key]
		delete(b.written, key)
		head := "log." + path + ".dropped."
		for name, v := range s.Counters {
			if why, ok := strings.CutPrefix(name, head); ok && v > 0 {
				l.Dropped[why] += v
			}
		}
		// What has left the process's hands by its own notes.
		l.Handed = s.Counters[Handed(path)]
		noted := sum(l.Dropped) + s.Counters[Acked(path)] + l.Handed
		lost := map[string]uint64{}
		var waiting uint64
		for _, e := range s.Entries {
			if e.Path != path {
				continue
			}
			noted += e.Records
			if e.Fate != Made {
				w, err := b.wrote(e.Logger, s.Node, s.Start, e.Seq)
				if err != nil {
					return fmt.Errorf("settle %s: %w", s.Node, err)
				}
				if w {
					continue
				}
			}
			switch {
			case !over, e.Fate != Made && !b.loggerOver(e.Logger):
				waiting += e.Records
			case e.Fate == GaveUp:
				l.Dropped[StageShip+"."+ReasonDeadline] += e.Records
			case s.State == Stopped: // Stopped in order with a batch on its hands: unexplained.
			case e.Fate == Made:
				lost[WhyQueued] += e.Records
			default:
				lost[WhyUnproven] += e.Records
			}
		}
		if held := int64(l.Produced) - int64(noted); over && s.State != Stopped && held > 0 {
			lost[WhyHeld] = uint64(held)
		}
		for why, n := range lost {
			l.Lost = append(l.Lost, Lost{l.Node, s.Start, why, n})
		}
		sort.Slice(l.Lost, func(i, j int) bool { return l.Lost[i].Why < l.Lost[j].Why })
		rest := int64(l.Produced) - int64(l.Written) - int64(l.Handed) - int64(sum(l.Dropped)) - int64(l.lost())
		if over {
			l.Open = int64(waiting)
			l.Remainder = rest - l.Open
		} else if l.Open = rest; rest < 0 {
			// The loggers' books are younger and tell what was produced meanwhile.
			l.Produced += uint64(-rest)
			l.Open = 0
		}
		b.r.Records = append(b.r.Records, l)
	}
	return nil
}

// foreign lists what loggers wrote for producers whose books we do not have:
// real Zeek processes.
func (b *books) foreign(snaps []*Snapshot) {
	for k, n := range b.written {
		if slices.ContainsFunc(snaps, func(s *Snapshot) bool { return s.Node == k.producer && s.Start == k.start }) {
			if n > 0 { // Its books are here and say it never produced that.
				b.r.Records = append(b.r.Records, Line{Node: b.o.Show(k.producer), Start: k.start, Path: k.path, Written: n, Remainder: -int64(n)})
			}
		} else if n > 0 {
			b.r.Foreign = append(b.r.Foreign, Tally{Producer: k.producer, Start: k.start, Path: k.path, Records: n})
		}
	}
	sort.Slice(b.r.Foreign, func(i, j int) bool {
		x, y := &b.r.Foreign[i], &b.r.Foreign[j]
		if x.Producer != y.Producer {
			return x.Producer < y.Producer
		}
		return x.Path < y.Path
	})
}

func sum(m map[string]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}
