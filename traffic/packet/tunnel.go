package packet

import "encoding/binary"

// Tunnel is a kind of tunnel, by Zeek's names (Tunnel::Type).
type Tunnel uint8

// Tunnels that are looked into.
const (
	TunnelNone   Tunnel = iota
	TunnelIP            // IP in IP: protocol 4 or 41
	TunnelGRE           // also in UDP
	TunnelVXLAN         // those below are UDP connections
	TunnelGeneve        //
	TunnelTeredo        //
	TunnelAYIYA         //
	TunnelGTPv1         //
)

var tunnelNames = [...][2]string{
	TunnelNone: {"Tunnel::NONE", ""}, TunnelIP: {"Tunnel::IP", "IPTUNNEL"}, TunnelGRE: {"Tunnel::GRE", "GRE"},
	TunnelVXLAN: {"Tunnel::VXLAN", "VXLAN"}, TunnelGeneve: {"Tunnel::GENEVE", "GENEVE"},
	TunnelTeredo: {"Tunnel::TEREDO", "TEREDO"}, TunnelAYIYA: {"Tunnel::AYIYA", "AYIYA"},
	TunnelGTPv1: {"Tunnel::GTPv1", "GTPV1"},
}

// String is the value that tunnel.log has for it.
func (t Tunnel) String() string { return tunnelNames[t][0] }

// Analyzer is the name of Zeek's analyzer: the service, and the source of weirds.
func (t Tunnel) Analyzer() string { return tunnelNames[t][1] }

// Inside says what a tunnel carries.
type Inside uint8

// Insides; of others we know nothing and leave them alone.
const (
	InsideNothing Inside = iota
	InsideIP
	InsideEthernet
	InsideWifi // IEEE 802.11
	InsideARP
)

var insideLayer = [...]layer{InsideIP: lIP, InsideEthernet: lEthernet, InsideWifi: lWifi, InsideARP: lARP}

// Cover is what the header of a tunnel says: either where the inside is, or
// what is wrong.
type Cover struct {
	Inside Inside
	Valid  bool   // the header is the protocol's; that may be said of the connection
	Data   []byte // the inside, a view

	Violation string // why this is not the protocol; empty: it is
	Weird     Weird  // its Name is empty if there is none
}

func (c *Cover) weird(t Tunnel, name string) {
	c.Weird = Weird{Name: name, Source: t.Analyzer(), Flow: true}
}

// DecodeInside fills p with what a tunnel in the packet outer carries. data is
// the inside, of wireLen bytes on the wire. passed is how many layers Zeek
// counts between the outer IP header and the inside; with those of outer they
// must be less than MaxDepth. It allocates nothing and keeps views of data.
func DecodeInside(p, outer *Packet, in Inside, data []byte, wireLen, passed int) {
	p.Time, p.Seq, p.NoChecksum = outer.Time, outer.Seq, outer.NoChecksum
	p.Data, p.WireLen = data, wireLen
	p.clearLink()
	p.clearIP()
	p.Depth = outer.Depth + passed + 1
	p.layers(insideLayer[in], 0, len(data))
}

// Forget drops the views of a packet's bytes.
func (p *Packet) Forget() { p.Data, p.IP, p.Payload = nil, nil, nil }

// Fit says how an IP packet fits into the bytes that a tunnel has for it.
type Fit uint8

// Fits. A packet of the wrong version, or without room for the header, has no
// length.
const (
	FitOK Fit = iota
	FitVersion
	FitShort // bytes are missing
	FitLong  // there are more bytes than the packet says
)

// FitIP compares an IP packet, IPv6 or not, with the bytes there are. next is
// what comes behind its headers, and payload the number of bytes behind them as
// it states; both are 0 where there is no header.
func FitIP(b []byte, v6 bool) (f Fit, next uint8, payload int) {
	total := 0
	if v6 {
		if len(b) < 40 {
			return FitShort, 0, 0
		}
		if b[0]>>4 != 6 {
			return FitVersion, 0, 0
		}
		total = 40 + int(binary.BigEndian.Uint16(b[4:]))
		x := chain{next: b[6], len: 40}
		if isExt(x.next) {
			var scratch Packet // takes the weirds; they are found again inside
			x.walk(&scratch, b)
		}
		next, payload = x.next, total-x.len
	} else {
		if len(b) < 20 || b[0]>>4 != 4 {
			return FitVersion, 0, 0
		}
		total = int(binary.BigEndian.Uint16(b[2:]))
		next, payload = b[9], total-int(b[0]&15)*4
	}
	switch {
	case len(b) < total:
		f = FitShort
	case len(b) > total:
		f = FitLong
	}
	return f, next, payload
}
