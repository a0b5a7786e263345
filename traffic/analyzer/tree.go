package analyzer

import (
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// Child names an analyzer below another one. 0 is none: what is forwarded to it
// is dropped.
type Child uint32

// Parent is an extra ability of a Conn: the analyzer being called puts another
// one below itself and hands bytes on to it. HTTP does so when a connection
// upgrades to WebSocket, SMTP after STARTTLS, QUIC for the TLS inside. The
// parent stays: bytes reach the child through it alone, so it decides where the
// child's stream begins and what it consists of. The rest of the bytes at hand
// are its first ones.
//
// A child is an analyzer like any other: its confirmations and violations are
// its own, Closed is called for it after its parent, End before its parent.
// What is forwarded is borrowed until Forward returns. A child gone after a
// violation swallows what is forwarded.
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
