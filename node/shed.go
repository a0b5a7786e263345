package node

import (
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/zeek/value"
)

// shed notes in the ledger, by name, what the flow table gave up because a
// limit was reached, so that status shows it, and what it holds by protocol.
type shed []shedCounter

type shedCounter struct {
	*ledger.Counter
	of func(*flow.Stats) uint64
}

func newShed(l *ledger.Ledger) shed {
	var s shed
	for _, c := range []struct {
		name string
		of   func(*flow.Stats) uint64
	}{
		{ledger.FlowShed + "connections", func(s *flow.Stats) uint64 { return s.ShedConns }},
		{ledger.FlowShed + "segments", func(s *flow.Stats) uint64 { return s.ShedSegments }},
		{ledger.FlowShed + "fragments", func(s *flow.Stats) uint64 { return s.ShedFragments }},
		{ledger.FlowShed + "history", func(s *flow.Stats) uint64 { return s.ShedHistory }},
		{ledger.FlowShed + "analyzers", func(s *flow.Stats) uint64 { return s.ShedAnalyzers }},
		{ledger.FlowShed + "expected", func(s *flow.Stats) uint64 { return s.ShedExpected }},
		{ledger.FlowShed + "detections", func(s *flow.Stats) uint64 { return s.ShedDetections }},
		{ledger.FlowShed + "tunnels", func(s *flow.Stats) uint64 { return s.ShedTunnels }},
		{"flow.stopped.ip", func(s *flow.Stats) uint64 { return s.DroppedIP }},
		{"flow.stopped.checksum", func(s *flow.Stats) uint64 { return s.DroppedChecksum }},
		{"flow.stopped.header", func(s *flow.Stats) uint64 { return s.DroppedHeader }},
		{"flow.active.tcp", func(s *flow.Stats) uint64 { return uint64(s.ByProto[value.ProtoTCP].Active) }},
		{"flow.active.udp", func(s *flow.Stats) uint64 { return uint64(s.ByProto[value.ProtoUDP].Active) }},
		{"flow.active.icmp", func(s *flow.Stats) uint64 { return uint64(s.ByProto[value.ProtoICMP].Active) }},
		{"flow.total.tcp", func(s *flow.Stats) uint64 { return s.ByProto[value.ProtoTCP].Conns }},
		{"flow.total.udp", func(s *flow.Stats) uint64 { return s.ByProto[value.ProtoUDP].Conns }},
		{"flow.total.icmp", func(s *flow.Stats) uint64 { return s.ByProto[value.ProtoICMP].Conns }},
		{"flow.timers", func(s *flow.Stats) uint64 { return s.TimersSet }},
	} {
		s = append(s, shedCounter{l.Counter(c.name), c.of})
	}
	return s
}

func (s shed) note(st flow.Stats) {
	for i := range s {
		s[i].Set(s[i].of(&st))
	}
}
