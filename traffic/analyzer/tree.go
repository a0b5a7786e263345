package analyzer

import (
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// Child names an analyzer below another one, which puts it there with StartChild,
// StartTLS or StartDetect and hands bytes on to it by its methods. HTTP does so when
// a connection upgrades to WebSocket, SMTP after STARTTLS, QUIC for the TLS inside.
// The parent stays: bytes reach the child through it alone, so it decides where the
// child's stream begins and what it consists of. The rest of the bytes at hand are
// its first ones.
//
// A child is an analyzer like any other: its confirmations and violations are its
// own, Closed is called for it after its parent, End before its parent. A child gone
// after a violation swallows what is forwarded.
//
// 0 is none: the connection has no children, or none of that name, or too many.
// Whatever is done to it is done to nobody.
type Child uint32

// StartTLS begins TLS below the analyzer being called: from here on the bytes of
// both sides are TLS's, and the analyzer forwards them.
func StartTLS(c Conn) Child { return StartChild(c, "SSL") }

// StartChild puts the analyzer of the factory with that name below the one being
// called, for a stream in order.
func StartChild(c Conn, name string) Child {
	if p, ok := c.(Parent); ok {
		return p.Child(name, value.ProtoTCP)
	}
	return 0
}

// StartDetect begins a stream below the analyzer being called whose protocol
// signatures find.
func StartDetect(c Conn) Child {
	if p, ok := c.(Parent); ok {
		return p.Detect(value.ProtoTCP)
	}
	return 0
}

// Forward hands the child its stream's next bytes, borrowed until Forward returns.
func (n Child) Forward(c Conn, orig bool, data []byte) {
	if p, ok := c.(Parent); ok && n != 0 && len(data) > 0 {
		p.Forward(n, orig, data)
	}
}

// Gap tells the child that size bytes of its stream will never come.
func (n Child) Gap(c Conn, orig bool, size uint64) {
	if p, ok := c.(Parent); ok && n != 0 {
		p.ForwardGap(n, orig, size)
	}
}

// Remove ends the child, whose place another one may take. Flow ends those that
// are left, before their parent. The parent forgets it either way.
func (n Child) Remove(c Conn) {
	if p, ok := c.(Parent); ok && n != 0 {
		p.RemoveChild(n)
	}
}

// Parent is an extra ability of a Conn, behind Child and its functions: these are
// what an analyzer calls.
type Parent interface {
	// Child adds the analyzer of the factory with that name. proto says how bytes
	// will come: ProtoTCP as a stream in order, ProtoUDP as datagrams. It returns 0
	// if there is no such factory or the connection has too many analyzers.
	Child(name string, proto value.Proto) Child
	// Detect adds a place for whatever the bytes turn out to be: signatures are
	// matched on what is forwarded to it, and what they find is added below.
	Detect(proto value.Proto) Child
	// Forward hands bytes to a child, as Analyzer.Deliver.
	Forward(child Child, orig bool, data []byte)
	// ForwardGap says that n bytes of the child's stream will never come.
	ForwardGap(child Child, orig bool, n uint64)
	// RemoveChild ends a child. The parent must forget it.
	RemoveChild(child Child)
}

// Expectation is a connection that an analyzer has read about and that belongs
// to a known protocol: an FTP data channel. One without an Analyzer, and so
// without more than a Timeout, says that some may follow: other workers then hold
// the first bytes of connections for a moment, in case one of theirs is meant.
type Expectation struct {
	Orig     packet.Addr // who will start it; zero: anybody
	Resp     packet.Addr
	RespP    uint16
	Proto    value.Proto
	Analyzer string  // name of a factory
	Timeout  float64 // seconds from now
}

// Expecter is an extra ability of a Conn. A connection that was expected gets
// the analyzers expected for it, and those of its port do not apply. An
// expectation holds until its time is over, for any number of connections;
// expecting the same again makes it last longer.
type Expecter interface{ Expect(e Expectation) }
