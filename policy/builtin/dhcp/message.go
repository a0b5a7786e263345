package dhcp

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/dhcp"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Message is what dhcp.log wants to know of a message. It owns its strings.
type Message struct {
	TS           float64 // seconds
	UID          string
	Orig, Resp   packet.Addr
	OrigP, RespP uint16
	IsOrig       bool

	XID      uint32
	Type     uint64
	Yours    packet.Addr // yiaddr
	Hardware string      // chaddr

	Text      optional // option 56
	HostName  optional
	FQDN      optional
	Domain    optional
	Ethernet  optional // hardware address by which the client names itself
	Requested packet.Addr
	HasLease  bool
	Lease     float64 // seconds
}

// optional is a text that may be missing.
type optional struct {
	set  bool
	text string
}

// none is 0.0.0.0, which stands for an address that is not known; all is
// 255.255.255.255.
func none() packet.Addr { return v4([4]byte{}) }
func all() packet.Addr  { return v4([4]byte{255, 255, 255, 255}) }

// v4 maps an IPv4 address into IPv6.
func v4(b [4]byte) packet.Addr {
	return packet.Addr{10: 0xff, 11: 0xff, 12: b[0], 13: b[1], 14: b[2], 15: b[3]}
}

// fill makes a message of what was parsed.
func (m *Message) fill(c analyzer.Conn, orig bool, raw *wire.Msg) {
	id := c.ID()
	var scratch [24]byte
	*m = Message{
		TS: float64(c.Now()), UID: strings.Clone(id.UID),
		Orig: id.Orig, Resp: id.Resp, OrigP: id.OrigP, RespP: id.RespP, IsOrig: orig,
		XID: raw.XID, Type: uint64(raw.Type), Yours: v4(raw.Yours),
		Hardware: string(wire.AppendMAC(scratch[:0], raw.Hardware)),
	}
	m.Text, m.HostName = text(raw, wire.Message), text(raw, wire.HostName)
	if b, ok := raw.Find(wire.DomainName); ok {
		m.Domain = optional{true, string(wire.Filled(b))}
	}
	if b, ok := raw.Find(wire.ClientFQDN); ok {
		m.FQDN = optional{true, string(b[3:])}
	}
	if b, ok := raw.Find(wire.ClientID); ok && b[0] == ethernet {
		m.Ethernet = optional{true, string(wire.AppendMAC(scratch[:0], b[1:]))}
	}
	if b, ok := raw.Find(wire.AddrRequest); ok {
		m.Requested = v4([4]byte(b))
	}
	if b, ok := raw.Find(wire.Lease); ok {
		m.HasLease, m.Lease = true, float64(binary.BigEndian.Uint32(b))
	}
}

// ethernet is the type of hardware in a client's identifier.
const ethernet = 1

func text(raw *wire.Msg, code uint8) optional {
	b, ok := raw.Find(code)
	return optional{ok, string(b)}
}

// client reports whether the client sent it. The originator is the server where
// it broadcasts.
func (m *Message) client() bool {
	return m.IsOrig && (m.Orig == none() || m.OrigP == 68 || m.RespP == 67)
}

// compare orders messages: by time, then by what does not depend on who saw them.
func (m *Message) compare(o *Message) int {
	switch {
	case m.TS < o.TS:
		return -1
	case m.TS > o.TS:
		return 1
	}
	if c := strings.Compare(m.UID, o.UID); c != 0 {
		return c
	}
	return bytes.Compare(m.Orig[:], o.Orig[:])
}
