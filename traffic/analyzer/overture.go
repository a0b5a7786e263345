package analyzer

import "bytes"

// Overture is what an analyzer embeds that reads how a connection begins, and no more:
// until TLS begins, of which the rest is, or until nothing more is of interest. The
// zero Overture is the beginning.
type Overture struct {
	Deaf  bool // nothing more is read
	InTLS bool // what follows is TLS's

	tls  Child
	sent [2]bool // some bytes of the originator, of the responder were handed on
}

// Fail ends reading with a violation of the protocol called name.
func (o *Overture) Fail(c Conn, name, reason string) {
	o.Deaf = true
	c.Violation(name, reason, nil)
}

// Done ends reading: all that was wanted was seen.
func (o *Overture) Done(c Conn) {
	o.Deaf = true
	Remove(c)
}

// StartTLS begins TLS.
func (o *Overture) StartTLS(c Conn) {
	o.InTLS = true
	o.tls = StartTLS(c)
}

// Forward hands bytes to TLS, if that has begun.
func (o *Overture) Forward(c Conn, orig bool, data []byte) { o.tls.Forward(c, orig, data) }

// ForwardBehind hands bytes to TLS without the blanks that may still follow a side's
// last line.
func (o *Overture) ForwardBehind(blanks string, c Conn, orig bool, data []byte) {
	sent := &o.sent[1]
	if orig {
		sent = &o.sent[0]
	}
	if !*sent {
		if data = bytes.TrimLeft(data, blanks); len(data) == 0 {
			return
		}
		*sent = true
	}
	o.Forward(c, orig, data)
}

// Gap implements Analyzer. Before TLS nothing is read behind a gap.
func (o *Overture) Gap(c Conn, orig bool, n uint64) {
	if !o.InTLS {
		o.Deaf = true
		return
	}
	o.tls.Gap(c, orig, n)
}
