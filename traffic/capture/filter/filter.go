// Package filter compiles tcpdump filter expressions (pcap-filter(7)) to classic
// BPF, runs them over packets of a file, and gives the program to those who
// attach it to a socket.
//
// It stands at the very start of the data path, before a packet is decoded. A
// compiled program never changes and holds no packet. What the compiler does
// not know is an error with its column, never another filter than asked for.
//
// The instruction set is that of McCanne and Jacobson, The BSD Packet Filter
// (1993), as Linux has it (Documentation/networking/filter.rst).
package filter

import (
	"fmt"

	"golang.org/x/net/bpf"

	"github.com/picket-nsm/picket/traffic/packet"
)

// Program is a compiled filter for one link type. It may be used by many
// goroutines at once.
type Program struct {
	Raw []bpf.RawInstruction

	expr string
	tags bool // looks for VLAN tags in the packet
	col  int  // where
}

// maxInstructions is what Linux takes (BPF_MAXINSNS).
const maxInstructions = 4096

// Compile compiles an expression for packets of a link type (LINKTYPE_...):
// Ethernet, raw IP, Linux cooked v1 and v2. snaplen is how many bytes of a
// packet are kept, 0 for all. An empty expression lets everything pass. An
// error is an *Error.
func Compile(expr string, link uint16, snaplen int) (*Program, error) {
	if snaplen <= 0 {
		snaplen = 262144
	}
	c := &compiler{expr: expr, link: link}
	switch link {
	case packet.LinkEthernet:
		c.typeOff, c.l3 = 12, 14
	case packet.LinkLinuxSLL:
		c.typeOff, c.l3 = 14, 16
	case packet.LinkLinuxSLL2:
		c.typeOff, c.l3 = 0, 20
	case packet.LinkRaw, 12, 14, packet.LinkIPv4, packet.LinkIPv6:
		c.raw = true
	default:
		return nil, &Error{Expr: expr, Col: 1, Msg: fmt.Sprintf("link type %d is not supported", link),
			Hint: "filters work for Ethernet, raw IP and Linux cooked captures"}
	}
	n, err := c.compile()
	if err != nil {
		return nil, err
	}
	raw, ok := generate(n, uint32(snaplen))
	if !ok {
		return nil, &Error{Expr: expr, Col: 1, Msg: fmt.Sprintf("the filter needs more than %d instructions", maxInstructions),
			Hint: "make it shorter: nets instead of hosts, portranges instead of ports"}
	}
	return &Program{Raw: raw, expr: expr, tags: c.tagCol > 0, col: c.tagCol}, nil
}

// Kernel is the program for a packet socket. Linux takes the outer VLAN tag out
// of a packet before a filter sees it, so filters that look for tags in the
// packet are refused there: they would find none.
func (p *Program) Kernel() ([]bpf.RawInstruction, error) {
	if p.tags {
		return nil, &Error{Expr: p.expr, Col: p.col, Msg: "vlan is not supported on a live interface",
			Hint: "the kernel takes VLAN tags off before it filters; leave vlan out, the rest works for tagged packets too"}
	}
	return p.Raw, nil
}

// Error says what is wrong with an expression, where, and what to do about it.
type Error struct {
	Expr string
	Col  int // in bytes, from 1
	Msg  string
	Hint string
}

func (e *Error) Error() string {
	s := fmt.Sprintf("compile filter %q: column %d: %s", e.Expr, e.Col, e.Msg)
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}
