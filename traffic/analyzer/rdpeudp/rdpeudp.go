// Package rdpeudp recognises the UDP transport of Remote Desktop by its
// handshake.
//
// It stands behind flow, which hands it datagrams. It owns one bit per
// connection: that the client's SYN was seen. It reports nothing but the service;
// what is carried is encrypted.
//
// Sources: MS-RDPEUDP, 2.2; what confirms and what violates is Zeek 9.0's.
package rdpeudp

import (
	"encoding/binary"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name.
const Name = "RDPEUDP"

// maxFree is how many finished analyzers are kept for reuse.
const maxFree = 256

// Flags of a datagram.
const (
	flagSYN         = 0x0001
	flagACK         = 0x0004
	flagCorrelation = 0x0800
	flagSYNEX       = 0x1000
)

const (
	headLen        = 8 + 8 // what is acknowledged, window, flags; first number, sizes
	correlationLen = 32
	version3       = 0x0101
	cookieLen      = 32
)

// Factory returns the factory of one worker; it and all its analyzers are used by
// one goroutine.
func Factory() analyzer.Factory {
	free := freelist.New[*rdpeudp](maxFree)
	return analyzer.Factory{
		Name:       Name,
		Ports:      []analyzer.Port{{Num: 3389, Proto: value.ProtoUDP}},
		Signatures: signatures.RDPEUDP(),
		New: func(value.Proto) analyzer.Analyzer {
			if r := free.Take(); r != nil {
				return r
			}
			return &rdpeudp{free: &free}
		},
	}
}

// rdpeudp is the analyzer of one connection.
type rdpeudp struct {
	free *freelist.List[*rdpeudp]
	syn  bool // the client has sent it
	over bool // nothing more is read
}

// Deliver implements analyzer.Analyzer.
func (r *rdpeudp) Deliver(c analyzer.Conn, orig bool, data []byte) {
	if r.over {
		return
	}
	flags, ok := parse(data)
	switch {
	case !ok:
		r.over = true
		c.Violation(Name, "malformed handshake", data)
	case !r.syn:
		r.syn = orig && flags&flagSYN != 0 && binary.BigEndian.Uint32(data) == 0xffffffff
	case !orig && flags&(flagSYN|flagACK) != 0:
		c.Confirm(Name)
		r.over = true
		analyzer.Remove(c)
	}
}

// parse reads a datagram of the handshake; ok is false if it is too short.
func parse(b []byte) (flags uint16, ok bool) {
	if len(b) < headLen {
		return 0, false
	}
	flags = binary.BigEndian.Uint16(b[6:])
	b = b[headLen:]
	if flags&flagCorrelation != 0 {
		if len(b) < correlationLen {
			return 0, false
		}
		b = b[correlationLen:]
	}
	if flags&flagSYNEX == 0 {
		return flags, true
	}
	if len(b) < 4 {
		return 0, false
	}
	return flags, binary.BigEndian.Uint16(b[2:]) != version3 || len(b) >= 4+cookieLen
}

// Gap implements analyzer.Analyzer: datagrams have none.
func (r *rdpeudp) Gap(analyzer.Conn, bool, uint64) {}

// End implements analyzer.Analyzer.
func (r *rdpeudp) End(analyzer.Conn) {
	*r = rdpeudp{free: r.free}
	r.free.Keep(r)
}
