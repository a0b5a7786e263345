// Package analyzer is the contract for protocol parsers: what the flow machine
// gives to them and what they may do.
//
// One folder per protocol. An analyzer declares its own event structs and a
// small handler interface, which policy implements; it calls the handler and
// knows nothing of logs. It runs on the worker's goroutine, keeps bounded
// state, and never panics, whatever the bytes.
package analyzer

import (
	"math"

	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// ID names a connection: its UID and its two ends. Orig is the side that Zeek
// calls originator.
type ID struct {
	UID          string // borrowed from the connection; copy to keep
	Orig, Resp   packet.Addr
	OrigP, RespP uint16
	Proto        value.Proto
	Start        packet.Time
}

// Conn is what an analyzer may ask of its connection and do to it. Flow
// implements it; one goroutine.
type Conn interface {
	// ID returns the connection's names as they are now: a flip changes them.
	ID() ID
	// Now is the network time, which never goes back.
	Now() packet.Time
	// Weird reports a protocol oddity of this connection.
	Weird(name, addl, source string)
	// Confirm says that the analyzer has recognised its protocol: the name goes
	// into the service column. Saying it again changes nothing.
	Confirm(service string)
	// Violation says that the bytes are not the protocol's. Flow decides
	// whether the analyzer goes.
	Violation(service, reason string, data []byte)
}

// Analyzer parses one protocol on one connection. Flow calls it from one
// goroutine, in this order: Deliver and Gap any number of times, End once.
// Slices are borrowed. After Conn.Violation it may get no further call but End.
type Analyzer interface {
	// Deliver hands over a datagram, or the next bytes of a stream in order.
	Deliver(c Conn, orig bool, data []byte)
	// Gap says that n bytes of the stream will never come.
	Gap(c Conn, orig bool, n uint64)
	// End says that the connection is going, or the analyzer was removed. What
	// is pending is reported now. The Analyzer may be reused after it.
	End(c Conn)
}

// Flipper is an extra ability of a Conn, asked for once: it exchanges
// originator and responder, because the analyzer has seen an answer where a
// question was due. ID tells the new roles when Flip returns, and later calls of
// Deliver use them.
type Flipper interface{ Flip() }

// Limiter is an extra ability of a Conn, asked for once: it notes in the
// connection's history (X) that a limit kept an analyzer from going on.
type Limiter interface{ LimitReached() }

// ReachLimit tells a Conn that has the ability of Limiter.
func ReachLimit(c Conn) {
	if l, ok := c.(Limiter); ok {
		l.LimitReached()
	}
}

// Closer is an extra ability of an Analyzer of TCP connections, asked for once:
// Flow calls Closed each time one side closes or resets the connection, after
// the bytes of that packet were delivered.
type Closer interface{ Closed(c Conn) }

// Opener is an extra ability of an Analyzer: Flow calls Open once when the
// analyzer is put onto a connection, before anything else.
type Opener interface{ Open(c Conn) }

// Remover is an extra ability of a Conn, asked for once: the analyzer being
// called has seen what it wanted. Its service stays, and it gets no further call
// but End.
type Remover interface{ Remove() }

// Remove asks a Conn that has the ability of Remover.
func Remove(c Conn) {
	if r, ok := c.(Remover); ok {
		r.Remove()
	}
}

// Ender is an extra ability of an Analyzer of TCP connections, asked for once:
// it is told when nothing more is to come.
type Ender interface {
	// SideEnded says that a side has closed and all its bytes were delivered or
	// given up. Once per side.
	SideEnded(c Conn, orig bool)
	// Interrupted says that the connection was reset, before the bytes that the
	// reset reveals as lost; or that it is over. It may be said more than once,
	// and bytes may still follow.
	Interrupted(c Conn)
}

// Stream is an extra ability of a Conn of TCP, asked for once: Partial says that
// the beginning of the connection was not seen, so that its bytes may begin in
// the middle of something. That can change while a connection is young.
type Stream interface{ Partial() bool }

// Partial asks a Conn that has the ability of Stream, and says no for others.
func Partial(c Conn) bool {
	s, ok := c.(Stream)
	return ok && s.Partial()
}

// Local is an extra ability of a Conn, asked for once: it says which ends are in
// the local networks; known is false if there are none.
type Local interface {
	Local() (orig, resp, known bool)
}

// Deadline joins another machine's timers with Flow's, so that all fire in
// order: what a file transfer's silence means depends on whether its connection
// was over before. The machine keeps At at its next moment, Never if there is
// none.
type Deadline struct {
	At     packet.Time
	Fire   func(now packet.Time) // At is due: do it, and set At anew
	Expire func(now packet.Time) // the input ends: what is due, or as good as due
}

// Never is later than any packet.
const Never packet.Time = math.MaxFloat64

// Port is a well-known port of a protocol.
type Port struct {
	Num   uint16
	Proto value.Proto
}

// Factory makes analyzers of one protocol. The list of factories is in
// package standard.
type Factory struct {
	Name  string // Zeek's analyzer name: DNS
	Ports []Port // responder ports that get this analyzer at once
	// Signatures say by which first bytes it is found on other ports.
	Signatures []Signature
	// New returns an analyzer for a connection. It may hand out an old one
	// again after its End.
	New func(proto value.Proto) Analyzer
	// SessionTimeout, if not 0, is how long (seconds) a UDP connection with this
	// analyzer may be silent before it is removed (Zeek's dns_session_timeout).
	SessionTimeout float64
}
