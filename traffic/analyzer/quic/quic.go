// Package quic reads QUIC as far as it is in clear: the headers of its packets
// and, since their keys follow from the headers, its Initial packets.
//
// It stands between flow, which hands it datagrams, and two that listen: policy,
// which implements Handler, and the TLS analyzer below it, which gets the first
// message of each side as a record of TLS. It owns, per connection, the
// connection id that the keys come from, and of each side the bytes of its hello
// that came so far, which have a limit. It decides as Zeek 9.0 does which packets
// are decrypted and when its reading ends, since its rows are compared with
// Zeek's. It never looks at what follows the hellos, keeps no keys of the
// connection's own, and knows nothing of logs.
//
// Sources: RFC 8999, 9000, 9001, 9369; drafts 22 to 34, and mvfst's versions with
// the drafts' keys.
package quic

import (
	"bytes"
	"fmt"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name.
const Name = "QUIC"

// Limits.
const (
	// maxHello is the longest message that the TLS analyzer is handed, with its
	// header: a record of TLS is not larger.
	maxHello = 1<<14 + 256
	// maxPieces is how many runs of bytes with gaps between are kept of a hello.
	maxPieces = 64
	// maxHeld is how many bytes of hellos that have not come whole a worker keeps.
	// What comes then is not read, which is noted in the history of its connection
	// (X).
	maxHeld = 64 << 20
	// maxPacket is the largest Initial packet that is decrypted.
	maxPacket = 10_000
	// maxFree is how many finished analyzers are kept for reuse, and keepBuf the
	// largest buffer that is kept with one.
	maxFree = 1024
	keepBuf = 4096
)

// Config is what a user may set.
type Config struct {
	// Discarded is how many packets of a connection are told of that are not
	// QUIC's, counted once something was decrypted (Zeek's
	// QUIC::max_discarded_packet_events); 0: all, -1: none.
	Discarded int
}

// Default returns the settings of Zeek's default scripts.
func Default() Config { return Config{Discarded: 100} }

// Kind says what a Packet is.
type Kind uint8

// Kinds of packets.
const (
	Initial Kind = iota
	ZeroRTT
	Handshake
	Retry
	UnknownVersion // of a version that is not read; Version Negotiation is version 0
	Short          // the Count-th with a short header from its side, a power of two
	Discarded      // not QUIC's: a bit that is always set is not
)

// Packet is what was seen of a packet. Short and Discarded have no ids.
type Packet struct {
	Kind       Kind
	Orig       bool // sent by the originator
	Version    uint32
	DCID, SCID []byte // destination and source connection id
	Token, Tag []byte // Retry
	Count      uint64 // Short
}

// Close is a CONNECTION_CLOSE frame of an Initial packet.
type Close struct {
	Orig   bool
	Code   uint64
	Reason []byte
}

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine, in the order in which things were seen. A Handler belongs
// to one connection at a time; after End it is given to another one. What it is
// handed is borrowed until it returns.
type Handler interface {
	// Packet says that a packet was there, before it is looked into. Of those with
	// short headers only some are told.
	Packet(c analyzer.Conn, p *Packet)
	// Hello hands over the client's or the server's hello, after TLS got it.
	Hello(c analyzer.Conn, h *tlsmsg.Hello)
	// Close says that a side gave the connection up.
	Close(c analyzer.Conn, k *Close)
	// End says that the connection is going, or the analyzer was taken away.
	End(c analyzer.Conn)
}

// Factory returns the factory of one worker; it and all its analyzers are used by
// one goroutine. newHandler is called for an analyzer that is made, not for one
// that is used again.
func Factory(cfg Config, newHandler func() Handler) analyzer.Factory {
	s := &shared{cfg: cfg, free: freelist.New[*conn](maxFree)}
	return analyzer.Factory{
		Name: Name,
		// DNS over QUIC is 853, before that 784 (RFC 9250).
		Ports: []analyzer.Port{
			{Num: 443, Proto: value.ProtoUDP}, {Num: 853, Proto: value.ProtoUDP}, {Num: 784, Proto: value.ProtoUDP},
		},
		Signatures: signatures.QUIC(),
		New: func(value.Proto) analyzer.Analyzer {
			if q := s.free.Take(); q != nil {
				return q
			}
			return &conn{s: s, h: newHandler()}
		},
	}
}

// shared is what the analyzers of a worker have in common.
type shared struct {
	cfg    Config
	packet Packet
	close  Close
	hello  tlsmsg.Hello
	head   []byte // a packet's header without protection
	plain  []byte // and its payload
	record []byte // a hello as TLS gets it
	held   int    // bytes kept by all connections
	free   freelist.List[*conn]
}

// conn is the analyzer of one connection. Sides are counted by who opened the
// connection: 0 is the originator.
type conn struct {
	s         *shared
	h         Handler
	skip      bool // nothing more is looked at
	confirmed bool
	id        []byte // the client's first destination, which the keys come from
	ready     bool   // it is known
	old       []byte // what it was before a Retry
	retried   bool   // there was one
	cidLen    int    // of the client's connection id: it stands in short headers
	decrypted uint64 // packets
	discarded uint64
	short     [2]uint64
	dir       [2]direction
	tls       analyzer.Child
}

// Deliver implements analyzer.Analyzer.
func (q *conn) Deliver(c analyzer.Conn, orig bool, data []byte) {
	for len(data) > 0 && !q.skip {
		switch {
		case data[0]&fixedBit == 0:
			q.discard(c, orig)
			return
		case data[0]&longForm == 0:
			q.shortHeader(c, orig, data)
			return
		}
		data = q.long(c, orig, data)
	}
}

// Gap implements analyzer.Analyzer: datagrams have none.
func (q *conn) Gap(analyzer.Conn, bool, uint64) {}

// End implements analyzer.Analyzer.
func (q *conn) End(c analyzer.Conn) {
	q.h.End(c)
	q.forget()
	*q = conn{s: q.s, h: q.h, id: q.id[:0], old: q.old[:0], dir: q.dir}
	q.s.free.Keep(q)
}

// fail says that the bytes are not of the protocol, and ends reading.
func (q *conn) fail(c analyzer.Conn, reason string) {
	q.skip = true
	c.Violation(Name, reason, nil)
}

func side(orig bool) int {
	if orig {
		return 0
	}
	return 1
}

// discard tells of a packet that is not QUIC's. Some who pad datagrams do so
// behind the last packet.
func (q *conn) discard(c analyzer.Conn, orig bool) {
	q.discarded++
	limit := q.s.cfg.Discarded
	if q.decrypted == 0 || limit != 0 && (limit < 0 || q.discarded > uint64(limit)) {
		return
	}
	q.tell(c, Packet{Kind: Discarded, Orig: orig})
}

// shortHeader counts a packet whose header shows nothing more, and tells of it
// when there are twice as many as the last time.
func (q *conn) shortHeader(c analyzer.Conn, orig bool, data []byte) {
	if len(data)-1 < q.cidLen {
		q.fail(c, "short header without connection id")
		return
	}
	n := &q.short[side(orig)]
	if *n++; *n&(*n-1) == 0 {
		q.tell(c, Packet{Kind: Short, Orig: orig, Count: *n})
	}
}

func (q *conn) tell(c analyzer.Conn, p Packet) {
	q.s.packet = p
	q.h.Packet(c, &q.s.packet)
	q.s.packet = Packet{}
}

// long reads a packet with a long header and returns what follows it in the
// datagram.
func (q *conn) long(c analyzer.Conn, orig bool, data []byte) (rest []byte) {
	h, ok := parseLong(data)
	if !ok {
		q.fail(c, "malformed long header")
		return nil
	}
	q.tell(c, Packet{Kind: h.kind, Orig: orig, Version: h.version, DCID: h.dcid, SCID: h.scid, Token: h.token, Tag: h.tag})
	switch h.kind {
	case UnknownVersion:
		q.fail(c, fmt.Sprintf("unhandled QUIC version 0x%x", h.version))
	case Retry:
		q.retry()
	case Initial:
		q.initial(c, orig, &h, data[:h.end])
	}
	return data[h.end:]
}

// initial looks into an Initial packet if its side's hello is not yet whole. What
// the server sends can be read once the client was seen.
func (q *conn) initial(c analyzer.Conn, orig bool, h *header, packet []byte) {
	d := &q.dir[side(orig)]
	if d.done || !orig && !q.ready || orig && q.retried && bytes.Equal(h.dcid, q.old) {
		return
	}
	q.cidLen = len(h.dcid)
	if orig {
		q.cidLen = len(h.scid)
	}
	if !q.ready {
		q.id, q.ready = append(q.id[:0], h.dcid...), true
	}
	if len(packet)-h.number > maxPacket {
		q.fail(c, "Initial packet is too large")
		return
	}
	if !d.keys.set || d.keys.version != h.version {
		d.keys.derive(h.version, q.id, orig)
	}
	plain := q.s.open(&d.keys, packet, h.number)
	if len(plain) == 0 {
		q.fail(c, "decryption failed")
		return
	}
	if !q.confirmed {
		q.confirmed = true
		c.Confirm(Name)
	}
	q.decrypted++
	q.frames(c, orig, plain)
}

// retry begins anew: the client will, with other keys. A client whose hello takes
// several packets gets as many Retries and heeds the first; the others of its
// packets may come behind it.
func (q *conn) retry() {
	if q.retried {
		return
	}
	q.retried = true
	if q.ready {
		q.old = append(q.old[:0], q.id...)
	}
	q.forget()
}

// forget begins anew with the next packet of the client.
func (q *conn) forget() {
	q.ready = false
	for i := range q.dir {
		d := &q.dir[i]
		q.letGo(d)
		*d = direction{buf: d.buf, pieces: d.pieces[:0]}
	}
}
