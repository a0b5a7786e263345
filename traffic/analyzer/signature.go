package analyzer

import "github.com/picket-nsm/picket/zeek/value"

// Side is who sent the bytes that a Signature looks at.
type Side uint8

// The originator of a TCP connection is who sent the SYN, where it was seen.
const (
	Either Side = iota
	FromOrig
	FromResp
)

// Signature says what the first bytes of a protocol look like in one direction.
// Flow matches the signatures of all factories at once, on each direction from
// its first byte on, until more than 1,024 bytes or 100 pieces of the connection
// have passed; in UDP on each datagram from its first byte on. A match puts the
// factory's analyzer on the connection and gives it everything from the first
// byte on.
//
// Patterns have Zeek's syntax (package rx); "." is any byte. They match at the
// first byte whether or not they begin with ^, and what follows is not looked
// at: write .*x to find x later, but know that this keeps the search alive.
type Signature struct {
	Name    string      // one among all signatures: ssh-server
	Proto   value.Proto // ProtoTCP or ProtoUDP
	From    Side
	Pattern string
	// MinSize and MaxSize bound the bytes of the datagram, or of the first piece
	// of the stream; 0: no bound.
	MinSize, MaxSize int
	// Reverse, if not empty, names a signature that must match the other
	// direction, before or later.
	Reverse string
	// Half says that a match is no proof: it adds no analyzer and is there to be
	// named by Reverse.
	Half bool
}
