package status

import (
	"bytes"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/ledger"
)

func TestLinks(t *testing.T) {
	link := func(name string, all map[string]uint64) map[string]uint64 {
		out := map[string]uint64{"bus.clients": 3, "link.": 1, "link.x": 1}
		for what, n := range all {
			out[ledger.Link(name, what)] = n
		}
		return out
	}
	s := example()
	hub := link("zeek.a", map[string]uint64{ledger.LinkIn: 10, ledger.LinkOut: 20, ledger.LinkDropped: 1, ledger.LinkUp: 5, ledger.LinkQueued: 9})
	hub[ledger.Link("zeek-b", ledger.LinkCodec)] = 7
	s.Nodes[0].Counters = hub
	s.Nodes[0].Life = link("zeek.a", map[string]uint64{ledger.LinkUp: 2, ledger.LinkQueued: 4, ledger.LinkIn: 3})
	s.Nodes[1].Counters = link("zeek.a", map[string]uint64{ledger.LinkBatches: 2, ledger.LinkRecords: 200})
	s.Nodes[2].Life = link("zeek.a", map[string]uint64{ledger.LinkUp: 2}) // does not run
	s.links()
	want := Link{Name: "zeek.a", Connections: 2, In: 10, Out: 20, Missed: 1, Queued: 4, Batches: 2, Records: 200}
	if len(s.Links) != 2 || s.Links[1] != want || s.Links[0] != (Link{Name: "zeek-b", Codec: 7}) {
		t.Errorf("%+v", s.Links)
	}
	var b bytes.Buffer
	if err := Table(&b, s); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"zeek zeek.a  connected  messages 10 in, 20 out, 1 missed  log batches 2 in, 200 rows",
		"! zeek zeek-b  not connected  messages 0 in, 0 out, 0 missed  log batches 0 in, 0 rows  7 events refused: another codec than bus.codec; picket logs hub names both",
	} {
		if !strings.Contains(b.String(), line+"\n") {
			t.Errorf("no line %q in\n%s", line, &b)
		}
	}
}
