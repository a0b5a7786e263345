package flow

import (
	"net/netip"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
)

type choices struct{}

func newTable(cfg Config, h Handler, f []analyzer.Factory) *Table { return &Table{cfg: cfg, h: h} }
func (t *Table) packet(p *packet.Packet)                          {}
func (t *Table) advance(now packet.Time)                          {}
func (t *Table) finish()                                          {}

// DefaultLocalNets is Zeek's default Site::local_nets.
func DefaultLocalNets() []netip.Prefix { return nil }
