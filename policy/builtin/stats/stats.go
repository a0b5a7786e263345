// Package stats writes stats.log: what a worker has done in the last five
// minutes of packet time.
//
// Zeek writes it where misc/stats is loaded, Picket where the configuration
// asks for it. Counters of things that Picket does not have (script events)
// are 0.
package stats

import (
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Interval is Zeek's Stats::report_interval in seconds.
const Interval = 300

// Counts is what the worker has counted since it started. Active and Size
// fields are as of now.
type Counts struct {
	MemoryMB                            uint64
	Packets, Bytes                      uint64
	Dropped, Link, Filtered             uint64
	ActiveTCP, ActiveUDP, ActiveICMP    uint64
	TCP, UDP, ICMP                      uint64
	Timers, ActiveTimers                uint64
	ReassemTCP, ReassemFrag, ReassemPIA uint64 // bytes held
	Lag                                 float64
}

// Log writes stats.log. One goroutine.
type Log struct {
	peer  string
	live  bool
	write func(row []value.Value)
	read  func() Counts
	last  Counts
	next  packet.Time
	row   []value.Value
}

// New returns the log of the named peer. It hands its rows to write in the
// order of Schema; a row is valid until write returns. read gives the counters;
// live says that packets come from an interface, which sets the columns on drops
// and lag.
func New(write func(row []value.Value), peer string, live bool, read func() Counts) *Log {
	return &Log{peer: peer, live: live, write: write, read: read}
}

// Schema returns the columns of stats.log.
func Schema() *record.Schema {
	return record.New("Stats::LOG", "stats",
		record.Of("ts", value.KindTime),
		record.Of("peer", value.KindString),
		record.Of("mem", value.KindCount),
		record.Of("pkts_proc", value.KindCount),
		record.Of("bytes_recv", value.KindCount),
		record.Optional("pkts_dropped", value.KindCount),
		record.Optional("pkts_link", value.KindCount),
		record.Optional("pkt_lag", value.KindInterval),
		record.Optional("pkts_filtered", value.KindCount),
		record.Of("events_proc", value.KindCount),
		record.Of("events_queued", value.KindCount),
		record.Of("active_tcp_conns", value.KindCount),
		record.Of("active_udp_conns", value.KindCount),
		record.Of("active_icmp_conns", value.KindCount),
		record.Of("tcp_conns", value.KindCount),
		record.Of("udp_conns", value.KindCount),
		record.Of("icmp_conns", value.KindCount),
		record.Of("timers", value.KindCount),
		record.Of("active_timers", value.KindCount),
		record.Of("files", value.KindCount),
		record.Of("active_files", value.KindCount),
		record.Of("dns_requests", value.KindCount),
		record.Of("active_dns_requests", value.KindCount),
		record.Of("reassem_tcp_size", value.KindCount),
		record.Of("reassem_file_size", value.KindCount),
		record.Of("reassem_frag_size", value.KindCount),
		record.Of("reassem_unknown_size", value.KindCount),
	)
}

// Advance writes a row when an interval of packet time has passed.
func (l *Log) Advance(now packet.Time) {
	if l.next == 0 {
		l.next = now + Interval
	}
	if now >= l.next {
		l.report(now)
		l.next = now + Interval
	}
}

// Finish writes the last row.
func (l *Log) Finish(now packet.Time) {
	if l.next != 0 {
		l.report(now)
	}
}

func (l *Log) report(now packet.Time) {
	c, last := l.read(), l.last
	l.last = c
	row := append(l.row[:0], value.Time(float64(now)), value.String(l.peer), value.Count(c.MemoryMB),
		value.Count(c.Packets-last.Packets), value.Count(c.Bytes-last.Bytes))
	if l.live {
		row = append(row, value.Count(c.Dropped-last.Dropped), value.Count(c.Link-last.Link),
			value.Interval(c.Lag), value.Count(c.Filtered-last.Filtered))
	} else {
		row = append(row, value.Value{}, value.Value{}, value.Value{}, value.Value{})
	}
	for _, n := range [...]uint64{
		0, 0, // events: scripts are not run
		c.ActiveTCP, c.ActiveUDP, c.ActiveICMP,
		c.TCP - last.TCP, c.UDP - last.UDP, c.ICMP - last.ICMP,
		c.Timers - last.Timers, c.ActiveTimers,
		0, 0, // files
		0, 0, // DNS requests that Zeek itself makes
		c.ReassemTCP, 0, c.ReassemFrag, c.ReassemPIA,
	} {
		row = append(row, value.Count(n))
	}
	l.row = row
	l.write(row)
}
