package flow

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/traffic/packet/packettest"
	"github.com/picket-nsm/picket/zeek/value"
)

// dialog makes the packets of conversations and notes what the toys on them say.
type dialog struct {
	t     testing.TB
	tb    *Table
	out   []string
	now   packet.Time
	n     uint64
	udp   bool
	ports [2]uint16
	seq   [2]uint32
}

// toy is an analyzer that notes what it gets, and does what it is told in it.
type toy struct {
	d     *dialog
	name  string
	child analyzer.Child
}

func (a *toy) note(format string, args ...any) {
	a.d.out = append(a.d.out, a.name+" "+fmt.Sprintf(format, args...))
}

func (a *toy) Open(c analyzer.Conn) { a.note("open") }

func (a *toy) Deliver(c analyzer.Conn, orig bool, data []byte) {
	text := string(data)
	if len(text) > 40 {
		text = fmt.Sprintf("%s... (%d)", text[:20], len(text))
	}
	mark := "<"
	if orig {
		mark = ">"
	}
	a.note("%s %s", mark, text)
	p := c.(analyzer.Parent)
	if a.child != 0 {
		if string(data) == "drop child" {
			p.RemoveChild(a.child)
			a.child = 0
			return
		}
		p.Forward(a.child, orig, data)
		return
	}
	for word := range strings.FieldsSeq(string(data)) {
		switch word {
		case "confirm":
			c.Confirm(strings.ToLower(a.name))
		case "violate":
			c.Violation(strings.ToLower(a.name), "bad word", data)
		case "remove":
			c.(analyzer.Remover).Remove()
		case "detect":
			a.child = p.Detect(value.ProtoTCP)
		case "child":
			a.child = p.Child("INNER", value.ProtoTCP)
			_, rest, _ := strings.Cut(string(data), "child ")
			p.Forward(a.child, orig, []byte(rest))
			return
		}
	}
}

func (a *toy) Gap(c analyzer.Conn, orig bool, n uint64) {
	a.note("gap %d", n)
	c.(analyzer.Parent).ForwardGap(a.child, orig, n)
}
func (a *toy) Closed(c analyzer.Conn) { a.note("closed") }
func (a *toy) End(c analyzer.Conn) {
	a.note("end")
	// All of this must be refused: the connection, or the analyzer, is going.
	c.(analyzer.Parent).Forward(a.child, true, []byte("late"))
	if n := c.(analyzer.Parent).Child("INNER", value.ProtoTCP); n != 0 {
		a.note("got a child at its end")
	}
}

func (d *dialog) ConnRemoved(c *Conn) { d.out = append(d.out, "row "+c.Service()) }
func (d *dialog) Weird(w Weird)       { d.out = append(d.out, "weird "+w.Name+" "+w.Source) }
func (d *dialog) AnalyzerFailed(f *Failure) {
	d.out = append(d.out, "failed "+f.Analyzer+": "+f.Reason)
}

func (d *dialog) factory(name string, sigs ...analyzer.Signature) analyzer.Factory {
	return analyzer.Factory{Name: name, Signatures: sigs, New: func(value.Proto) analyzer.Analyzer { return &toy{d: d, name: name} }}
}

func sig(name string, from analyzer.Side, pattern string) analyzer.Signature {
	return analyzer.Signature{Name: name, Proto: value.ProtoTCP, From: from, Pattern: pattern}
}

func half(s analyzer.Signature) analyzer.Signature {
	s.Half = true
	return s
}

func with(s analyzer.Signature, reverse string) analyzer.Signature {
	s.Reverse = reverse
	return s
}

func overUDP(s analyzer.Signature) analyzer.Signature {
	s.Proto = value.ProtoUDP
	return s
}

func newDialog(t testing.TB, change func(cfg *Config)) *dialog {
	d := &dialog{t: t, now: 1, ports: [2]uint16{1025, 9999}}
	cfg := testConfig()
	if change != nil {
		change(&cfg)
	}
	sized := overUDP(sig("sized", analyzer.Either, `^Z`))
	sized.MinSize, sized.MaxSize = 3, 5
	port := d.factory("PORT")
	port.Ports = []analyzer.Port{{Num: 7, Proto: value.ProtoTCP}, {Num: 7, Proto: value.ProtoUDP}}
	two := d.factory("TWO", sig("two-client", analyzer.FromOrig, `^TWO`), sig("two-server", analyzer.FromResp, `^TWO`))
	two.Ports = []analyzer.Port{{Num: 8, Proto: value.ProtoTCP}}
	d.tb = New(cfg, d, []analyzer.Factory{
		d.factory("HI", sig("hi-client", analyzer.FromOrig, `^HI `)),
		d.factory("ALSO", sig("also", analyzer.Either, `.*also`)),
		d.factory("PAIR", with(sig("pair-client", analyzer.FromOrig, `^ask`), "pair-server"), half(sig("pair-server", analyzer.FromResp, `.*answer`))),
		d.factory("SERVER", sig("server", analyzer.FromResp, `^200 `)),
		d.factory("INNER"),
		d.factory("DGRAM", overUDP(sig("dgram", analyzer.Either, `^.{2}XY`)), sized),
		port, two,
	})
	return d
}

// start opens a connection; over TCP with a handshake.
func (d *dialog) start(udp bool, resp uint16) *dialog {
	d.udp, d.ports[1] = udp, resp
	d.ports[0]++
	if !udp {
		d.seq = [2]uint32{100, 500}
		d.segment(0, 0x02, nil)
		d.segment(1, 0x12, nil)
		d.segment(0, 0x10, nil)
	}
	return d
}

func (d *dialog) packet(from int, proto uint8, payload []byte) {
	names := [2]string{"10.0.0.1", "10.0.0.2"}
	ip := packettest.IPv4(packettest.IP{Src: names[from], Dst: names[1-from], Proto: proto}, payload)
	if proto == packet.TCP {
		packettest.Sum(ip, proto, len(payload), 16)
	}
	var p packet.Packet
	packet.DecodeIP(&p, ip, len(ip))
	d.now += 0.01
	d.n++
	p.Time, p.Seq = d.now, d.n
	d.tb.Packet(&p)
	for i := range ip {
		ip[i] = 0xdb // nobody may keep a view
	}
}

func (d *dialog) segment(from int, flags uint8, data []byte) {
	h := packettest.TCP{Src: d.ports[from], Dst: d.ports[1-from], Seq: d.seq[from], Ack: d.seq[1-from], Flags: flags, Window: 8192}
	d.packet(from, packet.TCP, packettest.Segment(h, data))
	d.seq[from] += uint32(len(data))
	if flags&0x03 != 0 {
		d.seq[from]++
	}
}

// say sends text: of the originator behind >, else of the responder.
func (d *dialog) say(text string) *dialog {
	from := 0
	if text[0] == '<' {
		from = 1
	}
	if d.udp {
		d.packet(from, packet.UDP, packettest.UDP(d.ports[from], d.ports[1-from], []byte(text[1:])))
	} else {
		d.segment(from, 0x10, []byte(text[1:]))
	}
	return d
}

// lose loses n bytes, and has the other side acknowledge them.
func (d *dialog) lose(from int, n int) *dialog {
	d.seq[from] += uint32(n)
	d.segment(1-from, 0x10, nil)
	return d
}

func (d *dialog) wants(want ...string) {
	d.t.Helper()
	d.tb.Finish()
	if !slices.Equal(d.out, want) {
		d.t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(d.out, "\n\t"), strings.Join(want, "\n\t"))
	}
	st := d.tb.Stats()
	if st.DetectBytes != 0 || len(d.tb.seen.free) != int(d.tb.seen.used) || len(d.tb.blocks.free) != int(d.tb.blocks.used) {
		d.t.Errorf("left behind: %+v, %d of %d looks", st, len(d.tb.seen.free), d.tb.seen.used)
	}
	d.out = nil
}
