package status

import (
	"fmt"
	"slices"
	"strings"

	"github.com/picket-nsm/picket/internal/ledger"
)

// Link is what passed between this cluster and a real Zeek process of its
// configuration, over all of its lives in this run. It says what we received and
// what left for it; what became of it there, only that process knows.
type Link struct {
	Name        string `json:"name"`
	Connections uint64 `json:"connections"`   // to the broker: two if it is there
	In          uint64 `json:"messages_in"`   // events, hellos included
	Out         uint64 `json:"messages_out"`  // that left for it
	Missed      uint64 `json:"missed"`        // its queue was full, or it left before they did
	Queued      uint64 `json:"queued"`        // wait for it
	Codec       uint64 `json:"refused_codec"` // events in another codec than the cluster's
	Batches     uint64 `json:"batches_in"`    // of logs, to our loggers
	Records     uint64 `json:"records_in"`
}

// linkPrefix begins the names that ledger.Link makes.
const linkPrefix = "link."

// links adds up what the nodes' counters say of real Zeek processes.
func (s *Status) links() {
	by := map[string]*Link{}
	of := func(counter string) (*Link, string) {
		rest, ok := strings.CutPrefix(counter, linkPrefix)
		i := strings.LastIndexByte(rest, '.')
		if !ok || i <= 0 {
			return nil, ""
		}
		name := rest[:i]
		if by[name] == nil {
			by[name] = &Link{Name: name}
		}
		return by[name], rest[i+1:]
	}
	for _, n := range s.Nodes {
		for counter, v := range n.Counters {
			l, what := of(counter)
			switch {
			case l == nil:
			case what == ledger.LinkIn:
				l.In += v
			case what == ledger.LinkOut:
				l.Out += v
			case what == ledger.LinkDropped:
				l.Missed += v
			case what == ledger.LinkCodec:
				l.Codec += v
			case what == ledger.LinkBatches:
				l.Batches += v
			case what == ledger.LinkRecords:
				l.Records += v
			}
		}
		if n.PID == 0 {
			continue // gauges are those of a process that is there
		}
		for counter, v := range n.Life {
			if l, what := of(counter); l != nil && what == ledger.LinkUp {
				l.Connections += v
			} else if l != nil && what == ledger.LinkQueued {
				l.Queued += v
			}
		}
	}
	for _, l := range by {
		s.Links = append(s.Links, *l)
	}
	slices.SortFunc(s.Links, func(a, b Link) int { return strings.Compare(a.Name, b.Name) })
}

// String is a link in one line.
func (l Link) String() string {
	state := "connected"
	if l.Connections == 0 {
		state = "not connected"
	}
	text := fmt.Sprintf("zeek %s  %s  messages %d in, %d out, %d missed  log batches %d in, %d rows", l.Name, state, l.In, l.Out, l.Missed, l.Batches, l.Records)
	if l.Codec > 0 {
		text = fmt.Sprintf("! %s  %d events refused: another codec than bus.codec; picket logs hub names both", text, l.Codec)
	}
	return text
}
