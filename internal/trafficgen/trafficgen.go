// Package trafficgen makes traffic whose logs are known beforehand: numbered
// TCP, UDP and DNS flows, complete from the first packet to the last, with
// right checksums. Live tests send it onto an interface, others write it to a
// capture file.
//
// A Generator is pure: the same Config gives the same frames. It owns the frame
// it returns until the next call. It never waits and never sends; Send does.
package trafficgen

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Kind is what a flow is.
type Kind int

// Kinds of flows.
const (
	TCP Kind = iota
	UDP
	DNS
)

func (k Kind) String() string { return [...]string{"tcp", "udp", "dns"}[k] }

// Config says what to make. Zero values are replaced by those in brackets.
type Config struct {
	Flows  int // how many [1000]
	First  int // number of the first flow; flow numbers decide addresses and ports
	Window int // flows that are under way at the same time [64]
	Data   int // bytes of each direction of a TCP or UDP flow [512]; UDP at most MSS
	// Parts of the flows, in the order of Kind [1, 1, 1]. Kinds follow each
	// other in turn, so the mix is the same everywhere.
	Parts [3]int
}

// MSS is the largest payload of a packet.
const MSS = 1400

func (c Config) withDefaults() Config {
	for _, d := range []struct{ v, def *int }{
		{&c.Flows, ptr(1000)}, {&c.Window, ptr(64)}, {&c.Data, ptr(512)},
	} {
		if *d.v <= 0 {
			*d.v = *d.def
		}
	}
	if c.Parts == [3]int{} {
		c.Parts = [3]int{1, 1, 1}
	}
	c.Window = min(c.Window, c.Flows)
	return c
}

func ptr(i int) *int { return &i }

// Flow is one flow and what a conn row says about it.
type Flow struct {
	N          int
	Kind       Kind
	Orig, Resp netip.AddrPort
	OrigBytes  int
	RespBytes  int
	OrigPkts   int
	RespPkts   int
	State      string
	History    string
	Query      string // of a DNS flow
}

// Flow returns the flow with the number n. Each has its own addresses: the
// originators are in 10.0.0.0/8, one for each flow up to 2^24, the responders in
// 172.16.0.0/16. Originators' ports are none that a server is likely to have,
// else Zeek would turn the flow round.
func (c Config) Flow(n int) Flow {
	c = c.withDefaults()
	f := Flow{N: n, Kind: c.kind(n), State: "SF"}
	orig := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
	resp := netip.AddrFrom4([4]byte{172, 16, byte(n % 7), byte(1 + n%250)})
	f.Orig = netip.AddrPortFrom(orig, uint16(30000+n%30000))
	switch f.Kind {
	case TCP:
		segs := c.segments()
		f.Resp = netip.AddrPortFrom(resp, 8888)
		f.OrigBytes, f.RespBytes = c.Data, c.Data
		f.OrigPkts, f.RespPkts = 4+2*segs, 2+2*segs
		f.History = "ShADadFf"
	case UDP:
		f.Resp = netip.AddrPortFrom(resp, 7777)
		f.OrigBytes, f.RespBytes = min(c.Data, MSS), min(c.Data, MSS)
		f.OrigPkts, f.RespPkts = 1, 1
		f.History = "Dd"
	case DNS:
		f.Resp = netip.AddrPortFrom(resp, 53)
		f.Query = fmt.Sprintf("flow%d.picket.test", n)
		f.OrigBytes = 12 + len(f.Query) + 2 + 4
		f.RespBytes = f.OrigBytes + 16
		f.OrigPkts, f.RespPkts = 1, 1
		f.History = "Dd"
	}
	return f
}

func (c Config) kind(n int) Kind {
	p := c.Parts
	switch i := n % (p[0] + p[1] + p[2]); {
	case i < p[0]:
		return TCP
	case i < p[0]+p[1]:
		return UDP
	}
	return DNS
}

func (c Config) segments() int { return (c.Data + MSS - 1) / MSS }

// Sent counts what has been generated.
type Sent struct {
	Packets uint64    `json:"packets"`
	Bytes   uint64    `json:"bytes"`
	Flows   [3]uint64 `json:"flows"` // begun, in the order of Kind
}

// Generator makes the frames of a Config one after the other: Window flows take
// turns packet by packet; when one ends the next begins.
type Generator struct {
	cfg  Config
	next int // number of the next flow
	open []progress
	turn int
	sent Sent
	buf  [14 + 20 + 20 + MSS]byte
	zero [MSS]byte
}

type progress struct {
	f    Flow
	step int
}

// New returns a generator. Config.Parts must not be negative.
func New(c Config) *Generator {
	g := &Generator{cfg: c.withDefaults()}
	g.next = g.cfg.First
	for i := range g.zero {
		g.zero[i] = 'a' + byte(i%26)
	}
	for len(g.open) < g.cfg.Window && g.begin() {
	}
	return g
}

func (g *Generator) begin() bool {
	if g.next >= g.cfg.First+g.cfg.Flows {
		return false
	}
	f := g.cfg.Flow(g.next)
	g.next++
	g.sent.Flows[f.Kind]++
	g.open = append(g.open, progress{f: f})
	return true
}

// Sent returns what Next has returned so far.
func (g *Generator) Sent() Sent { return g.sent }

// Next returns the next frame, from the Ethernet header on, or nil at the end.
func (g *Generator) Next() []byte {
	if len(g.open) == 0 {
		return nil
	}
	g.turn %= len(g.open)
	p := &g.open[g.turn]
	frame := g.frame(p)
	p.step++
	if p.step == p.f.OrigPkts+p.f.RespPkts {
		g.open[g.turn] = g.open[len(g.open)-1]
		g.open = g.open[:len(g.open)-1]
		g.begin()
	}
	g.turn++
	g.sent.Packets++
	g.sent.Bytes += uint64(len(frame))
	return frame
}

// TCP flags.
const (
	fin = 1
	syn = 2
	psh = 8
	ack = 16
)

func (g *Generator) frame(p *progress) []byte {
	f := &p.f
	switch f.Kind {
	case TCP:
		return g.tcp(p)
	case UDP:
		return g.udp(f, p.step == 0, g.zero[:f.OrigBytes])
	}
	return g.udp(f, p.step == 0, dns(f, p.step == 1))
}

// tcp is one packet of a flow: handshake, the originator's data, each segment
// acknowledged, the responder's data likewise, and both FINs.
func (g *Generator) tcp(p *progress) []byte {
	const isn0, isn1 = 1000, 5000 // of originator and responder
	d, segs := uint32(g.cfg.Data), g.cfg.segments()
	seq0, seq1 := uint32(isn0+1), uint32(isn1+1)
	switch k := p.step - 3; {
	case p.step == 0:
		return g.segment(&p.f, true, isn0, 0, syn, nil)
	case p.step == 1:
		return g.segment(&p.f, false, isn1, seq0, syn|ack, nil)
	case p.step == 2:
		return g.segment(&p.f, true, seq0, seq1, ack, nil)
	case k < 2*segs:
		from := uint32(k / 2 * MSS)
		n := min(MSS, d-from)
		if k%2 == 0 {
			return g.segment(&p.f, true, seq0+from, seq1, ack|psh, g.zero[:n])
		}
		return g.segment(&p.f, false, seq1, seq0+from+n, ack, nil)
	case k < 4*segs:
		k -= 2 * segs
		from := uint32(k / 2 * MSS)
		n := min(MSS, d-from)
		if k%2 == 0 {
			return g.segment(&p.f, false, seq1+from, seq0+d, ack|psh, g.zero[:n])
		}
		return g.segment(&p.f, true, seq0+d, seq1+from+n, ack, nil)
	case k == 4*segs:
		return g.segment(&p.f, true, seq0+d, seq1+d, fin|ack, nil)
	case k == 4*segs+1:
		return g.segment(&p.f, false, seq1+d, seq0+d+1, fin|ack, nil)
	default:
		return g.segment(&p.f, true, seq0+d+1, seq1+d+1, ack, nil)
	}
}

func (g *Generator) segment(f *Flow, orig bool, seq, acked uint32, flags byte, data []byte) []byte {
	b, l4 := g.ip(f, orig, 6, 20+len(data))
	binary.BigEndian.PutUint32(l4[4:], seq)
	binary.BigEndian.PutUint32(l4[8:], acked)
	l4[12], l4[13] = 5<<4, flags
	binary.BigEndian.PutUint16(l4[14:], 65535)
	binary.BigEndian.PutUint32(l4[16:], 0)
	copy(l4[20:], data)
	binary.BigEndian.PutUint16(l4[16:], checksum(l4, pseudo(b, 6, len(l4))))
	return b
}

func (g *Generator) udp(f *Flow, orig bool, data []byte) []byte {
	b, l4 := g.ip(f, orig, 17, 8+len(data))
	binary.BigEndian.PutUint16(l4[4:], uint16(len(l4)))
	binary.BigEndian.PutUint16(l4[6:], 0)
	copy(l4[8:], data)
	sum := checksum(l4, pseudo(b, 17, len(l4)))
	if sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(l4[6:], sum)
	return b
}

// ip writes Ethernet and IPv4 headers and the ports, and returns the frame and
// its transport part.
func (g *Generator) ip(f *Flow, orig bool, proto byte, n int) (frame, l4 []byte) {
	b := g.buf[:14+20+n]
	src, dst := f.Orig, f.Resp
	copy(b, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00")
	if !orig {
		src, dst = dst, src
		b[5], b[11] = 1, 2
	}
	h := b[14:34]
	copy(h, "\x45\x00\x00\x00\x00\x00\x40\x00\x40\x00\x00\x00")
	binary.BigEndian.PutUint16(h[2:], uint16(20+n))
	h[9] = proto
	sa, da := src.Addr().As4(), dst.Addr().As4()
	copy(h[12:], sa[:])
	copy(h[16:], da[:])
	binary.BigEndian.PutUint16(h[10:], checksum(h, 0))
	l4 = b[34:]
	binary.BigEndian.PutUint16(l4, src.Port())
	binary.BigEndian.PutUint16(l4[2:], dst.Port())
	return b, l4
}

// pseudo sums the pseudo header of a frame (RFC 793).
func pseudo(frame []byte, proto byte, n int) uint32 {
	sum := uint32(proto) + uint32(n)
	for i := 26; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(frame[i:]))
	}
	return sum
}

// checksum is the Internet checksum (RFC 1071) of b, added to sum.
func checksum(b []byte, sum uint32) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// dns is a query for the A record of the flow's name, or its answer (RFC 1035).
func dns(f *Flow, answer bool) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 128), uint16(f.N))
	if answer {
		b = append(b, "\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"...)
	} else {
		b = append(b, "\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"...)
	}
	for start, i := 0, 0; i <= len(f.Query); i++ {
		if i == len(f.Query) || f.Query[i] == '.' {
			b = append(b, byte(i-start))
			b = append(b, f.Query[start:i]...)
			start = i + 1
		}
	}
	b = append(b, "\x00\x00\x01\x00\x01"...)
	if answer {
		b = append(b, "\xc0\x0c\x00\x01\x00\x01\x00\x00\x01\x2c\x00\x04"...)
		b = append(b, 192, 0, 2, byte(f.N))
	}
	return b
}
