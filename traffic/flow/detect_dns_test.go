package flow_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/dns"
	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/traffic/packet/packettest"
	"github.com/picket-nsm/picket/zeek/value"
)

// found takes the messages of DNS on a port that is not DNS's.
type found struct{ messages, services []string }

func (f *found) Message(c analyzer.Conn, m *dns.Msg) {
	f.messages = append(f.messages, fmt.Sprint(m.ID))
}
func (f *found) End(c analyzer.Conn)      {}
func (f *found) ConnRemoved(c *flow.Conn) { f.services = append(f.services, c.Service()) }
func (f *found) Weird(w flow.Weird)       {}

// A real analyzer that is found by what a message looks like gets all messages,
// those before it was found as well, however a stream is cut.
func TestDetectDNS(t *testing.T) {
	query := append([]byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, "\x03www\x07example\x00\x00\x01\x00\x01"...)
	answer := slices.Clone(query)
	answer[2], answer[3] = 0x81, 0x80
	prefixed := func(m []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...) }
	for _, size := range []int{0, 1, 2, 7, 1000} {
		h := &found{}
		f := dns.Factory(dns.Default(), func() dns.Handler { return h })
		const header = `.{2}[\x80-\x8f][\x00-\x80]\x00\x01`
		f.Signatures = []analyzer.Signature{
			{Name: "dns-udp", Proto: value.ProtoUDP, From: analyzer.FromResp, Pattern: header},
			{Name: "dns-tcp", Proto: value.ProtoTCP, From: analyzer.FromResp, Pattern: `.{2}` + header},
		}
		cfg := flow.Default()
		cfg.Key = []byte("a key of 16 byte")
		tb := flow.New(cfg, h, []analyzer.Factory{f})
		hosts, ports, seq := [2]string{"192.0.2.1", "192.0.2.2"}, [2]uint16{4000, 9953}, [2]uint32{100, 500}
		n := uint64(0)
		send := func(from int, proto uint8, payload []byte) {
			ip := packettest.IPv4(packettest.IP{Src: hosts[from], Dst: hosts[1-from], Proto: proto}, payload)
			var p packet.Packet
			packet.DecodeIP(&p, ip, len(ip))
			n++
			p.Time, p.Seq, p.NoChecksum = packet.Time(n)/100, n, true
			tb.Packet(&p)
		}
		segment := func(from int, flags uint8, data []byte) {
			send(from, packet.TCP, packettest.Segment(packettest.TCP{Src: ports[from], Dst: ports[1-from],
				Seq: seq[from], Ack: seq[1-from], Flags: flags, Window: 8192}, data))
			seq[from] += uint32(len(data)) + uint32(flags>>1&1)
		}
		if size == 0 {
			send(0, packet.UDP, packettest.UDP(ports[0], ports[1], query))
			send(1, packet.UDP, packettest.UDP(ports[1], ports[0], answer))
		} else {
			segment(0, 0x02, nil)
			segment(1, 0x12, nil)
			segment(0, 0x10, nil)
			for part := range slices.Chunk(prefixed(query), size) {
				segment(0, 0x10, part)
			}
			for part := range slices.Chunk(prefixed(answer), size) {
				segment(1, 0x10, part)
			}
		}
		tb.Finish()
		if fmt.Sprint(h.messages, h.services) != "[4660 4660] [dns]" {
			t.Errorf("pieces of %d: messages %v, services %v", size, h.messages, h.services)
		}
	}
}
