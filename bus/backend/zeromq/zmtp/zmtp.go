// Package zmtp speaks ZeroMQ's wire protocol, ZMTP 3.1 (RFC 37), with the NULL
// and CURVE mechanisms (RFC 26), and has the sockets that a Zeek cluster uses:
// PUB, SUB, XPUB, XSUB, PUSH and PULL. Its peers are libzmq, that is real Zeek
// processes, and itself.
//
// It stands below the ZeroMQ backend, the broker and the bridge. It owns the
// connections of a socket, with a reading and a writing goroutine each, the
// bounded queue towards each peer, and the table of who subscribed to what. It
// never looks into a message beyond the topic, never logs, and never keeps bytes
// that a handler was lent.
//
// The shape is: New builds, Listen opens ports (Run does so too), Run serves until
// its context ends and drains. Messages come by calling a Receiver from the peer's
// reading goroutine; a Receiver that blocks stalls that one peer, by TCP. What
// goes out is encoded once and appended to the queue of each peer that wants it;
// what happens at a full queue is Config.Full.
//
// Formats: docs/formats/zmtp.md and wire.md sections 1.1 to 1.10.
package zmtp

import (
	"errors"
	"fmt"
)

// Kinds of error. What the package returns and reports wraps one of them.
var (
	ErrClosed    = errors.New("socket closed")
	ErrFull      = errors.New("queue full")                             // nobody got the message
	ErrNoPeer    = errors.New("no peer")                                // PUSH: nobody to give the message to
	ErrProtocol  = errors.New("not valid ZMTP")                         // the peer breaks the protocol
	ErrTooLarge  = errors.New("too large")                              // above a limit of Config
	ErrMechanism = errors.New("other mechanism")                        // one side has CURVE, the other has not
	ErrRefused   = errors.New("refused by the peer")                    // the peer sent ERROR, with its reason
	ErrKey       = errors.New("wrong key")                              // a box of the CURVE handshake does not open
	ErrUnknown   = errors.New("client key is not among the known ones") // we refused the client
	ErrTimeout   = errors.New("no handshake in time")
	ErrSilent    = errors.New("no answer to ping")
)

// Type is the kind of a socket.
type Type uint8

// The kinds of socket.
const (
	PUB Type = iota + 1
	SUB
	XPUB
	XSUB
	PUSH
	PULL
)

var typeNames = [...]string{"", "PUB", "SUB", "XPUB", "XSUB", "PUSH", "PULL"}

// String is the name on the wire.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// publishes: peers subscribe to us.
func (t Type) publishes() bool { return t == PUB || t == XPUB }

// subscribes: we subscribe to peers.
func (t Type) subscribes() bool { return t == SUB || t == XSUB }

// fits says whether a peer may be of the named type.
func (t Type) fits(peer string) bool {
	switch t {
	case PUB, XPUB:
		return peer == "SUB" || peer == "XSUB"
	case SUB, XSUB:
		return peer == "PUB" || peer == "XPUB"
	case PUSH:
		return peer == "PULL"
	case PULL:
		return peer == "PUSH"
	}
	return false
}
