package flow

import (
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Scope says what a weird is about, which decides its columns and its memory.
type Scope uint8

// Scopes of weirds, as in Zeek's reporter.
const (
	WeirdConn Scope = iota // a connection: UID and both ends
	WeirdFlow              // two addresses: ports are shown as 0, no UID
	WeirdNet               // nothing but its name
)

// Weird is something odd in the traffic, before sampling and policy.
type Weird struct {
	Time   packet.Time // network time when it was seen
	Scope  Scope
	Name   string      // Zeek's name
	Addl   string      // empty: unset
	Source string      // IP, TCP, UDP, DNS ...; empty: unset
	ID     analyzer.ID // WeirdFlow: the addresses alone; WeirdNet: zero
}
