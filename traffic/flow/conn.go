package flow

import (
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Conn is one connection, as analyzers and policy see it. A *Conn is a view
// made for one call: it is valid until the call returns, and so are the strings
// it hands out.
type Conn struct {
	t *Table
}

var _ analyzer.Conn = (*Conn)(nil)

// ID returns the connection's names as they are now.
func (c *Conn) ID() analyzer.ID { return analyzer.ID{} }

// Now is the time of the packet at hand, or of the clock in a timer.
func (c *Conn) Now() packet.Time { return c.t.pktTime }

// Weird reports a protocol oddity of this connection.
func (c *Conn) Weird(name, addl, source string) {}

// Confirm adds a name to the service column.
func (c *Conn) Confirm(service string) {}

// Violation says that the bytes are not the protocol's.
func (c *Conn) Violation(service, reason string, data []byte) {}

// IPProto is the protocol number in the IP header.
func (c *Conn) IPProto() uint8 { return 0 }

// Service is the service column: names in the order of confirmation, in lower
// case, with commas between; empty if there are none.
func (c *Conn) Service() string { return "" }

// Duration is from the first to the last packet, in seconds. If it is not
// above 0, duration, orig_bytes and resp_bytes are unset in conn.log.
func (c *Conn) Duration() float64 { return 0 }

// Bytes are the payload bytes of both directions.
func (c *Conn) Bytes() (orig, resp uint64) { return 0, 0 }

// State is the conn_state column.
func (c *Conn) State() string { return "OTH" }

// Local says whether the ends are in the local networks; known is false if
// there are no local networks.
func (c *Conn) Local() (orig, resp, known bool) { return false, false, false }

// MissedBytes are the bytes in content gaps.
func (c *Conn) MissedBytes() uint64 { return 0 }

// History is the history column; empty: unset. Borrowed.
func (c *Conn) History() string { return "" }

// Packets and IPBytes count packets, and IP bytes, of both directions.
func (c *Conn) Packets() (orig, resp uint64) { return 0, 0 }

// IPBytes are the bytes of the IP packets, headers included.
func (c *Conn) IPBytes() (orig, resp uint64) { return 0, 0 }
